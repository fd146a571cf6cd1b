import KVStore
import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica
import Storage

// Starts, ends, and what the disk made of it: R6, R7, R8, R9, R11, R13 across restarts.
extension Checks {
    /// What a start found on the disk.
    struct Recovered {
        var log: RestoredLog
        /// As Raft begins: the state's position when the log does not contain it.
        var base: LogBase
        var commit: LogIndex
        var state: StateHeader
        var isDamaged = false
    }

    /// A member has recovered its disk and sent nothing yet.
    mutating func started(
        _ member: SimulatedMember, _ process: SimulatedMember.Process, at now: Instant
    ) throws(Violation) {
        let raft = process.replica.raft
        var log = process.recovered.log
        log.base = raft.base
        log.entries = raft.entries(from: raft.base.position.index.next, through: raft.lastIndex)
        noteRecovery(process.recovered, state: process.replica.store.applied, by: member.id)
        try began(
            member.id,
            Recovered(
                log: log, base: raft.base, commit: raft.commitIndex, state: process.replica.store.header,
                isDamaged: member.disk.isDamaged), at: now)
        facts[place(member.id)].glance = Glance(process)
    }

    mutating func began(_ id: MemberID, _ recovered: Recovered, at now: Instant) throws(Violation) {
        let place = place(id)
        let name = "m\(id.number)"
        if recovered.isDamaged { facts[place].isDamaged = true }
        try checkPromises(id, recovered, at: now)
        try checkKept(id, recovered, at: now)
        guard recovered.commit <= committed.last else {
            throw Violation(
                .commitMonotone,
                "\(name) restarts with commit \(recovered.commit.number), committed is \(committed.last.number)",
                at: now)
        }
        try checkState(id, recovered, at: now)
        facts[place].begin(recovered.log, applied: recovered.state.applied, commit: recovered.commit)
        // What it knows to be lost it claims no longer, and does not count with it.
        if recovered.log.recovery != nil {
            let lost = max(facts[place].acknowledged, facts[place].acknowledgedBeforeLoss)
            facts[place].acknowledgedBeforeLoss = lost
            facts[place].acknowledged = .zero
            facts[place].durable.stateLost()
            try checkIntersecting(without: id, at: now)
        }
    }

    /// R7: term and vote that were told to others are still there.
    private func checkPromises(_ id: MemberID, _ recovered: Recovered, at now: Instant) throws(Violation) {
        let facts = facts[place(id)]
        let found = recovered.log.hardState
        let term = max(found.term, recovered.log.entries.last?.term ?? recovered.base.position.term)
        guard term >= facts.promisedTerm else {
            throw Violation(
                .termsAndVotes,
                "m\(id.number) restarts in term \(term.number) after promising \(facts.promisedTerm.number)", at: now)
        }
        guard recovered.log.recovery == nil, let vote = facts.votes[term] else { return }
        guard found.term == term, found.votedFor == vote else {
            throw Violation(
                .termsAndVotes,
                "m\(id.number) voted for m\(vote.number) in term \(term.number) and restarts with "
                    + (found.votedFor.map { "a vote for m\($0.number)" } ?? "no vote"), at: now)
        }
    }

    /// R6, R11: what was durable, and not ordered away since, is there again; with damage only what was acknowledged,
    /// unless the member says that it lost entries.
    private func checkKept(_ id: MemberID, _ recovered: Recovered, at now: Instant) throws(Violation) {
        guard recovered.log.recovery == nil else { return }
        let facts = facts[place(id)]
        let found = TermLog(recovered.log)
        if isReplacedBySnapshot(facts, found) { return }
        let acknowledged = facts.acknowledged
        if acknowledged.index > found.base.index, !found.contains(acknowledged) {
            throw Violation(
                .nothingCommittedTruncated,
                "m\(id.number) acknowledged \(acknowledged.index.number) of term \(acknowledged.term.number) and restarts "
                    + "with last index \(found.last.number)", at: now)
        }
        guard !facts.isDamaged else { return }
        var index = max(found.base.index, facts.durable.log.base.index)
        let last = min(facts.durable.log.last, facts.log.terms.last)
        while index < last {
            index = index.next
            guard let term = facts.durable.log.term(at: index), facts.log.terms.term(at: index) == term,
                found.term(at: index) != term
            else { continue }
            throw Violation(
                committed.term(at: index) == term ? .committedIsDurable : .nothingCommittedTruncated,
                "m\(id.number) had entry \(index.number) of term \(term.number) on its disk and restarts with last index "
                    + "\(found.last.number)", at: now)
        }
    }

    /// Whether a committed snapshot took the place of a log that says something else where it ends: nothing behind it can
    /// have been committed. The state is switched first, so a start may have to do what the log was not told any more.
    private func isReplacedBySnapshot(_ facts: MemberFacts, _ found: TermLog) -> Bool {
        found.count == 0 && found.base == facts.durable.installed && committed.contains(found.base)
            && found.base.index > facts.durable.log.base.index && !facts.durable.log.contains(found.base)
    }

    /// R9, R13: the stored index describes the stored state, which does not end before the log begins nor before what it
    /// was said to hold.
    private mutating func checkState(_ id: MemberID, _ recovered: Recovered, at now: Instant) throws(Violation) {
        let applied = recovered.state.applied
        try checkCommitted(applied, of: id, at: now)
        try compare(recovered.state.digest, at: applied.index, by: id, as: .applyOnce, at: now)
        guard applied.index >= recovered.base.position.index else {
            throw Violation(
                .snapshots,
                "m\(id.number) restarts with a state at \(applied.index.number) and a log after "
                    + "\(recovered.base.position.index.number)", at: now)
        }
        try checkBase(recovered.base, of: id, at: now)
        let known = facts[place(id)]
        guard recovered.log.recovery == nil, !known.isDamaged, applied.index < known.durable.state else { return }
        throw Violation(
            .applyOnce,
            "m\(id.number) restarts with a state at \(applied.index.number), it was durable up to "
                + "\(known.durable.state.number)", at: now)
    }

    /// R6: with one member's entries gone, no majority that lacks a committed entry can elect one of its own. Members
    /// that say what they lost do not vote for those who may lack it.
    func checkIntersecting(without id: MemberID, at now: Instant) throws(Violation) {
        guard let configuration = committed.configurations.last?.configuration else { return }
        // The last entry contains all before it, on every undamaged member.
        var index = committed.last
        let lowest = facts[place(id)].durable.log.base.index
        while index > lowest, let term = committed.term(at: index) {
            let position = LogPosition(index: index, term: term)
            let isLost = configuration.isDecided { voter in
                guard facts.indices.contains(place(voter)) else { return false }
                return !facts[place(voter)].isRecovering && voter != id && !holds(voter, position)
            }
            guard !isLost else {
                throw Violation(
                    .committedIsDurable,
                    "without m\(id.number) a majority of \(configuration.voters.map(\.number)) lacks the committed entry "
                        + "\(index.number) of term \(term.number)", at: now)
            }
            index = index.previous
        }
    }

    mutating func died(_ member: SimulatedMember) {
        forgetReads(of: member.id)
    }

    /// Disk work that ended with its sync.
    ///
    /// - Parameters:
    ///   - durable: the last batch of it; what comes later found no room and is tried again.
    ///   - isFull: whether anything was left.
    mutating func wrote(_ jobs: [LogJob], through durable: BatchNumber?, isFull: Bool, by id: MemberID) {
        let place = place(id)
        facts[place].unwritten += jobs
        var done = 0
        search: for job in facts[place].unwritten {
            switch job {
            case .write(let batch):
                guard !isFull || batch.number <= durable ?? .none else { break search }
                facts[place].durable.write(batch)
            case .compact(let base):
                // Whether the last job of all was done is not told; it only forgets.
                facts[place].durable.compact(to: base.position)
            case .lostEntries, .recovered, .retry: break
            }
            done += 1
        }
        facts[place].unwritten.removeFirst(done)
    }

    /// A leader proved that this member lacks what it had acknowledged: only damage can have done that.
    mutating func lost(_ id: MemberID, at now: Instant) throws(Violation) {
        guard facts[place(id)].isDamaged else {
            throw Violation(
                .nothingCommittedTruncated,
                "m\(id.number) is shown that it lost acknowledged entries, and nothing damaged its disk", at: now)
        }
        facts[place(id)].isRecovering = true
        facts[place(id)].claimed = nil
        facts[place(id)].acknowledgedBeforeLoss = facts[place(id)].acknowledged
        facts[place(id)].acknowledged = .zero
        coverage.hit(.lossProvedByLeader)
    }

    mutating func recovered(_ id: MemberID) {
        facts[place(id)].isRecovering = false
        facts[place(id)].claimed = nil
        facts[place(id)].acknowledgedBeforeLoss = .zero
        coverage.hit(.entriesGotBack)
    }
}
