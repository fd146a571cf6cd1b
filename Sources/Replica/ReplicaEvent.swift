package import Primitives
package import Raft
package import RegistryModel

/// Names a read handed to the reader lane.
package struct ReadJobID: Hashable, Comparable, Sendable {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package static func < (left: ReadJobID, right: ReadJobID) -> Bool { left.number < right.number }
}

/// What the reader lane found.
package enum ReadOutcome: Sendable {
    case range(Result<RangeResult, Rejection>)
    case txn(Result<TxnResult, Rejection>)
    /// Whole revisions, ascending. `through` is the last revision the answer covers.
    case events([KVEvent], through: Revision)
    case hash(HistoryHash)
    case history(KeyHistory)
    /// Part of the asked history was compacted meanwhile.
    case compacted(Revision)
    /// The store could not be read; the message says why.
    case failed(String)
}

/// What can happen to a member. Everything arrives with the step's one moment.
package enum ReplicaEvent: Sendable {
    case sinkAttached(UInt32)
    case sinkDetached(UInt32)
    case request(Request, RequestToken, RequestContext)
    case peer(MemberID, PeerMessage)
    /// A link to this member stands: messages may flow again.
    case linkUp(MemberID)
    /// The member's host closed an established link (reset or end of stream).
    case linkClosed(MemberID)
    /// Messages to the member are being lost (cannot connect, buffer full, silence).
    case unreachable(MemberID)
    case logDurable(BatchNumber)
    /// The state store contains everything up to this index (readable, not yet durable).
    case stateWritten(LogIndex)
    /// What the state takes on disk, in bytes: all of it, and without the holes.
    case stateSizes(bytes: Int64, inUse: Int64)
    /// The state store is durable up to this index.
    case stateDurable(LogIndex)
    case readFinished(ReadJobID, ReadOutcome)
    /// A snapshot for this peer was written; nil when that failed.
    case snapshotOpened(MemberID, SnapshotIdentity?)
    case snapshotRead(MemberID, SnapshotIdentity, offset: Int64, bytes: [UInt8])
    /// A received chunk is stored up to `nextOffset`; `sender` gets the answer.
    case snapshotStored(SnapshotIdentity, nextOffset: Int64, sender: MemberID)
    case snapshotInstalled(SnapshotIdentity, RestoredState, LogBase, sender: MemberID)
    /// Damaged or unusable; the sender starts again.
    case snapshotRejected(SnapshotIdentity, sender: MemberID)
    /// The disk under log and state has (no longer) too little room.
    case diskLow(Bool)
    /// Graceful stop: hand leadership over and refuse new requests.
    case handOver
}
