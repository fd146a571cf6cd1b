internal import Primitives
internal import Raft

/// Which entries the judged records leave behind: a record is void when a later one has its index or a lower one.
/// Only a lost entry that would still be part of the log is a fault.
struct LogReplay {
    private struct Place {
        /// nil: not known, not even by its header.
        var slot: LogSlot?
        /// nil: lost.
        var kept: LogRecovery.Kept?
    }

    private let base: LogPosition
    /// By index from the one after the base.
    private var places: [Place] = []
    /// Lost records since the last one whose header is known.
    private var pending: UInt64 = 0

    init(_ stream: [JudgedRecord], base: LogPosition) {
        self.base = base
        for record in stream { apply(record) }
    }

    /// The entries from the base to the first that is lost.
    var intact: ArraySlice<LogRecovery.Kept> {
        let kept = places.prefix { $0.kept != nil }.compactMap(\.kept)
        return kept[...]
    }

    /// The first entry that is lost; nil when none is.
    var firstLost: LogIndex? {
        if let position = places.firstIndex(where: { $0.kept == nil }) { return base.index + (position + 1) }
        return pending > 0 ? base.index + (places.count + 1) : nil
    }

    /// The last position the log had; nil when that is not certain.
    var claimed: LogPosition? {
        guard pending == 0 else { return nil }
        guard let last = places.last else { return base }
        return last.slot.map { LogPosition(index: LogIndex($0.index), term: Term($0.term)) }
    }

    /// The last one that can be read; nil when the base's still holds.
    var configuration: Configuration? {
        let last = places.last { $0.kept?.slot.kind == Entry.Kind.configuration.rawValue }?.kept
        return last.flatMap { try? ConfigurationEntry.decode($0.payload).configuration }
    }

    private mutating func apply(_ record: JudgedRecord) {
        switch record {
        case .unknown(let count):
            pending += count
        case .payloadLost(let slot):
            settle(before: slot.index)
            if slot.kind != LogSlot.truncation { place(slot, nil) }
        case .intact(let kept):
            settle(before: kept.slot.index)
            if kept.slot.kind != LogSlot.truncation { place(kept.slot, kept) }
        }
    }

    /// The log ends before `index` now. Lost records can have changed no more entries below it than they were: each
    /// was an entry, right up to this index, or a truncation, which leaves even more in doubt only above it.
    private mutating func settle(before index: UInt64) {
        let known = base.index.number
        let kept = Int(clamping: index > known + 1 ? index - known - 1 : 0)
        if places.count > kept { places.removeLast(places.count - kept) }
        guard pending > 0 else { return }
        let doubted = Int(clamping: min(pending, UInt64(kept)))
        pad(to: kept)
        for position in (kept - doubted)..<kept { places[position] = Place() }
        pending = 0
    }

    private mutating func place(_ slot: LogSlot, _ kept: LogRecovery.Kept?) {
        guard slot.index > base.index.number else { return }
        // Entries that no record left behind: they are missing.
        pad(to: Int(clamping: slot.index - base.index.number - 1))
        places.append(Place(slot: slot, kept: kept))
    }

    private mutating func pad(to count: Int) {
        while places.count < count { places.append(Place()) }
    }
}
