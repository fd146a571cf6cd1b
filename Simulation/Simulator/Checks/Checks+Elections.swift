import Primitives
import Raft
import Replica

// Terms, votes and roles: R1, R4, R7, R18, and the quorums that elect (R12).
extension Checks {
    /// Term, role, known leader or commit index changed.
    mutating func turned(
        _ id: MemberID, from before: Glance, to glance: Glance, _ events: [ReplicaEvent], at now: Instant
    ) throws(Violation) {
        // Made only when something is wrong: most turns are but another commit index.
        var name: String { "m\(id.number)" }
        guard glance.term >= before.term else {
            throw Violation(
                .termsAndVotes, "\(name) goes from term \(before.term.number) to \(glance.term.number)", at: now)
        }
        noteTurn(id, from: before, to: glance, events, at: now)
        if glance.role == .leader, glance.leader != id {
            throw Violation(.roles, "\(name) leads term \(glance.term.number) and knows another leader", at: now)
        }
        if let leader = glance.leader, let known = leaders[glance.term], leader != known, glance.role != .leader {
            throw Violation(
                .oneLeaderPerTerm,
                "\(name) follows m\(leader.number) in term \(glance.term.number), which m\(known.number) leads", at: now
            )
        }
        guard glance.role != before.role || glance.term != before.term else { return }
        try checkTransition(id, from: before, to: glance, at: now)
        if glance.role == .leader { try elected(id, in: glance.term, at: now) }
    }

    /// R18: who may become what.
    private func checkTransition(
        _ id: MemberID, from before: Glance, to glance: Glance, at now: Instant
    ) throws(Violation) {
        var steps: String {
            "\(before.role) of term \(before.term.number) → \(glance.role) of term \(glance.term.number)"
        }
        let isLegal =
            switch (before.role, glance.role) {
            case (_, .follower): true
            case (.leader, _): false
            case (_, .preCandidate): true
            // One term further; alone, or by order of the leader, without asking before.
            case (_, .candidate): glance.term == before.term.next
            case (.candidate, .leader): glance.term == before.term
            case (_, .leader): false
            }
        guard isLegal else { throw Violation(.roles, "m\(id.number): \(steps)", at: now) }
        guard glance.role != .follower else { return }
        let facts = facts[place(id)]
        if facts.isRecovering {
            throw Violation(.roles, "m\(id.number) has lost entries and becomes \(glance.role)", at: now)
        }
        if facts.log.latest.configuration.isVoter(id) { return }
        // Left out by a change that may not be committed: it may hold its only copy.
        let isLeftOut =
            facts.log.latest.index > before.commit && (facts.log.previous?.configuration.isVoter(id) ?? false)
        guard isLeftOut else {
            throw Violation(
                .roles,
                "m\(id.number) becomes \(glance.role) of term \(glance.term.number) and votes in none of its "
                    + "configurations", at: now)
        }
    }

    /// R1, R4, and that a majority did vote for it.
    mutating func elected(_ id: MemberID, in term: Term, at now: Instant) throws(Violation) {
        var name: String { "m\(id.number)" }
        if let other = leaders[term] {
            throw Violation(
                .oneLeaderPerTerm,
                other == id
                    ? "\(name) leads term \(term.number) twice"
                    : "\(name) and m\(other.number) lead term \(term.number)", at: now)
        }
        leaders[term] = id
        let configuration = facts[place(id)].log.latest.configuration
        let isElected = configuration.isDecided { voter in
            if voter == id {
                let own = facts[place(id)].durable.hardState
                return own.term == term && own.votedFor == id
            }
            return facts.indices.contains(place(voter)) && facts[place(voter)].votes[term] == id
        }
        guard isElected else {
            let voters = facts.indices.filter { facts[$0].votes[term] == id }.map { $0 + 1 }
            throw Violation(
                .configurations,
                "\(name) leads term \(term.number) with the votes of \(voters), voters are "
                    + "\(configuration.voters.map(\.number))", at: now)
        }
        try checkCompleteness(of: id, in: term, at: now)
        noteElection(id, in: term)
    }

    /// R4: whatever was committed in earlier terms is in the new leader's log, or in its state. What counts is when it
    /// was committed, not when it was written: votes for a term may arrive when a later leader has long committed older
    /// entries.
    private func checkCompleteness(of id: MemberID, in term: Term, at now: Instant) throws(Violation) {
        let log = facts[place(id)].log.terms
        var index = log.base.index
        while index <= committed.last {
            defer { index = index.next }
            guard index > .zero, let known = committed.term(at: index), let decided = committed.decided(at: index),
                decided < term
            else { continue }
            guard log.term(at: index) == known else {
                throw Violation(
                    .leaderCompleteness,
                    "m\(id.number) leads term \(term.number) without entry \(index.number) of term \(known.number)",
                    at: now)
            }
        }
    }

    /// R7, on the order to write: the record of term and vote moves forward only, and the vote is given to a log that is
    /// as good as the voter's.
    mutating func ordered(_ hardState: HardState, by id: MemberID, at now: Instant) throws(Violation) {
        let place = place(id)
        let known = facts[place].hardState
        var name: String { "m\(id.number)" }
        guard hardState.term >= known.term else {
            throw Violation(
                .termsAndVotes, "\(name) writes term \(hardState.term.number) after \(known.term.number)", at: now)
        }
        if hardState.term == known.term, let vote = known.votedFor, hardState.votedFor != vote {
            throw Violation(
                .termsAndVotes,
                "\(name) writes another vote in term \(hardState.term.number) than the one for m\(vote.number)",
                at: now)
        }
        facts[place].hardState = hardState
        guard let candidate = hardState.votedFor, candidate != id, !facts[place].isRecovering,
            hardState.term != known.term || known.votedFor == nil,
            let claim = claims[hardState.term]?.first(where: { $0.candidate == candidate })
        else { return }
        let last = facts[place].log.terms.lastPosition
        guard claim.last >= last else {
            throw Violation(
                .leaderCompleteness,
                "\(name) votes in term \(hardState.term.number) for m\(candidate.number), whose log ends at "
                    + "\(claim.last.index.number) of term \(claim.last.term.number), its own at \(last.index.number) of "
                    + "term \(last.term.number)", at: now)
        }
    }

    /// R7: one vote a term, for ever.
    mutating func voted(
        _ id: MemberID, for candidate: MemberID, in term: Term, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        if let other = facts[place].votes[term], other != candidate {
            throw Violation(
                .termsAndVotes,
                "m\(id.number) votes for m\(candidate.number) and m\(other.number) in term \(term.number)", at: now)
        }
        facts[place].votes[term] = candidate
        facts[place].promisedTerm = max(facts[place].promisedTerm, term)
    }

    /// R18: a member that lost entries votes only for a candidate that cannot lack them.
    func checkDamagedVote(
        by id: MemberID, for candidate: MemberID, in term: Term, at now: Instant
    ) throws(Violation) {
        let facts = facts[place(id)]
        guard facts.isRecovering, let claim = claims[term]?.first(where: { $0.candidate == candidate }) else { return }
        guard let claimed = facts.claimed, claim.last >= claimed else {
            throw Violation(
                .roles,
                "m\(id.number) has lost entries and votes in term \(term.number) for m\(candidate.number), whose log ends "
                    + "at \(claim.last.index.number)", at: now)
        }
    }
}
