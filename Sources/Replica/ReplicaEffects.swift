package import KVStore
package import Primitives
package import Raft
package import RegistryModel

/// A message to a member and the write batch that must be durable before it leaves.
package struct PeerSend: Sendable {
    package var to: MemberID
    package var message: PeerMessage
    package var gate: BatchNumber

    package init(to: MemberID, message: PeerMessage, gate: BatchNumber = .none) {
        self.to = to
        self.message = message
        self.gate = gate
    }
}

/// The members as the applied state has them.
package struct PeerList: Hashable, Sendable {
    /// In id order, this member included.
    package var members: [MemberDescription]
    /// Ids that are never to be let in again, ascending.
    package var removed: [MemberID]

    package init(members: [MemberDescription], removed: [MemberID]) {
        self.members = members
        self.removed = removed
    }
}

/// A read that may take long: done beside the core, answered by `readFinished`.
package struct ReadJob: Sendable {
    package enum Work: Sendable {
        /// On an O(1) copy of the tree; no disk.
        case rangeInMemory(StoreReader, RangeRequest)
        case txnInMemory(StoreReader, TxnRequest)
        /// In the state store, once it contains `minimum`.
        case rangeInHistory(RangeRequest)
        /// The transaction's old-revision ranges in the state store, everything else on the copy.
        case txnInHistory(StoreReader, TxnRequest)
        case eventsInHistory(KeyRange, from: Revision, through: Revision, eventsMax: Int, bytesMax: Int)
        /// Zero: through the newest that the state store holds.
        case hashOfHistory(through: Revision)
        case historyOfKey(KeyHistoryRequest)
    }

    package var id: ReadJobID
    package var work: Work
    /// The state store must contain this index before the read starts.
    package var minimum: LogIndex
}

/// An order to the snapshot lane.
package enum SnapshotOrder: Sendable {
    /// Write a snapshot of the state store for this peer; answered by `snapshotOpened`.
    case open(MemberID)
    /// Answered by `snapshotRead`; at most `count` bytes.
    case read(MemberID, SnapshotIdentity, offset: Int64, count: Int)
    case close(MemberID)
    /// Store a received chunk; answered by `snapshotStored` or `snapshotRejected`.
    case store(SnapshotIdentity, offset: Int64, bytes: [UInt8], sender: MemberID)
    /// Everything is stored: verify, build the new state, switch to it; answered by `snapshotInstalled` or
    /// `snapshotRejected`. Runs after every log and state batch ordered before it.
    case install(SnapshotIdentity, sender: MemberID)
}

/// What the leader's brake on mass expiry did, with the numbers of that moment where it still holds something.
package struct BrakeNotice: Sendable {
    package var notice: LeaseBrake.Notice
    package var report: BrakeReport?
}

/// What the shell must do after a step. Log batches and state batches keep their order; a send leaves when its gate
/// is durable; the rest is independent.
package struct ReplicaEffects: Sendable {
    package var logBatches: [LogBatch] = []
    package var sends: [PeerSend] = []
    package var stateBatches: [StateBatch] = []
    /// Make the state store durable; answered by `stateDurable`.
    package var makeStateDurable = false
    package var compactLog: LogBase?
    /// In order for each sink.
    package var deliveries: [(sink: UInt32, delivery: Delivery)] = []
    package var reads: [ReadJob] = []
    package var snapshots: [SnapshotOrder] = []
    /// Roles and terms as they changed, for logs and metrics.
    package var leadership: Leadership?
    /// What the brake on mass expiry did, for logs.
    package var brakes: [BrakeNotice] = []
    /// Set when it changed (and by the first step): whom to talk to.
    package var peers: PeerList?
    /// The log lacks entries that it had acknowledged: mark it so, durably, before anything else is written.
    package var lostEntries = false
    /// The log is whole again: forget its durable mark.
    package var hasRecovered = false
    /// The cluster removed this member: it has nothing left to do.
    package var isRemoved = false
    /// With `fatal`: the next start must take the state from the other members.
    package var needsRebuild = false
    /// The member must stop; the text says why.
    package var fatal: String?

    package init() {}

    /// Empties all lists and keeps their storage.
    package mutating func reset() {
        logBatches.removeAll(keepingCapacity: true)
        sends.removeAll(keepingCapacity: true)
        stateBatches.removeAll(keepingCapacity: true)
        makeStateDurable = false
        compactLog = nil
        deliveries.removeAll(keepingCapacity: true)
        reads.removeAll(keepingCapacity: true)
        snapshots.removeAll(keepingCapacity: true)
        leadership = nil
        brakes.removeAll(keepingCapacity: true)
        peers = nil
        lostEntries = false
        hasRecovered = false
    }
}
