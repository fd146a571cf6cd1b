import Foundation
import RegistryClient
import Synchronization

/// Very many leases with a key each, and a client's own record of when each of them may end.
final class LeaseFleet: Sendable {
    struct Lease: Sendable {
        var id = LeaseID.none
        /// Not before the lower bound: by what was acknowledged. Not much after the upper: by what was asked for.
        var due = 0.0...Double.infinity
        /// When its key's deletion was seen.
        var ended: Double?
    }

    /// Remaining time as a member told it, next to what the record says.
    struct Sample: Sendable {
        var number: Int
        /// A member tells whole seconds and leaves out the rest.
        var told: ClosedRange<Double>
        var expected: ClosedRange<Double>

        /// Seconds between the two, 0 when both may be true.
        var error: Double { max(0, told.lowerBound - expected.upperBound, expected.lowerBound - told.upperBound) }
    }

    private struct State {
        var leases: [Lease]
        var isWatching = false
        var failure: String?
        var lastSeen = 0.0
        var remaining: Int
    }

    private static let prefix = "lease/"
    private let state: Mutex<State>
    private let clients: [Registry]

    /// - Parameter clients: used in turn.
    init(count: Int, clients: [Registry]) {
        self.clients = clients
        state = Mutex(State(leases: Array(repeating: Lease(), count: count), remaining: count))
    }

    private func client(_ number: Int) -> Registry { clients[number % clients.count] }
    private func key(_ number: Int) -> [UInt8] { Array("\(Self.prefix)\(number)".utf8) }

    var leases: [Lease] { state.withLock { $0.leases } }
    var isWatching: Bool { state.withLock { $0.isWatching } }
    /// Why the watch or a renewal failed.
    var failure: String? { state.withLock { $0.failure } }
    /// How many keys are still there, and when the last deletion was seen.
    var progress: (remaining: Int, lastSeen: Double) { state.withLock { ($0.remaining, $0.lastSeen) } }

    /// Grants leases, puts their keys and notes when they are due.
    ///
    /// - Parameter seconds: the time to live of the lease that is granted next.
    func grant(_ numbers: Range<Int>, seconds: @escaping @Sendable () -> Int64) async throws {
        let batch = 100
        try await Self.inParallel((numbers.count + batch - 1) / batch, tasks: 96) { index in
            let first = numbers.lowerBound + index * batch
            let mine = first..<min(first + batch, numbers.upperBound)
            var puts: [TxnOperation] = []
            for number in mine {
                let ttl = seconds()
                let sent = now()
                let lease = try await self.client(index).grantLease(ttlSeconds: ttl, timeout: .seconds(20))
                let due = (sent + Double(ttl))...(now() + Double(ttl))
                self.state.withLock { $0.leases[number] = Lease(id: lease.id, due: due) }
                puts.append(.put(PutRequest(key: self.key(number), value: [1], lease: lease.id)))
            }
            try await self.client(index).txn(TxnRequest(success: puts), timeout: .seconds(20))
        }
    }

    /// Renews each of these once. A renewal that fails may have been done.
    func renew(_ numbers: Range<Int>, ttl: Double) async throws {
        try await Self.inParallel(numbers.count, tasks: 32) { index in
            let number = numbers.lowerBound + index
            let (id, due) = self.state.withLock { state in
                defer { state.leases[number].due = state.leases[number].due.lowerBound...Double.infinity }
                return (state.leases[number].id, state.leases[number].due)
            }
            let sent = now()
            let answer = try? await self.client(number).renewLease(id, timeout: .seconds(10))
            let lower = answer == nil ? due.lowerBound : sent + ttl
            let upper = now() + ttl
            self.state.withLock { $0.leases[number].due = lower...upper }
            if let answer, answer.ttlSeconds <= 0 {
                self.state.withLock { $0.failure = "lease \(number) was gone when it was renewed" }
            }
        }
    }

    /// Asks how long each of these will live.
    func sample(_ numbers: [Int]) async throws -> [Sample] {
        let samples = SampleList()
        try await Self.inParallel(numbers.count, tasks: 32) { index in
            let number = numbers[index]
            let before = self.state.withLock { $0.leases[number] }
            let sent = now()
            let answer = try await self.client(number).leaseTimeToLive(before.id, timeout: .seconds(10))
            let answered = now()
            let after = self.state.withLock { $0.leases[number] }
            let told = Double(answer.ttlSeconds)
            samples.add(
                Sample(
                    number: number, told: told...(told + 1),
                    expected: (before.due.lowerBound - answered)...(after.due.upperBound - sent)))
        }
        return samples.all
    }

    /// Watches the keys go. Call it before the first of them is there.
    func watch(by client: Registry) -> Watch {
        var request = WatchRequest(.prefix(Self.prefix))
        request.wantsPuts = false
        return client.watch(request) { [self] event in
            let at = now()
            state.withLock { state in
                switch event {
                case .started: state.isWatching = true
                case .batch(let batch):
                    for event in batch.events {
                        let text = String(decoding: event.kv.key.dropFirst(Self.prefix.utf8.count), as: UTF8.self)
                        guard let number = Int(text), state.leases.indices.contains(number) else { continue }
                        state.leases[number].ended = at
                        state.lastSeen = at
                        state.remaining -= 1
                    }
                case .ended(let error): state.failure = "the watch ended: \(error)"
                case .unavailable, .restored: break
                }
            }
        }
    }

    private static func inParallel(
        _ count: Int, tasks: Int, _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        let counter = Counter(end: count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<tasks {
                group.addTask {
                    while let index = counter.next() { try await body(index) }
                }
            }
            try await group.waitForAll()
        }
    }

    private final class Counter: Sendable {
        private let value = Atomic(0)
        private let end: Int

        init(end: Int) {
            self.end = end
        }

        func next() -> Int? {
            let next = value.add(1, ordering: .relaxed).oldValue
            return next < end ? next : nil
        }
    }

    private final class SampleList: Sendable {
        private let samples = Mutex<[Sample]>([])

        var all: [Sample] { samples.withLock { $0 } }
        func add(_ sample: Sample) { samples.withLock { $0.append(sample) } }
    }
}
