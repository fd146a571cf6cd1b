import Primitives

/// What a member knows that lost entries it had acknowledged.
struct RecoveryState: Sendable {
    /// The last position certain to have been in the log; nil when its end is uncertain.
    var claimed: LogPosition?
    /// The question to the leader for `target`, while it is out.
    var read: ReadID?
    /// Everything committed with this member's help before the loss lies at or before this index.
    var target: LogIndex?
    /// How far the leader of `verifiedTerm` has confirmed this log.
    var verified = LogIndex.zero
    var verifiedTerm = Term.zero

    init(claimed: LogPosition?) {
        self.claimed = claimed
    }
}

// A log that lost acknowledged entries. The member follows and is brought up to date, but all it says is marked, so
// that nothing counts on it; and it votes only for those who cannot lack what it may have lost.
//
// It is as good as new once it holds, durably and verified by the leader, everything up to a read index that was asked
// after the loss: the leader sees the mark on the question and stops counting this member before it answers, so nothing
// beyond the answer was ever committed with its help.
extension RaftNode {
    /// Whether this member lost entries it had acknowledged and has not got them back.
    package var isRecovering: Bool { recovery != nil }

    // MARK: - The member

    /// Whether an election's outcome may rest on this member's word for a log that ends at `last`.
    func mayVote(forLogEndingAt last: LogPosition) -> Bool {
        guard last >= log.lastPosition else { return false }
        guard let recovery else { return true }
        guard let claimed = recovery.claimed else { return false }
        return last >= claimed
    }

    /// The vote of this term may be among what was lost: it now belongs to the leader, whom a majority did elect.
    mutating func recoverWithLeader(_ member: MemberID, at now: Instant, into effects: inout RaftEffects) {
        guard recovery != nil else { return }
        if votedFor == nil {
            votedFor = member
            writeHardState(at: now, into: &effects)
        }
        if recovery?.target == nil, recovery?.read == nil {
            let read = ReadID(reads.freshID())
            recovery?.read = read
            reads.queued.append(read)
            forwardReads(at: now, into: &effects)
        }
    }

    /// The leader of the present term confirmed the log up to `index`.
    mutating func verified(through index: LogIndex) {
        guard let known = recovery else { return }
        recovery?.verified = known.verifiedTerm == term ? max(known.verified, index) : index
        recovery?.verifiedTerm = term
    }

    /// - Returns: false when it is another's read.
    mutating func recoveryReadAnswered(_ read: ReadID, index: LogIndex) -> Bool {
        guard recovery?.read == read else { return false }
        recovery?.read = nil
        recovery?.target = index
        return true
    }

    /// - Returns: false when it is another's read.
    mutating func recoveryReadAborted(_ read: ReadID) -> Bool {
        guard recovery?.read == read else { return false }
        recovery?.read = nil
        return true
    }

    mutating func recoveryMayEnd(into effects: inout RaftEffects) {
        guard let known = recovery, let target = known.target, writes.durable >= target else { return }
        guard commitIndex >= target || (known.verifiedTerm == term && known.verified >= target) else { return }
        recovery = nil
        effects.hasRecovered = true
        effects.lostEntries = false
    }

    /// A leader never says that more is committed than we acknowledged to it: our disk has lost the rest.
    mutating func acknowledgedEntriesAreMissing(into effects: inout RaftEffects) {
        guard recovery == nil else { return }
        recovery = RecoveryState(claimed: nil)
        effects.lostEntries = true
        effects.hasRecovered = false
    }

    // MARK: - Its leader

    /// Begins anew with a peer whose mark has appeared or gone: only what it says from now on is known of its log.
    mutating func noteMark(of message: Message) {
        guard role == .leader, let slot = lead.slot(of: message.from) else { return }
        switch message.body {
        case .appendAccepted, .appendRejected, .heartbeatResponse, .readIndex: break
        default: return
        }
        guard lead.peers[slot].isRecovering != message.isRecovering else { return }
        lead.peers[slot].beginAnew(isRecovering: message.isRecovering, next: log.lastIndex.next)
    }
}
