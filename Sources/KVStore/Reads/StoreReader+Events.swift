package import RegistryModel

extension StoreReader {
    /// History for a watch that catches up, from memory.
    ///
    /// - Parameters:
    ///   - from: the first revision wanted; beyond the present one nothing is returned, through the present one.
    ///   - eventsMax: no revision is begun after this many events; one revision is never split.
    ///   - bytesMax: the same for keys and values.
    ///   - revisionsMax: how many revisions are looked at.
    /// - Returns: nil when `from` is older than the memory window: the state store has it.
    package func events(
        in range: KeyRange, from: Revision, eventsMax: Int = 1_000, bytesMax: Int = 1 << 20, revisionsMax: Int = 2_000
    ) -> HistoryEvents? {
        if from < compactRevision { return .compacted(compactRevision) }
        if from > revision { return .events([], through: revision) }
        // The first revision of a store has no events.
        var next = max(from, Revision.initial.next)
        guard next > window.base else { return nil }
        var found: [KVEvent] = []
        var bytes = 0
        var looked = 0
        while next <= revision, looked < revisionsMax, found.count < eventsMax, bytes < bytesMax {
            for event in window[next].events where range.contains(event.kv.key) {
                found.append(event)
                bytes += event.payloadBytes
                if next.number - 1 < compactRevision.number { found[found.count - 1].previous = nil }
            }
            looked += 1
            next = next.next
        }
        return .events(found, through: Revision(next.number - 1))
    }
}
