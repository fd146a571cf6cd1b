import GRPC
import RegistryModel

/// One `etcdserverpb.Lease/LeaseKeepAlive` call: exactly one response per request, in request order.
final class KeepAliveStream: ServerCallHandler, EndableStream {
    private enum Answer {
        case alive([UInt8])
        case failed(GRPCStatus)
    }

    /// Unsent bytes past which requests wait.
    private static let unsentBytesMax = 256 * 1024

    private let call: ServerCall
    /// Held while the call lives, which the door forgets when it closes: an unowned one costs at every renewal.
    private let door: EtcdFrontDoor
    private let counters: MethodCounters
    private var context: RequestContext

    /// The position of the oldest request without an answer, and of the next request.
    private var oldest: UInt64 = 0
    private var next: UInt64 = 0
    /// Answers that came before those of earlier requests.
    private var early: [UInt64: Answer] = [:]
    private var hasHalfClosed = false
    private var isReadingPaused = false
    private var isReleased = false

    init(call: ServerCall, door: EtcdFrontDoor, counters: MethodCounters, context: RequestContext) {
        self.call = call
        self.door = door
        self.counters = counters
        self.context = context
    }

    // MARK: Requests

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        door.metrics.received(message, counters)
        let lease: LeaseID
        do {
            lease = try LeaseCodec.keepAliveRequest(message)
        } catch {
            end(ErrorTable.status(error))
            return
        }
        // A signed token runs out while its stream is open.
        if case .verified = context.credential { context = door.context(of: call) }
        let position = next
        next += 1
        door.submit(
            .keepAlive(lease), context: context, waiting: .keepAlive(self, position: position, lease: lease))
        pauseIfBehind()
    }

    func halfClosed(_ call: ServerCall) {
        hasHalfClosed = true
        finishIfDone()
    }

    // MARK: Answers

    func answered(_ reply: Reply, position: UInt64, lease: LeaseID) {
        guard !isReleased else { return }
        let answer = self.answer(reply, lease)
        guard position == oldest else {
            early[position] = answer
            return
        }
        send(answer)
        while !early.isEmpty, let following = early.removeValue(forKey: oldest) {
            send(following)
        }
        finishIfDone()
        resumeIfCaughtUp()
    }

    private func answer(_ reply: Reply, _ lease: LeaseID) -> Answer {
        let ttlSeconds: Int64
        switch reply.outcome {
        case .success(.keptAlive(_, let ttlMilliseconds)):
            ttlSeconds = Translation.grantedSeconds(ttlMilliseconds)
        case .success(let body):
            preconditionFailure("a lease was kept alive with \(body)")
        case .failure(let rejection) where rejection.code == .leaseNotFound:
            // Not an error here: the client learns it from the TTL.
            ttlSeconds = 0
        case .failure(let rejection):
            return .failed(ErrorTable.status(rejection))
        }
        return .alive(
            LeaseCodec.keepAliveResponse(header: door.header(reply), lease: lease, ttlSeconds: ttlSeconds))
    }

    private func send(_ answer: Answer) {
        oldest += 1
        switch answer {
        case .alive(let message):
            door.metrics.sent(message.count, counters)
            call.send(message)
        case .failed(let status):
            end(status)
        }
    }

    // MARK: Flow control

    private func pauseIfBehind() {
        guard !isReadingPaused,
            next - oldest >= UInt64(door.options.streamRequestsInFlightMax)
                || call.bufferedBytes > Self.unsentBytesMax
        else { return }
        isReadingPaused = true
        call.pauseReading()
    }

    private func resumeIfCaughtUp() {
        guard isReadingPaused, next - oldest <= UInt64(door.options.streamRequestsInFlightMax / 2),
            call.bufferedBytes <= call.drainMark
        else { return }
        isReadingPaused = false
        call.resumeReading()
    }

    func drained(_ call: ServerCall) {
        resumeIfCaughtUp()
    }

    // MARK: The end

    private func finishIfDone() {
        if hasHalfClosed, oldest == next {
            end(.ok)
        }
    }

    func end(_ status: GRPCStatus) {
        guard !isReleased else { return }
        counters.finish(call, status)
        release()
    }

    func shutdownStarted(_ call: ServerCall) {
        end(ErrorTable.status(Rejection(.stopped)))
    }

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        counters.closed(call, end)
        release()
    }

    private func release() {
        guard !isReleased else { return }
        isReleased = true
        early = [:]
        door.unbindFromLeader(self)
    }
}
