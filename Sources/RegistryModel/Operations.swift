package import Primitives

/// A read of an interval, etcd's semantics (`RangeRequest`).
package struct RangeRequest: Hashable, Sendable {
    package enum SortOrder: UInt8, Sendable { case none, ascending, descending }
    package enum SortTarget: UInt8, Sendable { case key, version, create, mod, value }

    package var range: KeyRange
    /// At most this many pairs; 0 or less is no limit.
    package var limit: Int64 = 0
    /// The revision to read at; 0 or less is the current one.
    package var revision = Revision.zero
    package var sortOrder = SortOrder.none
    package var sortTarget = SortTarget.key
    /// Answer from the local state, which may be stale. Otherwise the read is linearizable.
    package var serializable = false
    package var keysOnly = false
    package var countOnly = false
    /// Inclusive bounds; 0 is "no bound".
    package var minModRevision = Revision.zero
    package var maxModRevision = Revision.zero
    package var minCreateRevision = Revision.zero
    package var maxCreateRevision = Revision.zero

    package init(range: KeyRange) {
        self.range = range
    }
}

package struct PutRequest: Hashable, Sendable {
    package var key: Key
    package var value: [UInt8]
    package var lease = LeaseID.none
    package var wantsPrevious = false
    /// Keep the present value; the key must exist.
    package var ignoreValue = false
    /// Keep the present lease; the key must exist.
    package var ignoreLease = false

    package init(key: Key, value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

package struct DeleteRangeRequest: Hashable, Sendable {
    package var range: KeyRange
    package var wantsPrevious = false

    package init(range: KeyRange) {
        self.range = range
    }
}

/// One condition of a transaction; with an interval it must hold for every live key in it.
package struct Comparison: Hashable, Sendable {
    package enum Relation: UInt8, Sendable { case equal, greater, less, notEqual, always }
    package enum Target: Hashable, Sendable {
        case version(Int64)
        case createRevision(Revision)
        case modRevision(Revision)
        case value([UInt8])
        case lease(LeaseID)
        /// An unknown target of a newer client: compares as equal to everything.
        case unknown
    }

    package var range: KeyRange
    /// The stored value stands on the left: `stored relation target`.
    package var relation: Relation
    package var target: Target

    package init(range: KeyRange, relation: Relation, target: Target) {
        self.range = range
        self.relation = relation
        self.target = target
    }
}

package indirect enum TxnOperation: Hashable, Sendable {
    case range(RangeRequest)
    case put(PutRequest)
    case deleteRange(DeleteRangeRequest)
    case txn(TxnRequest)
}

package struct TxnRequest: Hashable, Sendable {
    package var comparisons: [Comparison]
    package var success: [TxnOperation]
    package var failure: [TxnOperation]

    package init(comparisons: [Comparison], success: [TxnOperation], failure: [TxnOperation]) {
        self.comparisons = comparisons
        self.success = success
        self.failure = failure
    }

    /// Whether some branch, at any depth, puts a key.
    package var mayPut: Bool {
        (success + failure).contains { operation in
            switch operation {
            case .put: return true
            case .range, .deleteRange: return false
            case .txn(let inner): return inner.mayPut
            }
        }
    }

    /// Whether no branch, at any depth, can change anything.
    package var isReadOnly: Bool {
        !(success + failure).contains { operation in
            switch operation {
            case .range: return false
            case .put, .deleteRange: return true
            case .txn(let inner): return !inner.isReadOnly
            }
        }
    }
}

/// A member as clients and peers see it.
package struct MemberDescription: Hashable, Sendable {
    package var id: MemberID
    /// Empty until the member has published itself.
    package var name: String
    package var peerURLs: [String]
    /// Empty until the member has published itself.
    package var clientURLs: [String]
    package var isLearner: Bool
    /// A learner that the leader makes a voter as soon as it has caught up.
    package var promotesItself: Bool

    package init(
        id: MemberID, name: String, peerURLs: [String], clientURLs: [String], isLearner: Bool = false,
        promotesItself: Bool = false
    ) {
        self.id = id
        self.name = name
        self.peerURLs = peerURLs
        self.clientURLs = clientURLs
        self.isLearner = isLearner
        self.promotesItself = promotesItself
    }

    /// What a member is when it is added: always a learner first, so that a mistyped address never costs the quorum.
    ///
    /// - Parameter staysLearner: until somebody promotes it; else the leader does once it has caught up.
    /// - Returns: a description without an id; the member that proposes it draws one.
    package static func joining(peerURLs: [String], staysLearner: Bool) -> MemberDescription {
        MemberDescription(
            id: MemberID(0), name: "", peerURLs: peerURLs.sorted(), clientURLs: [], isLearner: true,
            promotesItself: !staysLearner)
    }
}
