/// CRC-32C (Castagnoli), table driven, eight bytes a turn.
///
/// Source: RFC 3720 appendix B.4 for the polynomial and its test vectors.
package struct CRC32C: Sendable {
    private var state: UInt32 = 0xFFFF_FFFF

    package init() {}

    /// The checksum of everything fed so far.
    package var value: UInt32 { ~state }

    package mutating func update(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe update($0) }
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var crc = state
        var offset = 0
        let count = bytes.count
        unsafe CRC32C.table.withUnsafeBufferPointer { table in
            while count - offset >= 8 {
                let word = unsafe UInt64(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                let low = UInt32(truncatingIfNeeded: word) ^ crc
                let high = UInt32(truncatingIfNeeded: word >> 32)
                crc = unsafe table[7 * 256 + Int(low & 0xFF)]
                crc ^= unsafe table[6 * 256 + Int((low >> 8) & 0xFF)]
                crc ^= unsafe table[5 * 256 + Int((low >> 16) & 0xFF)]
                crc ^= unsafe table[4 * 256 + Int(low >> 24)]
                crc ^= unsafe table[3 * 256 + Int(high & 0xFF)]
                crc ^= unsafe table[2 * 256 + Int((high >> 8) & 0xFF)]
                crc ^= unsafe table[256 + Int((high >> 16) & 0xFF)]
                crc ^= unsafe table[Int(high >> 24)]
                offset += 8
            }
            while offset < count {
                crc = unsafe (crc >> 8) ^ table[Int((crc ^ UInt32(bytes[offset])) & 0xFF)]
                offset += 1
            }
        }
        state = crc
    }

    /// The checksum of `bytes`.
    package static func of(_ bytes: [UInt8]) -> UInt32 {
        var crc = CRC32C()
        crc.update(bytes)
        return crc.value
    }

    private static let table: [UInt32] = {
        var table = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 {
                crc = crc & 1 == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1
            }
            table[byte] = crc
        }
        for slice in 1..<8 {
            for byte in 0..<256 {
                let before = table[(slice - 1) * 256 + byte]
                table[slice * 256 + byte] = (before >> 8) ^ table[Int(before & 0xFF)]
            }
        }
        return table
    }()
}
