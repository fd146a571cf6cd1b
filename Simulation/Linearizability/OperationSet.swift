/// A set of small numbers as bits.
struct OperationSet {
    private var words: [UInt64]

    init(count: Int) {
        words = Array(repeating: 0, count: (count + 63) / 64)
    }

    mutating func insert(_ number: Int) { words[number / 64] |= 1 << UInt64(number % 64) }

    mutating func remove(_ number: Int) { words[number / 64] &= ~(1 << UInt64(number % 64)) }

    /// The set without its full words at the front and its empty ones at the end: of a long history that is done in
    /// order, a few words.
    var essence: Essence {
        let first = words.firstIndex { $0 != .max } ?? words.count
        let last = words.lastIndex { $0 != 0 } ?? -1
        return Essence(full: first, words: first <= last ? Array(words[first...last]) : [])
    }

    struct Essence: Hashable {
        private var full: Int
        private var words: [UInt64]

        fileprivate init(full: Int, words: [UInt64]) {
            self.full = full
            self.words = words
        }
    }
}
