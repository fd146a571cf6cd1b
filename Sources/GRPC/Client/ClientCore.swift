import NIOCore

/// The client's side of a connection. Confined to its event loop.
final class ClientCore: HTTP2ConnectionDelegate {
    private let options: GRPCClientOptions
    private let address: String
    private let eventLoop: any EventLoop
    private let onEvent: @Sendable (GRPCClientConnectionEvent) -> Void
    private var connection: HTTP2Connection?
    private var ready: EventLoopPromise<GRPCClientConnection>?
    private var makeFacade: (() -> GRPCClientConnection)?
    private var drainText: String?
    private var closeText: String?
    /// The pseudo-header fields and the fields that are the same on every call.
    private let pseudo: Metadata
    private let constant: Metadata

    init(
        options: GRPCClientOptions, address: String, eventLoop: any EventLoop,
        onEvent: @escaping @Sendable (GRPCClientConnectionEvent) -> Void
    ) {
        self.eventLoop = eventLoop
        self.options = options
        self.address = address
        self.onEvent = onEvent
        pseudo = Metadata([
            ":method": "POST", ":scheme": options.scheme, ":authority": options.authority ?? address,
        ])
        constant = Metadata(["te": "trailers", "content-type": "application/grpc", "user-agent": options.userAgent])
    }

    func begin(
        _ connection: HTTP2Connection, ready: EventLoopPromise<GRPCClientConnection>,
        makeFacade: @escaping () -> GRPCClientConnection
    ) {
        self.connection = connection
        self.ready = ready
        self.makeFacade = makeFacade
    }

    var acceptsCalls: Bool { connection != nil && drainText == nil && closeText == nil }

    func open(
        path: String, metadata: Metadata, timeout: TimeAmount?, handler: any ClientCallHandler
    ) -> ClientCall {
        guard acceptsCalls, let connection else { return refuse(handler) }
        var head = pseudo
        head.add(":path", path)
        head.append(contentsOf: constant)
        if let timeout {
            head.add("grpc-timeout", GRPCTimeout.format(timeout))
        }
        head.append(contentsOf: metadata)
        let stream = HTTP2Stream(id: -1, connection: connection)
        let call = ClientCall(stream: stream, handler: handler)
        stream.consumer = call
        stream.sendHead(head)
        if let timeout {
            call.setDeadline(ServerStreams.deadline(in: timeout, from: eventLoop.now))
        }
        return call
    }

    /// Ends a call that cannot be made, after its maker has it in hands.
    private func refuse(_ handler: any ClientCallHandler) -> ClientCall {
        let call = ClientCall(stream: nil, handler: handler)
        let text = closeText ?? drainText ?? "not connected"
        eventLoop.assumeIsolated().execute {
            call.end(GRPCStatus(.unavailable, "\(self.address): \(text)", isUnprocessed: true))
        }
        return call
    }

    func close() {
        closeText = closeText ?? "connection closed by the client"
        connection?.fail("connection closed by the client")
    }

    // MARK: HTTP2ConnectionDelegate

    func streamOpened(_ stream: HTTP2Stream) {
        // Only a server has streams opened by its peer; pushes are switched off.
    }

    func peerReady() {
        guard let ready, let makeFacade else { return }
        self.ready = nil
        self.makeFacade = nil
        ready.succeed(makeFacade())
    }

    func goAwayReceived(_ error: HTTP2ErrorCode, text: String) {
        guard drainText == nil else { return }
        let reason = text.isEmpty ? "\(error)" : "\(error): \(text)"
        drainText = "the server sent GOAWAY (\(reason))"
        if ready == nil {
            onEvent(.draining(reason))
        }
    }

    func connectionClosed(_ reason: String) {
        closeText = closeText ?? drainText ?? reason
        connection = nil
        makeFacade = nil
        if let ready {
            self.ready = nil
            ready.fail(GRPCStatus(.unavailable, "cannot connect to \(address): \(reason)", isUnprocessed: true))
        } else {
            onEvent(.closed(closeText ?? reason))
        }
    }
}
