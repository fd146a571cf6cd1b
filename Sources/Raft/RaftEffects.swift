package import Primitives

package enum Role: UInt8, Sendable, CaseIterable {
    case follower, preCandidate, candidate, leader
}

/// A log as it was recovered at start.
package struct RestoredLog: Sendable {
    package var base: LogBase
    /// Consecutive from `base.position.index + 1`.
    package var entries: [Entry]
    package var hardState: HardState
    /// Set when the log lost entries that may have been acknowledged, and they have not been got back since; nil
    /// for a healthy log.
    package var recovery: Recovery?

    package init(base: LogBase, entries: [Entry], hardState: HardState, recovery: Recovery? = nil) {
        self.base = base
        self.entries = entries
        self.hardState = hardState
        self.recovery = recovery
    }
}

/// What is left of the claims of a log that lost entries it had acknowledged.
package struct Recovery: Hashable, Sendable {
    /// The last position that is certain to have been in the log. nil: its end is uncertain, so nobody gets a vote.
    package var claimed: LogPosition?

    package init(claimed: LogPosition?) {
        self.claimed = claimed
    }
}

/// What the shell (through the replica) must do after a step, in this order. Appended to by steps, drained and reset
/// by the replica.
package struct RaftEffects: Sendable {
    /// Numbered, consecutive; handed to the log lane in order. A later step adds to the last one while it has not
    /// been drained, so that one drain costs one write.
    package var batches: [LogBatch] = []
    package var envelopes: [Envelope] = []
    /// Entries to apply, ascending and gap-free from one step to the next.
    package var committed: [Entry] = []
    /// Local reads that may be served once `index` is applied, in the order asked.
    package var readsReady: [ReadReady] = []
    /// Local reads that must be asked again: leadership or term changed, or the leader refused.
    package var readsAborted: [ReadID] = []
    /// Set when role, term or known leader changed during the step(s).
    package var leadership: Leadership?
    /// Peers whose log position is gone from here: send them a snapshot, then tell Raft by `snapshotSent`.
    package var snapshotsWanted: [MemberID] = []
    /// The log lane may forget everything up to this base (whole segments; the base is recorded first).
    package var compactTo: LogBase?
    /// The log has got back all it may have lost, durably: clear the durable mark of `RestoredLog.recovery`. Of this
    /// and `lostEntries` only the later one is set.
    package var hasRecovered = false
    /// A leader proved that this log lacks entries it acknowledged: mark it durably, with an uncertain end
    /// (`Recovery(claimed: nil)`). This member already behaves so.
    package var lostEntries = false

    package init() {}

    package var isEmpty: Bool {
        batches.isEmpty && envelopes.isEmpty && committed.isEmpty && readsReady.isEmpty && readsAborted.isEmpty
            && leadership == nil && snapshotsWanted.isEmpty && compactTo == nil
            && !hasRecovered && !lostEntries
    }
}

package struct Leadership: Hashable, Sendable {
    package var role: Role
    package var term: Term
    package var leader: MemberID?
    /// A leader whose own no-op is committed: it may serve reads and time leases.
    package var isEstablished: Bool

    package init(role: Role, term: Term, leader: MemberID?, isEstablished: Bool) {
        self.role = role
        self.term = term
        self.leader = leader
        self.isEstablished = isEstablished
    }
}

/// A read round asked of Raft by this member; fresh for each attempt.
package struct ReadID: Hashable, Comparable, Sendable {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package static func < (left: ReadID, right: ReadID) -> Bool { left.number < right.number }
}

package struct ReadReady: Hashable, Sendable {
    package var id: ReadID
    package var index: LogIndex

    package init(id: ReadID, index: LogIndex) {
        self.id = id
        self.index = index
    }
}

/// What happens to a member of the log. Time comes in with every event as a monotonic instant.
package enum RaftEvent: Sendable {
    /// `nextDeadline` has passed (or might have: calling early is harmless).
    case timer
    case received(Message)
    /// Every batch with this number or a lower one is durable.
    case persisted(BatchNumber)
    /// The last established link to this member was closed by its host (reset or end of stream), not silence.
    /// Comes after everything received over it, or an old heartbeat would undo it.
    case linkClosed(MemberID)
    /// Messages to this peer are being dropped.
    case unreachable(MemberID)
    /// A snapshot up to `position` reached the peer durably and is installed there.
    case snapshotSent(MemberID, LogPosition)
    /// Sending failed or the peer refused: probe again.
    case snapshotFailed(MemberID)
    /// This member's state machine now stands at `base`: a snapshot was installed durably. When the log does not
    /// contain the position, the answer is a batch that resets the stored log.
    case snapshotInstalled(LogBase)
    /// The state machine is durable up to this index; the log may forget entries up to it, less what it keeps.
    case stateDurable(LogIndex)
}

package struct RaftTimings: Hashable, Sendable {
    package var heartbeat: TimeSpan
    /// T: drawn from T up to 2T for each election.
    package var election: TimeSpan
    /// Campaign quickly when the leader's host closes its link (design: early election).
    package var earlyElection: Bool
    /// Serve reads without a round trip while a majority's promises last. Not together with early election, which
    /// breaks them; the same on all members.
    package var leaseReads: Bool
    /// How much faster or slower than true time any member's clock may run.
    package var clockErrorPermille: Int64
    /// Taken off the lease for what is not clock error: the time an event waits before it is stepped.
    package var leaseSlack: TimeSpan

    package init(
        heartbeat: TimeSpan = .milliseconds(50), election: TimeSpan = .milliseconds(500), earlyElection: Bool = true,
        leaseReads: Bool = false, clockErrorPermille: Int64 = 5, leaseSlack: TimeSpan = .milliseconds(10)
    ) {
        self.heartbeat = heartbeat
        self.election = election
        self.earlyElection = earlyElection
        self.leaseReads = leaseReads
        self.clockErrorPermille = clockErrorPermille
        self.leaseSlack = leaseSlack
    }

    /// How long after it was sent a confirmed heartbeat keeps others from being elected.
    var readLease: TimeSpan {
        election - election * (2 * clockErrorPermille) / 1_000 - leaseSlack
    }
}

package struct RaftLimits: Hashable, Sendable {
    /// Payload bytes in one append; at least one entry always goes.
    package var appendBytesMax = 512 * 1024
    /// Appends in flight to one peer.
    package var windowMessagesMax = 256
    package var windowBytesMax = 8 * 1024 * 1024
    /// Proposals beyond this much uncommitted payload are refused (one always fits an empty tail).
    package var uncommittedBytesMax = 64 * 1024 * 1024
    /// Entries kept behind the durable state so that slow followers need no snapshot.
    package var trailingEntries = 5_000
    /// But never more retained payload than this behind the durable state.
    package var trailingBytesMax = 64 * 1024 * 1024

    package init() {}
}

package enum ProposalRefusal: Error, Hashable, Sendable {
    case notLeader(known: MemberID?)
    /// Leadership is being handed over.
    case transferring
    /// Too much is uncommitted.
    case overloaded
}
