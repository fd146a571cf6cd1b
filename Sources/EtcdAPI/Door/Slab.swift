/// Values under numbers that are never given twice, in two array accesses: what waits for an answer, what is open.
struct Slab<Value> {
    private struct Slot {
        var value: Value?
        /// How often the slot was emptied; the upper half of the number.
        var generation: UInt32
    }

    private var slots: [Slot] = []
    private var free: [UInt32] = []

    /// Values held.
    private(set) var count = 0

    init() {}

    /// - Returns: the value's number, for `take` and the subscript.
    mutating func insert(_ value: Value) -> UInt64 {
        count += 1
        guard let index = free.popLast() else {
            slots.append(Slot(value: value, generation: 0))
            return UInt64(slots.count - 1)
        }
        slots[Int(index)].value = value
        return UInt64(slots[Int(index)].generation) << 32 | UInt64(index)
    }

    /// Removes and returns the value; nil when the number is no longer in use.
    mutating func take(_ number: UInt64) -> Value? {
        guard let index = index(number), let value = slots[index].value else { return nil }
        slots[index].value = nil
        slots[index].generation &+= 1
        free.append(UInt32(index))
        count -= 1
        return value
    }

    subscript(_ number: UInt64) -> Value? {
        guard let index = index(number) else { return nil }
        return slots[index].value
    }

    /// All values, in slot order.
    var values: [Value] { slots.compactMap(\.value) }

    private func index(_ number: UInt64) -> Int? {
        let index = Int(number & 0xFFFF_FFFF)
        guard index < slots.count, slots[index].generation == UInt32(number >> 32) else { return nil }
        return index
    }
}
