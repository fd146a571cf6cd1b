/// Asks for what happened to one key.
package struct KeyHistoryRequest: Hashable, Sendable {
    package var key: Key
    /// The first revision wanted; 0 or less for all there is.
    package var from: Revision
    /// At most this many entries; 0 or less, or more than `limitMax`, is `limitMax`.
    package var limit: Int64

    package static let limitMax: Int64 = 1_000
    /// Bytes of values, after which an answer ends.
    package static let bytesMax = 1 << 20

    package init(key: Key, from: Revision = .zero, limit: Int64 = 0) {
        self.key = key
        self.from = from
        self.limit = limit
    }
}

/// What happened to one key, oldest first: each version with who asked for it, when and why.
package struct KeyHistory: Hashable, Sendable {
    package var entries: [RevisionRow]
    /// Whether there is more; ask again from behind the last entry.
    package var more: Bool
    /// What is older may be missing; -1 before the first compaction.
    package var compactRevision: Revision

    package init(entries: [RevisionRow], more: Bool, compactRevision: Revision) {
        self.entries = entries
        self.more = more
        self.compactRevision = compactRevision
    }
}
