package import Primitives

package struct RangeResult: Hashable, Sendable {
    package var kvs: [KeyValue]
    /// Whether `limit` cut the answer.
    package var more: Bool
    /// Live keys of the interval at the revision read, regardless of limit and filters.
    package var count: Int64

    package init(kvs: [KeyValue], more: Bool, count: Int64) {
        self.kvs = kvs
        self.more = more
        self.count = count
    }
}

package indirect enum OperationResult: Hashable, Sendable {
    case range(RangeResult)
    case put(previous: KeyValue?)
    case deleteRange(deleted: Int64, previous: [KeyValue])
    case txn(TxnResult)
}

package struct TxnResult: Hashable, Sendable {
    package var succeeded: Bool
    /// One for each operation of the branch that ran.
    package var responses: [OperationResult]

    package init(succeeded: Bool, responses: [OperationResult]) {
        self.succeeded = succeeded
        self.responses = responses
    }
}

/// What applying a command produced.
package enum CommandResult: Hashable, Sendable {
    case put(previous: KeyValue?)
    case deleteRange(deleted: Int64, previous: [KeyValue])
    case txn(TxnResult)
    case compacted
    case leaseGranted(LeaseID, ttlMilliseconds: Int64)
    case leaseRevoked
    case leasesExpired([LeaseID])
    case memberPublished
    /// The new member, and all members.
    case memberAdded(MemberDescription, [MemberDescription])
    /// All members after one was removed, promoted or changed.
    case membersChanged([MemberDescription])
    /// What an alarm command concerned: raised, or cleared; empty when there was nothing to clear.
    case alarms([AlarmChange])
    /// The state's digest as of the entry.
    case digestMarked(Digest128)
    case authChanged
    /// As `ReplyBody.authenticated`.
    case authenticated(token: String, authRevision: UInt64)
}

/// A checksum over every version of every key that a compaction left and that is not younger than a revision: equal on
/// all members whose compact revisions are equal.
package struct HistoryHash: Hashable, Sendable {
    /// CRC-32C.
    package var hash: UInt32
    /// -1 before the first compaction.
    package var compactRevision: Revision
    /// The last revision counted.
    package var revision: Revision

    package init(hash: UInt32, compactRevision: Revision, revision: Revision) {
        self.hash = hash
        self.compactRevision = compactRevision
        self.revision = revision
    }
}

/// Why a request was refused. Each front door maps the code to its protocol's own in one table.
package struct Rejection: Error, Hashable, Sendable {
    package enum Code: UInt8, Sendable, CaseIterable {
        case emptyKey
        case keyNotFound
        case valueProvided
        case leaseProvided
        case tooManyOperations
        case duplicateKey
        case invalidSortOption
        case requestTooLarge
        case leaseNotFound
        case leaseExists
        case leaseTTLTooLarge
        case compacted
        case futureRevision
        case noSpace
        case corrupt
        case tooManyRequests
        case noLeader
        case leaderChanged
        /// The outcome is unknown: it may still be carried out.
        case timedOut
        case timedOutLeaderFailed
        case timedOutConnectionLost
        case stopped
        case notLeader
        case badTransferee
        case memberNotFound
        case memberExists
        case peerURLExists
        case memberURLsInvalid
        case memberNotLearner
        /// The learner has not caught up with the leader.
        case learnerNotReady
        case tooManyLearners
        /// Some voter is not connected, so the change would endanger the quorum.
        case unhealthyCluster
        case notEnoughStarted
        case notSupportedForLearner
        case cancelled
        /// Damage or disagreement inside this member; the message says which.
        case internalError
        /// Auth is on, and the request says not who asks.
        case userNameEmpty
        case roleNameEmpty
        /// Unknown user, user without password, or wrong password.
        case authenticationFailed
        case permissionNotGiven
        /// The change would lock everybody out, or the permission's interval means nothing.
        case invalidAuthManagement
        /// Users or roles were changed after the caller's credential was issued or looked at: ask again.
        case authRevisionOld
        case permissionDenied
        case rootUserMissing
        case rootRoleMissing
        case userExists
        case userNotFound
        case roleExists
        case roleNotFound
        case roleNotGranted
        case permissionNotGranted
        case authNotEnabled
        case invalidAuthToken
        /// A password was given for a user that has none.
        case noPasswordUser
        /// A write found no leader in all its time, so it was not carried out.
        case deadlineExceeded
    }

    package var code: Code
    /// What was wrong and where; may be empty when the code says it all.
    package var message: String

    package init(_ code: Code, _ message: String = "") {
        self.code = code
        self.message = message
    }
}
