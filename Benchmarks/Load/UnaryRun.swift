import GRPC
import NIOCore

/// Makes the message of each call.
struct MessageSource: Sendable {
    enum Kind: Sendable {
        case put(valueBytes: Int)
        case range(isSerializable: Bool)
    }

    var kind: Kind
    var keys: Int
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    private let value: [UInt8]

    init(_ kind: Kind, keys: Int) {
        self.kind = kind
        self.keys = keys
        if case .put(let count) = kind {
            value = MessageSource.value(bytes: count)
        } else {
            value = []
        }
    }

    var path: String {
        if case .put = kind { return Messages.put }
        return Messages.range
    }

    static func value(bytes count: Int) -> [UInt8] {
        (0..<count).map { UInt8(ascii: "a") + UInt8($0 % 26) }
    }

    static func key(_ number: Int) -> [UInt8] {
        let digits = Array(String(number).utf8)
        return Array("bench/".utf8) + [UInt8](repeating: UInt8(ascii: "0"), count: max(0, 10 - digits.count)) + digits
    }

    /// A random key each time; the same sequence in every run.
    mutating func next() -> [UInt8] {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        let key = MessageSource.key(Int(state % UInt64(keys)))
        switch kind {
        case .put: return Messages.put(key: key, value: value)
        case .range(let isSerializable): return Messages.range(key: key, isSerializable: isSerializable)
        }
    }
}

/// Unary calls, either as many as fit into a window or as many a second as were asked for. Confined to the loop.
///
/// With a rate, a call's time counts from when it should have been sent: a server that stalls is not let off the calls
/// that waited for it.
final class UnaryRun {
    struct Plan: Sendable {
        var window = 32
        /// Calls a second over all connections; nil: each connection keeps its window full.
        var rate: Double?
        var warmup = TimeAmount.seconds(1)
        var duration = TimeAmount.seconds(5)
        /// More than these are never open at once; what is due then counts as an error.
        var openMax = 50_000
    }

    private let fleet: Fleet
    private let plan: Plan
    private var source: MessageSource
    private let path: String
    private let begin: NIODeadline
    private let measured: Range<NIODeadline>
    private var latencies = Latencies()
    private var errors: [String: Int] = [:]
    private var sent = 0
    private var succeeded = 0
    private var open = 0
    private let promise: EventLoopPromise<Summary>

    init(_ fleet: Fleet, _ plan: Plan, _ source: MessageSource) {
        self.fleet = fleet
        self.plan = plan
        self.source = source
        path = source.path
        begin = fleet.loop.now
        measured = (begin + plan.warmup)..<(begin + plan.warmup + plan.duration)
        promise = fleet.loop.makePromise()
    }

    static func run(_ fleet: Fleet, _ plan: Plan, _ source: MessageSource) async throws -> Summary {
        fleet.ready()
        return try await fleet.loop.flatSubmit {
            let run = UnaryRun(fleet, plan, source)
            run.start()
            return run.promise.futureResult
        }.get()
    }

    private func start() {
        guard plan.rate == nil else { return tick() }
        for connection in fleet.connections {
            for _ in 0..<plan.window { callAgain(connection) }
        }
    }

    private func callAgain(_ connection: GRPCClientConnection) {
        let now = fleet.loop.now
        guard now < measured.upperBound else { return finishIfIdle() }
        call(connection, due: now) { self.callAgain(connection) }
    }

    private func tick() {
        guard let rate = plan.rate else { return }
        let now = fleet.loop.now
        // The first one is due at once, and the last ones are sent, too, by a tick that comes late.
        let due = Int(Double(min(now, measured.upperBound) - begin) * rate / 1e9) + 1
        while sent < due {
            let at = begin + .nanoseconds(Int64(Double(sent) * 1e9 / rate))
            guard open < plan.openMax else {
                if measured.contains(at) { errors["not sent: \(plan.openMax) calls are open", default: 0] += 1 }
                sent += 1
                continue
            }
            call(fleet.connections[sent % fleet.connections.count], due: at) { self.finishIfIdle() }
        }
        guard now < measured.upperBound else { return finishIfIdle() }
        fleet.loop.assumeIsolated().scheduleTask(in: .microseconds(500)) { self.tick() }
    }

    private func call(_ connection: GRPCClientConnection, due: NIODeadline, _ done: @escaping () -> Void) {
        sent += 1
        open += 1
        connection.unary(path: path, message: source.next(), timeout: .seconds(30)) { result in
            self.open -= 1
            if case .success = result { self.succeeded += 1 }
            if self.measured.contains(due) { self.note(result, since: due) }
            done()
        }
    }

    private func note(_ result: Result<[UInt8], GRPCStatus>, since due: NIODeadline) {
        switch result {
        case .success: latencies.record(fleet.loop.now - due)
        case .failure(let status): errors["\(status.code): \(status.message)", default: 0] += 1
        }
    }

    private func finishIfIdle() {
        guard open == 0, fleet.loop.now >= measured.upperBound else { return }
        let seconds = Double(plan.duration.nanoseconds) / 1e9
        let expected = plan.rate.map { Int($0 * seconds) } ?? 0
        promise.succeed(Summary(latencies, operations: succeeded, errors: errors, seconds: seconds, expected: expected))
    }
}
