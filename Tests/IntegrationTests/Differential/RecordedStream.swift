import GRPC
import NIOCore
import Synchronization

/// A streaming call that keeps everything the server sends.
final class RecordedStream: ClientCallHandler, Sendable {
    struct Record: Sendable {
        var messages: [[UInt8]] = []
        var end: GRPCStatus?
    }

    private let record = Mutex(Record())
    private let call: NIOLoopBoundBox<ClientCall?>
    private let eventLoop: any EventLoop

    init(_ connection: GRPCClientConnection, path: String, metadata: Metadata) {
        eventLoop = connection.eventLoop
        call = .makeEmptyBox(valueType: ClientCall.self, eventLoop: eventLoop)
        eventLoop.execute {
            self.call.value = connection.open(path: path, metadata: metadata, handler: self)
        }
    }

    func send(_ message: [UInt8]) { eventLoop.execute { self.call.value?.send(message) } }
    func halfClose() { eventLoop.execute { self.call.value?.halfClose() } }
    func cancel() { eventLoop.execute { self.call.value?.cancel() } }

    /// What has come so far.
    var received: Record { record.withLock { $0 } }
    /// Messages that came after the first `count`.
    func messages(after count: Int) -> [[UInt8]] { record.withLock { Array($0.messages.dropFirst(count)) } }

    func messageReceived(_ message: [UInt8], _ call: ClientCall) {
        record.withLock { $0.messages.append(message) }
    }

    func ended(_ status: GRPCStatus, _ trailers: Metadata, _ call: ClientCall) {
        record.withLock { $0.end = status }
        self.call.value = nil
    }

    /// Waits until the server has ended the call; nil when it does not.
    func ended(seconds: Double = 5) async throws -> Record? {
        try await soon(seconds: seconds) { self.received.end == nil ? nil : self.received }
    }
}

/// Asks every fraction of a millisecond until there is an answer; nil when there is none in time.
func soon<Value>(seconds: Double, _ look: () throws -> Value?) async throws -> Value? {
    let deadline = now() + seconds
    var wait = Duration.microseconds(50)
    while true {
        if let value = try look() { return value }
        guard now() < deadline else { return nil }
        try await Task.sleep(for: wait)
        wait = min(wait * 2, .milliseconds(2))
    }
}
