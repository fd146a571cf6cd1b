import LinkSecurity
package import NIOCore

/// One gRPC call as its server sees it. Confined to `eventLoop`; calling anything from elsewhere is a bug.
///
/// After the end of the call (also when the peer ended it) sending and finishing do nothing, so a late answer needs no
/// check; `isOpen` tells.
package final class ServerCall {
    private let transport: any CallTransport
    private var handler: (any ServerCallHandler)?
    private var end: ServerCallEnd?
    private var hasFinished = false
    package let eventLoop: any EventLoop
    package let connection: ConnectionInfo
    /// `/package.Service/Method`.
    package let path: String
    /// When the client stops waiting; the call is ended with DEADLINE_EXCEEDED then.
    package private(set) var deadline: NIODeadline?
    /// For the handler's use, for example a token of the request in flight. Cleared after `closed`.
    package var state: AnyObject?
    /// For the router's use: when it opened the call, if it wants to know.
    package var openedAt: NIODeadline?
    var heldRequest: [UInt8]?

    /// - Parameter transport: told what the handler answers; whoever makes the call tells it what the client says,
    ///   with the methods below `begin`.
    package init(
        transport: any CallTransport, path: String, connection: ConnectionInfo, eventLoop: any EventLoop
    ) {
        self.transport = transport
        self.connection = connection
        self.eventLoop = eventLoop
        self.path = path
    }

    /// The request's headers; `:authority` included, `content-type` only when it has a subtype.
    package var metadata: Metadata { transport.headers }

    package var peer: SocketAddress? { connection.remoteAddress }

    /// False once finished, cancelled or cut off.
    package var isOpen: Bool { !hasFinished && transport.acceptsOutput }

    // MARK: Answering

    /// Sends the response headers now instead of with the first message.
    ///
    /// - Parameter metadata: fields beside gRPC's own. Ignored once headers were sent.
    package func sendHeaders(_ metadata: Metadata = Metadata()) {
        eventLoop.preconditionInEventLoop()
        transport.send(headers: metadata)
    }

    /// Sends one message. Queued without bound: who sends on its own account looks at `bufferedBytes`.
    package func send(_ message: [UInt8]) {
        eventLoop.assertInEventLoop()
        transport.send(message: message)
    }

    /// Sends several messages in order.
    package func send(messages: [[UInt8]]) {
        eventLoop.assertInEventLoop()
        for message in messages {
            transport.send(message: message)
        }
    }

    /// Sends one message made of parts, kept by reference: a part shared by many streams is never copied but into
    /// each connection's output.
    package func send(parts: [[UInt8]]) {
        eventLoop.assertInEventLoop()
        transport.send(messageParts: parts)
    }

    /// Ends the call after what was sent.
    ///
    /// - Parameter trailers: metadata beside the status.
    package func finish(_ status: GRPCStatus = .ok, trailers: Metadata = Metadata()) {
        eventLoop.assertInEventLoop()
        guard !hasFinished else { return }
        hasFinished = true
        transport.finish(status, trailers)
    }

    /// Sends the one message of a unary answer and ends the call.
    package func respond(_ message: [UInt8]) {
        send(message)
        finish()
    }

    // MARK: Flow control

    /// Bytes sent here that wait for the peer or the connection, message prefixes included.
    package var bufferedBytes: Int { transport.bufferedBytes }

    /// Where `ServerCallHandler.drained` is called, in bytes.
    package var drainMark: Int {
        get { transport.drainMark }
        set { transport.drainMark = newValue }
    }

    /// Stops delivery of messages; the peer may send one stream window more, then has to wait.
    package func pauseReading() {
        eventLoop.assertInEventLoop()
        transport.pauseReading()
    }

    /// Delivers what was held, in place, and lets the peer send on.
    package func resumeReading() {
        eventLoop.assertInEventLoop()
        transport.resumeReading()
    }
}

/// The connection a call or request came on.
package final class ConnectionInfo {
    package let remoteAddress: SocketAddress?
    package let localAddress: SocketAddress?
    /// Whether the connection is encrypted.
    package var isSecure: Bool { tls != nil }
    /// Whether the client showed a certificate that a trusted CA signed and that no rule forbids.
    package var hasVerifiedCertificate: Bool { tls?.certificate != nil }
    /// Of that certificate: the last CommonName of its subject; nil when it has none.
    package var certificateCommonName: String? { tls?.certificate?.commonName }
    /// Of that certificate: the host names and the addresses it is for.
    package var certificateHosts: [String] {
        (tls?.certificate?.dnsNames ?? []) + (tls?.certificate?.ipAddresses ?? [])
    }
    private let tls: TLSEstablished?
    /// For the use of a router: what it knows about this connection.
    package var state: AnyObject?
    /// `host:port` of the peer as text, for logs and audit; empty when unknown.
    package private(set) lazy var peerText: String = {
        guard let remoteAddress, let ip = remoteAddress.ipAddress, let port = remoteAddress.port else { return "" }
        return ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    }()

    init(channel: any Channel, tls: TLSEstablished? = nil) {
        self.tls = tls
        remoteAddress = channel.remoteAddress
        localAddress = channel.localAddress
    }
}

extension ServerCall: StreamConsumer {
    /// Hands the call to its handler, or refuses it.
    package func begin(_ router: any CallRouter) {
        guard let handler = router.open(self) else {
            if !hasFinished {
                finish(GRPCStatus(.unimplemented, Self.unimplementedText(path, router)))
            }
            return
        }
        self.handler = handler
    }

    func setDeadline(_ deadline: NIODeadline) {
        self.deadline = deadline
        transport.setDeadline(deadline)
    }

    /// In the words of grpc-go, `server.go`, `handleStream`.
    private static func unimplementedText(_ path: String, _ router: any CallRouter) -> String {
        let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 2, path.hasPrefix("/") else { return "malformed method name: \"\(path)\"" }
        let service = parts.dropLast().joined(separator: "/")
        guard router.hasService(service) else { return "unknown service \(service)" }
        return "unknown method \(parts[parts.count - 1]) for service \(service)"
    }

    func headersReceived(_ headers: Metadata, status: Int, endStream: Bool) {}

    package func messageReceived(_ bytes: [UInt8]) {
        guard !hasFinished else { return }
        handler?.messageReceived(bytes, self)
    }

    package func inputEnded() {
        guard !hasFinished else { return }
        handler?.halfClosed(self)
    }

    func inputFailed(_ status: GRPCStatus) {
        finish(status)
    }

    package func drained() {
        handler?.drained(self)
    }

    package func shutdownStarted() {
        guard !hasFinished else { return }
        handler?.shutdownStarted(self)
    }

    func deadlinePassed() {
        end = .deadlineExceeded
        if transport.bufferedBytes == 0, !hasFinished {
            finish(GRPCStatus(.deadlineExceeded, "context deadline exceeded"))
        } else {
            // The peer is not taking what it asked for, and no longer waits for it.
            transport.cancel()
        }
    }

    func closed(_ reason: StreamCloseReason) {
        switch reason {
        case .stream where transport.outputEnded: closed(.finished)
        case .stream, .notSent: closed(.cancelled)
        case .connection: closed(.connectionLost)
        }
    }

    /// The last call, exactly once: the client has the answer, or is gone.
    package func closed(_ reason: ServerCallEnd) {
        hasFinished = true
        let handler = self.handler
        self.handler = nil
        handler?.closed(self, end ?? reason)
        state = nil
    }
}
