import GRPC
import RegistryModel

/// One gRPC call that a procedure serves: one request message; any number of answers.
final class ProcedureCall: ServerCallHandler, EndableStream {
    /// Unsent bytes past which the member is asked for no more events.
    private static let unsentBytesMax = 64 * 1024

    private let call: ServerCall
    private unowned let door: EtcdFrontDoor
    private let method: ProcedureMethod
    private let counters: MethodCounters
    private let context: RequestContext
    private var request: [UInt8]?
    private var run: ProcedureRun?

    init(
        call: ServerCall, door: EtcdFrontDoor, method: ProcedureMethod, counters: MethodCounters,
        context: RequestContext
    ) {
        self.call = call
        self.door = door
        self.method = method
        self.counters = counters
        self.context = context
    }

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        door.metrics.received(message, counters)
        guard request == nil else {
            return end(GRPCStatus(.internal, "more than one request message in a unary call"))
        }
        request = message
        if method.kind == .serverStream { begin(message) }
    }

    func halfClosed(_ call: ServerCall) {
        guard let request else {
            return end(GRPCStatus(.internal, "unary call without a request message"))
        }
        if run == nil { begin(request) }
    }

    private func begin(_ message: [UInt8]) {
        switch method.procedure(from: message, options: door.options) {
        case .failure(let status):
            counters.finish(call, status)
        case .success(let procedure):
            call.drainMark = Self.unsentBytesMax
            let run = ProcedureRun(procedure, door: door, context: context) { [call, door, counters] output in
                switch output {
                case .message(let message):
                    door.metrics.sent(message.count, counters)
                    call.send(message)
                case .finished(let status):
                    counters.finish(call, status)
                }
            }
            run.isBehind = { [call] in call.bufferedBytes > Self.unsentBytesMax }
            self.run = run
            run.start()
        }
    }

    func drained(_ call: ServerCall) {
        run?.reportConsumed()
    }

    func end(_ status: GRPCStatus) {
        run?.end(status)
        counters.finish(call, status)
    }

    func shutdownStarted(_ call: ServerCall) {
        end(ErrorTable.status(Rejection(.stopped)))
    }

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        counters.closed(call, end)
        door.unbindFromLeader(self)
        run?.abandon()
        run = nil
    }
}
