import Primitives
import RegistryModel

/// A lease request of a local client, until the leader has answered it.
struct LeaseCall: Sendable {
    enum Work: Sendable {
        case renew(LeaseID)
        case timeToLive(LeaseID, wantsKeys: Bool)
    }

    var work: Work
    var token: RequestToken
    var deadline: Instant
    /// Nobody where auth was off.
    var holder = Identity.none

    var lease: LeaseID {
        switch work {
        case .renew(let lease), .timeToLive(let lease, _): lease
        }
    }
}

/// Lease requests that the leader answers. They change nothing in the log, so they may be sent again at will.
struct LeaseCalls: Sendable {
    private(set) var queue: [LeaseCall] = []
    private var sent: [(id: UInt64, at: Instant, calls: [LeaseCall])] = []
    private var lastID: UInt64 = 0
    /// The leader refused: wait a little before asking again.
    var heldUntil = Instant.zero

    var count: Int { queue.count + sent.reduce(0) { $0 + $1.calls.count } }

    /// Nobody in the queue waits for anything but a renewal.
    var areRenewals: Bool {
        queue.allSatisfy { call in if case .renew = call.work { true } else { false } }
    }

    mutating func add(_ call: LeaseCall) {
        queue.append(call)
    }

    mutating func takeQueue() -> [LeaseCall] {
        defer { queue.removeAll(keepingCapacity: true) }
        return queue
    }

    /// Remembers calls under a number for their answer, fresh within this life of the member.
    mutating func markSent(_ calls: [LeaseCall], at now: Instant) -> UInt64 {
        lastID += 1
        sent.append((lastID, now, calls))
        return lastID
    }

    mutating func answered(_ id: UInt64) -> [LeaseCall] {
        guard let position = sent.firstIndex(where: { $0.id == id }) else { return [] }
        return sent.remove(at: position).calls
    }

    /// The calls of a batch with their answers, which are in the order in which the leases were sent: calls whose time
    /// was over meanwhile are missing among the calls, not among the answers. What has no answer is asked again.
    mutating func answered(_ id: UInt64, by answers: [LeaseAnswer]) -> [(LeaseCall, LeaseAnswer)] {
        var rest = answers[...]
        var pairs: [(LeaseCall, LeaseAnswer)] = []
        for call in answered(id) {
            if let place = rest.firstIndex(where: { $0.lease == call.lease }) {
                pairs.append((call, rest[place]))
                rest = rest[(place + 1)...]
            } else {
                queue.append(call)
            }
        }
        return pairs
    }

    /// The leader cannot answer: ask again.
    mutating func refused(_ id: UInt64, retryAt: Instant) {
        queue += answered(id)
        heldUntil = retryAt
    }

    /// Whatever the old leader was asked is asked again.
    mutating func leaderChanged() {
        for batch in sent { queue += batch.calls }
        sent.removeAll()
        heldUntil = .zero
    }

    /// Batches without an answer for `patience` are asked again: the message or its answer was lost.
    mutating func requeueUnanswered(at now: Instant, patience: TimeSpan) {
        guard let oldest = sent.first, oldest.at + patience <= now else { return }
        for batch in sent where batch.at + patience <= now { queue += batch.calls }
        sent.removeAll { $0.at + patience <= now }
    }

    mutating func takeOverdue(at now: Instant) -> [LeaseCall] {
        guard nextDeadline <= now else { return [] }
        var overdue = queue.filter { $0.deadline <= now }
        queue.removeAll { $0.deadline <= now }
        for position in sent.indices {
            overdue += sent[position].calls.filter { $0.deadline <= now }
            sent[position].calls.removeAll { $0.deadline <= now }
        }
        sent.removeAll { $0.calls.isEmpty }
        return overdue
    }

    /// When unanswered batches are asked again, besides the deadlines of the calls.
    static let patience = TimeSpan.milliseconds(500)

    var nextDeadline: Instant {
        var next = Instant.distantFuture
        if let first = queue.first {
            next = first.deadline
            if heldUntil > .zero { next = min(next, heldUntil) }
        }
        for batch in sent {
            next = min(next, batch.at + LeaseCalls.patience)
            if let first = batch.calls.first { next = min(next, first.deadline) }
        }
        return next
    }
}
