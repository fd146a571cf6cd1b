/// One condition of a transaction; with an interval it must hold for every live key in it.
public struct Comparison: Hashable, Sendable {
    /// How the stored value, on the left, must relate to the given one.
    public enum Relation: Int, Hashable, Sendable {
        /// Stored = given.
        case equal = 0
        /// Stored > given.
        case greater = 1
        /// Stored < given.
        case less = 2
        /// Stored ≠ given.
        case notEqual = 3
    }

    /// What is compared. A key that does not exist counts as 0 in all but `value`, which then never holds.
    public enum Target: Hashable, Sendable {
        /// The number of changes since creation; 0 says that the key does not exist.
        case version(Int64)
        /// The revision that created the key.
        case createRevision(Int64)
        /// The revision that changed the key last.
        case modRevision(Int64)
        /// The value.
        case value([UInt8])
        /// The lease.
        case lease(LeaseID)
    }

    /// The keys the condition is about.
    public var range: KeyRange
    /// How stored and given must relate.
    public var relation: Relation
    /// What is compared, and with what.
    public var target: Target

    /// The condition "stored `relation` given".
    public init(_ range: KeyRange, _ relation: Relation, _ target: Target) {
        self.range = range
        self.relation = relation
        self.target = target
    }
}

/// One operation inside a transaction.
public indirect enum TxnOperation: Hashable, Sendable {
    /// A read; it sees the writes before it in the same transaction.
    case range(RangeRequest)
    /// A put.
    case put(PutRequest)
    /// A deletion.
    case delete(DeleteRequest)
    /// A transaction of its own, whose conditions are evaluated with those of the outer one.
    case txn(TxnRequest)
}

/// Conditions and what to do when they all hold, or not, in one revision.
public struct TxnRequest: Hashable, Sendable {
    /// All must hold for `success` to run; none is true.
    public var comparisons: [Comparison]
    /// Runs when the conditions hold.
    public var success: [TxnOperation]
    /// Runs when they do not.
    public var failure: [TxnOperation]

    /// If `comparisons` then `success` else `failure`.
    public init(comparisons: [Comparison] = [], success: [TxnOperation] = [], failure: [TxnOperation] = []) {
        self.comparisons = comparisons
        self.success = success
        self.failure = failure
    }

    /// Whether no branch, at any depth, can change anything.
    public var isReadOnly: Bool {
        !(success + failure).contains { operation in
            switch operation {
            case .range: false
            case .put, .delete: true
            case .txn(let inner): !inner.isReadOnly
            }
        }
    }
}

/// What one operation of a transaction did. Headers of nested results carry only a revision.
public indirect enum TxnOperationResult: Hashable, Sendable {
    /// A read.
    case range(RangeResult)
    /// A put.
    case put(PutResult)
    /// A deletion.
    case delete(DeleteResult)
    /// A nested transaction.
    case txn(TxnResult)
}

/// What a transaction did.
public struct TxnResult: Hashable, Sendable {
    /// The revision in it is the one the transaction produced, or the current one when it changed nothing.
    public var header: ResponseHeader
    /// Whether the conditions held.
    public var succeeded: Bool
    /// One for each operation of the branch that ran, in order.
    public var responses: [TxnOperationResult]

    /// A result as the registry reported it.
    public init(header: ResponseHeader, succeeded: Bool, responses: [TxnOperationResult]) {
        self.header = header
        self.succeeded = succeeded
        self.responses = responses
    }
}
