package import RegistryModel

/// What an `OrderedTree` sorts by. A node keeps, beside its indexes, eight bytes of each behind what all of them have
/// in common: most comparisons are then decided without touching the index's own memory.
package protocol TreeIndex: Comparable, Sendable {
    /// How many leading bytes both have in common.
    func commonPrefix(with other: Self) -> Int

    /// Whether the first `count` bytes are the same; false when either is shorter.
    func shares(_ count: Int, with other: Self) -> Bool

    /// The eight bytes behind the first `count` as a big-endian number, filled up with zeros. Among indexes that share
    /// those first bytes it never decreases with the order.
    func head(after count: Int) -> UInt64
}

extension Key: TreeIndex {
    package func commonPrefix(with other: Key) -> Int {
        unsafe bytes.withUnsafeBytes { left in
            unsafe other.bytes.withUnsafeBytes { right in
                let common = min(left.count, right.count)
                var offset = 0
                while common - offset >= 8 {
                    let a = unsafe left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    let b = unsafe right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    if a != b { return offset + UInt64(littleEndian: a ^ b).trailingZeroBitCount / 8 }
                    offset += 8
                }
                while offset < common, unsafe left[offset] == right[offset] { offset += 1 }
                return offset
            }
        }
    }

    package func shares(_ count: Int, with other: Key) -> Bool {
        unsafe bytes.withUnsafeBytes { left in
            unsafe other.bytes.withUnsafeBytes { right in
                if left.count < count || right.count < count { return false }
                var offset = 0
                while count - offset >= 8 {
                    let a = unsafe left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    let b = unsafe right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    if a != b { return false }
                    offset += 8
                }
                while offset < count {
                    if unsafe left[offset] != right[offset] { return false }
                    offset += 1
                }
                return true
            }
        }
    }

    package func head(after count: Int) -> UInt64 {
        unsafe bytes.withUnsafeBytes { raw in
            let left = raw.count - count
            if left >= 8 {
                return unsafe UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: count, as: UInt64.self))
            }
            var head: UInt64 = 0
            for place in 0..<8 {
                head <<= 8
                if place < left { head |= unsafe UInt64(raw[count + place]) }
            }
            return head
        }
    }
}

extension LeaseID: TreeIndex {
    package func commonPrefix(with other: LeaseID) -> Int { 0 }

    package func shares(_ count: Int, with other: LeaseID) -> Bool { true }

    /// The number with its sign bit turned, so that negative ones come first.
    package func head(after count: Int) -> UInt64 {
        UInt64(bitPattern: number) ^ (1 << 63)
    }
}
