/// What to watch.
public struct WatchRequest: Hashable, Sendable {
    /// The keys.
    public var range: KeyRange
    /// The first revision wanted; 0 is from now on.
    public var fromRevision: Int64
    /// Deliver the pair before each change, too.
    public var wantsPrevious = false
    /// Deliver puts.
    public var wantsPuts = true
    /// Deliver deletions.
    public var wantsDeletes = true

    /// Watches `range` from that revision (inclusive) on.
    public init(_ range: KeyRange, fromRevision: Int64 = 0) {
        self.range = range
        self.fromRevision = fromRevision
    }
}

/// What a watch delivers at a time.
public struct WatchBatch: Hashable, Sendable {
    /// Every matching event up to this revision has been delivered, with this batch or before.
    public var revision: Int64
    /// Whole revisions, ascending; empty when the registry only says how far it has come.
    public var events: [WatchEvent]
    /// Who delivered it. Its revision is at least the last event's.
    public var header: ResponseHeader

    /// A batch.
    public init(revision: Int64, events: [WatchEvent], header: ResponseHeader = ResponseHeader()) {
        self.revision = revision
        self.events = events
        self.header = header
    }
}
