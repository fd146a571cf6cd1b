import KVStore
import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica
import Storage

// Where situations of `Sometimes` are recognised: from what members are told, order and send.
extension Checks {
    // MARK: Elections

    mutating func noteTurn(
        _ id: MemberID, from before: Glance, to glance: Glance, _ events: [ReplicaEvent], at now: Instant
    ) {
        if before.role == .candidate, glance.role != .leader { coverage.hit(.electionLost) }
        if glance.role == .candidate, before.term < glance.term, glance.term.number > 1 {
            let earlier = Term(glance.term.number - 1)
            coverage.hit(.voteSplit, if: leaders[earlier] == nil && (claims[earlier]?.count ?? 0) > 1)
        }
        guard before.role == .leader, glance.role == .follower, before.term == glance.term else { return }
        let isStalled = facts[place(id)].writesSince.map { now - $0 >= options.election } ?? false
        if isStalled {
            coverage.hit(.hungDiskResigned)
        } else if events.isEmpty {
            coverage.hit(.checkQuorumSteppedDown)
        }
    }

    mutating func noteElection(_ id: MemberID, in term: Term) {
        coverage.hit(.electionWon)
        if term.number > 1, transferOrders[Term(term.number - 1)] == id { coverage.hit(.transferCompleted) }
        let next = committed.last.next
        guard let old = facts[place(id)].log.terms.term(at: next), old < term else { return }
        let position = LogPosition(index: next, term: old)
        coverage.hit(
            .oldEntryOnMajority, if: facts[place(id)].log.latest.configuration.isDecided { holds($0, position) })
    }

    mutating func noteVote(by id: MemberID) {
        coverage.hit(.voteByNonVoter, if: !facts[place(id)].log.latest.configuration.isVoter(id))
    }

    // MARK: Log

    mutating func noteBatch(_ batch: LogBatch, by id: MemberID, at now: Instant) {
        let place = place(id)
        if facts[place].writesSince == nil { facts[place].writesSince = now }
        facts[place].lastBatch = batch.number
        if let from = batch.truncateFrom {
            let log = facts[place].log.terms
            coverage.hit(.conflictTruncatedSeveral, if: log.last - from > 0)
            if let term = log.term(at: from) {
                let position = LogPosition(index: from, term: term)
                coverage.hit(.durableEntryOverwritten, if: facts[place].durable.has(position))
            }
        }
        guard let last = batch.entries.last, facts[place].glance.role == .leader,
            transferOrders[last.term] != nil, last.kind == .command
        else { return }
        // It had stopped taking proposals, and takes them again.
        coverage.hit(.transferAborted)
    }

    mutating func noteCommit(by id: MemberID, from known: LogIndex, through commit: LogIndex, in term: Term) {
        let facts = facts[place(id)]
        if let first = facts.log.terms.term(at: known.next), first < term { coverage.hit(.olderTermsCommitted) }
        coverage.hit(
            .committedWithoutOwnDisk, if: !facts.durable.has(LogPosition(index: commit, term: term)))
    }

    mutating func notePeer(_ peer: Progress, of id: MemberID) {
        let place = place(id)
        if let known = facts[place].outOfReach.firstIndex(of: peer.id) {
            if peer.state == .probe, peer.isPaused { coverage.hit(.probedAfterUnreachable) }
            if peer.state == .replicate { facts[place].outOfReach.remove(at: known) }
        }
        let isFull = peer.window.count >= options.windowMessagesMax || peer.window.bytes >= options.windowBytesMax
        if isFull, !facts[place].fullWindows.contains(peer.id) {
            facts[place].fullWindows.append(peer.id)
        } else if !isFull, peer.window.count == 0, facts[place].fullWindows.contains(peer.id) {
            coverage.hit(.windowRecovered)
            facts[place].fullWindows.removeAll { $0 == peer.id }
        }
    }

    mutating func noteConfiguration(_ next: Configuration, by id: MemberID) {
        guard let before = committed.configurations.last?.configuration else { return }
        coverage.hit(.jointEntered, if: next.isJoint)
        coverage.hit(.jointLeft, if: before.isJoint && !next.isJoint)
        coverage.hit(.leaderRemovedItself, if: !next.isVoter(id) && before.isVoter(id))
        for member in before.learners where next.isVoter(member) { coverage.hit(.learnerPromoted) }
    }

    // MARK: Messages

    mutating func noteMessage(
        _ message: PeerMessage, from sender: MemberID, to id: MemberID, _ before: Glance, _ effects: ReplicaEffects
    ) {
        switch message {
        case .raft(let raft): noteMessage(raft, to: id, before, effects)
        case .forwardRefused(_, _, overloaded: false): coverage.hit(.forwardRefused)
        case .snapshotChunk(let identity, let offset, _):
            let isOld = identity.position.index <= facts[place(id)].applied.index
            coverage.hit(isOld ? .snapshotRefusedAsOld : .snapshotReceived)
            if !isOld, offset > 0 { coverage.hit(.snapshotContinued) }
        default: break
        }
    }

    private mutating func noteMessage(
        _ message: Message, to id: MemberID, _ before: Glance, _ effects: ReplicaEffects
    ) {
        let log = facts[place(id)].log
        switch message.body {
        case .preVote(let last):
            noteCaller(message.from, of: log)
            // Whoever is outside the window answers, if only with a refusal.
            let isAnswered = effects.sends.contains { $0.to == message.from && $0.message.isPreVoteAnswer }
            coverage.hit(
                .preVoteRefusedByRecency,
                if: !isAnswered && message.term > before.term && last >= log.terms.lastPosition)
        case .requestVote(let last, _):
            noteCaller(message.from, of: log)
            coverage.hit(
                .voteRefusedForLog,
                if: last < log.terms.lastPosition
                    && effects.sends.contains { $0.to == message.from && $0.message.isVoteRefusal })
        case .append(let previous, let entries, _, _):
            if message.term < before.term {
                coverage.hit(.staleAppend)
            } else if let last = entries.last, message.term == before.term {
                coverage.hit(.duplicateAppend, if: log.terms.contains(last.position) && log.terms.contains(previous))
            }
        case .appendRejected(let rejected, let hint, _):
            guard before.role == .leader, message.term == before.term else { return }
            noteSkip(from: rejected, to: hint, in: log.terms)
        default: break
        }
    }

    /// The leader takes up where the hint's term began in its own log: entries of several terms are not tried one by one.
    private mutating func noteSkip(from rejected: LogIndex, to hint: LogPosition, in log: TermLog) {
        guard rejected > log.base.index, let highest = log.term(at: rejected) else { return }
        var index = min(hint.index, rejected.previous)
        while index > log.base.index, let term = log.term(at: index), term > hint.term { index = index.previous }
        guard index.next < rejected, let lowest = log.term(at: index.next) else { return }
        coverage.hit(.hintSkippedTerms, if: lowest != highest)
    }

    private mutating func noteCaller(_ caller: MemberID, of log: OrderedLog) {
        coverage.hit(.outsiderCampaigned, if: !log.latest.configuration.members.contains(caller))
    }

    mutating func noteInstall(at position: LogPosition, by id: MemberID, _ effects: ReplicaEffects) {
        coverage.hit(.snapshotInstalled)
        let log = facts[place(id)].log.terms
        guard let own = log.term(at: position.index) else { return }
        coverage.hit(.snapshotMetConflictingLog, if: own != position.term)
        coverage.hit(.snapshotKeptLog, if: own == position.term && log.last > position.index)
    }

    // MARK: States

    mutating func noteState(_ batch: StateBatch, by id: MemberID) {
        noteLeases(batch)
        for change in batch.changes {
            switch change {
            case .alarm(let alarm) where alarm.kind == .noSpace:
                coverage.hit(alarm.isRaised ? .noSpaceRaised : .noSpaceCleared)
            default: break
            }
        }
    }

    /// What the snapshot lane made of a chunk: it may have more of the snapshot than the sender knew, or have begun anew.
    mutating func noteStored(
        _ identity: SnapshotIdentity, _ chunk: (offset: Int64, end: Int64), next: Int64, from sender: MemberID,
        by id: MemberID
    ) {
        let place = place(id)
        let isKnown = facts[place].incoming.map { $0.identity == identity } ?? false
        if let earlier = facts[place].incoming, earlier.identity != identity, earlier.next < earlier.identity.bytes {
            coverage.hit(.snapshotReplaced)
        }
        if chunk.offset == 0, next > chunk.end {
            coverage.hit(.snapshotResumed)
            coverage.hit(.snapshotResumedByAnother, if: isKnown && facts[place].incoming?.sender != sender)
        }
        facts[place].incoming = IncomingSnapshot(identity: identity, sender: sender, next: next)
    }

    // MARK: Starts

    mutating func noteRecovery(_ recovered: RecoveredLog, state: LogPosition, by id: MemberID) {
        let report = recovered.report
        coverage.hit(.rewrittenTailFoundAgain, if: facts[place(id)].hasRewrittenTail)
        facts[place(id)].hasRewrittenTail = report.rewrittenRecords > 0
        coverage.hit(.tornTailDropped, if: report.tornRecords > 0)
        coverage.hit(.tailRewritten, if: report.rewrittenRecords > 0)
        coverage.hit(.headerMadeGood, if: report.damagedHeaders > 0)
        coverage.hit(.entriesLost, if: !report.faults.isEmpty)
        coverage.hit(.headUncertain, if: recovered.log.recovery.map { $0.claimed == nil } ?? false)
        // The log that is handed over begins behind such a state: what it held is known from what was written.
        let written = facts[place(id)].durable.log.last
        coverage.hit(.stateAheadOfLog, if: written > .zero && state.index > written && recovered.log.recovery == nil)
    }
}

extension PeerMessage {
    fileprivate var isPreVoteAnswer: Bool {
        guard case .raft(let message) = self, case .preVoteResponse = message.body else { return false }
        return true
    }

    fileprivate var isVoteRefusal: Bool {
        guard case .raft(let message) = self, case .voteResponse(false) = message.body else { return false }
        return true
    }
}
