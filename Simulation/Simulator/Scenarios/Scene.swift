import Primitives
import RegistryModel
import Replica

/// Clients that a scenario, a plan or the end of a run brings along: probes that ask for a write and a read from outside,
/// instances that register under leases, and watchers of them.
struct Scene {
    static let sink: UInt32 = 7

    enum Purpose: Hashable {
        case probeWrite
        case probeRead
        /// A fresh request after the faults, by its number.
        case fresh(Int)
        case grant(Int)
        case register(Int)
        case renew(Int)
        case revoke(Int)
        case list(Int)
        case watch(Int)
        case compact
    }

    struct Question {
        var purpose: Purpose
        var member: MemberID
        var askedAt: Instant
        /// The highest revision a probe had been told of by then.
        var known: Revision
    }

    var draws: SeededGenerator
    private(set) var lastSerial: UInt64 = 0
    /// Looked up only.
    private var open: [UInt64: Question] = [:]
    var probes = ProbeRecord()
    var leaders = LeaderRecord()
    var fleet = Fleet()
    var watchers: [SceneWatcher] = []
    /// Fresh requests that were carried out.
    var freshDone: Set<Int> = []
    /// Whom each was asked last, and in which of his lives.
    var freshDoors: [Int: (door: MemberID, life: UInt64)] = [:]
    /// Somebody wants to hear of every applied change.
    var observes = false
    /// When each revision of the fleet was first applied anywhere.
    var commits: [Revision: Instant] = [:]
    /// The highest of these revisions.
    var lastCommit = Revision.zero
    /// Whoever is told to campaign at once dies of it, once.
    var timeoutNowTarget: (member: MemberID, restart: TimeSpan?)?
    var strikes = 0
    /// Members that get no new calls; looked up only.
    var closed: Set<MemberID> = []
    /// Zones that see only themselves, and where the members are; empty: one zone.
    var cutZones: [Int] = []
    var memberZones: [Int] = []
    private var probeTurn = 0

    init(seed: UInt64) {
        draws = SeededGenerator(seed: seed, purpose: "scene")
    }

    mutating func begin(_ purpose: Purpose, at member: MemberID, now: Instant) -> RequestToken {
        lastSerial += 1
        open[lastSerial] = Question(purpose: purpose, member: member, askedAt: now, known: probes.known)
        return RequestToken(sink: Scene.sink, serial: lastSerial)
    }

    /// nil when nobody waits any more.
    mutating func end(_ serial: UInt64) -> Question? { open.removeValue(forKey: serial) }

    func isOpen(_ serial: UInt64) -> Bool { open[serial] != nil }

    /// Whether somebody waits for an answer of this member.
    func isAsked(_ member: MemberID) -> Bool { open.values.contains { $0.member == member } }

    /// Probes that asked before this moment and have heard nothing.
    func unansweredProbes(before moment: Instant) -> Int {
        open.values.count { $0.askedAt < moment && [.probeWrite, .probeRead].contains($0.purpose) }
    }

    mutating func giveUp(_ serial: UInt64) { open[serial] = nil }

    /// Who is asked next, in turn.
    mutating func nextDoor(of count: Int) -> Int {
        probeTurn += 1
        return probeTurn % count
    }

    /// One way between a client and a member.
    mutating func delay() -> TimeSpan { .microseconds(draws.within(100...600)) }

    /// When a watcher hears what a member hands over now: in order.
    mutating func arrival(of delivery: WatchDelivery, at now: Instant) -> Instant {
        let arrival = now + delay()
        let number = Int(delivery.stream.number >> 32)
        guard watchers.indices.contains(number) else { return arrival }
        watchers[number].lastArrival = max(watchers[number].lastArrival, arrival)
        return watchers[number].lastArrival
    }

    func reaches(zone: Int, _ member: MemberID) -> Bool {
        let place = Int(member.number) - 1
        guard memberZones.indices.contains(place), memberZones[place] != zone else { return true }
        return !cutZones.contains(zone) && !cutZones.contains(memberZones[place])
    }
}

/// What probes saw.
struct ProbeRecord {
    struct Answer {
        var askedAt: Instant
        var answeredAt: Instant
    }

    /// Acknowledged writes and answered reads, in order of the answers.
    private(set) var writes: [Answer] = []
    private(set) var reads: [Answer] = []
    private(set) var refused = 0
    /// The highest revision of an answer.
    private(set) var known = Revision.zero

    mutating func wrote(_ question: Scene.Question, _ revision: Revision, at now: Instant) throws(Violation) {
        guard revision > question.known else {
            throw Violation(
                .linearizableReads,
                "a probe's write took revision \(revision.number), \(question.known.number) was known before", at: now)
        }
        writes.append(Answer(askedAt: question.askedAt, answeredAt: now))
        known = max(known, revision)
    }

    mutating func read(_ question: Scene.Question, _ revision: Revision, at now: Instant) throws(Violation) {
        guard revision >= question.known else {
            throw Violation(
                .linearizableReads,
                "a probe read at revision \(revision.number), \(question.known.number) was known before", at: now)
        }
        reads.append(Answer(askedAt: question.askedAt, answeredAt: now))
        known = max(known, revision)
    }

    mutating func wasRefused() { refused += 1 }

    /// The longest time without an acknowledged write between the first one and `end`, and when it began.
    func writeGap(until end: Instant) -> (length: TimeSpan, from: Instant) {
        ProbeRecord.gap(writes, until: end)
    }

    static func gap(_ answers: [Answer], until end: Instant) -> (length: TimeSpan, from: Instant) {
        guard let first = answers.first else { return (end - .zero, .zero) }
        var gap = (length: TimeSpan.zero, from: first.answeredAt)
        var last = first.answeredAt
        for answer in answers where answer.answeredAt <= end {
            if answer.answeredAt - last > gap.length { gap = (answer.answeredAt - last, last) }
            last = answer.answeredAt
        }
        if end - last > gap.length { gap = (end - last, last) }
        return gap
    }

    static func firstDone(_ answers: [Answer], after anchor: Instant) -> Instant? {
        answers.first { $0.askedAt >= anchor }?.answeredAt
    }
}

/// Who led, as seen from above at regular moments.
struct LeaderRecord {
    struct Sample: Hashable {
        var at: Instant
        var leader: MemberID?
        var term: Term
    }

    private(set) var samples: [Sample] = []

    mutating func note(_ leader: MemberID?, _ term: Term, at now: Instant) {
        samples.append(Sample(at: now, leader: leader, term: term))
    }

    /// The last look not after `moment`.
    func sample(at moment: Instant) -> Sample? { samples.last { $0.at <= moment } }

    /// How often another member, or the same one anew, took over from a leader before.
    var changes: Int {
        var changes = 0
        var last: Sample?
        for sample in samples where sample.leader != nil {
            if let last, last.leader != sample.leader || last.term != sample.term { changes += 1 }
            last = sample
        }
        return changes
    }

    /// Distinct leaders' terms seen.
    var count: Int { samples.contains { $0.leader != nil } ? changes + 1 : 0 }
}
