/// A map kept as an array sorted by key, so that walking it has one order on every machine.
///
/// - Complexity: look-up O(log n); insertion and removal O(n), which is fine for the sizes of one host.
package struct SortedMap<Key: Comparable & Sendable, Value: Sendable>: Sendable {
    package struct Entry: Sendable {
        package let key: Key
        package var value: Value
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }
    /// In ascending order.
    package var keys: [Key] { entries.map(\.key) }
    /// In the order of their keys.
    package var values: [Value] { entries.map(\.value) }

    package subscript(key: Key) -> Value? {
        get {
            let place = position(of: key)
            return place < entries.count && entries[place].key == key ? entries[place].value : nil
        }
        set {
            let place = position(of: key)
            let exists = place < entries.count && entries[place].key == key
            switch (exists, newValue) {
            case (true, .some(let value)): entries[place].value = value
            case (true, .none): entries.remove(at: place)
            case (false, .some(let value)): entries.insert(Entry(key: key, value: value), at: place)
            case (false, .none): break
            }
        }
    }

    /// Changes every value in place, in key order.
    package mutating func updateValues(_ change: (Key, inout Value) -> Void) {
        for place in entries.indices {
            change(entries[place].key, &entries[place].value)
        }
    }

    package mutating func removeAll(where isUnwanted: (Key, Value) -> Bool) {
        entries.removeAll { isUnwanted($0.key, $0.value) }
    }

    /// The first position whose key is not below `key`.
    private func position(of key: Key) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension SortedMap.Entry: Equatable where Value: Equatable {}
extension SortedMap: Equatable where Value: Equatable {}
