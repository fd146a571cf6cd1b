package import Primitives
package import RegistryModel

/// Bounds and intervals of a `WatchHub`.
package struct WatchLimits: Hashable, Sendable {
    /// Events handed out for one stream and not yet reported as consumed; at the bound its watchers fall behind and are
    /// served from history once half of it is free again.
    package var outstandingEventsMax = 4_096
    /// The same in bytes of keys and values.
    package var outstandingBytesMax = 4 << 20
    /// Events that one catch-up job should bring; its last revision is completed beyond that.
    package var catchUpEventsMax = 1_000
    package var catchUpBytesMax = 1 << 20
    /// Between progress notices of an idle watch; up to a tenth is added at random.
    package var progressInterval = TimeSpan.seconds(600)

    package init() {}
}

/// A piece of history that some watchers wait for: read it from the memory window or the state store, then call
/// `catchUpFinished`.
package struct CatchUpJob: Hashable, Sendable {
    package var id: UInt64
    package var range: KeyRange
    package var from: Revision
    package var eventsMax: Int
    package var bytesMax: Int

    package init(id: UInt64, range: KeyRange, from: Revision, eventsMax: Int, bytesMax: Int) {
        self.id = id
        self.range = range
        self.from = from
        self.eventsMax = eventsMax
        self.bytesMax = bytesMax
    }
}

/// A watch of a stream. Plain numbers only: a hub may hold very many.
struct Watcher: Sendable {
    enum State: UInt8, Sendable {
        /// Receives what is published; has missed nothing.
        case synced
        /// Waits in the catch-up queue.
        case queued
        /// Waits for its stream to consume.
        case parked
        /// A job reads its history.
        case reading
    }

    var watchID: Int64
    /// The first revision that has not been handed out. While synced it is not moved: everything published since the
    /// watcher became synced has been.
    var next: Revision
    var stream: Int32
    var group: Int32
    /// Neighbours in the group's list while synced.
    var nextMember: Int32 = -1
    var previousMember: Int32 = -1
    /// Place in the hub's list of those behind, -1 while synced.
    var behindPlace: Int32 = -1
    /// Of the slot, so that a ticket for an earlier watcher in it is recognised.
    var generation: UInt32
    var state = State.synced
    var wantsPrevious: Bool
    var progressNotify: Bool
    /// Something was sent since the last progress deadline.
    var sentSince = false
    /// Created with a start beyond the revision of that time: no notice before it.
    var startsLater: Bool
}

/// Names a watcher; void once its slot is used by another.
struct Ticket: Hashable, Sendable {
    var slot: Int32
    var generation: UInt32
}

struct WatchStream: Sendable {
    struct Member: Sendable {
        var watchID: Int64
        var slot: Int32
    }

    let id: StreamID
    /// By watch id.
    var members: [Member] = []
    /// Where to look for a free id next.
    var nextID: Int64 = 0
    var outstandingEvents = 0
    var outstandingBytes = 0
    /// How many members are not synced.
    var behind = 0
    /// Members that wait for `outstanding` to fall; void tickets included.
    var parked: [Ticket] = []
    /// A progress notice was asked for and is owed as soon as no member is behind.
    var owesProgress = false

    /// The place of a watch id, or where it belongs.
    func place(of watchID: Int64) -> (place: Int, isThere: Bool) {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].watchID < watchID { low = middle + 1 } else { high = middle }
        }
        return (low, low < members.count && members[low].watchID == watchID)
    }
}

/// Elements under small numbers that are used again.
struct Slab<Element: Sendable>: Sendable {
    private(set) var items: [Element?] = []
    private var free: [Int32] = []
    private(set) var count = 0

    mutating func insert(_ make: (Int32) -> Element) -> Int32 {
        count += 1
        if let slot = free.popLast() {
            items[Int(slot)] = make(slot)
            return slot
        }
        let slot = Int32(items.count)
        items.append(make(slot))
        return slot
    }

    mutating func remove(_ slot: Int32) {
        items[Int(slot)] = nil
        free.append(slot)
        count -= 1
    }

    /// Slots in use, ascending.
    var slots: [Int32] {
        items.indices.filter { items[$0] != nil }.map { Int32($0) }
    }

    subscript(slot: Int32) -> Element {
        get {
            guard let item = items[Int(slot)] else { preconditionFailure("slot \(slot) is empty") }
            return item
        }
        _modify {
            guard items[Int(slot)] != nil else { preconditionFailure("slot \(slot) is empty") }
            yield &items[Int(slot)]!
        }
    }
}
