import Primitives

/// An append as its receiver sees it.
struct AppendRequest {
    var leader: MemberID
    var previous: LogPosition
    /// Consecutive after `previous`.
    var entries: [Entry]
    var commit: LogIndex
    var readPosition: UInt64

    /// The last entry that agrees with the leader's log once this is stored.
    var verified: LogIndex { previous.index + entries.count }
}

// Following a leader: paper §5.3 and figure 2 (AppendEntries, receiver).
extension RaftNode {
    /// A message only the leader of the present term sends.
    mutating func heardLeader(_ member: MemberID, at now: Instant, into effects: inout RaftEffects) {
        precondition(
            role != .leader && (leader == nil || leader == member),
            "two leaders in term \(term.number): \(member.number) and \(leader?.number ?? id.number)")
        if role != .follower { becomeFollower(in: term, leader: member, at: now, into: &effects) }
        election.leaderContact = now
        election.deadline = now + election.timeout
        setLeader(member, at: now, into: &effects)
        recoverWithLeader(member, at: now, into: &effects)
    }

    mutating func followAppend(_ request: AppendRequest, at now: Instant, into effects: inout RaftEffects) {
        guard request.verified > commitIndex || request.previous.index >= commitIndex else {
            // Old news: every later leader holds what is committed.
            recoveryMayEnd(into: &effects)
            acceptAppend(through: commitIndex, request, into: &effects)
            return
        }
        let skipped = max(0, commitIndex - request.previous.index)
        guard skipped > 0 || log.contains(request.previous) else {
            rejectAppend(request, into: &effects)
            return
        }
        checkCommitted(request, count: skipped)
        store(request.entries, from: skipped, at: now, into: &effects)
        commitIndex = max(commitIndex, min(request.commit, request.verified))
        verified(through: request.verified)
        recoveryMayEnd(into: &effects)
        acceptAppend(through: request.verified, request, into: &effects)
    }

    /// What is committed here must be in the leader's log as it is in ours.
    private mutating func checkCommitted(_ request: AppendRequest, count: Int) {
        for entry in request.entries.prefix(count) {
            guard let own = log.term(at: entry.index) else { continue }
            precondition(
                own == entry.term,
                "member \(id.number), term \(term.number): committed entry \(entry.index.number) has term \(own.number), "
                    + "leader \(request.leader.number) says \(entry.term.number)")
        }
    }

    /// Stores what is missing. Nothing is cut because a message is shorter than the log: it may be old, or overtaken
    /// by a later one; only a different term at the same index proves that the rest is wrong.
    private mutating func store(_ entries: [Entry], from start: Int, at now: Instant, into effects: inout RaftEffects) {
        var offset = start
        while offset < entries.count, log.contains(entries[offset].position) { offset += 1 }
        guard offset < entries.count else { return }
        if entries[offset].index <= log.lastIndex { truncate(from: entries[offset].index, at: now, into: &effects) }
        append(offset == 0 ? entries : Array(entries[offset...]), at: now, into: &effects)
    }

    /// Leaves once the log up to `match` and the term are durable.
    private mutating func acceptAppend(
        through match: LogIndex, _ request: AppendRequest, into effects: inout RaftEffects
    ) {
        let gate = gate(for: match)
        if let last = effects.envelopes.last, last.gate == gate, last.message.to == request.leader,
            last.message.term == term, case .appendAccepted(let earlier, let position) = last.message.body
        {
            effects.envelopes[effects.envelopes.count - 1].message.body = .appendAccepted(
                match: max(earlier, match), readPosition: max(position, request.readPosition))
            return
        }
        send(
            .appendAccepted(match: match, readPosition: request.readPosition), to: request.leader, gate: gate,
            into: &effects)
    }

    /// Names the highest entry of ours that may be in the leader's log: no term of the leader's at or before
    /// `previous` is above its term there.
    private mutating func rejectAppend(_ request: AppendRequest, into effects: inout RaftEffects) {
        let hint = log.highest(atMost: request.previous.index, term: request.previous.term) ?? commitIndex
        let position = LogPosition(index: hint, term: log.term(at: hint) ?? .zero)
        send(
            .appendRejected(
                rejected: request.previous.index, hint: position, readPosition: request.readPosition),
            to: request.leader, into: &effects)
    }

    mutating func followHeartbeat(
        _ member: MemberID, commit: LogIndex, readPosition: UInt64, at now: Instant, into effects: inout RaftEffects
    ) {
        // The leader says at most what we acknowledged in its term. Beyond our end, nothing follows about those entries
        // we have.
        if commit <= log.lastIndex {
            commitIndex = max(commitIndex, commit)
            recoveryMayEnd(into: &effects)
        } else {
            acknowledgedEntriesAreMissing(into: &effects)
            recoverWithLeader(member, at: now, into: &effects)
        }
        resendForwardedRead(at: now, into: &effects)
        send(.heartbeatResponse(readPosition: readPosition), to: member, into: &effects)
    }
}
