import GRPC
import NIOCore
import Synchronization
import Testing

/// A streaming call whose callbacks are recorded; usable from any thread.
final class RecordedCall: Sendable {
    struct Record {
        var headers: Metadata?
        var messages: [[UInt8]] = []
        var bytes = 0
        var end: (status: GRPCStatus, trailers: Metadata)?
        var endCount = 0
        var drains = 0
    }

    private let record = Mutex(Record())
    private let connection: GRPCClientConnection
    private let call: NIOLoopBoundBox<ClientCall?>

    init(
        _ connection: GRPCClientConnection, _ path: String, metadata: Metadata = Metadata(),
        timeout: TimeAmount? = nil, pausesAfterFirst: Bool = false
    ) {
        self.connection = connection
        let call = NIOLoopBoundBox<ClientCall?>.makeEmptyBox(
            valueType: ClientCall.self, eventLoop: connection.eventLoop)
        self.call = call
        connection.eventLoop.execute {
            let handler = Handler(self, pausesAfterFirst: pausesAfterFirst)
            call.value = connection.open(path: path, metadata: metadata, timeout: timeout, handler: handler)
        }
    }

    var current: Record { record.withLock { $0 } }
    var isEnded: Bool { record.withLock { $0.end != nil } }

    func send(_ message: [UInt8]) {
        onLoop { $0.send(message) }
    }

    func halfClose() {
        onLoop { $0.halfClose() }
    }

    func cancel() {
        onLoop { $0.cancel() }
    }

    func resume() {
        onLoop { $0.resumeReading() }
    }

    private func onLoop(_ body: @escaping @Sendable (ClientCall) -> Void) {
        connection.eventLoop.execute {
            if let call = self.call.value { body(call) }
        }
    }

    /// Waits for the end and returns what was recorded.
    @discardableResult
    func finished() async -> Record {
        await waitUntil("the call to end") { self.isEnded }
        return current
    }

    private final class Handler: ClientCallHandler {
        private let owner: RecordedCall
        private var pausesAfterFirst: Bool

        init(_ owner: RecordedCall, pausesAfterFirst: Bool) {
            self.owner = owner
            self.pausesAfterFirst = pausesAfterFirst
        }

        func headersReceived(_ metadata: Metadata, _ call: ClientCall) {
            owner.record.withLock { $0.headers = metadata }
        }

        func messageReceived(_ message: [UInt8], _ call: ClientCall) {
            owner.record.withLock {
                $0.messages.append(message)
                $0.bytes += message.count
            }
            if pausesAfterFirst {
                pausesAfterFirst = false
                call.pauseReading()
            }
        }

        func drained(_ call: ClientCall) {
            owner.record.withLock { $0.drains += 1 }
        }

        func ended(_ status: GRPCStatus, _ trailers: Metadata, _ call: ClientCall) {
            owner.record.withLock {
                $0.end = (status, trailers)
                $0.endCount += 1
            }
        }
    }
}
