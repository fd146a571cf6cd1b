package import Primitives

/// Reads on their way to an index.
struct ReadState: Sendable {
    /// Who asked.
    enum Reader: Sendable {
        case local(ReadID)
        case remote(MemberID, UInt64)
    }

    struct Round: Sendable {
        var position: UInt64
        var index: LogIndex
        var readers: [Reader]
    }

    /// One request to the leader for several local reads.
    struct Forward: Sendable {
        var id: UInt64
        var reads: [ReadID]
        var sentAt: Instant
    }

    /// Never given twice, and begun at random: an answer to an earlier life finds nobody.
    private var nextID: UInt64
    /// The newest read position; never goes back.
    var position: UInt64 = 0
    /// Leader: the round in flight, and who shares the next one.
    var round: Round?
    var waiting: [Reader] = []
    /// Follower: the request in flight, and what goes with the next one.
    var forward: Forward?
    var queued: [ReadID] = []

    init(firstID: UInt64) {
        nextID = firstID
    }

    mutating func freshID() -> UInt64 {
        nextID += 1
        return nextID
    }

    /// Reads that waited for a leader are now served by this member.
    mutating func leadWithQueued() {
        waiting = queued.map { .local($0) }
        queued = []
        round = nil
    }
}

// Linearizable reads without log writes: dissertation §6.4. Positions are ours, never the caller's.
extension RaftNode {
    /// Asks for an index at which a read is linearizable. Answered by `readsReady` or `readsAborted`, possibly at once.
    ///
    /// The leader confirms its leadership by a round of heartbeats: it starts at once when none is in flight, later
    /// arrivals share the next one. Other members ask the leader in the same manner; without a known leader the read
    /// waits for one.
    package mutating func requestRead(at now: Instant, into effects: inout RaftEffects) -> ReadID {
        let read = ReadID(reads.freshID())
        if role == .leader {
            reads.waiting.append(.local(read))
            startReadRound(at: now, into: &effects)
        } else {
            reads.queued.append(read)
            forwardReads(at: now, into: &effects)
        }
        finish(into: &effects)
        return read
    }

    // MARK: - Leader

    /// Before the no-op of the term is committed, the commit index may be behind what an earlier leader answered.
    mutating func startReadRound(at now: Instant, into effects: inout RaftEffects) {
        guard isEstablishedLeader, reads.round == nil, !reads.waiting.isEmpty else { return }
        if holdsReadLease(at: now) {
            let readers = reads.waiting
            reads.waiting = []
            answer(readers, index: commitIndex, into: &effects)
            return
        }
        reads.position += 1
        beginLeaseRound(at: now)
        reads.round = ReadState.Round(position: reads.position, index: commitIndex, readers: reads.waiting)
        reads.waiting = []
        for peer in lead.peers where configurations.latest.isVoter(peer.id) {
            sendHeartbeat(to: peer, into: &effects)
        }
        finishReadRound(at: now, into: &effects)
    }

    mutating func confirmReads(_ position: UInt64, by slot: Int, at now: Instant, into effects: inout RaftEffects) {
        guard position > lead.peers[slot].readPosition, position <= reads.position,
            !lead.peers[slot].isRecovering
        else { return }
        lead.peers[slot].readPosition = position
        extendLease()
        finishReadRound(at: now, into: &effects)
    }

    /// The newest position that a majority has confirmed. A recovering member confirms nothing.
    mutating func confirmedReadPosition() -> UInt64 {
        let newest = reads.position
        return configurations.quorum.reached { member in
            if member == id { return newest }
            guard let slot = lead.slot(of: member), !lead.peers[slot].isRecovering else { return nil }
            return lead.peers[slot].readPosition
        }
    }

    mutating func finishReadRound(at now: Instant, into effects: inout RaftEffects) {
        guard let round = reads.round, confirmedReadPosition() >= round.position else { return }
        reads.round = nil
        answer(round.readers, index: round.index, into: &effects)
        startReadRound(at: now, into: &effects)
    }

    private mutating func answer(
        _ readers: [ReadState.Reader], index: LogIndex, into effects: inout RaftEffects
    ) {
        for reader in readers {
            switch reader {
            case .local(let read): effects.readsReady.append(ReadReady(id: read, index: index))
            case .remote(let member, let read):
                send(.readIndexResponse(id: read, index: index), to: member, into: &effects)
            }
        }
    }

    mutating func readForwarded(
        by member: MemberID, _ read: UInt64, at now: Instant, into effects: inout RaftEffects
    ) {
        guard role == .leader else {
            send(.readIndexRefused(id: read), to: member, into: &effects)
            return
        }
        reads.waiting.append(.remote(member, read))
        startReadRound(at: now, into: &effects)
    }

    /// Leadership is lost: nothing pending may be answered.
    mutating func abortLedReads(into effects: inout RaftEffects) {
        for reader in (reads.round?.readers ?? []) + reads.waiting {
            switch reader {
            case .local(let read): effects.readsAborted.append(read)
            case .remote(let member, let read):
                send(.readIndexRefused(id: read), to: member, into: &effects)
            }
        }
        reads.round = nil
        reads.waiting = []
    }

    // MARK: - Follower

    /// Sends what is queued when a leader is known and no request is in flight.
    mutating func forwardReads(at now: Instant, into effects: inout RaftEffects) {
        guard let leader, leader != id, reads.forward == nil, !reads.queued.isEmpty else { return }
        let request = reads.freshID()
        reads.forward = ReadState.Forward(id: request, reads: reads.queued, sentAt: now)
        reads.queued = []
        send(.readIndex(id: request), to: leader, into: &effects)
    }

    /// A request or its answer was lost: the leader is there, so ask again, under a fresh id.
    mutating func resendForwardedRead(at now: Instant, into effects: inout RaftEffects) {
        guard let forward = reads.forward, now - forward.sentAt >= timings.heartbeat * 2 else { return }
        reads.forward = nil
        reads.queued.insert(contentsOf: forward.reads, at: 0)
        forwardReads(at: now, into: &effects)
    }

    /// An answer counts only for the request in flight, which dies with its leader and its term.
    mutating func forwardedReadAnswered(
        _ request: UInt64, index: LogIndex, from member: MemberID, at now: Instant, into effects: inout RaftEffects
    ) {
        guard let forward = reads.forward, forward.id == request, leader == member else { return }
        reads.forward = nil
        for read in forward.reads where !recoveryReadAnswered(read, index: index) {
            effects.readsReady.append(ReadReady(id: read, index: index))
        }
        recoveryMayEnd(into: &effects)
        forwardReads(at: now, into: &effects)
    }

    /// The leader of this term has resigned; a term has no second one.
    mutating func forwardedReadRefused(
        _ request: UInt64, from member: MemberID, at now: Instant, into effects: inout RaftEffects
    ) {
        guard let forward = reads.forward, forward.id == request, leader == member else { return }
        setLeader(nil, at: now, into: &effects)
    }

    mutating func abortForwardedReads(into effects: inout RaftEffects) {
        guard let forward = reads.forward else { return }
        reads.forward = nil
        for read in forward.reads where !recoveryReadAborted(read) { effects.readsAborted.append(read) }
    }
}
