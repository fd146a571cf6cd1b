internal import DequeModule
internal import RegistryModel

/// The most recent revisions with their events, oldest first, without a gap. Copying it is cheap: events lie in chunks
/// that are shared until one of the copies appends.
struct EventWindow: Sendable {
    private static let chunkSize = 256

    private let revisionsMax: Int
    private let bytesMax: Int
    /// All full except the last; `firstInChunks` is the first one's first revision, kept or already let go.
    private var chunks: Deque<[RevisionEvents]> = []
    private var firstInChunks: Int64
    private var bytes = 0
    /// Every later revision is in the window: the oldest state that can be put together from it.
    private(set) var base: Revision
    private(set) var last: Revision

    init(from revision: Revision, limits: StoreLimits) {
        revisionsMax = limits.windowRevisionsMax
        bytesMax = limits.windowBytesMax
        base = revision
        last = revision
        firstInChunks = revision.number + 1
    }

    /// The events of a revision in `base + 1 ... last`.
    subscript(revision: Revision) -> RevisionEvents {
        let offset = Int(revision.number - firstInChunks)
        return chunks[offset / EventWindow.chunkSize][offset % EventWindow.chunkSize]
    }

    /// `events` must be those of the revision after `last`.
    mutating func append(_ events: RevisionEvents) {
        precondition(events.revision == last.next, "revision \(events.revision.number) after \(last.number)")
        if let count = chunks.last?.count, count < EventWindow.chunkSize {
            chunks[chunks.count - 1].append(events)
        } else {
            var chunk: [RevisionEvents] = []
            chunk.reserveCapacity(EventWindow.chunkSize)
            chunk.append(events)
            chunks.append(chunk)
        }
        last = events.revision
        bytes += EventWindow.size(of: events)
        var keepFrom = max(base.number, last.number - Int64(revisionsMax))
        var excess = bytes
        var oldest = base.next
        while excess > bytesMax, oldest <= last {
            excess -= EventWindow.size(of: self[oldest])
            keepFrom = max(keepFrom, oldest.number)
            oldest = oldest.next
        }
        drop(through: Revision(keepFrom))
    }

    /// Lets go of the events up to and including `revision`.
    mutating func drop(through revision: Revision) {
        while base < revision, base < last {
            let gone = base.next
            let offset = Int(gone.number - firstInChunks)
            bytes -= EventWindow.size(of: self[gone])
            // The chunk goes later; what it holds goes now.
            chunks[0][offset].events = []
            base = gone
            if offset == EventWindow.chunkSize - 1 {
                chunks.removeFirst()
                firstInChunks += Int64(EventWindow.chunkSize)
            }
        }
    }

    private static func size(of events: RevisionEvents) -> Int {
        events.events.reduce(0) { $0 + $1.size }
    }
}

extension KVEvent {
    /// Bytes of the keys and values it holds.
    var size: Int {
        kv.key.bytes.count + kv.value.count + (previous.map { $0.key.bytes.count + $0.value.count } ?? 0)
    }
}
