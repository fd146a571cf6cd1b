package import Primitives
package import Raft
package import RegistryModel

/// The leader's answer about one lease.
package struct LeaseAnswer: Hashable, Sendable {
    package var lease: LeaseID
    /// 0: the lease does not exist (any more).
    package var ttlMilliseconds: Int64
    /// Why the holder may not renew it.
    package var refusal: Rejection.Code?

    package init(lease: LeaseID, ttlMilliseconds: Int64, refusal: Rejection.Code? = nil) {
        self.lease = lease
        self.ttlMilliseconds = ttlMilliseconds
        self.refusal = refusal
    }
}

/// Remaining time of a lease as the leader's clock knows it.
package struct TimeToLiveAnswer: Hashable, Sendable {
    /// -1: the lease does not exist.
    package var remainingMilliseconds: Int64
    package var grantedMilliseconds: Int64
    /// Attached keys in order, when they were asked for.
    package var keys: [Key]

    package init(remainingMilliseconds: Int64, grantedMilliseconds: Int64, keys: [Key]) {
        self.remainingMilliseconds = remainingMilliseconds
        self.grantedMilliseconds = grantedMilliseconds
        self.keys = keys
    }
}

/// How long a voter has not heard of a lease: neither of its grant nor of a renewal.
package struct LeaseAge: Hashable, Sendable {
    package var lease: LeaseID
    package var milliseconds: Int64

    package init(lease: LeaseID, milliseconds: Int64) {
        self.lease = lease
        self.milliseconds = milliseconds
    }
}

/// What names a request at the member that asks: no two of its lives share one, so a late answer finds the request that
/// it is for, or none.
package struct RequestName: Hashable, Sendable {
    package var incarnation: Incarnation
    /// Unique within the life.
    package var number: UInt64

    package init(_ incarnation: Incarnation, _ number: UInt64) {
        self.incarnation = incarnation
        self.number = number
    }
}

/// Everything members say to each other: Raft's messages, forwarded requests and snapshots.
package enum PeerMessage: Hashable, Sendable {
    case raft(Message)
    /// Encoded commands for the leader of `term`; refused whole by anybody else, and never forwarded again.
    case forward(term: Term, commands: [[UInt8]])
    /// Surely not appended: the requests with these serials of that life of the receiver.
    case forwardRefused(Incarnation, serials: [UInt64], overloaded: Bool)
    /// One encoded command that changes the membership, for the leader of `term`.
    case forwardMembership(term: Term, command: [UInt8])
    /// Surely not proposed, and never will be; nil: not at this moment, ask again.
    case membershipRefused(RequestName, Rejection?)
    /// Renewals that arrived at the sender; the name is fresh for each attempt.
    case renew(RequestName, leases: [LeaseID])
    case renewed(RequestName, answers: [LeaseAnswer])
    case timeToLive(RequestName, lease: LeaseID, wantsKeys: Bool)
    case timeToLiveAnswer(RequestName, TimeToLiveAnswer)
    /// Renewals that the leader of `term` is about to acknowledge; `round` is its own number for them.
    case leaseHints(term: Term, round: UInt64, leases: [LeaseID])
    case leaseHintsHeard(term: Term, round: UInt64)
    /// A new leader asks when its voters last heard of the leases after `after` and up to `through`. Answered by
    /// those who have applied `minimum`.
    case leaseAgesWanted(term: Term, minimum: LogIndex, after: LeaseID?, through: LeaseID)
    /// Ascending by lease; leases the sender does not have are missing.
    case leaseAges(term: Term, through: LeaseID, ages: [LeaseAge])
    /// The receiver does not lead (yet, or any more): ask again.
    case leaseRefused(RequestName)
    /// The sender's state digest as of the marked entry `index`.
    case digest(index: LogIndex, Digest128)
    /// A majority has another digest than the receiver there.
    case diverged(index: LogIndex)
    /// The sender's disk has too little room; said again every second while it is so.
    case diskLow
    case snapshotChunk(SnapshotIdentity, offset: Int64, bytes: [UInt8])
    /// Bytes up to `nextOffset` are stored durably; continue there.
    case snapshotStored(SnapshotIdentity, nextOffset: Int64)
    /// The receiver's state contains the snapshot's position.
    case snapshotInstalled(SnapshotIdentity)
    case snapshotRefused(SnapshotIdentity)
    /// As `renew`, with auth on: who wants each of them.
    case renewAs(RequestName, leases: [LeaseID], holders: [Identity])

    /// The life of the receiver that asked for this; nil for what answers no request by name.
    var answeredLife: Incarnation? {
        switch self {
        case .forwardRefused(let incarnation, _, _): incarnation
        case .membershipRefused(let name, _), .renewed(let name, _), .timeToLiveAnswer(let name, _),
            .leaseRefused(let name):
            name.incarnation
        case .raft, .forward, .forwardMembership, .renew, .renewAs, .timeToLive, .leaseHints, .leaseHintsHeard,
            .leaseAgesWanted,
            .leaseAges, .digest, .diverged, .diskLow, .snapshotChunk, .snapshotStored, .snapshotInstalled,
            .snapshotRefused:
            nil
        }
    }
}
