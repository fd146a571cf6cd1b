import Primitives

/// A registration's key, ordered by bytes.
struct EntryKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    let bytes: [UInt8]

    static func < (left: EntryKey, right: EntryKey) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }

    var description: String { String(decoding: bytes, as: UTF8.self) }
}

/// What one watched prefix is known to hold: the last known good set.
///
/// Nothing leaves it because a registry is dark, has no quorum, came back empty or compacted its history. An entry
/// leaves only by
/// 1. a delete event,
/// 2. its absence from a snapshot that provably continues the history it was read from: same cluster, revision not
///    smaller, and at least one entry found again with the creation revision it had before (keys hold the lease's
///    id, so a registry that started over does not make the same key at the same revision again),
/// 3. the same server's registration under another key, after its agent got a new lease,
/// 4. old age after it was missing without proof, and then never the last one.
///
/// An entry that is missing without proof is *unconfirmed*: still used, shown in the status.
struct DiscoveryView: Sendable {
    struct Held: Equatable, Sendable {
        var entry: DiscoveryEntry
        /// Nil when no value of this key could ever be read.
        var backend: Backend?
        /// Seconds since 1970 since when it is missing without proof.
        var unconfirmedSince: Int64?
    }

    enum Knowledge: Equatable, Sendable {
        /// Nothing was ever read. To `saved` at the start, to `live` by an answer.
        case nothing
        /// From the state file. To `live` by an answer.
        case saved
        /// As the registry said at `revision`.
        case live
    }

    /// One thing that changed, for the decision log.
    struct Note: Equatable, Sendable {
        var code: ReasonCode
        var detail: String
    }

    private(set) var entries = SortedMap<EntryKey, Held>()
    private(set) var knowledge = Knowledge.nothing
    private(set) var cluster: UInt64?
    private(set) var revision: Int64 = 0
    /// The last word about the registry: nil while it answers.
    private(set) var darkBecause: String?

    var resumePoint: ResumePoint? {
        guard let cluster, knowledge != .nothing else { return nil }
        return ResumePoint(cluster: cluster, revision: revision)
    }

    /// In order of registration.
    var held: [Held] {
        entries.values.sorted { left, right in
            left.entry.createRevision != right.entry.createRevision
                ? left.entry.createRevision < right.entry.createRevision
                : left.entry.key.lexicographicallyPrecedes(right.entry.key)
        }
    }

    mutating func restore(cluster: UInt64?, revision: Int64, entries saved: [Held]) {
        guard knowledge == .nothing else { return }
        self.cluster = cluster
        self.revision = revision
        for held in saved { entries[EntryKey(bytes: held.entry.key)] = held }
        knowledge = .saved
    }

    mutating func becameDark(_ why: String) -> [Note] {
        defer { darkBecause = why }
        return darkBecause == nil ? [Note(code: .registryDark, detail: why)] : []
    }

    mutating func compacted() -> [Note] {
        [Note(code: .historyCompacted, detail: "after revision \(revision)")]
    }

    /// Takes a whole reading.
    mutating func snapshot(
        cluster: UInt64, revision: Int64, entries new: [DiscoveryEntry], now: Int64
    ) -> [Note] {
        let isContinued = new.contains { entry in
            entries[EntryKey(bytes: entry.key)]?.entry.createRevision == entry.createRevision
        }
        let isSameCluster = self.cluster == nil || self.cluster == cluster
        if knowledge != .nothing, isSameCluster, isContinued, revision < self.revision {
            return [Note(code: .snapshotStale, detail: "revision \(revision), known is \(self.revision)")]
        }
        var notes: [Note] = []
        let isProven = isSameCluster && isContinued && revision >= self.revision
        if knowledge != .nothing, !isSameCluster || revision < self.revision {
            notes.append(Note(code: .registryRestarted, detail: "revision \(revision), known was \(self.revision)"))
        }
        darkBecause = nil
        knowledge = .live
        self.cluster = cluster
        self.revision = revision
        var present = SortedMap<EntryKey, Bool>()
        for entry in new {
            present[EntryKey(bytes: entry.key)] = true
            notes += put(entry, isNews: false)
        }
        for held in entries.entries where present[held.key] == nil {
            // What was unconfirmed before belongs to another history, which this one proves nothing about.
            if isProven && held.value.unconfirmedSince == nil || held.value.backend == nil {
                entries[held.key] = nil
                notes.append(Note(code: .backendRemoved, detail: held.key.description))
            } else if held.value.unconfirmedSince == nil {
                entries[held.key]?.unconfirmedSince = now
                notes.append(Note(code: .backendKept, detail: held.key.description))
            }
        }
        for entry in new { supersede(by: EntryKey(bytes: entry.key)) }
        return notes
    }

    /// Takes what changed since. Changes already known are skipped; changes of another cluster, or before anything
    /// was read, are refused: they need a snapshot first.
    mutating func events(
        cluster: UInt64, revision: Int64, changes: [DiscoveryChange]
    ) -> [Note] {
        guard knowledge != .nothing, self.cluster == cluster else {
            return [Note(code: .snapshotStale, detail: "changes of cluster \(cluster) without a snapshot of it")]
        }
        darkBecause = nil
        knowledge = .live
        let known = self.revision
        self.revision = max(known, revision)
        var notes: [Note] = []
        for change in changes {
            switch change {
            case .put(let entry) where entry.modRevision > known:
                notes += put(entry, isNews: true)
                supersede(by: EntryKey(bytes: entry.key))
            case .delete(let key, let modRevision) where modRevision > known:
                let key = EntryKey(bytes: key)
                guard entries[key] != nil else { continue }
                entries[key] = nil
                notes.append(Note(code: .backendRemoved, detail: key.description))
            case .put, .delete: continue
            }
        }
        return notes
    }

    private mutating func put(_ entry: DiscoveryEntry, isNews: Bool) -> [Note] {
        let key = EntryKey(bytes: entry.key)
        let old = entries[key]
        if let old, old.entry == entry {
            entries[key]?.unconfirmedSince = nil
            return []
        }
        var notes: [Note] = []
        var held = Held(entry: entry, backend: nil, unconfirmedSince: nil)
        do {
            held.backend = try Backend.decode(payload: entry.value, createRevision: entry.createRevision)
            if isNews {
                notes.append(Note(code: old == nil ? .backendAdded : .backendChanged, detail: key.description))
            }
        } catch {
            // The last value that could be read stays in use.
            held.backend = old?.backend
            notes.append(Note(code: .payloadSkipped, detail: "\(key): \(error)"))
        }
        entries[key] = held
        return notes
    }

    /// Drops unconfirmed registrations of the server that `key` now registers.
    private mutating func supersede(by key: EntryKey) {
        guard let backend = entries[key]?.backend else { return }
        entries.removeAll { other, held in
            other != key && held.unconfirmedSince != nil && held.backend?.isSameServer(as: backend) == true
        }
    }

    /// Drops entries that have been missing without proof since before `time`, but never the last one.
    mutating func forget(unconfirmedBefore time: Int64) -> [Note] {
        let old = entries.entries.filter { $0.value.unconfirmedSince.map { $0 < time } ?? false }
        guard !old.isEmpty, old.count < entries.count else { return [] }
        return old.map { held in
            entries[held.key] = nil
            return Note(code: .backendRemoved, detail: "\(held.key), missing for too long")
        }
    }
}
