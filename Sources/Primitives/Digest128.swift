/// A 128-bit digest to which records are added and from which they are removed in any order, O(1) each.
///
/// A record's own hash is MurmurHash3 x64 128 (Appleby, public domain). It guards against divergence by
/// mistake, not against an adversary.
package struct Digest128: Hashable, Sendable {
    package var low: UInt64
    package var high: UInt64

    package init(low: UInt64 = 0, high: UInt64 = 0) {
        self.low = low
        self.high = high
    }

    package mutating func add(_ record: [UInt8]) {
        let hash = Digest128.hash(record)
        add(hash)
    }

    package mutating func remove(_ record: [UInt8]) {
        let hash = Digest128.hash(record)
        remove(hash)
    }

    /// Adds as one 128-bit number, wrapping.
    package mutating func add(_ other: Digest128) {
        let (sum, carry) = low.addingReportingOverflow(other.low)
        low = sum
        high = high &+ other.high &+ (carry ? 1 : 0)
    }

    package mutating func remove(_ other: Digest128) {
        let (difference, borrow) = low.subtractingReportingOverflow(other.low)
        low = difference
        high = high &- other.high &- (borrow ? 1 : 0)
    }

    /// Thirty-two lowercase hexadecimal digits.
    package var hexadecimal: String {
        Digest128.hex(high) + Digest128.hex(low)
    }

    package static func hash(_ bytes: [UInt8]) -> Digest128 {
        var one: UInt64 = 0
        var two: UInt64 = 0
        let c1: UInt64 = 0x87C3_7B91_1142_53D5
        let c2: UInt64 = 0x4CF5_AD43_2745_937F
        let blocks = bytes.count / 16
        unsafe bytes.withUnsafeBytes { raw in
            for block in 0..<blocks {
                let k1 = unsafe UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: block * 16, as: UInt64.self))
                let k2 = unsafe UInt64(
                    littleEndian: raw.loadUnaligned(fromByteOffset: block * 16 + 8, as: UInt64.self))
                one ^= rotate(k1 &* c1, 31) &* c2
                one = (rotate(one, 27) &+ two) &* 5 &+ 0x52DC_E729
                two ^= rotate(k2 &* c2, 33) &* c1
                two = (rotate(two, 31) &+ one) &* 5 &+ 0x3849_5AB5
            }
            var k1: UInt64 = 0
            var k2: UInt64 = 0
            let tail = blocks * 16
            for position in tail..<raw.count {
                let byte = unsafe UInt64(raw[position])
                let place = position - tail
                if place < 8 { k1 |= byte << UInt64(8 * place) } else { k2 |= byte << UInt64(8 * (place - 8)) }
            }
            if raw.count - tail > 8 { two ^= rotate(k2 &* c2, 33) &* c1 }
            if raw.count > tail { one ^= rotate(k1 &* c1, 31) &* c2 }
        }
        one ^= UInt64(bytes.count)
        two ^= UInt64(bytes.count)
        one = one &+ two
        two = two &+ one
        one = finish(one)
        two = finish(two)
        one = one &+ two
        two = two &+ one
        return Digest128(low: one, high: two)
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

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
