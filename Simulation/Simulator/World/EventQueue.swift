import Primitives

/// A binary heap of events by time; equal times keep the order in which they were added.
///
/// The heap moves only times and places; an event stays where it was put until its time comes.
struct EventQueue<Event> {
    private struct Item {
        var at: Instant
        var number: UInt64
        /// Where the event lies.
        var place: Int

        func isBefore(_ other: Item) -> Bool { at == other.at ? number < other.number : at < other.at }
    }

    private var heap: [Item] = []
    private var events: [Event?] = []
    /// Places of `events` that hold none.
    private var free: [Int] = []
    private var added: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var nextTime: Instant? { heap.first?.at }

    mutating func add(_ event: Event, at time: Instant) {
        let place: Int
        if let empty = free.popLast() {
            place = empty
            events[place] = event
        } else {
            place = events.count
            events.append(event)
        }
        added += 1
        let item = Item(at: time, number: added, place: place)
        heap.append(item)
        rise(item, from: heap.count - 1)
    }

    /// Events that would come later come at `time`, where `isMoved` says so; their order among each other stays.
    mutating func hasten(to time: Instant, where isMoved: (Event, Instant) -> Bool) {
        heap.sort { $0.isBefore($1) }
        for place in heap.indices where heap[place].at > time {
            guard let event = events[heap[place].place], isMoved(event, heap[place].at) else { continue }
            heap[place].at = time
        }
        // Sorted is heap enough.
        heap.sort { $0.isBefore($1) }
    }

    mutating func pop() -> (at: Instant, event: Event)? {
        guard let first = heap.first, let event = events[first.place] else { return nil }
        events[first.place] = nil
        free.append(first.place)
        let last = heap.removeLast()
        if !heap.isEmpty { sink(last) }
        return (first.at, event)
    }

    /// Puts an item where it belongs on the way from a leaf to the root.
    private mutating func rise(_ item: Item, from leaf: Int) {
        var child = leaf
        while child > 0 {
            let parent = (child - 1) / 2
            guard item.isBefore(heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = item
    }

    /// Puts an item where it belongs on the way from the empty root to a leaf.
    private mutating func sink(_ item: Item) {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            guard heap[child].isBefore(item) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = item
    }
}
