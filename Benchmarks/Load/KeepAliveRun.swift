import DequeModule
import GRPC
import NIOCore

/// Leases kept alive over streams, each with a window of renewals. Confined to the loop.
final class KeepAliveRun {
    struct Plan: Sendable {
        var streams = 9
        var window = 32
        /// Renewals a second over all streams; nil: the windows stay full.
        var rate: Double?
        var leases = 288
        /// Id of the first lease, where they have been granted already.
        var firstLease: UInt64?
        var ttlSeconds = 60
        var warmup = TimeAmount.seconds(1)
        var duration = TimeAmount.seconds(5)
    }

    private let fleet: Fleet
    private let plan: Plan
    private let leases: [UInt64]
    private let begin: NIODeadline
    private let measured: Range<NIODeadline>
    private var latencies = Latencies()
    private var errors: [String: Int] = [:]
    private var streams: [Stream] = []
    private var sent = 0
    private var renewed = 0
    private let promise: EventLoopPromise<Summary>

    private init(_ fleet: Fleet, _ plan: Plan, leases: [UInt64]) {
        self.fleet = fleet
        self.plan = plan
        self.leases = leases
        begin = fleet.loop.now
        measured = (begin + plan.warmup)..<(begin + plan.warmup + plan.duration)
        promise = fleet.loop.makePromise()
    }

    static func run(_ fleet: Fleet, _ plan: Plan) async throws -> Summary {
        let leases: [UInt64]
        if let first = plan.firstLease {
            leases = Array(first..<first + UInt64(plan.leases))
        } else {
            leases = try await grant(fleet, plan)
        }
        fleet.ready()
        return try await fleet.loop.flatSubmit { [leases] in
            let run = KeepAliveRun(fleet, plan, leases: leases)
            run.start()
            return run.promise.futureResult
        }.get()
    }

    private static func grant(_ fleet: Fleet, _ plan: Plan) async throws -> [UInt64] {
        var leases: [UInt64] = []
        for start in stride(from: 0, to: plan.leases, by: 256) {
            let calls = (start..<min(start + 256, plan.leases)).map { number in
                let connection = fleet.connections[number % fleet.connections.count]
                return fleet.loop.flatSubmit { () -> EventLoopFuture<[UInt8]> in
                    let promise = fleet.loop.makePromise(of: [UInt8].self)
                    connection.unary(
                        path: Messages.leaseGrant, message: Messages.leaseGrant(ttlSeconds: plan.ttlSeconds)
                    ) { promise.completeWith($0.mapError { $0 }) }
                    return promise.futureResult
                }
            }
            leases += try await EventLoopFuture.whenAllSucceed(calls, on: fleet.loop).get().compactMap {
                Messages.lease(in: $0)
            }
        }
        guard leases.count == plan.leases else { throw LoadFailure("a lease was granted without an id") }
        return leases
    }

    private func start() {
        for number in 0..<plan.streams {
            let stream = Stream(self)
            stream.call = fleet.connections[number % fleet.connections.count].open(
                path: Messages.keepAlive, handler: stream)
            streams.append(stream)
        }
        if plan.rate == nil {
            for stream in streams { for _ in 0..<plan.window { renew(stream, due: fleet.loop.now) } }
        } else {
            tick()
        }
        fleet.loop.assumeIsolated().scheduleTask(in: plan.warmup + plan.duration + .seconds(1)) { self.finish() }
    }

    private func tick() {
        guard let rate = plan.rate else { return }
        let now = fleet.loop.now
        // The first one is due at once, and the last ones are sent, too, by a tick that comes late.
        let due = Int(Double(min(now, measured.upperBound) - begin) * rate / 1e9) + 1
        while sent < due {
            renew(streams[sent % streams.count], due: begin + .nanoseconds(Int64(Double(sent) * 1e9 / rate)))
        }
        guard now < measured.upperBound else { return }
        fleet.loop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { self.tick() }
    }

    private func renew(_ stream: Stream, due: NIODeadline) {
        stream.pending.append(due)
        stream.call?.send(Messages.keepAlive(lease: leases[sent % leases.count]))
        sent += 1
    }

    private func answered(_ stream: Stream, _ message: [UInt8]) {
        guard let due = stream.pending.popFirst() else { return }
        if !Messages.isAlive(message) { errors["a lease has ended", default: 0] += 1 }
        let now = fleet.loop.now
        renewed += 1
        if measured.contains(due) { latencies.record(now - due) }
        if plan.rate == nil, now < measured.upperBound { renew(stream, due: now) }
    }

    private func finish() {
        for stream in streams where measured.contains(stream.pending.first ?? .distantFuture) {
            errors["unanswered", default: 0] += stream.pending.count
        }
        for stream in streams { stream.run = nil }
        for stream in streams { stream.call?.cancel() }
        let seconds = Double(plan.duration.nanoseconds) / 1e9
        promise.succeed(
            Summary(
                latencies, operations: renewed, errors: errors, seconds: seconds,
                expected: plan.rate.map { Int($0 * seconds) } ?? 0))
    }

    private final class Stream: ClientCallHandler {
        var run: KeepAliveRun?
        var call: ClientCall?
        /// When each renewal that is not answered was due.
        var pending: Deque<NIODeadline> = []

        init(_ run: KeepAliveRun) { self.run = run }

        func messageReceived(_ message: [UInt8], _ call: ClientCall) { run?.answered(self, message) }

        func ended(_ status: GRPCStatus, _ trailers: Metadata, _ call: ClientCall) {
            run?.errors["stream ended, \(status.code): \(status.message)", default: 0] += 1
        }
    }
}
