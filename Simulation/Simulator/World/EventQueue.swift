import Primitives

/// A binary heap of events by time; equal times keep the order in which they were added.
struct EventQueue<Event> {
    private struct Item {
        var at: Instant
        var number: UInt64
        var event: Event

        func isBefore(_ other: Item) -> Bool { (at, number) < (other.at, other.number) }
    }

    private var items: [Item] = []
    private var added: UInt64 = 0

    var isEmpty: Bool { items.isEmpty }
    var nextTime: Instant? { items.first?.at }

    mutating func add(_ event: Event, at time: Instant) {
        added += 1
        items.append(Item(at: time, number: added, event: event))
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard items[child].isBefore(items[parent]) else { break }
            items.swapAt(child, parent)
            child = parent
        }
    }

    /// Events that would come later come at `time`, where `isMoved` says so; their order among each other stays.
    mutating func hasten(to time: Instant, where isMoved: (Event, Instant) -> Bool) {
        items.sort { $0.isBefore($1) }
        for place in items.indices where items[place].at > time && isMoved(items[place].event, items[place].at) {
            items[place].at = time
        }
        // Sorted is heap enough.
        items.sort { $0.isBefore($1) }
    }

    mutating func pop() -> (at: Instant, event: Event)? {
        guard let first = items.first else { return nil }
        let last = items.removeLast()
        if !items.isEmpty {
            items[0] = last
            sink()
        }
        return (first.at, first.event)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < items.count && items[child].isBefore(items[smallest]) { smallest = child }
            guard smallest != parent else { return }
            items.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
