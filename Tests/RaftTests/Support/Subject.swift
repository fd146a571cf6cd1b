import Primitives
import Raft

/// One member under test: events in by hand, effects out drained.
final class Subject {
    var node: RaftNode
    var now = Instant(nanoseconds: 1_000_000_000)
    /// Every batch handed out so far.
    var batches: [LogBatch] = []
    private var firings = 0

    init(
        id: UInt64 = 1, voters: [UInt64] = [1, 2, 3], learners: [UInt64] = [], log: [Entry] = [],
        hardState: HardState = HardState(), base: LogPosition = .zero, applied: LogPosition? = nil,
        limits: RaftLimits = RaftLimits(), timings: RaftTimings = RaftTimings(), seed: UInt64 = 7,
        recovery: Recovery? = nil
    ) {
        let configuration = Configuration(
            voters: voters.map { MemberID($0) }, learners: learners.map { MemberID($0) })
        let start = LogBase(position: base, configuration: configuration)
        node = RaftNode(
            id: MemberID(id),
            restored: RestoredLog(base: start, entries: log, hardState: hardState, recovery: recovery),
            applied: LogBase(position: applied ?? base, configuration: configuration), timings: timings,
            limits: limits, seed: seed, now: now)
    }

    /// Takes the event and returns all it caused.
    func step(_ event: RaftEvent) -> RaftEffects {
        var effects = RaftEffects()
        node.step(event, at: now, into: &effects)
        batches += effects.batches
        return effects
    }

    @discardableResult
    func receive(
        from sender: UInt64, term: UInt64, _ body: Message.Body, isRecovering: Bool = false
    ) -> RaftEffects {
        step(
            .received(
                Message(
                    from: MemberID(sender), to: node.id, term: Term(term), body: body, isRecovering: isRecovering)))
    }

    /// Proposes a change and keeps what it caused.
    func change(
        _ operations: MembershipOperation..., context: [UInt8] = []
    ) -> (result: Result<LogIndex, ConfigurationRefusal>, effects: RaftEffects) {
        var effects = RaftEffects()
        let result = node.proposeConfiguration(operations, context: context, at: now, into: &effects)
        batches += effects.batches
        return (result, effects)
    }

    @discardableResult
    func propose(_ texts: String...) -> RaftEffects {
        var effects = RaftEffects()
        guard case .success = node.propose(texts.map { Array($0.utf8) }, at: now, into: &effects) else {
            return effects
        }
        batches += effects.batches
        return effects
    }

    func read() -> (ReadID, RaftEffects) {
        var effects = RaftEffects()
        let read = node.requestRead(at: now, into: &effects)
        return (read, effects)
    }

    func transfer(to target: UInt64?) -> (isStarted: Bool, effects: RaftEffects) {
        var effects = RaftEffects()
        let isStarted = node.transferLeadership(to: target.map { MemberID($0) }, at: now, into: &effects)
        return (isStarted, effects)
    }

    /// All writes handed out so far become durable.
    @discardableResult
    func persist() -> RaftEffects {
        guard let last = batches.last else { return RaftEffects() }
        return step(.persisted(last.number))
    }

    func advance(_ span: TimeSpan) {
        now = now + span
    }

    /// Moves to the next deadline and fires it.
    @discardableResult
    func fireDeadline() -> RaftEffects {
        firings += 1
        precondition(firings < 10_000, "the deadline never moves")
        now = max(now, node.nextDeadline)
        return step(.timer)
    }

    /// Campaigns and wins with the given voters' help. The own writes become durable, earlier ones first.
    ///
    /// - Returns: what winning caused.
    @discardableResult
    func becomeLeader(helpedBy voters: [UInt64] = [2]) -> RaftEffects {
        persist()
        fireDeadline()
        for voter in voters where node.role == .preCandidate {
            receive(from: voter, term: node.term.number + 1, .preVoteResponse(granted: true))
        }
        precondition(node.role == .candidate, "no pre-vote won, \(node.role)")
        var effects = persist()
        for voter in voters where node.role == .candidate {
            effects = receive(from: voter, term: node.term.number, .voteResponse(granted: true))
        }
        precondition(node.role == .leader, "no election won")
        return effects
    }

    /// Becomes a leader whose no-op is committed and whose peers are all in step with it.
    func becomeEstablishedLeader(peers: [UInt64] = [2, 3]) {
        becomeLeader(helpedBy: peers)
        persist()
        for peer in peers { accept(from: peer) }
        precondition(node.isEstablishedLeader, "not established")
    }

    /// `peer` acknowledges everything, or up to `match`.
    @discardableResult
    func accept(
        from peer: UInt64, match: UInt64? = nil, readPosition: UInt64 = 0, isRecovering: Bool = false
    ) -> RaftEffects {
        receive(
            from: peer, term: node.term.number,
            .appendAccepted(match: LogIndex(match ?? node.lastIndex.number), readPosition: readPosition),
            isRecovering: isRecovering)
    }

    /// A leader of `term` makes itself known.
    @discardableResult
    func hearLeader(_ leader: UInt64, term: UInt64, commit: UInt64 = 0) -> RaftEffects {
        receive(from: leader, term: term, .heartbeat(commit: LogIndex(commit), readPosition: 0))
    }
}
