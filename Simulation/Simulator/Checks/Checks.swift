import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

/// Looks at every step of every member from above, and at every answer that clients get.
///
/// Everything is kept from what members order and send, not from what they believe, and every step costs what it
/// changed. The files beside this one hold the checks by theme.
struct Checks {
    let options: SimulationOptions
    /// Highest revision anybody was told of.
    private(set) var knownRevision = Revision.zero
    var history: History
    /// Only with hosts.
    var agents: AgentChecks?
    /// The situations this run was in.
    var coverage = Coverage()
    var facts: [MemberFacts]
    var committed: CommittedLog
    /// Who led each term.
    var leaders: [Term: MemberID] = [:]
    /// What each candidate claimed to have when it asked for votes.
    var claims: [Term: [Claim]] = [:]
    /// Every entry ever appended.
    var entries: [LogPosition: EntryFact] = [:]
    /// State digests by applied index.
    var digests: [LogIndex: Digest128] = [:]
    /// What was committed when each open read began, by the request that asked.
    var openReads: [RequestToken: OpenRead] = [:]
    /// Likewise for reads that members forward to their leader.
    var forwardedReads: [ForwardedRead: LogIndex] = [:]
    // For coverage alone.
    var openRenewals: [RequestToken: (member: MemberID, lease: LeaseID)] = [:]
    var openRevocations: Set<RequestToken> = []
    var leaseOfKey: [Key: LeaseID] = [:]
    /// Messages that arrived, so that some can be tried with a wrong address.
    var framesHeard: UInt64 = 0
    /// Whom a leader ordered to campaign, by its term.
    var transferOrders: [Term: MemberID] = [:]

    struct EntryFact {
        var payload: [UInt8]
        var kind: Entry.Kind
        var previous: Term?
        var configuration: Configuration?
    }

    struct Claim {
        var candidate: MemberID
        var last: LogPosition
    }

    struct OpenRead {
        var member: MemberID
        var term: Term
        var committed: LogIndex
    }

    struct ForwardedRead: Hashable {
        var member: MemberID
        var id: UInt64
    }

    init(options: SimulationOptions, members: [MemberID]) {
        self.options = options
        history = History(options: options)
        agents = options.hosts.map { AgentChecks($0, options) }
        facts = members.map { _ in MemberFacts() }
        committed = CommittedLog(founders: members)
    }

    /// A further member, after all others.
    mutating func add(_ id: MemberID) {
        precondition(Int(id.number) == facts.count + 1, "members are numbered in order")
        facts.append(MemberFacts())
    }

    func place(_ id: MemberID) -> Int { Int(id.number) - 1 }

    /// Whether a member durably holds an entry, as far as anybody can know.
    func holds(_ id: MemberID, _ position: LogPosition) -> Bool {
        facts.indices.contains(place(id)) && facts[place(id)].durable.has(position)
    }

    // MARK: Steps

    /// One step of a member: what it was told, what it now says of itself, and what it orders.
    mutating func stepped(
        _ member: SimulatedMember, _ process: SimulatedMember.Process, _ events: [ReplicaEvent],
        _ effects: ReplicaEffects, at now: Instant
    ) throws(Violation) {
        let before = facts[place(member.id)].glance
        try observe(member.id, Glance(process), events, effects, at: now)
        try checkConfigurationKept(by: member.id, process.replica.raft.configuration, effects, at: now)
        try checkStall(of: member.id, facts[place(member.id)].glance, at: now)
        let applied = process.replica.store.applied
        guard applied == facts[place(member.id)].applied else {
            throw Violation(
                .applyOnce,
                "m\(member.id.number) stands at \(applied.index.number), its batches end at "
                    + "\(facts[place(member.id)].applied.index.number)", at: now)
        }
        if facts[place(member.id)].glance.role == .leader {
            let isMoved = facts[place(member.id)].glance != before
            facts[place(member.id)].leaderSteps += 1
            if isMoved || facts[place(member.id)].leaderSteps % 16 == 0 {
                try peersSeen(by: member.id, process.replica.raft.progress, at: now)
            }
        }
    }

    /// As `stepped`, from the parts that every step has.
    mutating func observe(
        _ id: MemberID, _ glance: Glance, _ events: [ReplicaEvent], _ effects: ReplicaEffects, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        let before = facts[place].glance
        facts[place].lastBeforeStep = facts[place].log.terms.last
        for event in events { try heard(event, by: id, before, effects, at: now) }
        for batch in effects.logBatches { try ordered(batch, by: id, before, glance, at: now) }
        if let base = effects.compactLog { try compacted(to: base, by: id, at: now) }
        if effects.lostEntries { try lost(id, at: now) }
        if effects.hasRecovered { recovered(id) }
        facts[place].glance = glance
        try advanced(id, before, glance, at: now)
        if glance != before { try turned(id, from: before, to: glance, events, at: now) }
        for send in effects.sends { try sent(send, by: id, glance, at: now) }
        for batch in effects.stateBatches {
            try applied(batch, by: id, at: now)
            try history.record(batch, by: id, at: now)
            try agents?.record(batch, at: now)
        }
        for (sink, delivery) in effects.deliveries {
            try delivered(delivery, sink: sink, by: id, at: now)
        }
    }

    /// Whether the log or the state of a member has every committed entry.
    func holdsEverythingCommitted(_ raft: borrowing RaftNode) -> Bool {
        let last = committed.last
        return raft.base.position.index >= last || raft.term(at: last) == committed.term(at: last)
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
