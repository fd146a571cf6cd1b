internal import DequeModule
internal import RegistryModel

/// The most recent revisions with their events, oldest first, without a gap. Copying it is cheap: events lie in chunks
/// that are shared until one of the copies appends.
struct EventWindow: Sendable {
    private struct Kept: Sendable {
        var events: RevisionEvents
        let bytes: Int
    }

    private static let chunkSize = 256

    private let revisionsMax: Int
    private let bytesMax: Int
    /// All full except the last; `firstInChunks` is the first one's first revision, kept or already let go.
    private var chunks: Deque<[Kept]> = []
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
        kept(revision).events
    }

    private func kept(_ revision: Revision) -> Kept {
        let offset = Int(revision.number - firstInChunks)
        return chunks[offset / EventWindow.chunkSize][offset % EventWindow.chunkSize]
    }

    /// `events` must be those of the revision after `last`.
    mutating func append(_ events: RevisionEvents) {
        precondition(events.revision == last.next, "revision \(events.revision.number) after \(last.number)")
        let kept = Kept(events: events, bytes: events.events.reduce(0) { $0 + $1.payloadBytes })
        if let count = chunks.last?.count, count < EventWindow.chunkSize {
            chunks[chunks.count - 1].append(kept)
        } else {
            var chunk: [Kept] = []
            chunk.reserveCapacity(EventWindow.chunkSize)
            chunk.append(kept)
            chunks.append(chunk)
        }
        last = events.revision
        bytes += kept.bytes
        if last.number - base.number > Int64(revisionsMax) { drop(through: base.next) }
        while bytes > bytesMax, base < last { drop(through: base.next) }
    }

    /// Lets go of the events up to and including `revision`.
    mutating func drop(through revision: Revision) {
        while base < revision, base < last {
            let gone = base.next
            let offset = Int(gone.number - firstInChunks)
            bytes -= kept(gone).bytes
            // The chunk goes later; what it holds goes now.
            chunks[0][offset].events.events = []
            base = gone
            if offset == EventWindow.chunkSize - 1 {
                chunks.removeFirst()
                firstInChunks += Int64(EventWindow.chunkSize)
            }
        }
    }
}
