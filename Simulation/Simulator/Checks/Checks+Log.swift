import KVStore
import Primitives
import Raft
import Replica

// Entries as members append and cut them, and commit indexes: R2, R3, R5, R8, R11; the quorum of a commit: R4, R6.
extension Checks {
    // MARK: Orders

    /// A batch for the log lane.
    mutating func ordered(
        _ batch: LogBatch, by id: MemberID, _ before: Glance, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        noteBatch(batch, by: id, at: now)
        noteOutstanding(batch, by: id, at: now)
        if let base = batch.resetTo { try reset(to: base, by: id, before, glance, at: now) }
        if let from = batch.truncateFrom { try truncated(from: from, by: id, before, glance, at: now) }
        if let hardState = batch.hardState { try ordered(hardState, by: id, at: now) }
        for entry in batch.entries {
            let previous = facts[place].log.terms.lastPosition
            let configuration = try known(entry, after: previous, by: id, at: now)
            if let configuration {
                try reconfigured(to: configuration, with: entry, by: id, glance, at: now)
            }
            guard facts[place].log.append(entry.position, configuration) else {
                throw Violation(
                    ledThroughout(before, glance) ? .leaderAppendOnly : .logMatching,
                    "m\(id.number) writes entry \(entry.index.number) where its log ends at \(previous.index.number)",
                    at: now)
            }
        }
    }

    private func ledThroughout(_ before: Glance, _ glance: Glance) -> Bool {
        before.role == .leader && glance.role == .leader && before.term == glance.term
    }

    /// R2, R11.
    private mutating func truncated(
        from index: LogIndex, by id: MemberID, _ before: Glance, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        if ledThroughout(before, glance) {
            throw Violation(.leaderAppendOnly, "m\(id.number) truncates from \(index.number) as leader", at: now)
        }
        if index <= before.commit {
            throw Violation(
                .nothingCommittedTruncated,
                "m\(id.number) truncates from \(index.number), its commit index is \(before.commit.number)", at: now)
        }
        try checkStillHeld(without: id, from: index, in: glance.term, at: now)
        facts[place].log.truncate(from: index)
        forgetAcknowledged(from: index, by: place)
    }

    /// R11: what a majority holds and is committed may lack on a follower that is behind; one that holds it never lets
    /// go of it again, unless it follows a leader of before the term in which it was committed, of which it has not heard.
    private func checkStillHeld(
        without id: MemberID, from index: LogIndex, in term: Term, at now: Instant
    ) throws(Violation) {
        let log = facts[place(id)].log.terms
        var cut = index
        while cut <= log.last, cut <= committed.last {
            if let written = log.term(at: cut), committed.term(at: cut) == written {
                guard let decided = committed.decided(at: cut), decided <= term else { return }
                throw Violation(
                    .nothingCommittedTruncated,
                    "m\(id.number) truncates entry \(cut.number) of term \(written.number), which is committed", at: now
                )
            }
            // What follows an entry that is not the committed one is not either.
            if log.term(at: cut) != nil { return }
            cut = cut.next
        }
    }

    private mutating func forgetAcknowledged(from index: LogIndex, by place: Int) {
        guard index <= facts[place].acknowledged.index else { return }
        let kept = index.previous
        facts[place].acknowledged =
            facts[place].log.terms.term(at: kept).map { LogPosition(index: kept, term: $0) } ?? .zero
    }

    /// The log begins anew where the state stands: R2, R11, R13.
    private mutating func reset(
        to base: LogBase, by id: MemberID, _ before: Glance, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        if ledThroughout(before, glance) {
            throw Violation(.leaderAppendOnly, "m\(id.number) discards its log as leader", at: now)
        }
        if base.position.index < before.commit {
            throw Violation(
                .nothingCommittedTruncated,
                "m\(id.number) begins its log anew at \(base.position.index.number), its commit index is "
                    + "\(before.commit.number)", at: now)
        }
        try checkBase(base, of: id, at: now)
        facts[place].log.reset(to: base)
        if facts[place].acknowledged.index > base.position.index { facts[place].acknowledged = base.position }
    }

    /// R3: the entry is the one that anybody else has at this index and term, after the same predecessor.
    ///
    /// - Returns: the configuration it brings.
    private mutating func known(
        _ entry: Entry, after previous: LogPosition, by id: MemberID, at now: Instant
    ) throws(Violation) -> Configuration? {
        let predecessor = previous.index == entry.index.previous ? previous.term : nil
        guard let known = entries[entry.position] else {
            var fact = EntryFact(payload: entry.payload, kind: entry.kind, previous: predecessor)
            if entry.kind == .configuration {
                fact.configuration = (try? ConfigurationEntry.decode(entry.payload))?.configuration
            }
            entries[entry.position] = fact
            return fact.configuration
        }
        let samePrevious = known.previous == nil || predecessor == nil || known.previous == predecessor
        if known.kind != entry.kind || known.payload != entry.payload || !samePrevious {
            throw Violation(
                .logMatching, "m\(id.number) has another entry \(entry.index.number) of term \(entry.term.number)",
                at: now)
        }
        return known.configuration
    }

    // MARK: Commit

    /// R5, R8, and for what nobody had committed before R4 and R6.
    mutating func advanced(
        _ id: MemberID, _ before: Glance, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        guard glance.commit != before.commit else { return }
        let log = facts[place(id)].log.terms
        if glance.commit < before.commit || glance.commit > log.last {
            throw Violation(
                .commitMonotone,
                "m\(id.number) commit \(before.commit.number) → \(glance.commit.number), last "
                    + "\(log.last.number)", at: now)
        }
        var index = max(before.commit, log.base.index)
        let known = committed.last
        while index < glance.commit, index < known {
            index = index.next
            guard log.term(at: index) == committed.term(at: index) else {
                throw Violation(
                    .stateMachineSafety,
                    "m\(id.number) commits another entry \(index.number) than the one of term "
                        + "\(committed.term(at: index)?.number ?? 0)", at: now)
            }
        }
        if glance.commit > known { try decided(id, through: glance.commit, before, glance, at: now) }
    }

    /// The member is the first to know these entries committed, so it decided that itself.
    private mutating func decided(
        _ id: MemberID, through commit: LogIndex, _ before: Glance, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        let term = before.role == .leader ? before.term : glance.term
        guard before.role == .leader || glance.role == .leader else {
            throw Violation(
                .committedIsDurable, "m\(id.number) takes entry \(commit.number) for committed and leads nobody",
                at: now)
        }
        guard facts[place].log.terms.term(at: commit) == term else {
            throw Violation(
                .leaderCompleteness,
                "m\(id.number) leads term \(term.number) and commits entry \(commit.number) of an older term by counting",
                at: now)
        }
        let decider = term
        noteCommit(by: id, from: committed.last, through: commit, in: decider)
        while committed.last < commit {
            let index = committed.last.next
            guard let term = facts[place].log.terms.term(at: index) else {
                throw Violation(.stateMachineSafety, "m\(id.number) commits \(index.number) without having it", at: now)
            }
            let position = LogPosition(index: index, term: term)
            try checkHeld(position, decidedBy: id, at: now)
            let configuration = entries[position]?.configuration
            if let configuration { noteConfiguration(configuration, by: id) }
            committed.append(term, configuration, decidedIn: decider)
            if let fact = entries[position] {
                let entry = Entry(index: index, term: term, kind: fact.kind, payload: fact.payload)
                try history.committed(entry, leader: leaders[term], at: now)
            }
        }
    }

    /// Whether the member had the entry for certain before it found that it lost some.
    private func hadAcknowledged(_ id: MemberID, _ position: LogPosition) -> Bool {
        guard facts.indices.contains(place(id)), facts[place(id)].isRecovering else { return false }
        let lost = facts[place(id)].acknowledgedBeforeLoss
        return lost.index >= position.index && lost.term >= position.term
    }

    private func isHealthy(_ id: MemberID) -> Bool {
        facts.indices.contains(place(id)) && !facts[place(id)].isRecovering
    }

    /// R6: by the configuration that was in force when it was decided, or one that an entry of the same step brought.
    /// Who lost the entry after acknowledging it counts as long as its leader cannot know, if nobody without the entry
    /// could be elected: members that say they lost something do not vote for those.
    private func checkHeld(_ position: LogPosition, decidedBy id: MemberID, at now: Instant) throws(Violation) {
        let changes = facts[place(id)].log.configurations
        let lastBefore = facts[place(id)].lastBeforeStep
        let inForce = changes.lastIndex { $0.index <= lastBefore } ?? 0
        let isHeld = changes[inForce...].contains { change in
            change.configuration.isDecided { holds($0, position) || hadAcknowledged($0, position) }
                && !change.configuration.isDecided { isHealthy($0) && !holds($0, position) }
        }
        guard !isHeld else { return }
        let holders = facts.indices.filter { facts[$0].durable.has(position) }.map { $0 + 1 }
        throw Violation(
            .committedIsDurable,
            "entry \(position.index.number) of term \(position.term.number) is committed and durable on \(holders) only, "
                + "of \(facts[place(id)].log.latest.configuration.voters.map(\.number))", at: now)
    }
}
