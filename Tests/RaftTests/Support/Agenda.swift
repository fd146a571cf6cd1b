import Primitives

/// What happens when: a binary heap by instant, then by order of arrival.
struct Agenda<Item> {
    private struct Appointment {
        var at: Instant
        var order: Int
        var item: Item

        func isBefore(_ other: Appointment) -> Bool {
            (at, order) < (other.at, other.order)
        }
    }

    private var heap: [Appointment] = []
    private var order = 0

    var nextInstant: Instant? { heap.first?.at }

    mutating func add(_ item: Item, at instant: Instant) {
        order += 1
        heap.append(Appointment(at: instant, order: order, item: item))
        var child = heap.count - 1
        while child > 0, heap[child].isBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeNext() -> Item? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first.item }
        heap[0] = last
        var parent = 0
        while true {
            var best = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].isBefore(heap[best]) {
                best = child
            }
            if best == parent { return first.item }
            heap.swapAt(parent, best)
            parent = best
        }
    }
}
