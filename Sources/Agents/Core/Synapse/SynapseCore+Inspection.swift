/// One registration as synapse holds it.
package struct DiscoveredEntry: Equatable, Sendable {
    package let key: [UInt8]
    package let createRevision: Int64
    package let modRevision: Int64
    /// Missing without proof that it was deleted; still used.
    package let isUnconfirmed: Bool
}

/// What synapse holds of one watched prefix.
package struct DiscoveredSet: Equatable, Sendable {
    package let path: String
    /// Nil before anything was read.
    package let cluster: UInt64?
    /// Everything up to and including this revision is known.
    package let revision: Int64
    /// In the order of their keys.
    package let entries: [DiscoveredEntry]
}

extension SynapseCore {
    /// What is held of a watched prefix; nil for a watch that does not exist. For those who check from outside.
    package func discovered(_ id: WatchID) -> DiscoveredSet? {
        guard let feed = feeds.first(where: { $0.id == id }) else { return nil }
        return DiscoveredSet(
            path: feed.path, cluster: feed.view.cluster, revision: feed.view.revision,
            entries: feed.view.entries.values.map { held in
                DiscoveredEntry(
                    key: held.entry.key, createRevision: held.entry.createRevision,
                    modRevision: held.entry.modRevision, isUnconfirmed: held.unconfirmedSince != nil)
            })
    }

    /// The watches, in the order in which they were made.
    package var watches: [WatchID] { feeds.map(\.id) }

    /// The servers that a backend of HAProxy should have; nil when nothing is known about them.
    package func servers(ofBackend name: String) -> [DesiredServer]? { control.desired[name]?.servers }
}
