package import Primitives
package import RegistryModel

/// When leases end: volatile, and only the leader's. The replicated state knows nothing of it.
///
/// The promise: a lease does not end before its TTL after the arrival of its last acknowledged renewal. So deadlines
/// only move later, except by `shorten`, and a new leader starts every lease anew.
package struct LeaseClock: Sendable {
    package enum Renewal: Hashable, Sendable {
        case renewed(ttlMilliseconds: Int64)
        /// Its end was proposed: answer when that is decided.
        case expiring
        case unknown
    }

    private struct Entry: Sendable {
        var id: LeaseID
        var ttlMilliseconds: Int64
        var deadline: Instant
        /// As far as any later leader, too, will let it live; not after `deadline`.
        var promised: Instant
        var isExpiring = false
        var brake = Brake.none
    }

    /// What the brake on mass expiry has done to an overdue lease.
    private enum Brake: Sendable {
        case none
        /// Its timer runs when it is to be looked at again, however late it is.
        case held
        /// It may end, without being asked about once more.
        case released
    }

    private var slots: [LeaseID: Int] = [:]
    private var entries: [Entry] = []
    private var free: [Int] = []
    /// A timer may fire before its lease's deadline, when a renewal moved that: it is then armed again. So a renewal
    /// costs one write.
    private var wheel: TimerWheel?

    /// A clock that stands still.
    package init() {}

    /// Between `promote` and `demote`.
    package var isRunning: Bool { wheel != nil }
    package var count: Int { slots.count }

    /// Starts with every lease at its full TTL plus `extend` (an election timeout): renewals that an earlier leader
    /// acknowledged are thereby kept.
    package mutating func promote(at now: Instant, leases: [LeaseRow], extend: TimeSpan) {
        self = LeaseClock()
        wheel = TimerWheel(at: now)
        slots.reserveCapacity(leases.count)
        for lease in leases { insert(lease, deadline: now + span(lease.ttlMilliseconds) + extend, promised: now) }
    }

    /// Stops and forgets all deadlines.
    package mutating func demote() {
        self = LeaseClock()
    }

    /// A grant was applied; on a clock that stands still nothing happens.
    package mutating func grant(_ lease: LeaseRow, at now: Instant) {
        guard isRunning, slots[lease.id] == nil else { return }
        let deadline = now + span(lease.ttlMilliseconds)
        insert(lease, deadline: deadline, promised: deadline)
    }

    /// A renewal that arrived at `arrivedAt`, once leadership was confirmed after it.
    package mutating func renew(_ id: LeaseID, arrivedAt: Instant) -> Renewal {
        guard let slot = slots[id] else { return .unknown }
        if entries[slot].isExpiring { return .expiring }
        let ttl = entries[slot].ttlMilliseconds
        let deadline = arrivedAt + span(ttl)
        entries[slot].deadline = max(entries[slot].deadline, deadline)
        entries[slot].promised = max(entries[slot].promised, deadline)
        if entries[slot].brake != .none {
            entries[slot].brake = .none
            wheel?.schedule(slot, at: entries[slot].deadline)
        }
        return .renewed(ttlMilliseconds: ttl)
    }

    /// Ends a lease sooner than assumed, for a leader that learned what earlier renewals really promised.
    ///
    /// - Parameter promised: up to when its life is certain, whoever leads.
    package mutating func shorten(_ id: LeaseID, to deadline: Instant, promised: Instant) {
        guard let slot = slots[id], !entries[slot].isExpiring else { return }
        if deadline < entries[slot].deadline {
            entries[slot].deadline = deadline
            wheel?.schedule(slot, at: entries[slot].deadline)
        }
        entries[slot].promised = min(max(entries[slot].promised, promised), entries[slot].deadline)
    }

    /// A revocation or expiry was applied.
    package mutating func remove(_ id: LeaseID) {
        guard let slot = slots.removeValue(forKey: id) else { return }
        wheel?.cancel(slot)
        free.append(slot)
    }

    /// Pushes every deadline back, after this process stood still: renewals may wait unread.
    package mutating func postpone(by span: TimeSpan) {
        for slot in entries.indices { entries[slot].deadline = entries[slot].deadline + span }
    }

    /// Leases whose time is over, earliest first; they count as expiring from now on.
    package mutating func expired(at now: Instant, limit: Int) -> [LeaseID] {
        var due: [LeaseID] = []
        while due.count < limit, let slot = wheel?.popDue(at: now) {
            if now < entries[slot].deadline {
                wheel?.schedule(slot, at: entries[slot].deadline)
            } else {
                entries[slot].isExpiring = true
                due.append(entries[slot].id)
            }
        }
        return due
    }

    /// The proposal to end them failed: they are due again at once, and may be renewed.
    package mutating func unmark(_ ids: [LeaseID], at now: Instant) {
        for id in ids {
            guard let slot = slots[id], entries[slot].isExpiring else { continue }
            entries[slot].isExpiring = false
            wheel?.schedule(slot, at: now)
        }
    }

    /// A lease that `expired` returned does not end before `later` after all, and may be renewed.
    package mutating func hold(_ id: LeaseID, until later: Instant) {
        guard let slot = slots[id], entries[slot].isExpiring else { return }
        entries[slot].isExpiring = false
        entries[slot].brake = .held
        wheel?.schedule(slot, at: later)
    }

    /// Held leases are due now, unless they have been renewed.
    package mutating func release(_ ids: [LeaseID], at now: Instant) {
        for id in ids {
            guard let slot = slots[id], entries[slot].brake == .held else { continue }
            entries[slot].brake = .released
            wheel?.schedule(slot, at: now)
        }
    }

    /// Held leases are looked at now, unless they have been renewed; they stay held until that is done.
    package mutating func recheck(_ ids: [LeaseID], at now: Instant) {
        for id in ids {
            guard let slot = slots[id], entries[slot].brake == .held else { continue }
            wheel?.schedule(slot, at: now)
        }
    }

    package func isHeld(_ id: LeaseID) -> Bool {
        slots[id].map { entries[$0].brake == .held } ?? false
    }

    /// Whether the lease was held and let go, and nobody renewed it since.
    package func isReleased(_ id: LeaseID) -> Bool {
        slots[id].map { entries[$0].brake == .released } ?? false
    }

    /// Whether nobody was heard of for more than half of the lease's time: those who renew in time do so after a third.
    package func isSilent(_ id: LeaseID, at now: Instant) -> Bool {
        guard let slot = slots[id] else { return false }
        let entry = entries[slot]
        return entry.isExpiring || entry.deadline - now <= span(entry.ttlMilliseconds) / 2
    }

    package func isExpiring(_ id: LeaseID) -> Bool {
        slots[id].map { entries[$0].isExpiring } ?? false
    }

    /// Time left whoever leads; never negative, nothing for a new leader that has not asked yet, nil when the lease is
    /// not known here.
    package func promised(_ id: LeaseID, at now: Instant) -> TimeSpan? {
        guard let slot = slots[id] else { return nil }
        return max(.zero, entries[slot].promised - now)
    }

    /// When to ask `expired` next; it may then turn out that nothing is due.
    package var nextDeadline: Instant {
        wheel?.nextDeadline ?? .distantFuture
    }

    private mutating func insert(_ lease: LeaseRow, deadline: Instant, promised: Instant) {
        let entry = Entry(
            id: lease.id, ttlMilliseconds: lease.ttlMilliseconds, deadline: deadline, promised: promised)
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            entries[slot] = entry
        } else {
            slot = entries.count
            entries.append(entry)
        }
        slots[lease.id] = slot
        wheel?.schedule(slot, at: deadline)
    }

    /// A TTL as a span; centuries are cut to what a span holds.
    private func span(_ milliseconds: Int64) -> TimeSpan {
        let (nanoseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        return TimeSpan(nanoseconds: overflow ? Int64.max : max(0, nanoseconds))
    }
}
