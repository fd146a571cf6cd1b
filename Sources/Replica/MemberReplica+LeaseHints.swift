import KVStore
import Primitives
import Raft
import RegistryModel

/// How deadlines outlive their leader without being written to the log. Before a renewal is acknowledged, a majority of
/// voters has heard of it; a new leader starts every lease at its full time and shortens it only by what a majority
/// (which overlaps with that one) says about when it last heard.
extension MemberReplica {
    private static let patience = TimeSpan.milliseconds(100)

    var hintsDeadline: Instant {
        var next = hintRounds.nextDeadline(patience: MemberReplica.patience)
        if let search = ageSearch { next = min(next, search.askedAt + MemberReplica.patience) }
        return next
    }

    private var otherVoters: [MemberID] {
        raft.configuration.voters.filter { $0 != configuration.member }
    }

    func isMajority(_ members: [MemberID]) -> Bool {
        JointQuorum(raft.configuration).outcome { members.contains($0) ? true : nil } == .won
    }

    // MARK: - Acknowledging

    /// Tells the voters of the renewals that begin their read round now.
    ///
    /// - Returns: the round they wait for; 0 when there is nothing to wait for.
    mutating func announceRenewals(_ leases: [LeaseID], into effects: inout ReplicaEffects) -> UInt64 {
        guard !leases.isEmpty, raft.role == .leader else { return 0 }
        for lease in leases { hints.hear(lease, at: moment.now) }
        let number = hintRounds.start(leases, by: configuration.member, at: moment.now)
        if isMajority([configuration.member]) {
            hintRounds.close(number)
        } else {
            for voter in otherVoters { sendHints(leases, round: number, to: voter, into: &effects) }
        }
        return number
    }

    private func sendHints(
        _ leases: [LeaseID], round: UInt64, to voter: MemberID, into effects: inout ReplicaEffects
    ) {
        effects.sends.append(
            PeerSend(to: voter, message: .leaseHints(term: raft.term, round: round, leases: leases)))
    }

    mutating func receiveHint(_ message: PeerMessage, from member: MemberID, into effects: inout ReplicaEffects) {
        switch message {
        case .leaseHints(let term, let round, let leases):
            // Of an older term: whoever leads now may have asked already, so it must not count as heard.
            guard term == raft.term, raft.role != .leader else { return }
            for lease in leases { hints.hear(lease, at: moment.now) }
            if hints.count > 2 * store.leaseCount + 2_000 { hints.prune(to: store.leases) }
            effects.sends.append(PeerSend(to: member, message: .leaseHintsHeard(term: term, round: round)))
        case .leaseHintsHeard(let term, let round):
            guard term == raft.term, raft.role == .leader, let heard = hintRounds.heard(round, by: member),
                isMajority(heard)
            else { return }
            hintRounds.close(round)
            serveWaitingRenewals(into: &effects)
        case .leaseAgesWanted(let term, let minimum, let after, let through):
            answerAges(term: term, minimum: minimum, after: after, through: through, to: member, into: &effects)
        case .leaseAges(let term, let through, let ages):
            guard term == raft.term, leaseClock.isRunning, ageSearch?.last == through else { return }
            ageSearch?.answered(by: member, ages, at: moment.now)
            advanceAgeSearch(into: &effects)
        default:
            preconditionFailure("not about lease hints")
        }
    }

    // MARK: - A new leader

    /// Begins once everything that was committed when this member took over is applied here: who votes, and which leases
    /// there are, is then known as it was.
    mutating func startAgeSearchIfApplied(into effects: inout ReplicaEffects) {
        guard let from = ageSearchFrom, leaseClock.isRunning, store.applied.index >= from else { return }
        ageSearchFrom = nil
        startAgeSearch(into: &effects)
    }

    private mutating func startAgeSearch(into effects: inout ReplicaEffects) {
        hints.prune(to: store.leases)
        let range = store.leases(after: nil, limit: LeaseAgeSearch.rangeMax)
        ageSearch = LeaseAgeSearch(minimum: store.applied.index, range: range, at: moment.now)
        guard !range.isEmpty else {
            ageSearch = nil
            return
        }
        askAges(into: &effects)
        advanceAgeSearch(into: &effects)
    }

    private mutating func askAges(into effects: inout ReplicaEffects) {
        guard let search = ageSearch, let last = search.last else { return }
        ageSearch?.asked(at: moment.now)
        for voter in otherVoters where !search.answered.contains(voter) {
            let message = PeerMessage.leaseAgesWanted(
                term: raft.term, minimum: search.minimum, after: search.after, through: last)
            effects.sends.append(PeerSend(to: voter, message: message))
        }
    }

    /// With a majority's word on the present range its leases are shortened, and the next range is asked for.
    private mutating func advanceAgeSearch(into effects: inout ReplicaEffects) {
        // Of which voters a majority is needed must be certain.
        guard let search = ageSearch, let last = search.last, !raft.isChangingConfiguration,
            isMajority(search.answered + [configuration.member])
        else { return }
        for (place, row) in search.range.enumerated() {
            let lastHeard = max(search.lastHeard(at: place), hints.lastHeard(of: row.id))
            let leastHeard = min(search.leastHeard(at: place), hints.lastHeard(of: row.id))
            leaseClock.shorten(
                row.id, to: lastHeard + .milliseconds(row.ttlMilliseconds),
                promised: leastHeard + .milliseconds(row.ttlMilliseconds))
        }
        let next = store.leases(after: last, limit: LeaseAgeSearch.rangeMax)
        guard !next.isEmpty else {
            ageSearch = nil
            serveWaitingRenewals(into: &effects)
            return
        }
        ageSearch?.proceed(to: next, at: moment.now)
        askAges(into: &effects)
        // Alone: no answer will come.
        if isMajority([configuration.member]) { advanceAgeSearch(into: &effects) }
    }

    /// Only a voter that has applied what the leader had when it took over can speak: before that, leases, voters and
    /// what it heard need not fit together.
    private func answerAges(
        term: Term, minimum: LogIndex, after: LeaseID?, through: LeaseID, to member: MemberID,
        into effects: inout ReplicaEffects
    ) {
        guard term == raft.term, store.applied.index >= minimum else { return }
        var ages: [LeaseAge] = []
        for row in store.leases(after: after, limit: 2 * LeaseAgeSearch.rangeMax) {
            guard row.id <= through else { break }
            let age = moment.now - hints.lastHeard(of: row.id)
            ages.append(LeaseAge(lease: row.id, milliseconds: max(0, age.milliseconds)))
        }
        effects.sends.append(
            PeerSend(to: member, message: .leaseAges(term: term, through: through, ages: ages)))
    }

    // MARK: - Time

    mutating func retryHints(into effects: inout ReplicaEffects) {
        guard hintsDeadline <= moment.now else { return }
        let unanswered = hintRounds.takeUnanswered(
            at: moment.now, patience: MemberReplica.patience, giveUp: configuration.requestTimeout * 2)
        for round in unanswered {
            for voter in otherVoters where !round.heardBy.contains(voter) {
                sendHints(round.leases, round: round.number, to: voter, into: &effects)
            }
        }
        if let search = ageSearch, search.askedAt + MemberReplica.patience <= moment.now {
            askAges(into: &effects)
            advanceAgeSearch(into: &effects)
        }
    }

    /// Leadership is gone: others decide about leases now.
    mutating func abandonHints() {
        hintRounds.abandon()
        ageSearch = nil
        ageSearchFrom = nil
    }

    /// A leader that did not run for a while may have unread renewals waiting: nobody's time ran meanwhile.
    mutating func graceAfterStall(at now: Instant) {
        guard leaseClock.isRunning, hasStarted else { return }
        // Since the last step at most: a deadline that has just come into force may lie anywhere in the past.
        let due = max(nextDeadline, moment.now)
        guard due < now, now - due > configuration.timings.election / 2 else { return }
        leaseClock.postpone(by: now - due)
    }
}
