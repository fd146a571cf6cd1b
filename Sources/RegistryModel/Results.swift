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
        case notSupportedForLearner
        case cancelled
        /// Damage or disagreement inside this member; the message says which.
        case internalError
    }

    package var code: Code
    /// What was wrong and where; may be empty when the code says it all.
    package var message: String

    package init(_ code: Code, _ message: String = "") {
        self.code = code
        self.message = message
    }
}
