/// A key: arbitrary bytes, ordered bytewise (unsigned), shorter first on a common prefix.
package struct Key: Hashable, Sendable {
    package var bytes: [UInt8]

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    package init(_ text: String) {
        bytes = Array(text.utf8)
    }

    package var isEmpty: Bool { bytes.isEmpty }

    /// The bytes as text for messages; invalid UTF-8 is shown with replacement characters.
    package var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension Key: Comparable {
    package static func < (left: Key, right: Key) -> Bool {
        left.compare(right) < 0
    }

    package static func == (left: Key, right: Key) -> Bool {
        left.bytes == right.bytes
    }

    /// Negative, zero or positive, like `memcmp` with lengths as the tie break; eight bytes a turn.
    package func compare(_ other: Key) -> Int {
        unsafe bytes.withUnsafeBytes { left in
            unsafe other.bytes.withUnsafeBytes { right in
                let common = min(left.count, right.count)
                var offset = 0
                while common - offset >= 8 {
                    let a = unsafe UInt64(bigEndian: left.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                    let b = unsafe UInt64(bigEndian: right.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                    if a != b { return a < b ? -1 : 1 }
                    offset += 8
                }
                while offset < common {
                    let a = unsafe left[offset]
                    let b = unsafe right[offset]
                    if a != b { return a < b ? -1 : 1 }
                    offset += 1
                }
                return left.count - right.count
            }
        }
    }
}

/// An interval of keys as etcd's `key` and `range_end` name it.
package struct KeyRange: Hashable, Sendable {
    package enum End: Hashable, Sendable {
        /// Only the start key.
        case single
        /// Keys below this one; empty when it is not above the start.
        case before(Key)
        /// No upper end.
        case unbounded
    }

    package var start: Key
    package var end: End

    package init(start: Key, end: End) {
        self.start = start
        self.end = end
    }

    package static func key(_ key: Key) -> KeyRange {
        KeyRange(start: key, end: .single)
    }

    package static let all = KeyRange(start: Key([]), end: .unbounded)

    /// Every key that begins with `prefix`; the empty prefix is every key.
    package static func prefix(_ prefix: Key) -> KeyRange {
        var end = prefix.bytes
        while let last = end.last {
            if last < 0xFF {
                end[end.count - 1] = last + 1
                return KeyRange(start: prefix, end: .before(Key(end)))
            }
            end.removeLast()
        }
        return KeyRange(start: prefix, end: .unbounded)
    }

    /// From the wire's two fields: an empty end is one key, a single zero byte is "no end".
    package init(key: [UInt8], rangeEnd: [UInt8]) {
        start = Key(key)
        if rangeEnd.isEmpty {
            end = .single
        } else if rangeEnd == [0] {
            end = .unbounded
        } else {
            end = .before(Key(rangeEnd))
        }
    }

    package var isEmpty: Bool {
        if case .before(let bound) = end { return !(start < bound) }
        return false
    }

    package func contains(_ key: Key) -> Bool {
        switch end {
        case .single: return key == start
        case .before(let bound): return key.compare(start) >= 0 && key.compare(bound) < 0
        case .unbounded: return key.compare(start) >= 0
        }
    }
}

/// One number for the whole store; an empty store is at 1 and the first change produces 2.
package struct Revision: Hashable, Comparable, Sendable {
    package var number: Int64
    package init(_ number: Int64) { self.number = number }
    /// As a request's revision: "current". As a created key's previous revision: "none".
    package static let zero = Revision(0)
    package static let initial = Revision(1)
    package var next: Revision { Revision(number + 1) }
    package static func < (left: Revision, right: Revision) -> Bool { left.number < right.number }
}

/// A lease. 0 means none; clients may choose any other number, negative ones included.
package struct LeaseID: Hashable, Comparable, Sendable {
    package var number: Int64
    package init(_ number: Int64) { self.number = number }
    package static let none = LeaseID(0)
    package static func < (left: LeaseID, right: LeaseID) -> Bool { left.number < right.number }
    /// Lowercase hexadecimal of the 64 bits, as etcdctl prints it.
    package var hexadecimal: String { String(UInt64(bitPattern: number), radix: 16) }
}
