import Primitives
import Testing

@Suite struct CRC32CTests {
    /// RFC 3720 B.4, and the check value of the CRC catalogue.
    static let vectors: [([UInt8], UInt32)] = [
        (Array(repeating: 0, count: 32), 0x8A91_36AA),
        (Array(repeating: 0xFF, count: 32), 0x62A8_AB43),
        (Array(0..<32), 0x46DD_794E),
        (Array((0..<32).reversed()), 0x113F_DB5C),
        (Array("123456789".utf8), 0xE306_9283),
        ([], 0),
    ]

    @Test("Published vectors come out", arguments: vectors)
    func vector(bytes: [UInt8], expected: UInt32) {
        #expect(CRC32C.of(bytes) == expected)
    }

    @Test("Feeding in pieces gives the checksum of the whole")
    func pieces() {
        let bytes = (0..<257).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for cut in 0...bytes.count {
            var crc = CRC32C()
            crc.update(Array(bytes[..<cut]))
            crc.update(Array(bytes[cut...]))
            #expect(crc.value == CRC32C.of(bytes))
        }
    }

    @Test("Every flipped bit changes the checksum")
    func flips() {
        let bytes = (0..<40).map { UInt8($0) }
        let right = CRC32C.of(bytes)
        for bit in 0..<(bytes.count * 8) {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(CRC32C.of(damaged) != right)
        }
    }
}
