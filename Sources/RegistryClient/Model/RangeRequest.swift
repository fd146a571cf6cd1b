/// A read of an interval of keys.
public struct RangeRequest: Hashable, Sendable {
    /// In which order results come.
    public enum SortOrder: Int, Hashable, Sendable {
        /// By key, unless another target is set.
        case none = 0
        /// Smallest first.
        case ascending = 1
        /// Largest first.
        case descending = 2
    }

    /// What results are ordered by.
    public enum SortTarget: Int, Hashable, Sendable {
        /// The key.
        case key = 0
        /// The version.
        case version = 1
        /// The create revision.
        case create = 2
        /// The mod revision.
        case mod = 3
        /// The value.
        case value = 4
    }

    /// The keys wanted.
    public var range: KeyRange
    /// At most this many pairs; 0 is no limit.
    public var limit: Int64 = 0
    /// The revision to read at; 0 is the current one.
    public var revision: Int64 = 0
    /// In which order results come.
    public var sortOrder = SortOrder.none
    /// What results are ordered by.
    public var sortTarget = SortTarget.key
    /// Answer from the member's own state, which may be behind. Otherwise the read sees every write that was
    /// acknowledged before it began.
    public var serializable = false
    /// Leave the values out.
    public var keysOnly = false
    /// Only count.
    public var countOnly = false
    /// Only pairs changed at or after this revision; 0 is no bound.
    public var minModRevision: Int64 = 0
    /// Only pairs changed at or before this revision; 0 is no bound.
    public var maxModRevision: Int64 = 0
    /// Only pairs created at or after this revision; 0 is no bound.
    public var minCreateRevision: Int64 = 0
    /// Only pairs created at or before this revision; 0 is no bound.
    public var maxCreateRevision: Int64 = 0

    /// A linearizable read of all pairs of `range`, in key order.
    public init(_ range: KeyRange) {
        self.range = range
    }
}

/// What a read found.
public struct RangeResult: Hashable, Sendable {
    /// The revision in it is the current one, even for a read of an older one.
    public var header: ResponseHeader
    /// The pairs, in the order asked for.
    public var kvs: [KeyValue]
    /// Whether `limit` cut the result.
    public var more: Bool
    /// Live keys of the interval at the revision read, whatever the limit and the revision bounds.
    public var count: Int64

    /// A result as the registry reported it.
    public init(header: ResponseHeader, kvs: [KeyValue], more: Bool, count: Int64) {
        self.header = header
        self.kvs = kvs
        self.more = more
        self.count = count
    }
}
