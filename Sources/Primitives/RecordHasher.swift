/// Hashes one record field by field, without first building its bytes.
///
/// The rounds are MurmurHash3 x64 128's (Appleby, public domain); fields are framed by their lengths, so the
/// result is its own function and not the digest of some byte string.
package struct RecordHasher: Sendable {
    private var one: UInt64
    private var two: UInt64 = 0
    /// The first half of a block whose second half has not arrived.
    private var half: UInt64 = 0
    private var hasHalf = false
    private var words: UInt64 = 0

    /// - Parameter kind: tells apart records of different tables that hold the same fields.
    package init(kind: UInt64) {
        one = kind
    }

    package mutating func word(_ value: UInt64) {
        if hasHalf {
            hasHalf = false
            mix(half, value)
        } else {
            hasHalf = true
            half = value
        }
    }

    package mutating func word(_ value: Int64) {
        word(UInt64(bitPattern: value))
    }

    /// The length, then the bytes in blocks of 16, the last one filled up with zeros.
    package mutating func bytes(_ value: [UInt8]) {
        word(UInt64(value.count))
        if hasHalf { word(UInt64(0)) }
        unsafe value.withUnsafeBytes { raw in
            var offset = 0
            while raw.count - offset >= 16 {
                let low = unsafe raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                let high = unsafe raw.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
                mix(UInt64(littleEndian: low), UInt64(littleEndian: high))
                offset += 16
            }
            if offset == raw.count { return }
            var low: UInt64 = 0
            var high: UInt64 = 0
            for position in offset..<raw.count {
                let byte = unsafe UInt64(raw[position])
                let place = UInt64(position - offset)
                if place < 8 { low |= byte << (8 * place) } else { high |= byte << (8 * (place - 8)) }
            }
            mix(low, high)
        }
    }

    package mutating func text(_ value: String) {
        bytes(Array(value.utf8))
    }

    package consuming func finish() -> Digest128 {
        if hasHalf { word(UInt64(0)) }
        one ^= words
        two ^= words
        one = one &+ two
        two = two &+ one
        one = RecordHasher.finish(one)
        two = RecordHasher.finish(two)
        one = one &+ two
        two = two &+ one
        return Digest128(low: one, high: two)
    }

    private mutating func mix(_ first: UInt64, _ second: UInt64) {
        let c1: UInt64 = 0x87C3_7B91_1142_53D5
        let c2: UInt64 = 0x4CF5_AD43_2745_937F
        one ^= RecordHasher.rotate(first &* c1, 31) &* c2
        one = (RecordHasher.rotate(one, 27) &+ two) &* 5 &+ 0x52DC_E729
        two ^= RecordHasher.rotate(second &* c2, 33) &* c1
        two = (RecordHasher.rotate(two, 31) &+ one) &* 5 &+ 0x3849_5AB5
        words &+= 2
    }

    private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
        (value << count) | (value >> (64 - count))
    }

    private static func finish(_ value: UInt64) -> UInt64 {
        var k = value
        k = (k ^ (k >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        k = (k ^ (k >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return k ^ (k >> 33)
    }
}
