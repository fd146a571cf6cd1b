package import Primitives

/// What the replicated state machine carries out. A command holds every choice: ids, names and time.
package struct Command: Hashable, Sendable {
    package enum Operation: Hashable, Sendable {
        case put(PutRequest)
        case deleteRange(DeleteRangeRequest)
        case txn(TxnRequest)
        case compact(Revision)
        /// The id is chosen by the member that proposes, never 0.
        case leaseGrant(LeaseID, ttlMilliseconds: Int64)
        case leaseRevoke(LeaseID)
        /// Takes effect only when the entry's term is `issuedTerm`: a deposed leader's expiries die here.
        case leaseExpire([LeaseID], issuedTerm: Term)
        /// A member tells its name and client addresses.
        case publishMember(MemberDescription)
        /// Only as the context of a configuration entry, as are the next two. The id is chosen by the member that
        /// proposes, never 0 and never one that was used before.
        case memberAdd(MemberDescription)
        case memberRemove(MemberID)
        case memberPromote(MemberID)
        /// Where the member is reached by the others.
        case memberUpdate(MemberID, peerURLs: [String])
        case alarm(AlarmChange)
        /// Changes nothing: every member tells its digest as of this entry, so that the leader can compare them.
        case digestMark
        case auth(AuthOperation)
    }

    /// The leader's wall clock in milliseconds since 1970; stamped by the leader, monotone along the log.
    package var wallMilliseconds: Int64
    package var origin: Origin
    package var operation: Operation
    /// The auth revision at which the origin's user was known; 0 without auth, or when there is no user.
    package var authRevision: UInt64

    package init(wallMilliseconds: Int64, origin: Origin, operation: Operation, authRevision: UInt64 = 0) {
        self.wallMilliseconds = wallMilliseconds
        self.origin = origin
        self.operation = operation
        self.authRevision = authRevision
    }

    /// Who asked; nobody for what members do of their own accord.
    package var identity: Identity { Identity(user: origin.user, authRevision: authRevision) }
}
