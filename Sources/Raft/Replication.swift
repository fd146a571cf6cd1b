package import Primitives

/// What only a leader has; reset when it leaves.
struct LeaderState: Sendable {
    /// The other members, ascending by id.
    var peers: [Progress] = []
    /// The first entry of this reign. Nothing older is committed by counting.
    var noopIndex = LogIndex.zero
    var heartbeatDeadline = Instant.distantFuture
    var quorumDeadline = Instant.distantFuture
    /// Payload of entries beyond the commit index.
    var uncommittedBytes = 0
    var transfer: Transfer?
    var lease = ReadLease()
    /// A hanging disk has already caused an attempt to hand over.
    var isStallHandled = false

    /// Where `member` stands in `peers`. Found by place, not by value: a progress record is costly to copy.
    func slot(of member: MemberID) -> Int? {
        for slot in peers.indices where peers[slot].id == member { return slot }
        return nil
    }
}

// Leading: paper §5.3, §5.4.2; dissertation §10.2.1 (writing to disk in parallel) and §6.2 (check-quorum).
extension RaftNode {
    mutating func becomeLeader(at now: Instant, into effects: inout RaftEffects) {
        precondition(role == .candidate && votedFor == id, "member \(id.number) leads term \(term.number) unelected")
        role = .leader
        election.tally = []
        election.deadline = .distantFuture
        lead = LeaderState()
        leader = id
        reconcilePeers(at: now)
        lead.noopIndex = log.lastIndex.next
        lead.heartbeatDeadline = now + timings.heartbeat
        lead.quorumDeadline = now + timings.election
        for entry in log.slice(from: max(commitIndex, log.basePosition.index).next, through: log.lastIndex) {
            lead.uncommittedBytes += entry.payload.count
        }
        reads.leadWithQueued()
        let noop = Entry(index: lead.noopIndex, term: term, kind: .noop, payload: [])
        appendAndReplicate([noop], bytes: 0, at: now, into: &effects)
    }

    /// Leaves leadership; the caller sets role and term.
    mutating func resign(into effects: inout RaftEffects) {
        abortLedReads(into: &effects)
        lead = LeaderState()
    }

    /// Gives up leadership within the term.
    mutating func stepDown(at now: Instant, into effects: inout RaftEffects) {
        becomeFollower(in: term, leader: nil, at: now, into: &effects)
    }

    /// Keeps one progress record for each other member of the latest configuration.
    mutating func reconcilePeers(at now: Instant) {
        guard role == .leader else { return }
        let known = lead.peers
        lead.peers = configurations.latest.members.filter { $0 != id }.map { member in
            known.first { $0.id == member } ?? Progress(id: member, logEnd: log.lastIndex, now: now)
        }
    }

    // MARK: - Proposals

    /// Appends commands to the log and sends them on, all or none.
    ///
    /// - Returns: the index of the first one; the others follow it. With no payloads: the index the next one
    ///   would get.
    package mutating func propose(
        _ payloads: [[UInt8]], at now: Instant, into effects: inout RaftEffects
    ) -> Result<LogIndex, ProposalRefusal> {
        guard role == .leader else { return .failure(.notLeader(known: leader)) }
        guard lead.transfer == nil else { return .failure(.transferring) }
        let first = log.lastIndex.next
        guard !payloads.isEmpty else { return .success(first) }
        var bytes = 0
        for payload in payloads { bytes += payload.count }
        let isRoomLeft = lead.uncommittedBytes == 0 || lead.uncommittedBytes + bytes <= limits.uncommittedBytesMax
        guard bytes == 0 || isRoomLeft else { return .failure(.overloaded) }
        var entries: [Entry] = []
        entries.reserveCapacity(payloads.count)
        for (offset, payload) in payloads.enumerated() {
            entries.append(Entry(index: first + offset, term: term, kind: .command, payload: payload))
        }
        appendAndReplicate(entries, bytes: bytes, at: now, into: &effects)
        finish(into: &effects)
        return .success(first)
    }

    /// - Parameter bytes: payload bytes of `entries`.
    mutating func appendAndReplicate(
        _ entries: [Entry], bytes: Int, at now: Instant, into effects: inout RaftEffects
    ) {
        let first = log.lastIndex.next
        append(entries, at: now, into: &effects)
        lead.uncommittedBytes += bytes
        var shared = SharedSlice()
        if bytes <= limits.appendBytesMax { shared = SharedSlice(first: first, entries: entries, bytes: bytes) }
        for slot in lead.peers.indices {
            replicate(to: slot, evenIfEmpty: false, shared: &shared, at: now, into: &effects)
        }
    }

    // MARK: - Answers

    mutating func appendAccepted(
        by member: MemberID, match: LogIndex, readPosition: UInt64, at now: Instant, into effects: inout RaftEffects
    ) {
        // An index beyond our own log is a peer's mistake: nothing may follow from it.
        guard role == .leader, let slot = lead.slot(of: member), match <= log.lastIndex else { return }
        lead.peers[slot].heard(at: now)
        confirmReads(readPosition, by: slot, at: now, into: &effects)
        let wasProbing = lead.peers[slot].state == .probe
        let isNews = lead.peers[slot].acknowledged(match)
        lead.peers[slot].roundMayEnd(logEnd: log.lastIndex, at: now)
        guard isNews || (wasProbing && match == lead.peers[slot].match) else { return }
        switch lead.peers[slot].state {
        case .probe: lead.peers[slot].becomeReplicate()
        case .snapshot where match >= log.basePosition.index: lead.peers[slot].becomeReplicate()
        case .replicate, .snapshot: break
        }
        if !isNews || !advanceCommit(at: now, into: &effects) {
            var shared = SharedSlice()
            replicate(
                to: slot, evenIfEmpty: lead.peers[slot].canUse(commit: commitIndex), shared: &shared, at: now,
                into: &effects)
        }
        orderElectionIfReady(into: &effects)
    }

    mutating func appendRejected(
        by member: MemberID, at rejected: LogIndex, hint: LogPosition, readPosition: UInt64, now: Instant,
        into effects: inout RaftEffects
    ) {
        guard role == .leader, let slot = lead.slot(of: member) else { return }
        lead.peers[slot].heard(at: now)
        confirmReads(readPosition, by: slot, at: now, into: &effects)
        // The peer's terms at and below the hint are not above the hint's, so ours above that cannot match.
        let agreed = log.highest(atMost: hint.index, term: hint.term)
        let reachable = agreed ?? .zero
        guard lead.peers[slot].rejected(rejected, hint: reachable) else { return }
        var shared = SharedSlice()
        replicate(to: slot, evenIfEmpty: true, shared: &shared, at: now, into: &effects)
    }

    mutating func heartbeatAnswered(
        by member: MemberID, readPosition: UInt64, at now: Instant, into effects: inout RaftEffects
    ) {
        guard role == .leader, let slot = lead.slot(of: member) else { return }
        lead.peers[slot].heard(at: now)
        confirmReads(readPosition, by: slot, at: now, into: &effects)
        // A peer that answers but lags may have lost everything in flight: only a probe tells.
        let peer = lead.peers[slot]
        guard peer.match < log.lastIndex || peer.state == .probe, now >= peer.nudgeAt else { return }
        lead.peers[slot].nudgeAt = now + timings.heartbeat / 2
        lead.peers[slot].isPaused = false
        var shared = SharedSlice()
        replicate(to: slot, evenIfEmpty: true, shared: &shared, at: now, into: &effects)
    }

    /// Appends under way to this peer are lost: find out anew where it stands.
    mutating func unreachable(_ member: MemberID) {
        guard role == .leader, let slot = lead.slot(of: member), lead.peers[slot].state == .replicate else { return }
        lead.peers[slot].becomeProbe()
    }

    // MARK: - Commit

    /// Commits what a quorum holds durably, if it is of the present term; older entries follow from it. This member
    /// counts only with what its own disk confirmed.
    ///
    /// - Returns: whether the commit index moved (then everybody who can use it was told).
    @discardableResult
    mutating func advanceCommit(at now: Instant, into effects: inout RaftEffects) -> Bool {
        let durable = writes.durable
        let reached = LogIndex(
            configurations.quorum.reached { member in
                if member == id { return durable.number }
                return lead.slot(of: member).map { lead.peers[$0].counted.number }
            })
        guard reached > commitIndex, log.term(at: reached) == term else { return false }
        let wasEstablished = isEstablishedLeader
        for offset in 0..<(reached - commitIndex) {
            lead.uncommittedBytes -= log.payloadBytes(at: commitIndex.next + offset)
        }
        commitIndex = reached
        var shared = SharedSlice()
        for slot in lead.peers.indices {
            replicate(
                to: slot, evenIfEmpty: lead.peers[slot].canUse(commit: commitIndex), shared: &shared, at: now,
                into: &effects)
        }
        if !wasEstablished { startReadRound(at: now, into: &effects) }
        configurationMayBeCommitted(at: now, into: &effects)
        return true
    }

    // MARK: - Check-quorum

    /// Whether a majority answered within the last election timeout; else when that will have to be asked again.
    mutating func checkQuorum(at now: Instant, into effects: inout RaftEffects) {
        let oldest = configurations.quorum.reached { member in
            if member == id { return UInt64(clamping: now.nanoseconds) }
            guard let slot = lead.slot(of: member), !lead.peers[slot].isRecovering else { return nil }
            return UInt64(clamping: lead.peers[slot].lastContact.nanoseconds)
        }
        let deadline = Instant(nanoseconds: Int64(clamping: oldest)) + timings.election
        if deadline <= now {
            stepDown(at: now, into: &effects)
        } else {
            lead.quorumDeadline = deadline
        }
    }
}
