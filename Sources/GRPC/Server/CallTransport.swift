package import NIOCore

/// What carries a call between its handler and its client: a stream of HTTP/2, or an exchange that shows the call in
/// another dress. Confined to the call's event loop; once the answer has ended everything is ignored.
package protocol CallTransport: AnyObject {
    /// The request's.
    var headers: Metadata { get }
    /// False once the answer has ended or the client is gone.
    var acceptsOutput: Bool { get }
    /// The whole answer was handed to the network.
    var outputEnded: Bool { get }
    /// See `ServerCall.bufferedBytes`.
    var bufferedBytes: Int { get }
    /// See `ServerCall.drainMark`.
    var drainMark: Int { get set }
    /// Response headers beside gRPC's own, ahead of the first message.
    func send(headers: Metadata)
    func send(message: [UInt8])
    /// One message in parts.
    func send(messageParts: [[UInt8]])
    /// Ends the answer after what was sent. `ServerCall.closed` follows, never from inside.
    func finish(_ status: GRPCStatus, _ trailers: Metadata)
    func pauseReading()
    func resumeReading()
    /// `ServerCall.deadlinePassed` is to be called then.
    func setDeadline(_ deadline: NIODeadline)
    /// Gives the call up: what was not sent is dropped.
    func cancel()
}

extension HTTP2Stream: CallTransport {
    var bufferedBytes: Int { output.count }

    func send(headers: Metadata) {
        guard !headers.isEmpty else {
            sendHead(nil)
            return
        }
        var head = StaticHeaders.responseHeadMetadata
        head.append(contentsOf: headers)
        sendHead(head)
    }

    func finish(_ status: GRPCStatus, _ trailers: Metadata) {
        end(.trailers(StaticHeaders.trailers(status, trailers)))
    }

    func setDeadline(_ deadline: NIODeadline) {
        connection?.setDeadline(deadline, self)
    }

    func cancel() {
        reset(.cancel)
    }
}
