import Primitives
import RegistryModel

/// When this member last heard of each lease: of its grant, or of a renewal that the leader was about to acknowledge.
///
/// Volatile, and only ever a bound: a lease was not renewed with this member's knowledge after that moment. A leader
/// that acknowledges nothing before a majority has heard of it can therefore be followed by one that asks a majority.
struct LeaseHints: Sendable {
    /// What is not in `heard` was not heard of since then; before it this member knew nothing.
    private var since: Instant
    private var heard: [LeaseID: Instant] = [:]

    init(since: Instant) {
        self.since = since
    }

    /// Leases heard of.
    var count: Int { heard.count }

    mutating func hear(_ lease: LeaseID, at now: Instant) {
        heard[lease] = now
    }

    mutating func forget(_ lease: LeaseID) {
        heard[lease] = nil
    }

    /// Nothing from before counts any more: the state was replaced, or other voters decide from now on, whose majorities
    /// need not overlap with those that heard of earlier renewals.
    mutating func restart(at now: Instant) {
        since = now
        heard.removeAll(keepingCapacity: true)
    }

    /// No renewal or grant of the lease was heard of after this instant.
    func lastHeard(of lease: LeaseID) -> Instant {
        max(since, heard[lease] ?? since)
    }

    /// Renewals of leases that never came to be must not pile up.
    mutating func prune(to leases: [LeaseRow]) {
        guard heard.count > 2 * leases.count + 1_000 else { return }
        var kept: [LeaseID: Instant] = [:]
        kept.reserveCapacity(leases.count)
        for lease in leases { kept[lease.id] = heard[lease.id] }
        heard = kept
    }
}

/// Renewals on their way to the ears of a majority: none is acknowledged before.
struct HintRounds: Sendable {
    struct Round: Sendable {
        var number: UInt64
        var leases: [LeaseID]
        /// Voters that have heard, this member included.
        var heardBy: [MemberID]
        var sentAt: Instant
        var startedAt: Instant
    }

    /// The number of the latest round; from 1.
    private(set) var last: UInt64 = 0
    /// Rounds up to here began in an earlier reign: whether they were heard is no longer known.
    private var voidThrough: UInt64 = 0
    private(set) var open: [Round] = []

    /// A round of its own number, open until it is closed.
    mutating func start(_ leases: [LeaseID], by member: MemberID, at now: Instant) -> UInt64 {
        last += 1
        open.append(Round(number: last, leases: leases, heardBy: [member], sentAt: now, startedAt: now))
        return last
    }

    /// - Returns: who has heard of the round now; nil when it is not open.
    mutating func heard(_ number: UInt64, by member: MemberID) -> [MemberID]? {
        guard let place = open.firstIndex(where: { $0.number == number }) else { return nil }
        if !open[place].heardBy.contains(member) { open[place].heardBy.append(member) }
        return open[place].heardBy
    }

    mutating func close(_ number: UInt64) {
        open.removeAll { $0.number == number }
    }

    func isOpen(_ number: UInt64) -> Bool {
        open.contains { $0.number == number }
    }

    /// Whether the renewals have to be announced again.
    func isVoid(_ number: UInt64) -> Bool { number <= voidThrough }

    /// A reign ends: what is under way will not be heard of.
    mutating func abandon() {
        voidThrough = last
        open.removeAll()
    }

    /// Rounds that somebody has not answered for `patience`: they count as sent again now.
    mutating func takeUnanswered(at now: Instant, patience: TimeSpan, giveUp: TimeSpan) -> [Round] {
        for round in open where round.startedAt + giveUp <= now { voidThrough = max(voidThrough, round.number) }
        open.removeAll { $0.startedAt + giveUp <= now }
        var due: [Round] = []
        for place in open.indices where open[place].sentAt + patience <= now {
            open[place].sentAt = now
            due.append(open[place])
        }
        return due
    }

    func nextDeadline(patience: TimeSpan) -> Instant {
        open.reduce(.distantFuture) { min($0, $1.sentAt + patience) }
    }
}

/// A new leader finding out, lease by lease in id order, when a majority last heard of each.
struct LeaseAgeSearch: Sendable {
    /// Leases asked for at once.
    static let rangeMax = 8_000

    /// Voters answer only once they have applied this.
    let minimum: LogIndex
    /// The leases under way; empty when the search is over.
    private(set) var range: [LeaseRow]
    /// Where the range begins: after this id.
    private(set) var after: LeaseID?
    private var answers: [(member: MemberID, lastHeard: [Instant], atLeast: [Instant])] = []
    private(set) var askedAt: Instant
    /// When the range was first asked for: no answer is older.
    private var begunAt: Instant

    init(minimum: LogIndex, range: [LeaseRow], at now: Instant) {
        self.minimum = minimum
        self.range = range
        (askedAt, begunAt) = (now, now)
    }

    var last: LeaseID? { range.last?.id }
    var answered: [MemberID] { answers.map(\.member) }

    mutating func asked(at now: Instant) {
        askedAt = now
    }

    /// - Parameter ages: ascending by id; a lease that is missing was unknown there, so it may be brand new.
    mutating func answered(by member: MemberID, _ ages: [LeaseAge], at now: Instant) {
        guard !answered.contains(member) else { return }
        var place = 0
        var lastHeard: [Instant] = []
        var atLeast: [Instant] = []
        for row in range {
            while place < ages.count, ages[place].lease < row.id { place += 1 }
            guard place < ages.count, ages[place].lease == row.id else {
                lastHeard.append(now)
                atLeast.append(begunAt)
                continue
            }
            // A hundredth for clocks that run faster or slower than ours.
            let age = max(0, ages[place].milliseconds)
            let slack = age / 100 + (age % 100 == 0 ? 0 : 1)
            lastHeard.append(now - .milliseconds(age - slack))
            atLeast.append(begunAt - .milliseconds(age + slack))
        }
        answers.append((member, lastHeard, atLeast))
    }

    /// What every answer allows for the range's lease at `place`. The next leader will hear the like from at least one
    /// of those that answered, since no member ever says that it heard of a lease earlier than it said before.
    func leastHeard(at place: Int) -> Instant {
        answers.reduce(Instant.distantFuture) { min($0, $1.atLeast[place]) }
    }

    /// The latest word any answer has of the range's lease at `place`.
    func lastHeard(at place: Int) -> Instant {
        answers.reduce(Instant.zero) { max($0, $1.lastHeard[place]) }
    }

    /// Goes on with the leases after the present range.
    mutating func proceed(to next: [LeaseRow], at now: Instant) {
        after = last
        range = next
        answers = []
        (askedAt, begunAt) = (now, now)
    }
}
