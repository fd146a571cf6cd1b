import Primitives

/// What elections need to remember between steps.
struct ElectionState: Sendable {
    /// When this member campaigns unless it hears a leader first.
    var deadline = Instant.distantFuture
    /// The timeout drawn at the last change of role or term, T up to 2 T.
    var timeout = TimeSpan.zero
    /// No votes before: an earlier life may have promised its leader one election timeout.
    var holdOffUntil: Instant
    /// Last word of the present leader.
    var leaderContact = Instant.zero
    /// Votes or pre-votes of the present round, in order of arrival.
    var tally: [Ballot] = []
    /// The candidate's own vote counts once this is durable.
    var ownVoteGate = BatchNumber.none
    /// When, and in which leader's term, a closed link was last taken as a sign.
    var earlyAt: Instant?
    var earlyTerm = Term.zero
    /// Until here a lost round is tried again soon.
    var earlyUntil = Instant.zero

    struct Ballot: Sendable {
        var voter: MemberID
        var granted: Bool
    }

    init(holdOffUntil: Instant) {
        self.holdOffUntil = holdOffUntil
    }

    func vote(of member: MemberID) -> Bool? {
        tally.first { $0.voter == member }?.granted
    }

    mutating func count(_ granted: Bool, of voter: MemberID) {
        if vote(of: voter) == nil { tally.append(Ballot(voter: voter, granted: granted)) }
    }
}

/// How fast an election goes when the leader's end was seen rather than suspected.
enum EarlyElection {
    /// Between one voter's campaign and the next one's; enough for two rounds and two writes.
    static let rankStep = TimeSpan.milliseconds(15)
    static let jitterMax = TimeSpan.milliseconds(5)
    static let retryMin = TimeSpan.milliseconds(20)
    static let retryMax = TimeSpan.milliseconds(100)
}

// Paper §5.2 and §5.4.1, dissertation §9.6 (pre-vote) and §4.2.3 (recency).
extension RaftNode {
    /// Voters campaign; learners and members outside their own configuration never do. Neither does a member whose
    /// disk hangs, since its requests could not leave, nor one that lost entries.
    func mayCampaign(at now: Instant) -> Bool {
        isElectable && recovery == nil && !isDiskStalled(at: now)
    }

    /// Whether a live leader is near enough to protect: then nobody gets our vote, and not even its term is taken.
    func isInRecencyWindow(at now: Instant) -> Bool {
        if isPromised(at: now) { return true }
        switch role {
        case .leader: return true
        case .follower:
            return now < election.holdOffUntil
                || (leader != nil && now < election.leaderContact + timings.election)
        case .preCandidate, .candidate: return now < election.holdOffUntil
        }
    }

    // MARK: - Timers

    /// Draws a new timeout and begins to wait.
    mutating func rearmElection(at now: Instant) {
        let shortest = timings.election
        let longest = TimeSpan(nanoseconds: max(shortest.nanoseconds, 2 * shortest.nanoseconds - 1))
        election.timeout = generator.span(shortest, longest)
        election.deadline = now + election.timeout
    }

    /// As `rearmElection`, but soon when the leader's end was seen.
    mutating func rearmRound(at now: Instant) {
        rearmElection(at: now)
        if now < election.earlyUntil {
            election.deadline = now + generator.span(EarlyElection.retryMin, EarlyElection.retryMax)
        }
    }

    mutating func electionTimeout(at now: Instant, into effects: inout RaftEffects) {
        if mayCampaign(at: now) {
            becomePreCandidate(at: now, into: &effects)
        } else {
            // Reads wait for the next leader rather than for one that has fallen silent.
            setLeader(nil, at: now, into: &effects)
            rearmElection(at: now)
        }
    }

    // MARK: - Roles

    mutating func becomeFollower(
        in newTerm: Term, leader newLeader: MemberID?, at now: Instant, into effects: inout RaftEffects
    ) {
        precondition(newTerm >= term, "term \(newTerm.number) after \(term.number)")
        let (wasLeader, wasWaiting) = (role == .leader, role == .follower || role == .preCandidate)
        if newTerm > term {
            abortForwardedReads(into: &effects)
            term = newTerm
            votedFor = nil
            writeHardState(at: now, into: &effects)
        }
        role = .follower
        election.tally = []
        if wasLeader { resign(into: &effects) }
        if newLeader != nil { election.leaderContact = now }
        setLeader(newLeader, at: now, into: &effects)
        // A higher term alone is no reason to wait longer (paper §5.2): a candidate that cannot win, but tries again and
        // again, would keep the one that can from ever trying. Whoever grants a vote begins to wait then.
        if newLeader != nil || !wasWaiting { rearmElection(at: now) }
    }

    /// Asks whether an election could be won before disturbing anybody: term and vote stay, but the leader and the
    /// last round's answers are forgotten.
    private mutating func becomePreCandidate(at now: Instant, into effects: inout RaftEffects) {
        role = .preCandidate
        setLeader(nil, at: now, into: &effects)
        election.tally = []
        election.count(true, of: id)
        rearmRound(at: now)
        guard configurations.quorum.outcome(of: election.vote) != .won else {
            becomeCandidate(transfer: false, at: now, into: &effects)
            return
        }
        for voter in configurations.latest.voters where voter != id {
            let message = Message(from: id, to: voter, term: term.next, body: .preVote(last: log.lastPosition))
            effects.envelopes.append(Envelope(message: message, gate: .none))
        }
    }

    /// Starts a term. Requests leave, and the own vote counts, only when term, vote and the log they claim are
    /// durable: a candidate that forgot them could lead the same term twice.
    private mutating func becomeCandidate(transfer: Bool, at now: Instant, into effects: inout RaftEffects) {
        abortForwardedReads(into: &effects)
        term = term.next
        votedFor = id
        role = .candidate
        setLeader(nil, at: now, into: &effects)
        writeHardState(at: now, into: &effects)
        election.tally = []
        election.ownVoteGate = gate(for: log.lastIndex)
        rearmRound(at: now)
        for voter in configurations.latest.voters where voter != id {
            send(
                .requestVote(last: log.lastPosition, transfer: transfer), to: voter, gate: election.ownVoteGate,
                into: &effects)
        }
    }

    /// The leader, or nil when it is no longer known. In-flight forwarded reads die with the one they were sent to.
    mutating func setLeader(_ new: MemberID?, at now: Instant, into effects: inout RaftEffects) {
        if leader != new {
            abortForwardedReads(into: &effects)
            leader = new
        }
        if new != nil { forwardReads(at: now, into: &effects) }
    }

    // MARK: - Being asked

    mutating func answerPreVote(_ message: Message, last: LogPosition, into effects: inout RaftEffects) {
        guard message.term > term, mayVote(forLogEndingAt: last) else {
            send(.preVoteResponse(granted: false), to: message.from, into: &effects)
            return
        }
        let answer = Message(from: id, to: message.from, term: message.term, body: .preVoteResponse(granted: true))
        effects.envelopes.append(Envelope(message: answer, gate: .none))
    }

    /// Learners and strangers are answered like anybody: our configuration may be the stale one.
    mutating func answerVote(
        _ candidate: MemberID, last: LogPosition, transfer: Bool, at now: Instant, into effects: inout RaftEffects
    ) {
        let isFree = (votedFor == nil || votedFor == candidate) && leader == nil && (transfer || !isPromised(at: now))
        guard isFree, mayVote(forLogEndingAt: last) else {
            send(.voteResponse(granted: false), to: candidate, into: &effects)
            return
        }
        if votedFor == nil {
            votedFor = candidate
            writeHardState(at: now, into: &effects)
            // A pre-candidate that voted must not go on to depose the one it voted for.
            role = .follower
            election.tally = []
            rearmElection(at: now)
        }
        send(.voteResponse(granted: true), to: candidate, gate: hardStateBatch, into: &effects)
    }

    // MARK: - Being answered

    mutating func preVoteAnswered(
        by voter: MemberID, granted: Bool, in answered: Term, at now: Instant, into effects: inout RaftEffects
    ) {
        guard role == .preCandidate, answered == (granted ? term.next : term) else { return }
        election.count(granted, of: voter)
        switch configurations.quorum.outcome(of: election.vote) {
        case .won: becomeCandidate(transfer: false, at: now, into: &effects)
        case .lost: roundLost(at: now, into: &effects)
        case .pending: break
        }
    }

    mutating func voteAnswered(
        by voter: MemberID, granted: Bool, at now: Instant, into effects: inout RaftEffects
    ) {
        guard role == .candidate else { return }
        election.count(granted, of: voter)
        switch configurations.quorum.outcome(of: election.vote) {
        case .won: becomeLeader(at: now, into: &effects)
        case .lost: roundLost(at: now, into: &effects)
        case .pending:
            // Votes are split and others silent, but a majority has agreed that the leader is gone: no need to wait as
            // if it might not be. Long enough for votes that still wait for their disks.
            guard !granted else { return }
            let retry = now + generator.span(timings.election / 5, timings.election / 2)
            election.deadline = min(election.deadline, retry)
        }
    }

    mutating func ownVoteMayBeDurable(at now: Instant, into effects: inout RaftEffects) {
        guard election.vote(of: id) == nil, writes.confirmed >= election.ownVoteGate else { return }
        rearmRound(at: now)
        voteAnswered(by: id, granted: true, at: now, into: &effects)
    }

    private mutating func roundLost(at now: Instant, into effects: inout RaftEffects) {
        becomeFollower(in: term, leader: nil, at: now, into: &effects)
        rearmRound(at: now)
    }

    /// The leader orders an election: no pre-vote, and voters ignore how recently they heard it.
    mutating func campaignNow(orderedBy member: MemberID, at now: Instant, into effects: inout RaftEffects) {
        guard role == .follower, leader == member, mayCampaign(at: now) else { return }
        becomeCandidate(transfer: true, at: now, into: &effects)
    }

    // MARK: - Early election

    /// The host closed the link: its process ended, or it no longer wants us. Taken as the leader's death, of one
    /// leader at most once per election timeout, so that a link that keeps breaking stirs up no storm; the others'
    /// recency windows decide whether that was right.
    mutating func linkClosed(_ member: MemberID, at now: Instant, into effects: inout RaftEffects) {
        unreachable(member)
        guard timings.earlyElection, role == .follower, leader == member else { return }
        if let last = election.earlyAt, election.earlyTerm == term, now - last < timings.election { return }
        election.earlyAt = now
        election.earlyTerm = term
        election.holdOffUntil = now
        election.leaderContact = now - timings.election
        guard isElectable else { return }
        let rank = configurations.latest.voters.filter { $0 != member && $0 < id }.count
        let wait = EarlyElection.rankStep * Int64(rank) + generator.span(.zero, EarlyElection.jitterMax)
        election.deadline = min(election.deadline, now + wait)
        election.earlyUntil = now + timings.election
    }
}
