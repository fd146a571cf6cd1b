internal import Primitives
internal import Raft

/// The header of one log record, 64 bytes, kept in area 1 of a segment and once more before its payload in area 2.
///
/// ```
///  0 magic u32 | 4 version u8 | 5 kind u8 | 6 zero u16
///  8 sequence u64      position among all records ever written; never reused for a durable record
/// 16 index u64 | 24 term u64
/// 32 payload length u32 | 36 payload CRC32C u32
/// 40 offset u32        of the copy, from the start of the file
/// 44 chain u64         hash of the previous record's chain and of this record's identity
/// 52 certified u64     highest sequence known to be durable when this was written
/// 60 CRC32C u32        of bytes 0..<60
/// ```
/// Records are only ever appended. A record whose index is not above its predecessor's replaces everything from
/// that index on; `truncation` does so without adding an entry. So a removed suffix lies before the record that
/// removed it and cannot come back. All integers little-endian.
struct LogSlot: Hashable {
    static let bytes = 64
    static let magic: UInt32 = 0x4C53_4E47  // "GNSL"
    static let version: UInt8 = 1
    /// The log ends before `index`.
    static let truncation: UInt8 = 255

    var kind: UInt8
    var sequence: UInt64
    var index: UInt64
    var term: UInt64
    var length: UInt32
    var payloadCRC: UInt32
    var offset: UInt32
    var chain: UInt64
    var certified: UInt64

    /// Whether two headers name the same record, wherever they were written.
    func isSameRecord(as other: LogSlot) -> Bool {
        kind == other.kind && sequence == other.sequence && index == other.index && term == other.term
            && length == other.length && payloadCRC == other.payloadCRC && chain == other.chain
    }

    /// Bytes of header and payload in area 2, up to the next record.
    var recordBytes: Int { LogSlot.recordBytes(payload: Int(length)) }

    static func recordBytes(payload: Int) -> Int {
        (LogSlot.bytes + payload + 7) & ~7
    }

    /// The chain value this record must have after `previous`.
    func linked(after previous: UInt64) -> UInt64 {
        var hash = previous ^ 0x9E37_79B9_7F4A_7C15
        hash = LogSlot.mix(hash ^ sequence)
        hash = LogSlot.mix(hash ^ index)
        hash = LogSlot.mix(hash ^ term)
        hash = LogSlot.mix(hash ^ (UInt64(length) << 32 | UInt64(payloadCRC)))
        return LogSlot.mix(hash ^ UInt64(kind))
    }

    /// The finaliser of MurmurHash3 (public domain): every input bit reaches every output bit.
    private static func mix(_ value: UInt64) -> UInt64 {
        var k = value
        k = (k ^ (k >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        k = (k ^ (k >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return k ^ (k >> 33)
    }

    /// Writes the 64 bytes at `target`.
    func store(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: LogSlot.magic.littleEndian, toByteOffset: 0, as: UInt32.self)
        target.storeBytes(of: LogSlot.version, toByteOffset: 4, as: UInt8.self)
        target.storeBytes(of: kind, toByteOffset: 5, as: UInt8.self)
        target.storeBytes(of: 0, toByteOffset: 6, as: UInt16.self)
        target.storeBytes(of: sequence.littleEndian, toByteOffset: 8, as: UInt64.self)
        target.storeBytes(of: index.littleEndian, toByteOffset: 16, as: UInt64.self)
        target.storeBytes(of: term.littleEndian, toByteOffset: 24, as: UInt64.self)
        target.storeBytes(of: length.littleEndian, toByteOffset: 32, as: UInt32.self)
        target.storeBytes(of: payloadCRC.littleEndian, toByteOffset: 36, as: UInt32.self)
        target.storeBytes(of: offset.littleEndian, toByteOffset: 40, as: UInt32.self)
        target.storeBytes(of: chain.littleEndian, toByteOffset: 44, as: UInt64.self)
        target.storeBytes(of: certified.littleEndian, toByteOffset: 52, as: UInt64.self)
        let crc = LogSlot.checksum(UnsafeRawBufferPointer(start: target, count: 60))
        target.storeBytes(of: crc.littleEndian, toByteOffset: 60, as: UInt32.self)
    }

    var encoded: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: LogSlot.bytes) { buffer, count in
            if let base = buffer.baseAddress { store(to: UnsafeMutableRawPointer(base)) }
            count = LogSlot.bytes
        }
    }

    /// The header at `offset`; nil when the bytes end before it or are not one.
    static func load(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> LogSlot? {
        guard offset >= 0, offset + LogSlot.bytes <= bytes.count else { return nil }
        func word32(_ at: Int) -> UInt32 {
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + at, as: UInt32.self))
        }
        func word64(_ at: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + at, as: UInt64.self))
        }
        guard word32(0) == LogSlot.magic, bytes[offset + 4] == LogSlot.version else { return nil }
        let covered = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + 60)])
        guard checksum(covered) == word32(60) else { return nil }
        return LogSlot(
            kind: bytes[offset + 5], sequence: word64(8), index: word64(16), term: word64(24), length: word32(32),
            payloadCRC: word32(36), offset: word32(40), chain: word64(44), certified: word64(52))
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var crc = CRC32C()
        crc.update(bytes)
        return crc.value
    }
}
