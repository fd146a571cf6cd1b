package import LinkSecurity
package import NIOCore
import NIOPosix

/// Bounds, timings and identity of a client connection.
package struct GRPCClientOptions: Sendable {
    package var http2: HTTP2Options
    /// Time for the TCP connection, the TLS handshake and the server's first HTTP/2 frame together.
    package var connectTimeout: TimeAmount = .seconds(5)
    /// The `:authority` of calls; nil is `host:port` of the connection.
    package var authority: String?
    package var userAgent = "ganglion"
    /// nil: plaintext.
    package var tls: TLSCredentials?
    var scheme: String { tls == nil ? "http" : "https" }

    package init() {
        http2 = HTTP2Options()
        http2.streamWindowBytes = 1024 * 1024
        http2.connectionWindowBytes = 4 * 1024 * 1024
        http2.messageBytesMax = 64 * 1024 * 1024
        http2.keepaliveInterval = .seconds(10)
        http2.keepaliveTimeout = .seconds(10)
        http2.keepaliveWithoutStreams = false
    }
}

/// What a connection tells its owner, on its event loop.
package enum GRPCClientConnectionEvent: Equatable, Sendable {
    /// The server will take no more calls; running ones go on. Open another connection.
    case draining(String)
    /// The connection is gone; all its calls have ended. Exactly once, and last.
    case closed(String)
}

/// One connection to a gRPC server over HTTP/2 with prior knowledge. Does not reconnect.
///
/// `Sendable`, but everything that makes or touches calls runs on `eventLoop`; the `async` members go there by
/// themselves.
package final class GRPCClientConnection: Sendable {
    /// For the settings of a connection with TLS.
    package static let applicationProtocols = ["h2"]

    package let eventLoop: any EventLoop
    private let core: NIOLoopBound<ClientCore>
    private let channel: any Channel

    private init(_ core: ClientCore, _ channel: any Channel) {
        eventLoop = channel.eventLoop
        self.channel = channel
        self.core = NIOLoopBound(core, eventLoop: channel.eventLoop)
    }

    /// Connects and waits until the server has shown that it speaks HTTP/2.
    ///
    /// - Parameters:
    ///   - eventLoop: where the connection and its calls live.
    ///   - onEvent: called on `eventLoop`, only after the connection was made.
    /// - Returns: fails with UNAVAILABLE naming the address and the reason.
    package static func connect(
        host: String, port: Int, on eventLoop: any EventLoop, options: GRPCClientOptions = GRPCClientOptions(),
        onEvent: @escaping @Sendable (GRPCClientConnectionEvent) -> Void = { _ in }
    ) -> EventLoopFuture<GRPCClientConnection> {
        let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let ready = eventLoop.makePromise(of: GRPCClientConnection.self)
        var bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(options.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                .writeBufferWaterMark, value: .init(low: HTTP2Options.outputChunkBytes / 2, high: 256 * 1024)
            )
            .channelInitializer { channel in
                secured(channel, host, options.tls).flatMapThrowing {
                    let core = ClientCore(
                        options: options, address: address, eventLoop: channel.eventLoop, onEvent: onEvent)
                    let connection = HTTP2Connection(
                        role: .client, options: options.http2, eventLoop: channel.eventLoop, delegate: core)
                    core.begin(connection, ready: ready) { GRPCClientConnection(core, channel) }
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
        if let option = ChannelOptions.Types.SocketOption.unsentLowWater {
            bootstrap = bootstrap.channelOption(option, value: HTTP2Options.kernelUnsentBytes)
        }
        let attempt = bootstrap.connect(host: host, port: port)
        attempt.whenFailure { error in
            let text = "cannot connect to \(address): \(TLSFailure.text(error))"
            ready.fail(GRPCStatus(.unavailable, text, isUnprocessed: true))
        }
        let timer = eventLoop.scheduleTask(in: options.connectTimeout) {
            let text = "cannot connect to \(address): no HTTP/2 answer in time"
            ready.fail(GRPCStatus(.unavailable, text, isUnprocessed: true))
            attempt.whenSuccess { $0.close(promise: nil) }
        }
        ready.futureResult.whenComplete { _ in timer.cancel() }
        return ready.futureResult
    }

    private static func secured(_ channel: any Channel, _ host: String, _ tls: TLSCredentials?) -> EventLoopFuture<Void>
    {
        tls?.secure(dialed: channel, host: host) ?? channel.eventLoop.makeSucceededVoidFuture()
    }

    /// False once the server takes no more calls or the connection is gone. On `eventLoop`.
    package var acceptsCalls: Bool { core.value.acceptsCalls }

    /// Opens a call. On `eventLoop`.
    ///
    /// - Parameters:
    ///   - path: `/package.Service/Method`.
    ///   - timeout: sent as `grpc-timeout` and enforced here too.
    ///   - handler: on a connection that is gone or draining it gets UNAVAILABLE, marked unprocessed, in a later turn.
    package func open(
        path: String, metadata: Metadata = Metadata(), timeout: TimeAmount? = nil, handler: any ClientCallHandler
    ) -> ClientCall {
        core.value.open(path: path, metadata: metadata, timeout: timeout, handler: handler)
    }

    /// A call with one message each way. On `eventLoop`; `completion` is called there, exactly once.
    @discardableResult
    package func unary(
        path: String, message: [UInt8], metadata: Metadata = Metadata(), timeout: TimeAmount? = nil,
        completion: @escaping (Result<[UInt8], GRPCStatus>) -> Void
    ) -> ClientCall {
        let call = open(path: path, metadata: metadata, timeout: timeout, handler: UnaryCollector(completion))
        call.send(message)
        call.halfClose()
        return call
    }

    /// A call with one message each way, from anywhere. Cancelling the task cancels the call.
    ///
    /// - Throws: `GRPCStatus`.
    package func unary(
        path: String, message: [UInt8], metadata: Metadata = Metadata(), timeout: TimeAmount? = nil
    ) async throws -> [UInt8] {
        let call = NIOLoopBoundBox<ClientCall?>.makeEmptyBox(valueType: ClientCall.self, eventLoop: eventLoop)
        let promise = eventLoop.makePromise(of: [UInt8].self)
        eventLoop.execute {
            call.value = self.unary(path: path, message: message, metadata: metadata, timeout: timeout) { result in
                call.value = nil
                promise.completeWith(result.mapError { $0 as any Error })
            }
        }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            eventLoop.execute { call.value?.cancel() }
        }
    }

    /// Ends the connection and with it all calls. From anywhere.
    package func close() {
        eventLoop.execute { self.core.value.close() }
    }

    /// Completes when the connection is gone.
    package var closeFuture: EventLoopFuture<Void> { channel.closeFuture }
}

/// Collects the one message of a unary answer.
private final class UnaryCollector: ClientCallHandler {
    private let completion: (Result<[UInt8], GRPCStatus>) -> Void
    private var message: [UInt8]?

    init(_ completion: @escaping (Result<[UInt8], GRPCStatus>) -> Void) {
        self.completion = completion
    }

    func messageReceived(_ message: [UInt8], _ call: ClientCall) {
        self.message = message
    }

    func ended(_ status: GRPCStatus, _ trailers: Metadata, _ call: ClientCall) {
        if !status.isOK {
            completion(.failure(status))
        } else if let message {
            completion(.success(message))
        } else {
            completion(.failure(GRPCStatus(.internal, "the server answered OK without a message")))
        }
    }
}
