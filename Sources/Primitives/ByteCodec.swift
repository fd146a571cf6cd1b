/// Why bytes from network or disk could not be read.
package enum DecodingFailure: Error, Equatable, Sendable {
    /// The bytes end inside the named field.
    case truncated(String)
    /// The named field holds a value that has no meaning, or exceeds its bound.
    case invalid(String)
    /// Written by a newer format than this program knows.
    case newerVersion(found: UInt64, known: UInt64)
}

/// Appends little-endian integers, variable-length integers and length-prefixed bytes to an array.
package struct ByteWriter: Sendable {
    package var bytes: [UInt8]

    package init(reserving capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    package mutating func byte(_ value: UInt8) {
        bytes.append(value)
    }

    package mutating func bool(_ value: Bool) {
        bytes.append(value ? 1 : 0)
    }

    package mutating func fixed32(_ value: UInt32) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    package mutating func fixed64(_ value: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Seven bits a byte, low bits first: 1 to 10 bytes.
    package mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// A signed number, small when near zero (zigzag).
    package mutating func signed(_ value: Int64) {
        varint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    package mutating func raw(_ value: [UInt8]) {
        bytes.append(contentsOf: value)
    }

    /// Length as a varint, then the bytes.
    package mutating func prefixed(_ value: [UInt8]) {
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    package mutating func prefixed(_ value: String) {
        prefixed(Array(value.utf8))
    }
}

/// Reads what `ByteWriter` wrote. Every read is bounded; nothing traps on foreign bytes.
package struct ByteReader: Sendable {
    private let bytes: [UInt8]
    private let end: Int
    package private(set) var offset: Int

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = 0
        end = bytes.count
    }

    /// Reads `range` of `bytes` only.
    package init(_ bytes: [UInt8], in range: Range<Int>) {
        self.bytes = bytes
        end = min(range.upperBound, bytes.count)
        offset = min(range.lowerBound, end)
    }

    package var remaining: Int { end - offset }
    package var isAtEnd: Bool { offset == end }

    package mutating func byte(_ field: String) throws(DecodingFailure) -> UInt8 {
        guard offset < end else { throw .truncated(field) }
        defer { offset += 1 }
        return bytes[offset]
    }

    package mutating func bool(_ field: String) throws(DecodingFailure) -> Bool {
        switch try byte(field) {
        case 0: return false
        case 1: return true
        default: throw .invalid(field)
        }
    }

    package mutating func fixed32(_ field: String) throws(DecodingFailure) -> UInt32 {
        guard remaining >= 4 else { throw .truncated(field) }
        var value: UInt32 = 0
        for position in 0..<4 {
            value |= UInt32(bytes[offset + position]) << UInt32(8 * position)
        }
        offset += 4
        return value
    }

    package mutating func fixed64(_ field: String) throws(DecodingFailure) -> UInt64 {
        guard remaining >= 8 else { throw .truncated(field) }
        var value: UInt64 = 0
        for position in 0..<8 {
            value |= UInt64(bytes[offset + position]) << UInt64(8 * position)
        }
        offset += 8
        return value
    }

    package mutating func varint(_ field: String) throws(DecodingFailure) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte(field)
            if shift == 63 && next > 1 { throw .invalid(field) }
            value |= UInt64(next & 0x7F) << shift
            if next & 0x80 == 0 { return value }
            shift += 7
            if shift > 63 { throw .invalid(field) }
        }
    }

    package mutating func signed(_ field: String) throws(DecodingFailure) -> Int64 {
        let coded = try varint(field)
        return Int64(bitPattern: (coded >> 1) ^ (0 &- (coded & 1)))
    }

    /// A count that cannot exceed what is left, at `unit` bytes at least per item: safe to reserve for.
    package mutating func count(_ field: String, unit: Int = 1) throws(DecodingFailure) -> Int {
        let value = try varint(field)
        guard value <= UInt64(remaining / max(unit, 1)) else { throw .truncated(field) }
        return Int(value)
    }

    package mutating func raw(_ count: Int, _ field: String) throws(DecodingFailure) -> [UInt8] {
        guard count >= 0, remaining >= count else { throw .truncated(field) }
        defer { offset += count }
        return Array(bytes[offset..<(offset + count)])
    }

    package mutating func prefixed(_ field: String) throws(DecodingFailure) -> [UInt8] {
        let length = try count(field)
        return try raw(length, field)
    }

    package mutating func string(_ field: String) throws(DecodingFailure) -> String {
        let raw = try prefixed(field)
        guard let text = String(validating: raw, as: UTF8.self) else { throw .invalid(field) }
        return text
    }

    /// Everything that is left.
    package mutating func rest() -> [UInt8] {
        defer { offset = end }
        return Array(bytes[offset..<end])
    }
}
