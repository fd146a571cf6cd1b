/// An interval of keys, as etcd writes it: a first key and an end.
///
/// Keys are byte strings, compared byte by byte. The end is exclusive; an empty end means "just `key`", a single
/// zero byte means "no end".
public struct KeyRange: Hashable, Sendable {
    /// The first key of the interval.
    public var key: [UInt8]
    /// The exclusive end; empty for a single key, `[0]` for an open end.
    public var end: [UInt8]

    /// The interval `key..<end`, with the two special ends described above.
    public init(key: [UInt8], end: [UInt8] = []) {
        self.key = key
        self.end = end
    }

    /// Just that key.
    public static func key(_ key: [UInt8]) -> KeyRange {
        KeyRange(key: key)
    }

    /// Just that key.
    public static func key(_ key: String) -> KeyRange {
        KeyRange(key: Array(key.utf8))
    }

    /// Every key that begins with `prefix`; an empty prefix is every key.
    public static func prefix(_ prefix: [UInt8]) -> KeyRange {
        prefix.isEmpty ? .all : KeyRange(key: prefix, end: end(ofPrefix: prefix))
    }

    /// Every key that begins with `prefix`; an empty prefix is every key.
    public static func prefix(_ prefix: String) -> KeyRange {
        .prefix(Array(prefix.utf8))
    }

    /// Every key at or after `key`; an empty key is every key.
    public static func from(_ key: [UInt8]) -> KeyRange {
        KeyRange(key: key.isEmpty ? [0] : key, end: [0])
    }

    /// Every key there is.
    public static let all = KeyRange(key: [0], end: [0])

    /// Whether `candidate` lies in the interval.
    public func contains(_ candidate: [UInt8]) -> Bool {
        if end.isEmpty { return candidate == key }
        if candidate.lexicographicallyPrecedes(key) { return false }
        return end == [0] || candidate.lexicographicallyPrecedes(end)
    }

    /// The first key after all those with that prefix; no end when there is none.
    ///
    /// Source: etcd client, `GetPrefixRangeEnd`.
    private static func end(ofPrefix prefix: [UInt8]) -> [UInt8] {
        var end = prefix
        while let last = end.last {
            if last < 0xFF {
                end[end.count - 1] = last + 1
                return end
            }
            end.removeLast()
        }
        return [0]
    }
}
