import Primitives
import Raft
import RegistryModel

/// What holders of leases were promised, and what became of it.
struct LeaseChecks {
    struct Fact {
        var ttl: TimeSpan
        var grantedAt: Instant
        /// When the holder sent the last grant or renewal that was answered.
        var sentAt: Instant?
        /// Not before this may it expire, for what a holder was told of the time left.
        var toldUntil = Instant.zero
        /// When that was asked.
        var toldAt = Instant.zero
        /// The last moment at which it may have been renewed: L2 counts from here.
        var touchedAt: Instant
        var removedAt: Instant?
        /// By the leader, not by a client's wish.
        var hasExpired = false
        /// Of a simulated client, whose renewals are all seen here.
        var isClients: Bool

        mutating func renewed(sentAt: Instant, now: Instant) {
            self.sentAt = max(self.sentAt ?? .zero, sentAt)
            touchedAt = max(touchedAt, now)
        }
    }

    private let options: SimulationOptions
    private(set) var facts: [LeaseID: Fact] = [:]
    /// A leader is there and nothing goes wrong any more.
    var calmSince: Instant?
    var expired = 0
    /// For coverage: whether somebody who began to lead found a lease whose time was over.
    private(set) var hasBeenOverdueAtElection = false

    init(options: SimulationOptions) {
        self.options = options
    }

    /// While nothing goes wrong, a new leader begins every lease anew.
    mutating func led(by member: MemberID, _ isEstablished: Bool, at now: Instant) {
        if isEstablished, calmSince != nil { calmSince = now }
        guard isEstablished, !hasBeenOverdueAtElection else { return }
        hasBeenOverdueAtElection = facts.values.contains { $0.removedAt == nil && $0.touchedAt + $0.ttl < now }
    }

    // MARK: The log

    mutating func committed(
        _ command: Command, _ outcome: Model.Outcome, entry: LogPosition, leader: MemberID?, at now: Instant
    ) throws(Violation) {
        guard case .success(let result) = outcome.result else { return }
        switch (command.operation, result) {
        case (.leaseGrant(let id, let milliseconds), _):
            if facts[id] != nil {
                throw Violation(.leaseIDs, "lease \(id.hexadecimal) is granted again", at: now)
            }
            facts[id] = Fact(
                ttl: .milliseconds(milliseconds), grantedAt: now, touchedAt: now,
                isClients: UInt64(command.origin.peer) != nil)
        case (.leaseRevoke(let id), _):
            facts[id]?.removedAt = now
        case (.leaseExpire, .leasesExpired(let ids)):
            if let leader, leader != command.origin.member {
                throw Violation(
                    .expiryByLeader,
                    "the expiry in entry \(entry.index.number) was proposed by m\(command.origin.member.number), term "
                        + "\(entry.term.number) is led by m\(leader.number)", at: now)
            }
            for id in ids {
                expired += 1
                facts[id]?.removedAt = now
                facts[id]?.hasExpired = true
                try judge(id, isAnswer: false, at: now)
                try judgeOverrun(id, at: now)
            }
        default: break
        }
    }

    mutating func stored(_ row: LeaseRow, by member: MemberID, at now: Instant) throws(Violation) {
        guard facts[row.id]?.ttl == .milliseconds(row.ttlMilliseconds) else {
            throw Violation(
                .deadLeases, "m\(member.number) stores lease \(row.id.hexadecimal), which nobody granted so", at: now)
        }
    }

    // MARK: Answers

    mutating func granted(_ id: LeaseID, _ operation: Operation, at now: Instant) {
        facts[id]?.sentAt = operation.invokedAt
    }

    mutating func answered(
        _ operation: Operation, _ body: ReplyBody, model: Model, at now: Instant
    ) throws(Violation) {
        switch (operation.request, body) {
        case (.keepAlive(let lease), .keptAlive(_, let ttl)) where ttl > 0:
            try exists(lease, operation, at: now)
            guard facts[lease]?.ttl == .milliseconds(ttl) else {
                throw Violation(.contents, "lease \(lease.hexadecimal) is renewed for \(ttl) ms", at: now)
            }
            facts[lease]?.renewed(sentAt: operation.invokedAt, now: now)
            try judge(lease, isAnswer: true, at: now)
        case (.keepAlive(let lease), .keptAlive(_, 0)):
            try isDead(lease, operation, model, at: now)
        case (.leaseTimeToLive(let lease, _), .timeToLive(_, let remaining, let granted, let keys)):
            if remaining == -1 { return try isDead(lease, operation, model, at: now) }
            try exists(lease, operation, at: now)
            try told(lease, remaining, granted, operation, at: now)
            try checkKeys(keys, of: lease, operation, model, at: now)
        case (.leases, .leases(let ids)):
            for id in ids where facts[id] == nil {
                throw Violation(.deadLeases, "lease \(id.hexadecimal) is listed and was never granted", at: now)
            }
        default:
            throw Violation(.contents, "\(operation.text) is answered with \(body)", at: now)
        }
    }

    /// Alive at some moment since the request was sent.
    private func exists(_ lease: LeaseID, _ operation: Operation, at now: Instant) throws(Violation) {
        guard let fact = facts[lease] else {
            throw Violation(.renewedLeaseLives, "lease \(lease.hexadecimal) was never granted and is answered", at: now)
        }
        if let removedAt = fact.removedAt, removedAt < operation.invokedAt {
            throw Violation(
                .renewedLeaseLives,
                "\(operation.text) succeeds \((operation.invokedAt - removedAt).milliseconds) ms after the lease's end",
                at: now)
        }
    }

    /// Dead at some moment since the request was sent.
    private func isDead(
        _ lease: LeaseID, _ operation: Operation, _ model: Model, at now: Instant
    ) throws(Violation) {
        guard model.leases[lease] != nil, let fact = facts[lease], fact.grantedAt < operation.invokedAt else { return }
        throw Violation(
            .renewedLeaseLives, "\(operation.text) is told that the lease is gone, and it lives", at: now)
    }

    private mutating func told(
        _ lease: LeaseID, _ remaining: Int64, _ granted: Int64, _ operation: Operation, at now: Instant
    ) throws(Violation) {
        guard let fact = facts[lease] else { return }
        if .milliseconds(granted) != fact.ttl || remaining < 0 || remaining > granted {
            throw Violation(
                .toldRemaining,
                "lease \(lease.hexadecimal) of \(fact.ttl.milliseconds) ms: \(remaining) of \(granted) ms are said to be "
                    + "left", at: now)
        }
        let until = operation.invokedAt + .milliseconds(remaining) - slack(.milliseconds(remaining))
        if until > fact.toldUntil {
            facts[lease]?.toldUntil = until
            facts[lease]?.toldAt = operation.invokedAt
        }
        try judge(lease, isAnswer: true, at: now)
    }

    private func checkKeys(
        _ keys: [Key], of lease: LeaseID, _ operation: Operation, _ model: Model, at now: Instant
    ) throws(Violation) {
        guard case .leaseTimeToLive(_, true) = operation.request else { return }
        for key in keys where !model.wasAttached(key, to: lease, since: operation.floor) {
            throw Violation(
                .attachedKeys, "\(key.text) is listed under lease \(lease.hexadecimal) and was not attached", at: now)
        }
        for key in model.leases[lease]?.keys ?? [] {
            guard let pair = model.current(key), pair.modRevision <= operation.floor, !keys.contains(key) else {
                continue
            }
            throw Violation(
                .attachedKeys, "\(key.text) belongs to lease \(lease.hexadecimal) and is not listed", at: now)
        }
    }

    // MARK: Time

    /// Clocks may run off; a millisecond covers rounding.
    private func slack(_ span: TimeSpan) -> TimeSpan {
        TimeSpan(nanoseconds: span.nanoseconds / 1_000_000 * options.clockDriftMax) + .milliseconds(1)
    }

    private func judge(_ lease: LeaseID, isAnswer: Bool, at now: Instant) throws(Violation) {
        guard let fact = facts[lease], fact.hasExpired, let removedAt = fact.removedAt else { return }
        if let sentAt = fact.sentAt, removedAt + slack(fact.ttl) < sentAt + fact.ttl {
            // Answered when the end was already decided: the renewal should have waited for it.
            throw Violation(
                isAnswer ? .renewedLeaseLives : .noEarlyExpiry,
                "lease \(lease.hexadecimal) ended \((removedAt - sentAt).milliseconds) ms after a renewal was sent that "
                    + "promised \(fact.ttl.milliseconds) ms", at: now)
        }
        if removedAt < fact.toldUntil {
            throw Violation(
                .toldRemaining,
                "lease \(lease.hexadecimal) ended \((fact.toldUntil - removedAt).milliseconds) ms before the time that "
                    + "was said to be left \((removedAt - fact.toldAt).milliseconds) ms before", at: now)
        }
    }

    // MARK: Over-run

    /// When everything works, a silent holder's lease is gone by this time: its last renewal, or the last moment at
    /// which a leader may have begun anew, and its time; then a round of the log, many leases at once.
    private func latest(_ fact: Fact, calmSince: Instant) -> Instant {
        // Where entries go one by one there is a queue.
        let queue = TimeSpan.seconds(options.sendsOneByOne ? 6 : 2)
        return max(fact.touchedAt, calmSince) + fact.ttl + slack(fact.ttl) + options.election * 2 + queue
    }

    private func judgeOverrun(_ lease: LeaseID, at now: Instant) throws(Violation) {
        guard let calmSince, let fact = facts[lease], fact.isClients else { return }
        if now > latest(fact, calmSince: calmSince) {
            throw Violation(
                .boundedOverrun,
                "lease \(lease.hexadecimal) of \(fact.ttl.milliseconds) ms ends "
                    + "\((now - latest(fact, calmSince: calmSince)).milliseconds) ms too late", at: now)
        }
    }

    /// No client's lease is left.
    func isQuiet(_ model: Model) -> Bool {
        !model.leases.keys.contains { facts[$0]?.isClients ?? false }
    }

    /// Nothing is left that should be gone.
    func finish(_ model: Model, at now: Instant) throws(Violation) {
        guard let calmSince else { return }
        for id in model.leases.keys.sorted() {
            guard let fact = facts[id], fact.isClients, now > latest(fact, calmSince: calmSince) else { continue }
            throw Violation(
                .boundedOverrun,
                "lease \(id.hexadecimal) of \(fact.ttl.milliseconds) ms is still there, "
                    + "\((now - fact.touchedAt).milliseconds) ms after its holder fell silent", at: now)
        }
    }
}

extension Model {
    /// Whether a key belonged to a lease at some revision from `since` on.
    func wasAttached(_ key: Key, to lease: LeaseID, since: Revision) -> Bool {
        if pair(key, at: since)?.lease == lease { return true }
        return changes(of: key, after: since).contains { $0.pair?.lease == lease }
    }
}
