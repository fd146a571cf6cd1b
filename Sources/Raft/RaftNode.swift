package import Primitives

/// One member's part in consensus, as a value: events and instants go in, effects and the next deadline come out.
/// It knows no clock, socket, file or task, and its only randomness is a seeded generator, so the same inputs give
/// the same effects, bit for bit.
///
/// Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended version) and
/// Ongaro's dissertation (2014); sections are named where a rule is applied.
package struct RaftNode: Sendable {
    package let id: MemberID
    let timings: RaftTimings
    let limits: RaftLimits
    var generator: SeededGenerator

    // Survives a crash.
    /// Never decreases.
    package internal(set) var term: Term
    /// One vote a term; written in one record with it.
    var votedFor: MemberID?
    var log: RaftLog
    var configurations: ConfigurationHistory
    var writes: WriteTracker
    /// The batch that last wrote term and vote.
    var hardStateBatch = BatchNumber.none
    /// A start found term, vote or log in need of a write; done by the first step.
    var startReset: LogBase?
    var isHardStateDirty: Bool

    // Volatile.
    package internal(set) var role = Role.follower
    /// Of the present term, when known.
    package internal(set) var leader: MemberID?
    /// Never decreases; never beyond the log's end.
    package internal(set) var commitIndex: LogIndex
    /// Committed entries up to here were handed out.
    var delivered: LogIndex
    var election: ElectionState
    var lead = LeaderState()
    var reads: ReadState
    /// Set while this member has lost entries it had acknowledged.
    var recovery: RecoveryState?
    /// Payload kept behind the durable state, and how far that is.
    var retention: Retention
    var published: Leadership
    /// Heartbeats that left a whole interval late or more, one for each peer: this leader is too slow. For metrics only.
    package internal(set) var lateHeartbeats: UInt64 = 0

    /// A member as it comes up: follower, no leader, no votes for one election timeout (its promises of an earlier
    /// life may still be relied upon), unless it is the only voter.
    ///
    /// - Parameters:
    ///   - restored: what the log lane recovered; must pass `validate(applied:)`.
    ///   - applied: where the state machine durably stands, and the committed configuration as of it. When the
    ///     log does not contain this position it is discarded by the first step.
    ///   - seed: should differ for each start of each member.
    package init(
        id: MemberID, restored: RestoredLog, applied: LogBase, timings: RaftTimings, limits: RaftLimits, seed: UInt64,
        now: Instant
    ) {
        if case .failure(let failure) = restored.checked(applied: applied) {
            preconditionFailure("log not fit to start from: \(failure)")
        }
        precondition(!timings.leaseReads || !timings.earlyElection, "lease reads exclude early election")
        self.id = id
        self.timings = timings
        self.limits = limits
        generator = SeededGenerator(seed: seed, purpose: "raft", number: id.number)

        let keepsLog = restored.contains(applied.position)
        let base = keepsLog ? restored.base : applied
        log = RaftLog(base: base.position)
        configurations = ConfigurationHistory(base: base)
        if keepsLog {
            log.append(restored.entries)
            for entry in restored.entries where entry.kind == .configuration {
                configurations.append(RaftNode.configuration(in: entry), at: entry.index)
            }
        }
        writes = WriteTracker(durable: log.lastIndex)
        startReset = keepsLog ? nil : applied

        // The entries of a batch may survive a crash that its hard state did not: then nothing of the lost term was
        // promised by this member, and the entries show how far the term had got.
        let hardState = restored.hardState
        term = max(hardState.term, log.lastPosition.term)
        votedFor = term == hardState.term ? hardState.votedFor : nil
        isHardStateDirty = term != hardState.term
        commitIndex = max(base.position.index, applied.position.index, min(hardState.commit, log.lastIndex))
        delivered = applied.position.index
        election = ElectionState(holdOffUntil: now + timings.election)
        reads = ReadState(firstID: generator.next() >> 8)
        recovery = restored.recovery.map { RecoveryState(claimed: $0.claimed) }
        retention = Retention(durable: base.position.index)
        published = Leadership(role: .follower, term: term, leader: nil, isEstablished: false)
        if configurations.quorum.isOnly(id) {
            election.holdOffUntil = now
            election.deadline = now
        } else {
            rearmElection(at: now)
        }
    }

    // MARK: - What others may ask

    package var lastIndex: LogIndex { log.lastIndex }
    package var lastPosition: LogPosition { log.lastPosition }
    package var durableIndex: LogIndex { writes.durable }
    package var base: LogBase {
        let position = log.basePosition
        return LogBase(position: position, configuration: configurations.configuration(asOf: position.index))
    }

    /// The latest one, in force since it was appended.
    package var configuration: Configuration { configurations.latest }
    package var committedConfiguration: Configuration { configurations.configuration(asOf: commitIndex) }

    /// A leader whose own no-op is committed. Before that it does not know what is committed.
    package var isEstablishedLeader: Bool { role == .leader && commitIndex >= lead.noopIndex }
    package var isTransferring: Bool { role == .leader && lead.transfer != nil }

    /// The term at `index`; nil outside `base.position.index...lastIndex`.
    package func term(at index: LogIndex) -> Term? { log.term(at: index) }

    /// Entries after the base, both ends included.
    package func entries(from first: LogIndex, through last: LogIndex) -> [Entry] {
        log.slice(from: first, through: last)
    }

    /// What `member` holds durably as far as this leader knows; nothing counts while it is recovering. nil on others
    /// and for strangers.
    package func match(of member: MemberID) -> LogIndex? {
        guard role == .leader else { return nil }
        if member == id { return writes.durable }
        return lead.slot(of: member).map { lead.peers[$0].counted }
    }

    /// The leader's view of the other members, ascending by id; empty on others.
    package var progress: [Progress] { lead.peers }

    // MARK: - Events

    /// Takes one event.
    ///
    /// - Parameters:
    ///   - now: monotonic; never earlier than in the previous call.
    ///   - effects: appended to; see `RaftEffects`. Until it is drained, later steps may extend its last batch and
    ///     its undelivered appends.
    package mutating func step(_ event: RaftEvent, at now: Instant, into effects: inout RaftEffects) {
        writeStart(at: now, into: &effects)
        switch event {
        case .timer: timerFired(at: now, into: &effects)
        case .received(let message): receive(message, at: now, into: &effects)
        case .persisted(let batch): persisted(batch, at: now, into: &effects)
        case .linkClosed(let member): linkClosed(member, at: now, into: &effects)
        case .unreachable(let member): unreachable(member)
        case .snapshotSent(let member, let position):
            snapshotSent(to: member, position, at: now, into: &effects)
        case .snapshotFailed(let member): snapshotFailed(to: member, at: now)
        case .snapshotInstalled(let base): snapshotInstalled(base, at: now, into: &effects)
        case .stateDurable(let index): stateDurable(index, at: now, into: &effects)
        }
        finish(into: &effects)
    }

    private mutating func persisted(_ batch: BatchNumber, at now: Instant, into effects: inout RaftEffects) {
        let durable = writes.durable
        writes.confirm(batch)
        recoveryMayEnd(into: &effects)
        switch role {
        case .candidate: ownVoteMayBeDurable(at: now, into: &effects)
        case .leader:
            lead.isStallHandled = false
            if writes.durable > durable { advanceCommit(at: now, into: &effects) }
        case .follower, .preCandidate: break
        }
    }

    /// Ends every entry point: hands out what became committed and says who leads.
    mutating func finish(into effects: inout RaftEffects) {
        precondition(
            commitIndex <= log.lastIndex, "commit \(commitIndex.number) beyond the log's end \(log.lastIndex.number)")
        if commitIndex > delivered {
            effects.committed.append(contentsOf: log.slice(from: delivered.next, through: commitIndex))
            delivered = commitIndex
        }
        if role != published.role || term != published.term || leader != published.leader
            || isEstablishedLeader != published.isEstablished
        {
            published = Leadership(role: role, term: term, leader: leader, isEstablished: isEstablishedLeader)
            effects.leadership = published
        }
    }

    // Helpers on the hot path are `mutating` though they change nothing: the compiler copies the whole node to call
    // one that is not.
    mutating func send(
        _ body: Message.Body, to member: MemberID, gate: BatchNumber = .none, into effects: inout RaftEffects
    ) {
        let message = Message(from: id, to: member, term: term, body: body, isRecovering: recovery != nil)
        effects.envelopes.append(Envelope(message: message, gate: writes.pending(gate)))
    }

    static func configuration(in entry: Entry) -> Configuration {
        do throws(DecodingFailure) {
            return try ConfigurationEntry.decode(entry.payload).configuration
        } catch {
            preconditionFailure("configuration entry \(entry.index.number) let in unchecked: \(error)")
        }
    }
}
