package import Primitives

/// One version of one key as the state store keeps it: history and live data are the same rows.
package struct RevisionRow: Hashable, Sendable {
    package var kind: KVEvent.Kind
    /// For a tombstone the value is empty and version, create revision and lease are 0.
    package var kv: KeyValue
    /// Position among the changes of the same revision, from 0.
    package var sub: Int32
    package var commitTimeMilliseconds: Int64
    package var origin: Origin

    package init(kind: KVEvent.Kind, kv: KeyValue, sub: Int32, commitTimeMilliseconds: Int64, origin: Origin) {
        self.kind = kind
        self.kv = kv
        self.sub = sub
        self.commitTimeMilliseconds = commitTimeMilliseconds
        self.origin = origin
    }
}

/// A lease as it is replicated: deadlines are not part of it.
package struct LeaseRow: Hashable, Sendable {
    package var id: LeaseID
    package var ttlMilliseconds: Int64

    package init(id: LeaseID, ttlMilliseconds: Int64) {
        self.id = id
        self.ttlMilliseconds = ttlMilliseconds
    }
}

/// The host that a lease's holder works on, as far as its keys tell.
package struct LeaseOrigin: Hashable, Sendable {
    package var lease: LeaseID
    /// An address without its port.
    package var host: String

    package init(lease: LeaseID, host: String) {
        self.lease = lease
        self.host = host
    }
}

/// One change of the durable state, in apply order.
package enum StateChange: Hashable, Sendable {
    case row(RevisionRow)
    case leaseGranted(LeaseRow)
    case leaseRemoved(LeaseID)
    /// History at and below this revision may go: superseded versions and tombstones below it (a tombstone
    /// exactly at it stays).
    case compacted(Revision)
    case member(MemberDescription)
    /// The member is gone and its id joins those that must not come back.
    case memberRemoved(MemberID)
    case alarm(AlarmChange)
    case authSettings(isEnabled: Bool, revision: UInt64)
    /// New, or instead of the one with the same name.
    case authUser(AuthUser)
    case authUserRemoved(AuthName)
    /// As a user.
    case authRole(AuthRole)
    case authRoleRemoved(AuthName)
}

/// The single-valued part of the applied state, written with every batch of changes.
package struct StateHeader: Hashable, Sendable {
    /// The last entry whose effects are in the state.
    package var applied: LogPosition
    package var revision: Revision
    /// -1 before the first compaction, as in etcd.
    package var compactRevision: Revision
    /// Highest command time seen; later commands never carry an earlier one.
    package var wallMilliseconds: Int64
    /// Digest over all live records and members.
    package var liveDigest: Digest128
    /// Digest over every version that was ever superseded or deleted; compaction does not change it.
    package var pastDigest: Digest128
    /// The committed configuration as of `applied`, in Raft's own encoding (opaque here).
    package var configuration: [UInt8]

    package init(
        applied: LogPosition, revision: Revision, compactRevision: Revision, wallMilliseconds: Int64,
        liveDigest: Digest128, pastDigest: Digest128, configuration: [UInt8]
    ) {
        self.applied = applied
        self.revision = revision
        self.compactRevision = compactRevision
        self.wallMilliseconds = wallMilliseconds
        self.liveDigest = liveDigest
        self.pastDigest = pastDigest
        self.configuration = configuration
    }

    /// Before any entry was applied.
    package static let initial = StateHeader(
        applied: .zero, revision: .initial, compactRevision: Revision(-1), wallMilliseconds: 0,
        liveDigest: Digest128(), pastDigest: Digest128(), configuration: [])
}

/// What one transaction of the state store makes durable together.
package struct StateBatch: Sendable {
    package var header: StateHeader
    package var changes: [StateChange]

    package init(header: StateHeader, changes: [StateChange]) {
        self.header = header
        self.changes = changes
    }
}

/// What a state store gives back at start or after a snapshot was installed.
package struct RestoredState: Sendable {
    package var header: StateHeader
    /// All live pairs in key order.
    package var live: [KeyValue]
    /// In id order.
    package var leases: [LeaseRow]
    /// In id order.
    package var members: [MemberDescription]
    /// Ascending.
    package var removedMembers: [MemberID]
    /// In order of member and kind.
    package var alarms: [Alarm]
    package var auth: AuthRows
    /// The host that last put a key with a lease, where one did, in id order.
    package var leaseOrigins: [LeaseOrigin] = []

    package init(
        header: StateHeader, live: [KeyValue], leases: [LeaseRow], members: [MemberDescription],
        removedMembers: [MemberID] = [], alarms: [Alarm] = [], auth: AuthRows = .initial
    ) {
        self.header = header
        self.live = live
        self.leases = leases
        self.members = members
        self.removedMembers = removedMembers
        self.alarms = alarms
        self.auth = auth
    }
}
