internal import Primitives

/// How a segment file is divided. Everything follows from its size.
///
/// ```
/// 0           header                    4 KiB
/// 4096        second copy of the header 4 KiB
/// 8192        area 1: slots of 64 bytes, an eighth of the file
/// payloads…   area 2: write groups, each beginning at a multiple of 4 KiB; in a group record after record,
///             header copy and payload, padded to 8 bytes
/// ```
/// Sectors of area 1 are rewritten as it fills; what a torn rewrite may damage there is covered by the copies in
/// area 2, whose 4 KiB blocks belong to one write group each.
struct SegmentGeometry: Hashable {
    static let blockBytes = 4096
    static let slotsStart = 2 * blockBytes
    /// Room for 64 slots and some groups.
    static let bytesMin = 32 * 1024

    let bytes: Int
    let slotCount: Int
    let recordsStart: Int

    init(bytes: Int) {
        self.bytes = bytes
        slotCount = bytes / 8 / LogSlot.bytes
        recordsStart = SegmentGeometry.blockUp(SegmentGeometry.slotsStart + slotCount * LogSlot.bytes)
    }

    /// The smallest geometry not below `bytes` that holds a first group of this many slots and record bytes.
    static func holding(slots: Int, records: Int, atLeast bytes: Int) -> SegmentGeometry {
        var size = blockUp(max(bytes, bytesMin))
        while true {
            let geometry = SegmentGeometry(bytes: size)
            if geometry.slotCount >= slots && geometry.recordsStart + records <= size { return geometry }
            size *= 2
        }
    }

    static func blockUp(_ offset: Int) -> Int {
        (offset + blockBytes - 1) / blockBytes * blockBytes
    }

    func slotOffset(_ number: Int) -> Int {
        SegmentGeometry.slotsStart + number * LogSlot.bytes
    }
}

/// The first bytes of a segment that is in use; one that was only prepared has zeros there.
///
/// `magic u64 | format u32 | CRC32C u32 of all else | number u64 | bytes u64 | first sequence u64 | start chain u64`
struct SegmentHeader: Hashable {
    static let magic: UInt64 = 0x3154_4D47_4553_4E47  // "GNSEGMT1"
    static let format: UInt32 = 1
    static let encodedBytes = 48

    /// Segments are numbered from 1 without gaps.
    var number: UInt64
    var bytes: Int
    /// Of the first record. Records of earlier segments with this sequence or a higher one are void.
    var firstSequence: UInt64
    /// The chain value of the record before the first.
    var startChain: UInt64

    var geometry: SegmentGeometry { SegmentGeometry(bytes: bytes) }

    static func fileName(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: 20 - digits.count) + digits + ".segment"
    }

    static func number(ofFile name: String) -> UInt64? {
        guard name.hasSuffix(".segment") else { return nil }
        let digits = name.dropLast(8)
        return digits.count == 20 ? UInt64(digits) : nil
    }

    var encoded: [UInt8] {
        var body = ByteWriter(reserving: SegmentHeader.encodedBytes)
        body.fixed64(number)
        body.fixed64(UInt64(bytes))
        body.fixed64(firstSequence)
        body.fixed64(startChain)
        var writer = ByteWriter(reserving: SegmentHeader.encodedBytes)
        writer.fixed64(SegmentHeader.magic)
        writer.fixed32(SegmentHeader.format)
        var crc = CRC32C()
        crc.update(writer.bytes)
        crc.update(body.bytes)
        writer.fixed32(crc.value)
        writer.raw(body.bytes)
        return writer.bytes
    }

    /// nil when these bytes are no intact header.
    static func decode(_ bytes: [UInt8], path: String) throws(StorageError) -> SegmentHeader? {
        var reader = ByteReader(bytes)
        guard bytes.count >= encodedBytes, let found = try? reader.fixed64("magic"), found == magic,
            let format = try? reader.fixed32("format"), let stored = try? reader.fixed32("crc")
        else { return nil }
        var crc = CRC32C()
        crc.update(Array(bytes[0..<12]))
        crc.update(Array(bytes[16..<encodedBytes]))
        guard crc.value == stored else { return nil }
        guard format == SegmentHeader.format else {
            throw StorageError(
                .newerFormat, "read", path, "the segment has format \(format), this program knows \(self.format)")
        }
        guard let number = try? reader.fixed64("number"), let size = try? reader.fixed64("bytes"),
            let first = try? reader.fixed64("first"), let chain = try? reader.fixed64("chain"),
            size >= UInt64(SegmentGeometry.bytesMin), size <= UInt64(UInt32.max)
        else { return nil }
        return SegmentHeader(number: number, bytes: Int(size), firstSequence: first, startChain: chain)
    }
}
