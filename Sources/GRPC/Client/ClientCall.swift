import NIOCore

/// What happens to a call a client makes. All callbacks come on the connection's event loop.
package protocol ClientCallHandler: AnyObject {
    /// The server's headers, before the first message; not called when it answers with a status only.
    func headersReceived(_ metadata: Metadata, _ call: ClientCall)
    /// A whole message arrived.
    func messageReceived(_ message: [UInt8], _ call: ClientCall)
    /// `call.bufferedBytes` fell to `call.drainMark` or below after having been above it.
    func drained(_ call: ClientCall)
    /// The call is over; exactly once, and the last callback.
    func ended(_ status: GRPCStatus, _ trailers: Metadata, _ call: ClientCall)
}

extension ClientCallHandler {
    package func headersReceived(_ metadata: Metadata, _ call: ClientCall) {}
    package func drained(_ call: ClientCall) {}
}

/// One call a client makes. Confined to the connection's event loop; after the end sending does nothing.
package final class ClientCall {
    private let stream: HTTP2Stream?
    private var handler: (any ClientCallHandler)?
    private var httpStatus = 200
    private var trailers: Metadata?

    init(stream: HTTP2Stream?, handler: any ClientCallHandler) {
        self.stream = stream
        self.handler = handler
    }

    /// False once `ended` was called.
    package var isOpen: Bool { handler != nil }

    /// Sends one message. Queued without bound: see `bufferedBytes`.
    package func send(_ message: [UInt8]) {
        stream?.connection?.eventLoop.assertInEventLoop()
        stream?.send(message: message)
    }

    /// Says that no more messages follow.
    package func halfClose() {
        stream?.connection?.eventLoop.assertInEventLoop()
        stream?.end(.plain)
    }

    /// Gives the call up; the handler gets CANCELLED.
    package func cancel() {
        stream?.connection?.eventLoop.assertInEventLoop()
        end(GRPCStatus(.cancelled, "call cancelled by the client"))
    }

    /// Bytes sent that wait for the server or the connection, message prefixes included.
    package var bufferedBytes: Int { stream?.output.count ?? 0 }

    /// Where `ClientCallHandler.drained` is called, in bytes.
    package var drainMark: Int {
        get { stream?.drainMark ?? 0 }
        set { stream?.drainMark = newValue }
    }

    /// Stops delivery; the server may send one stream window more, then has to wait.
    package func pauseReading() {
        stream?.pauseReading()
    }

    /// Delivers what was held, in place, and lets the server send on.
    package func resumeReading() {
        stream?.resumeReading()
    }

    func setDeadline(_ deadline: NIODeadline) {
        guard let stream else { return }
        stream.connection?.setDeadline(deadline, stream)
    }

    /// Ends the call on our side; the stream is reset unless it is over by itself.
    func end(_ status: GRPCStatus, trailers: Metadata = Metadata()) {
        guard let handler else { return }
        self.handler = nil
        if let stream, !stream.remoteEnded || !stream.outputEnded {
            stream.reset(.cancel)
        }
        handler.ended(status, trailers, self)
    }
}

extension ClientCall: StreamConsumer {
    func headersReceived(_ headers: Metadata, status: Int, endStream: Bool) {
        if status != 0 {
            httpStatus = status
        }
        if endStream {
            trailers = headers
        } else if httpStatus != 200 {
            end(.forHTTPStatus(httpStatus))
        } else {
            handler?.headersReceived(headers, self)
        }
    }

    func messageReceived(_ bytes: [UInt8]) {
        handler?.messageReceived(bytes, self)
    }

    func inputEnded() {
        let trailers = self.trailers ?? Metadata()
        end(Self.status(trailers, httpStatus: httpStatus), trailers: trailers)
    }

    private static func status(_ trailers: Metadata, httpStatus: Int) -> GRPCStatus {
        guard let text = trailers["grpc-status"] else {
            return httpStatus == 200
                ? GRPCStatus(.internal, "server closed the stream without sending trailers")
                : .forHTTPStatus(httpStatus)
        }
        let message = PercentEncoding.decode((trailers["grpc-message"] ?? "").utf8)
        guard let number = Int(text), let code = GRPCStatus.Code(rawValue: number) else {
            return GRPCStatus(.unknown, message.isEmpty ? "unknown grpc-status \(text)" : message)
        }
        return GRPCStatus(code, message)
    }

    func inputFailed(_ status: GRPCStatus) {
        end(status)
    }

    func drained() {
        handler?.drained(self)
    }

    func deadlinePassed() {
        end(GRPCStatus(.deadlineExceeded, "context deadline exceeded"))
    }

    func shutdownStarted() {}

    func closed(_ reason: StreamCloseReason) {
        switch reason {
        case .stream(let error):
            end(.forStreamReset(error))
        case .notSent:
            end(GRPCStatus(.unavailable, "the connection takes no more calls", isUnprocessed: true))
        case .connection(let text):
            end(GRPCStatus(.unavailable, text))
        }
    }
}
