package import RegistryModel

/// Something about a prefix. Arrays of them are kept in the order of their prefixes, each of which is there once.
package protocol PrefixRow {
    var prefix: Key { get }
}

extension Array where Element: PrefixRow {
    /// O(log n).
    package func place(of prefix: Key) -> Int? {
        let place = upperBound(of: prefix) - 1
        return place >= 0 && self[place].prefix == prefix ? place : nil
    }

    /// Puts a row in its place, or in the place of the one that had its prefix.
    package mutating func put(_ row: Element) {
        let end = upperBound(of: row.prefix)
        if end > 0, self[end - 1].prefix == row.prefix { self[end - 1] = row } else { insert(row, at: end) }
    }

    /// The longest prefix of a key, the key itself included.
    package func longestPrefix(of key: Key) -> Int? {
        var probe = key
        while true {
            let place = upperBound(of: probe) - 1
            guard place >= 0 else { return nil }
            let candidate = self[place].prefix
            let common = zip(candidate.bytes, probe.bytes).prefix { $0 == $1 }.count
            if common == candidate.bytes.count { return place }
            // Every prefix of the key that is left is also one of the candidate.
            probe = Key([UInt8](probe.bytes.prefix(common)))
        }
    }

    /// Whether any row whose prefix the key has satisfies the predicate; the longest is asked first.
    func containsPrefix(of key: Key, where predicate: (Element) -> Bool) -> Bool {
        var probe = key
        while let place = longestPrefix(of: probe) {
            if predicate(self[place]) { return true }
            guard !self[place].prefix.isEmpty else { return false }
            probe = Key([UInt8](self[place].prefix.bytes.dropLast()))
        }
        return false
    }

    /// The first place whose prefix is behind `key`.
    func upperBound(of key: Key) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if key < self[middle].prefix { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
