/// Finds who answers a call. Asked on the connection's event loop, once per call.
package protocol CallRouter: AnyObject {
    /// The handler for `call.path` (`/package.Service/Method`), or nil to answer UNIMPLEMENTED in gRPC's words.
    ///
    /// A handler without state of its own may serve all calls of its method: every callback names its call. The call
    /// may be finished here already, for example when its metadata is not acceptable.
    func open(_ call: ServerCall) -> (any ServerCallHandler)?

    /// Whether the service (`package.Service`) exists, for the text of UNIMPLEMENTED only.
    func hasService(_ name: String) -> Bool
}

/// Why a call is over.
package enum ServerCallEnd: Equatable, Sendable {
    /// Our status was sent.
    case finished
    /// The client reset the stream.
    case cancelled
    /// The client's deadline passed first.
    case deadlineExceeded
    /// The connection went away.
    case connectionLost
}

/// What happens to a call. All callbacks come on the connection's event loop, never nested in one another for the same
/// call except `drained`; nothing comes after `closed`.
package protocol ServerCallHandler: AnyObject {
    /// A whole message arrived. Called at once, unless reading is paused.
    func messageReceived(_ message: [UInt8], _ call: ServerCall)
    /// The client will send no more messages. Not called when the call ends otherwise first.
    func halfClosed(_ call: ServerCall)
    /// `call.bufferedBytes` fell to `call.drainMark` or below after having been above it.
    func drained(_ call: ServerCall)
    /// The server shuts down gracefully: a call that would go on by itself should be finished now.
    func shutdownStarted(_ call: ServerCall)
    /// The call is over; exactly once for every handler that `open` returned.
    func closed(_ call: ServerCall, _ end: ServerCallEnd)
}

extension ServerCallHandler {
    package func drained(_ call: ServerCall) {}
    package func shutdownStarted(_ call: ServerCall) {}
}

/// A handler for methods with one request message. Keeps its state in the call: one instance per method is enough.
package final class UnaryCallHandler: ServerCallHandler {
    private let request: (ServerCall, [UInt8]) -> Void
    private let end: (ServerCall, ServerCallEnd) -> Void

    /// - Parameters:
    ///   - request: called once per call with its message, after the client half-closed. Answer with
    ///     `call.respond`, or `call.send` any number of times and `call.finish`, then or later on the loop.
    ///   - end: called when the call is over, also when no request came.
    package init(
        request: @escaping (ServerCall, [UInt8]) -> Void,
        end: @escaping (ServerCall, ServerCallEnd) -> Void = { _, _ in }
    ) {
        self.request = request
        self.end = end
    }

    package func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        guard call.heldRequest == nil else {
            call.finish(GRPCStatus(.internal, "more than one request message in a unary call"))
            return
        }
        call.heldRequest = message
    }

    package func halfClosed(_ call: ServerCall) {
        guard let message = call.heldRequest else {
            call.finish(GRPCStatus(.internal, "unary call without a request message"))
            return
        }
        call.heldRequest = []
        request(call, message)
    }

    package func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        call.heldRequest = nil
        self.end(call, end)
    }
}
