import KVStore
import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica

/// Looks at every step of every member from above, and at every answer that clients get.
struct Checks {
    let options: SimulationOptions
    /// Highest revision anybody was told of.
    private(set) var knownRevision = Revision.zero
    var history: History
    private var facts: [MemberFacts]
    /// Who led each term.
    private var leaders: [Term: MemberID] = [:]
    /// Every entry ever appended: its hash by index and term.
    private var entries: [LogPosition: EntryFact] = [:]
    /// The term of the committed entry at each index; the first member to commit it defines it.
    private var committed: [Term] = [Term(0), Term(1)]
    /// State digests by applied index.
    private var digests: [LogIndex: Digest128] = [:]

    private struct EntryFact {
        var hash: Digest128
        var previous: Term?
    }

    /// What is known of one member across its lives.
    private struct MemberFacts {
        var durable = DurableModel()
        var votes: [Term: MemberID] = [:]
        /// Highest term in a message that promised durability.
        var promisedTerm = Term.zero
        /// Highest index acknowledged to a leader and not truncated since.
        var acknowledged = LogPosition.zero
        var commit = LogIndex.zero
        var applied = LogIndex.zero
        var wasLeaderOf = Term.zero
    }

    init(options: SimulationOptions, members: [MemberID]) {
        self.options = options
        history = History(options: options)
        facts = members.map { _ in MemberFacts() }
    }

    /// A further member, after all others.
    mutating func add(_ id: MemberID) {
        precondition(Int(id.number) == facts.count + 1, "members are numbered in order")
        facts.append(MemberFacts())
    }

    private func place(_ id: MemberID) -> Int { Int(id.number) - 1 }

    // MARK: Lives

    /// A member has recovered its disk and sent nothing yet.
    mutating func started(
        _ member: SimulatedMember, _ process: SimulatedMember.Process, at now: Instant
    ) throws(Violation) {
        let name = "m\(member.id.number)"
        let raft = process.replica.raft
        let before = facts[place(member.id)]
        if raft.term < before.promisedTerm {
            throw Violation(
                .termsAndVotes,
                "\(name) restarts in term \(raft.term.number) after promising \(before.promisedTerm.number)",
                at: now)
        }
        // What it knows to be lost it claims no longer, and does not count with it.
        if raft.isRecovering { facts[place(member.id)].acknowledged = .zero }
        let acknowledged = facts[place(member.id)].acknowledged
        if acknowledged.index > raft.base.position.index, raft.term(at: acknowledged.index) != acknowledged.term {
            throw Violation(
                .nothingCommittedTruncated,
                "\(name) acknowledged \(acknowledged.index.number) of term \(acknowledged.term.number) and restarts with "
                    + "last index \(raft.lastIndex.number)", at: now)
        }
        if raft.commitIndex.number >= UInt64(committed.count) {
            throw Violation(
                .commitMonotone,
                "\(name) restarts with commit \(raft.commitIndex.number), committed is "
                    + "\(committed.count - 1)", at: now)
        }
        let applied = process.replica.store.applied
        try compareState(process.replica, name: name, at: now)
        facts[place(member.id)].durable = DurableModel(
            recovered: RestoredLog(
                base: raft.base, entries: raft.entries(from: raft.base.position.index.next, through: raft.lastIndex),
                hardState: HardState(term: raft.term, votedFor: before.votes[raft.term])))
        facts[place(member.id)].commit = raft.commitIndex
        facts[place(member.id)].applied = applied.index
    }

    mutating func died(_ member: SimulatedMember) {
        facts[place(member.id)].commit = .zero
    }

    /// Disk work that ended with its sync.
    mutating func wrote(_ jobs: [LogJob], by member: SimulatedMember) {
        for job in jobs {
            switch job {
            case .write(let batch): facts[place(member.id)].durable.write(batch)
            case .compact(let base): facts[place(member.id)].durable.compact(to: base.position)
            case .lostEntries, .recovered, .retry: break
            }
        }
    }

    /// A snapshot was switched in durably.
    mutating func installed(_ position: LogPosition, by member: SimulatedMember) {
        facts[place(member.id)].durable.install(position)
    }

    // MARK: Steps

    mutating func stepped(
        _ member: SimulatedMember, _ process: SimulatedMember.Process, _ effects: ReplicaEffects, at now: Instant
    ) throws(Violation) {
        let place = place(member.id)
        let raft = process.replica.raft
        for batch in effects.logBatches { try appended(batch, by: member.id, raft: raft, at: now) }
        for send in effects.sends {
            if case .raft(let message) = send.message { try sent(message, raft: raft, at: now) }
        }
        if raft.role == .leader, facts[place].wasLeaderOf != raft.term {
            facts[place].wasLeaderOf = raft.term
            try elected(member.id, raft: raft, at: now)
        }
        try advanced(member.id, raft: raft, at: now)
        try applied(member.id, process.replica, at: now)
        for batch in effects.stateBatches { try history.record(batch, by: member.id, at: now) }
    }

    private mutating func appended(
        _ batch: LogBatch, by id: MemberID, raft: RaftNode, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        if let from = batch.truncateFrom {
            if facts[place].wasLeaderOf == raft.term, raft.role == .leader {
                throw Violation(.leaderAppendOnly, "m\(id.number) truncates from \(from.number)", at: now)
            }
            if from <= facts[place].commit {
                throw Violation(
                    .nothingCommittedTruncated,
                    "m\(id.number) truncates from \(from.number), its commit index is \(facts[place].commit.number)",
                    at: now)
            }
            if from <= facts[place].acknowledged.index {
                let kept = from.previous
                facts[place].acknowledged = LogPosition(index: kept, term: raft.term(at: kept) ?? .zero)
                if facts[place].acknowledged.term == .zero { facts[place].acknowledged = .zero }
            }
        }
        for entry in batch.entries {
            var bytes = entry.payload
            bytes.append(entry.kind.rawValue)
            let fact = EntryFact(hash: Digest128.hash(bytes), previous: raft.term(at: entry.index.previous))
            guard let known = entries[entry.position] else {
                entries[entry.position] = fact
                continue
            }
            let samePrevious = known.previous == nil || fact.previous == nil || known.previous == fact.previous
            if known.hash != fact.hash || !samePrevious {
                throw Violation(
                    .logMatching, "m\(id.number) has another entry \(entry.index.number) of term \(entry.term.number)",
                    at: now)
            }
        }
    }

    private mutating func sent(_ message: Message, raft: RaftNode, at now: Instant) throws(Violation) {
        let place = place(message.from)
        let durable = facts[place].durable
        let name = "m\(message.from.number)"
        func promised(_ what: String, _ holds: Bool) throws(Violation) {
            if holds { return }
            throw Violation(.honesty, "\(name) \(what), which is not durable (\(durable))", at: now)
        }
        switch message.body {
        case .voteResponse(true):
            try promised("votes in term \(message.term.number)", durable.hardState.term >= message.term)
            if let other = facts[place].votes[message.term], other != message.to {
                throw Violation(
                    .termsAndVotes,
                    "\(name) votes for m\(message.to.number) and m\(other.number) in term "
                        + "\(message.term.number)", at: now)
            }
            facts[place].votes[message.term] = message.to
            facts[place].promisedTerm = max(facts[place].promisedTerm, message.term)
        case .requestVote(let last, _):
            try promised("campaigns in term \(message.term.number)", durable.hardState.term >= message.term)
            try promised("claims entry \(last.index.number)", durable.has(last))
            if let other = facts[place].votes[message.term], other != message.from {
                throw Violation(
                    .termsAndVotes, "\(name) votes for itself and m\(other.number) in term \(message.term.number)",
                    at: now)
            }
            facts[place].votes[message.term] = message.from
            facts[place].promisedTerm = max(facts[place].promisedTerm, message.term)
        case .appendAccepted(let match, _):
            guard message.term == raft.term, let term = raft.term(at: match) else { return }
            let position = LogPosition(index: match, term: term)
            try promised("acknowledges entry \(match.number) of term \(term.number)", durable.has(position))
            if match > facts[place].acknowledged.index { facts[place].acknowledged = position }
            facts[place].promisedTerm = max(facts[place].promisedTerm, message.term)
        default:
            break
        }
    }

    private mutating func elected(_ id: MemberID, raft: RaftNode, at now: Instant) throws(Violation) {
        if let other = leaders[raft.term], other != id {
            throw Violation(
                .oneLeaderPerTerm, "m\(id.number) and m\(other.number) lead term \(raft.term.number)", at: now)
        }
        leaders[raft.term] = id
        var index = raft.base.position.index.next
        while index.number < UInt64(committed.count) {
            let term = committed[Int(index.number)]
            if term < raft.term, raft.term(at: index) != term {
                throw Violation(
                    .leaderCompleteness,
                    "m\(id.number) leads term \(raft.term.number) without entry \(index.number) of term \(term.number)",
                    at: now)
            }
            index = index.next
        }
    }

    private mutating func advanced(_ id: MemberID, raft: RaftNode, at now: Instant) throws(Violation) {
        let place = place(id)
        if raft.commitIndex < facts[place].commit || raft.commitIndex > raft.lastIndex {
            throw Violation(
                .commitMonotone,
                "m\(id.number) commit \(facts[place].commit.number) → \(raft.commitIndex.number), last "
                    + "\(raft.lastIndex.number)", at: now)
        }
        facts[place].commit = raft.commitIndex
        while UInt64(committed.count) <= raft.commitIndex.number {
            let index = LogIndex(UInt64(committed.count))
            guard let term = raft.term(at: index) else {
                throw Violation(.stateMachineSafety, "m\(id.number) commits \(index.number) without having it", at: now)
            }
            let position = LogPosition(index: index, term: term)
            // By the latest configuration, or by the one that an entry of the same step has just replaced.
            let isHeld = [raft.configuration, raft.committedConfiguration].contains { configuration in
                JointQuorum(configuration).outcome { facts[self.place($0)].durable.has(position) } == .won
            }
            if !isHeld {
                let holders = facts.indices.filter { facts[$0].durable.has(position) }.map { $0 + 1 }
                throw Violation(
                    .committedIsDurable,
                    "entry \(index.number) of term \(term.number) is committed and durable on \(holders) only, of "
                        + "\(raft.configuration.voters.map(\.number))", at: now)
            }
            committed.append(term)
            for entry in raft.entries(from: index, through: index) {
                try history.committed(entry, leader: leaders[term], at: now)
            }
        }
    }

    private mutating func applied(_ id: MemberID, _ replica: MemberReplica, at now: Instant) throws(Violation) {
        let place = place(id)
        let applied = replica.store.applied
        if applied.index < facts[place].applied {
            throw Violation(
                .applyOnce, "m\(id.number) applied \(facts[place].applied.number), then \(applied.index.number)",
                at: now)
        }
        guard applied.index > facts[place].applied else { return }
        facts[place].applied = applied.index
        guard applied.index.number < UInt64(committed.count), committed[Int(applied.index.number)] == applied.term
        else {
            throw Violation(
                .stateMachineSafety,
                "m\(id.number) applied entry \(applied.index.number) of term "
                    + "\(applied.term.number), which is not the committed one", at: now)
        }
        try compareState(replica, name: "m\(id.number)", at: now)
    }

    private mutating func compareState(_ replica: MemberReplica, name: String, at now: Instant) throws(Violation) {
        let index = replica.store.applied.index
        // Before the first entry a member is what it was told when it joined.
        guard index > .zero else { return }
        let digest = replica.store.digest
        if let known = digests[index], known != digest {
            throw Violation(
                .equalStates, "\(name) at index \(index.number): \(digest.hexadecimal), others \(known.hexadecimal)",
                at: now)
        }
        digests[index] = digest
    }

    // MARK: Clients

    mutating func answered(
        _ operation: Operation, _ body: ReplyBody, revision: Revision, at now: Instant
    ) throws(Violation) {
        try history.answered(operation, body, revision: revision, at: now)
        knownRevision = max(knownRevision, revision)
    }

    mutating func refused(
        _ operation: Operation, _ rejection: Rejection, revision: Revision, at now: Instant
    ) throws(Violation) {
        try history.refused(operation, rejection, revision: revision, at: now)
    }

    /// Somebody was told of a revision.
    mutating func told(_ revision: Revision) {
        knownRevision = max(knownRevision, revision)
    }

    /// Everything is quiet: all members stand at the same state, and it is the model's.
    mutating func finish(members: [SimulatedMember], clients: Clients, at now: Instant) throws(Violation) {
        var digest: Digest128?
        let leader = members.first { $0.process?.replica.raft.isEstablishedLeader ?? false }
        let present = leader?.process?.replica.store.members.map(\.id) ?? []
        for member in members where present.contains(member.id) {
            guard let replica = member.process?.replica else { continue }
            if let digest, digest != replica.store.digest {
                throw Violation(.equalStates, "m\(member.id.number) differs from the others at rest", at: now)
            }
            digest = replica.store.digest
            try history.compare(replica.store, name: "m\(member.id.number)", at: now)
        }
    }
}
