import KVStore
import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica

@testable import Simulator

/// The checks of three members that have just been founded, and situations made up for them: no process runs.
struct ChecksFixture {
    static let one = MemberID(1)
    static let two = MemberID(2)
    static let three = MemberID(3)
    static let founders = Configuration(voters: [one, two, three])
    static let founding = LogPosition(index: LogIndex(1), term: Term(1))

    var checks: Checks
    private var batches: UInt64 = 0

    init() throws(Violation) {
        var options = SimulationOptions(seed: 1, members: 3)
        options.trailingEntries = 8
        options.clockDriftMax = 0
        let ids = [ChecksFixture.one, ChecksFixture.two, ChecksFixture.three]
        checks = Checks(options: options, members: ids)
        for id in ids { try restart(id, entries: [], hardState: HardState(term: Term(1))) }
    }

    static func position(_ index: UInt64, _ term: UInt64) -> LogPosition {
        LogPosition(index: LogIndex(index), term: Term(term))
    }

    /// A command that changes nothing; other marks are other bytes. No marks: the first entry of a term.
    static func entry(_ index: UInt64, _ term: UInt64, _ marks: [UInt8] = []) -> Entry {
        let origin = Origin(
            member: one, incarnation: Incarnation(1), serial: 0, user: "", peer: "\(marks)", reason: .client)
        let command = Command(wallMilliseconds: 0, origin: origin, operation: .digestMark)
        return Entry(
            index: LogIndex(index), term: Term(term), kind: marks.isEmpty ? .noop : .command,
            payload: marks.isEmpty ? [] : command.encoded())
    }

    static func entry(_ index: UInt64, _ term: UInt64, _ configuration: Configuration) -> Entry {
        Entry(
            index: LogIndex(index), term: Term(term), kind: .configuration,
            payload: ConfigurationEntry(configuration: configuration).encoded())
    }

    static func header(
        _ position: LogPosition, digest: UInt64 = 0, configuration: Configuration = founders
    ) -> StateHeader {
        var header = StateHeader.initial
        header.applied = position
        header.pastDigest = Digest128(low: digest)
        header.configuration = configuration.encoded()
        return header
    }

    /// A member comes up with this on its disk.
    mutating func restart(
        _ id: MemberID, base: LogPosition = founding, configuration: Configuration = founders, entries: [Entry],
        hardState: HardState, commit: LogIndex? = nil, state: StateHeader? = nil, recovery: Recovery? = nil,
        isDamaged: Bool = false
    ) throws(Violation) {
        let base = LogBase(position: base, configuration: configuration)
        let log = RestoredLog(base: base, entries: entries, hardState: hardState, recovery: recovery)
        try checks.began(
            id,
            Checks.Recovered(
                log: log, base: base, commit: commit ?? base.position.index,
                state: state ?? ChecksFixture.header(base.position), isDamaged: isDamaged || recovery != nil),
            at: .zero)
    }

    /// One step that orders a write, sends and applies; then the write is done.
    mutating func step(
        _ id: MemberID, _ glance: Glance? = nil, events: [ReplicaEvent] = [], write batch: LogBatch? = nil,
        sends: [PeerSend] = [], states: [StateHeader] = [], compact: LogBase? = nil, durably: Bool = true
    ) throws(Violation) {
        var effects = ReplicaEffects()
        if let batch { effects.logBatches = [batch] }
        effects.sends = sends
        effects.stateBatches = states.map { StateBatch(header: $0, changes: []) }
        effects.compactLog = compact
        let place = checks.place(id)
        try checks.observe(id, glance ?? checks.facts[place].glance, events, effects, at: .zero)
        if let batch, durably { checks.wrote([.write(batch)], through: batch.number, isFull: false, by: id) }
    }

    mutating func batch(
        _ entries: [Entry] = [], hardState: HardState? = nil, truncateFrom: LogIndex? = nil, resetTo: LogBase? = nil
    ) -> LogBatch {
        batches += 1
        return LogBatch(
            number: BatchNumber(batches), resetTo: resetTo, truncateFrom: truncateFrom, entries: entries,
            hardState: hardState)
    }

    static func raft(
        _ from: MemberID, _ to: MemberID, _ term: UInt64, _ body: Message.Body, isRecovering: Bool = false
    ) -> PeerSend {
        PeerSend(
            to: to,
            message: .raft(Message(from: from, to: to, term: Term(term), body: body, isRecovering: isRecovering)))
    }

    /// A candidate asks durably for the votes of a term.
    mutating func campaign(_ id: MemberID, term: UInt64, leader: MemberID? = nil) throws(Violation) {
        let known = checks.facts[checks.place(id)]
        let order = batch(hardState: HardState(term: Term(term), votedFor: id))
        let candidate = Glance(term: Term(term), role: .candidate, commit: known.glance.commit)
        if known.glance.term.next < candidate.term {
            // It heard of the terms between.
            try step(id, Glance(term: Term(term - 1), commit: known.glance.commit))
        }
        try step(id, candidate, write: order)
        let sends = [ChecksFixture.one, ChecksFixture.two, ChecksFixture.three].filter { $0 != id }.map { other in
            ChecksFixture.raft(id, other, term, .requestVote(last: known.log.terms.lastPosition, transfer: false))
        }
        try step(id, sends: sends)
    }

    /// A voter gives its vote durably.
    mutating func vote(_ voter: MemberID, for candidate: MemberID, term: UInt64) throws(Violation) {
        let commit = checks.facts[checks.place(voter)].glance.commit
        let order = batch(hardState: HardState(term: Term(term), votedFor: candidate))
        try step(voter, Glance(term: Term(term), commit: commit), write: order)
        try step(voter, sends: [ChecksFixture.raft(voter, candidate, term, .voteResponse(granted: true))])
    }

    /// The candidate leads, with its first entry.
    mutating func lead(_ id: MemberID, term: UInt64) throws(Violation) {
        let known = checks.facts[checks.place(id)]
        let noop = ChecksFixture.entry(known.log.terms.last.number + 1, term)
        let leading = Glance(term: Term(term), role: .leader, leader: id, commit: known.glance.commit)
        try step(id, leading, write: batch([noop]))
    }

    /// A whole election, won with the vote of one other member.
    mutating func elect(_ id: MemberID, with voter: MemberID, term: UInt64) throws(Violation) {
        try campaign(id, term: term)
        try vote(voter, for: id, term: term)
        try lead(id, term: term)
    }

    /// The leader appends an entry and its follower stores and acknowledges it; what both have is then committed.
    mutating func replicate(
        _ entries: [Entry], from leader: MemberID, to follower: MemberID, commits: Bool = true
    ) throws(Violation) {
        try step(leader, write: batch(entries))
        try follow(follower, leader, entries)
        if commits { try commit(leader) }
    }

    /// A follower stores entries after what it has and acknowledges them.
    mutating func follow(_ follower: MemberID, _ leader: MemberID, _ entries: [Entry]) throws(Violation) {
        let term = checks.facts[checks.place(leader)].glance.term
        let known = checks.facts[checks.place(follower)].glance
        let hardState = known.term < term ? HardState(term: term) : nil
        try step(
            follower, Glance(term: term, leader: leader, commit: known.commit),
            write: batch(entries, hardState: hardState))
        guard let last = entries.last else { return }
        try step(
            follower,
            sends: [
                ChecksFixture.raft(
                    follower, leader, term.number, .appendAccepted(match: last.index, readPosition: 0))
            ])
    }

    /// A leader takes everything it has for committed.
    mutating func commit(_ id: MemberID, through index: UInt64? = nil) throws(Violation) {
        let known = checks.facts[checks.place(id)]
        var glance = known.glance
        glance.commit = index.map { LogIndex($0) } ?? known.log.terms.last
        try step(id, glance)
    }

    /// Member 1 leads term 2 with the vote of 2, and its first entry, 2, is committed.
    static func established() throws(Violation) -> ChecksFixture {
        var fixture = try ChecksFixture()
        try fixture.elect(one, with: two, term: 2)
        try fixture.follow(two, one, [entry(2, 2)])
        try fixture.commit(one)
        return fixture
    }
}

/// The invariant that does not hold, nil when everything does.
func violated(_ body: () throws(Violation) -> Void) -> Invariant? {
    do throws(Violation) {
        try body()
        return nil
    } catch {
        return error.invariant
    }
}
