import GRPC
import LinkSecurity
import Logging
import NIOCore

/// A link over the gRPC layer.
final class GRPCLink: Link {
    private let connection: GRPCClientConnection

    private init(_ connection: GRPCClientConnection) {
        self.connection = connection
    }

    /// Dials with the gRPC layer, which waits for the member's first HTTP/2 frame.
    ///
    /// - Parameter tls: read on the first connection that needs it, so that the client waits for no file.
    static func dialer(on loop: any EventLoop, tls: Registry.Configuration.TLS?, logger: Logger) -> Dialer {
        let credentials = Result { () throws(TLSSetupError) in
            var settings = try tls?.settings() ?? TLSSettings()
            settings.applicationProtocols = GRPCClientConnection.applicationProtocols
            return TLSCredentials.client(settings) { logger.warning("\($0)") }
        }
        return { endpoint, timeout, opened, closed in
            var options = GRPCClientOptions()
            if endpoint.isSecure(with: tls) {
                switch credentials {
                case .success(let credentials): options.tls = credentials
                case .failure(let error):
                    loop.assumeIsolated().execute {
                        opened(.failure(GRPCStatus(.unavailable, "\(endpoint): \(error)", isUnprocessed: true)))
                    }
                    return
                }
            }
            options.connectTimeout = timeout
            options.userAgent = "ganglion-client"
            // Silence is watched by the client itself, see `ClientCore+Silence`.
            options.http2.keepaliveInterval = nil
            let owner = NIOLoopBound(ClosedOnce(closed), eventLoop: loop)
            let connecting = GRPCClientConnection.connect(
                host: endpoint.host, port: endpoint.port, on: loop, options: options
            ) { event in
                switch event {
                case .draining(let reason), .closed(let reason): owner.value.call("\(endpoint): \(reason)")
                }
            }
            connecting.assumeIsolated().whenComplete { result in
                switch result {
                case .success(let connection):
                    opened(.success(GRPCLink(connection)))
                case .failure(let error):
                    opened(.failure(error as? GRPCStatus ?? GRPCStatus(.unavailable, "\(endpoint): \(error)")))
                }
            }
        }
    }

    func unary(
        _ path: String, _ metadata: Metadata, _ message: [UInt8], deadline: NIODeadline,
        completion: @escaping (Result<[UInt8], GRPCStatus>) -> Void
    ) -> any LinkCall {
        let call = GRPCLinkCall(
            received: { _ in },
            ended: { status, message in
                if !status.isOK {
                    completion(.failure(status))
                } else if let message {
                    completion(.success(message))
                } else {
                    completion(.failure(GRPCStatus(.internal, "the member answered OK without a message")))
                }
            })
        call.keepsMessage = true
        let timeout = deadline == .distantFuture ? nil : deadline - .now()
        let opened = connection.open(path: path, metadata: metadata, timeout: timeout, handler: call)
        call.call = opened
        opened.send(message)
        opened.halfClose()
        return call
    }

    func stream(
        _ path: String, _ metadata: Metadata, received: @escaping ([UInt8]) -> Void,
        ended: @escaping (GRPCStatus) -> Void
    ) -> any LinkStream {
        let call = GRPCLinkCall(received: received, ended: { status, _ in ended(status) })
        call.call = connection.open(path: path, metadata: metadata, handler: call)
        return call
    }

    func close() {
        connection.close()
    }

    /// The layer tells of draining and of closing; the client wants to hear of the first.
    private final class ClosedOnce {
        private var closed: ((GRPCStatus) -> Void)?

        init(_ closed: @escaping (GRPCStatus) -> Void) {
            self.closed = closed
        }

        func call(_ text: String) {
            closed?(GRPCStatus(.unavailable, text))
            closed = nil
        }
    }
}

/// A call or a stream; silent once cancelled.
private final class GRPCLinkCall: LinkStream, ClientCallHandler {
    var call: ClientCall?
    /// Keep the last message for the end instead of handing it on: a unary answer counts only with its status.
    var keepsMessage = false
    private var message: [UInt8]?
    private var received: (([UInt8]) -> Void)?
    private var ended: ((GRPCStatus, [UInt8]?) -> Void)?

    init(received: @escaping ([UInt8]) -> Void, ended: @escaping (GRPCStatus, [UInt8]?) -> Void) {
        self.received = received
        self.ended = ended
    }

    func send(_ message: [UInt8]) {
        call?.send(message)
    }

    func pauseReading() {
        call?.pauseReading()
    }

    func resumeReading() {
        call?.resumeReading()
    }

    func cancel() {
        received = nil
        ended = nil
        call?.cancel()
        call = nil
    }

    func messageReceived(_ message: [UInt8], _ call: ClientCall) {
        if keepsMessage {
            self.message = message
        } else {
            received?(message)
        }
    }

    func ended(_ status: GRPCStatus, _ trailers: Metadata, _ call: ClientCall) {
        let ended = ended
        self.received = nil
        self.ended = nil
        self.call = nil
        ended?(status, message)
    }
}
