package import RegistryModel

/// How much history a store keeps.
package enum HistoryRetention: Hashable, Sendable {
    /// All of it.
    case off
    /// What is younger than this, and at least the newest `revisionsMin` revisions.
    case period(milliseconds: Int64, revisionsMin: Int64)
    /// The newest this many revisions (etcd's revision mode).
    case revisions(Int64)

    /// One hour and at least 10 000 revisions.
    package static let standard = HistoryRetention.period(milliseconds: 3_600_000, revisionsMin: 10_000)
}

/// Decides up to which revision to compact, and when: from samples of (wall clock, revision).
package struct RevisionClock: Sendable {
    private struct Sample: Sendable {
        var wallMilliseconds: Int64
        var revision: Revision
    }

    /// etcd's interval in revision mode.
    private static let revisionModeInterval: Int64 = 300_000
    /// Removing what was compacted takes a while; before it shows, the size decides nothing again.
    private static let sizeInterval: Int64 = 300_000
    /// Samples of a period; a compaction is late by at most one of these parts.
    private static let samplesMax = 100

    private let retention: HistoryRetention
    /// By time, oldest first.
    private var samples: [Sample] = []
    private var lastDecision: Int64?
    private let bytesMax: Int64?
    private var lastSizeDecision: Int64?

    /// - Parameter bytesMax: history beyond this size is halved, however young it is; nil: no bound.
    package init(retention: HistoryRetention, bytesMax: Int64? = nil) {
        self.retention = retention
        self.bytesMax = bytesMax
    }

    /// Notes the store's revision at a time. May be called at every change: only one call in a hundredth of the period
    /// leaves a sample.
    package mutating func record(wallMilliseconds: Int64, revision: Revision) {
        guard case .period(let milliseconds, _) = retention else { return }
        let spacing = max(1, milliseconds / Int64(RevisionClock.samplesMax))
        if let last = samples.last, wallMilliseconds < last.wallMilliseconds + spacing { return }
        samples.append(Sample(wallMilliseconds: wallMilliseconds, revision: revision))
        // The newest sample older than the period is the one that counts; older ones are done with.
        let old = samples.count { $0.wallMilliseconds <= wallMilliseconds - milliseconds }
        if old > 1 { samples.removeFirst(old - 1) }
    }

    /// The revision to compact to so that the history has room again; nil when it has, or when that was decided less
    /// than five minutes ago.
    package mutating func target(
        historyBytes: Int64, wallMilliseconds: Int64, current: Revision, compactRevision: Revision
    ) -> Revision? {
        guard let bytesMax, historyBytes > bytesMax else { return nil }
        if let lastSizeDecision, wallMilliseconds < lastSizeDecision + RevisionClock.sizeInterval { return nil }
        let span = current.number - max(0, compactRevision.number)
        // Revisions are taken to be of one size: half the bound stays.
        let wanted = current.number - span / max(2, historyBytes / max(1, bytesMax / 2))
        guard wanted > compactRevision.number, wanted < current.number else { return nil }
        lastSizeDecision = wallMilliseconds
        return Revision(wanted)
    }

    /// The revision to compact to now, nil when there is nothing to do or a decision was made a short while ago: a
    /// tenth of the period, five minutes in revision mode.
    package mutating func target(
        wallMilliseconds: Int64, current: Revision, compactRevision: Revision
    ) -> Revision? {
        let interval: Int64
        let wanted: Int64
        switch retention {
        case .off: return nil
        case .revisions(let kept):
            interval = RevisionClock.revisionModeInterval
            wanted = current.number - kept
        case .period(let milliseconds, let revisionsMin):
            interval = milliseconds / 10
            guard let sample = samples.last(where: { $0.wallMilliseconds <= wallMilliseconds - milliseconds }) else {
                return nil
            }
            wanted = min(sample.revision.number, current.number - revisionsMin)
        }
        if let lastDecision, wallMilliseconds < lastDecision + interval { return nil }
        guard wanted > 0, wanted > compactRevision.number else { return nil }
        lastDecision = wallMilliseconds
        return Revision(wanted)
    }
}
