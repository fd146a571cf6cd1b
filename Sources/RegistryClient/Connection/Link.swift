import GRPC
import NIOCore

/// One connection to one member, as this client uses it. Confined to the client's event loop, callbacks included.
protocol Link: AnyObject {
    /// Sends one message on a call of its own and awaits one.
    ///
    /// - Parameters:
    ///   - deadline: goes to the member, too.
    ///   - completion: called once, never before this returns; not after `cancel`.
    func unary(
        _ path: String, _ metadata: Metadata, _ message: [UInt8], deadline: NIODeadline,
        completion: @escaping (Result<[UInt8], GRPCStatus>) -> Void
    ) -> any LinkCall

    /// Opens a stream without an end.
    ///
    /// - Parameters:
    ///   - received: called for each message.
    ///   - ended: called once, never before this returns; not after `cancel`.
    func stream(
        _ path: String, _ metadata: Metadata, received: @escaping ([UInt8]) -> Void,
        ended: @escaping (GRPCStatus) -> Void
    ) -> any LinkStream

    /// Closes at once; calls under way end as unavailable.
    func close()
}

/// A call under way.
protocol LinkCall: AnyObject {
    /// Gives it up, without a word to the completion.
    func cancel()
}

/// A stream under way.
protocol LinkStream: LinkCall {
    func send(_ message: [UInt8])
    /// Stops delivery; the member may send a window more, then has to wait.
    func pauseReading()
    func resumeReading()
}

/// Connects to an endpoint.
///
/// - Parameters:
///   - opened: called once, in a later turn of the loop. A link means that the member has shown that it lives: a frozen
///     process accepts connections, too. Otherwise the connection failed, or took longer than the timeout.
///   - closed: called at most once, after `opened` with a link, when the link must not be used any more: the member says
///     that it goes away, or the connection is gone.
typealias Dialer = (
    _ endpoint: Endpoint, _ timeout: TimeAmount, _ opened: @escaping (Result<any Link, GRPCStatus>) -> Void,
    _ closed: @escaping (GRPCStatus) -> Void
) -> Void
