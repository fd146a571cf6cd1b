internal import CLZ4
internal import Primitives

/// The bytes of a snapshot file.
///
/// ```
/// file   magic u64 | format u32 | zero u32, then blocks, then the end block, and nothing after it
/// block  raw length u32 (1...128 Ki) | stored length u32 | CRC32C u32 of both lengths and the data | data
///        data is one LZ4 block, or the raw bytes when the lengths are equal
/// end    raw length 0 | stored length 16 | CRC32C | digest of everything before, a chain of block hashes
/// ```
/// The raw bytes of all blocks together are a sequence of records, each a varint length and that many bytes. The
/// first record is the header; then come the rows by id, the leases, the members, the removed members, each in id
/// order, the alarms by member and kind, since format 2 the switch of auth, the users and the roles by name, and an end
/// record with all their counts. All integers little-endian.
///
/// Rows travel in revision order, not key order: both sides then read and write their tables sequentially, and the
/// bytes are the same on every member that stands at the same position.
enum SnapshotFormat {
    static let magic: UInt64 = 0x3150_414E_5347_4E47  // "GNGSNAP1"
    static let format: UInt32 = 2
    /// Still written wherever auth was never touched, so that older programs can read it.
    static let formatWithoutAuth: UInt32 = 1
    static let headerBytes = 16
    static let blockHeaderBytes = 12
    static let rawBytesMax = 128 * 1024
    /// No record may claim more; it is allocated only as its bytes arrive.
    static let recordBytesMax = 256 * 1024 * 1024
    static let chunkBytes = 256 * 1024

    enum RecordKind: UInt8 {
        case header = 1
        case row = 2
        case lease = 3
        case member = 4
        case end = 5
        case removedMember = 6
        case alarm = 7
        case authSettings = 8
        case authUser = 9
        case authRole = 10
    }

    static func fileHeader(hasAuth: Bool) -> [UInt8] {
        var writer = ByteWriter(reserving: headerBytes)
        writer.fixed64(magic)
        writer.fixed32(hasAuth ? format : formatWithoutAuth)
        writer.fixed32(0)
        return writer.bytes
    }

    static func chained(_ digest: Digest128, _ block: [UInt8]) -> Digest128 {
        var writer = ByteWriter(reserving: 16 + block.count)
        writer.fixed64(digest.low)
        writer.fixed64(digest.high)
        writer.raw(block)
        return Digest128.hash(writer.bytes)
    }

    /// One block with its header.
    static func block(_ raw: [UInt8]) -> [UInt8] {
        precondition(!raw.isEmpty && raw.count <= rawBytesMax, "a block of \(raw.count) bytes")
        let packed = compress(raw)
        return framed(rawLength: raw.count, packed.count < raw.count ? packed : raw)
    }

    static func endBlock(_ digest: Digest128) -> [UInt8] {
        var writer = ByteWriter(reserving: 16)
        writer.fixed64(digest.low)
        writer.fixed64(digest.high)
        return framed(rawLength: 0, writer.bytes)
    }

    private static func framed(rawLength: Int, _ data: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(reserving: blockHeaderBytes + data.count)
        writer.fixed32(UInt32(rawLength))
        writer.fixed32(UInt32(data.count))
        writer.fixed32(checksum(Array(writer.bytes[0..<8]), data))
        writer.raw(data)
        return writer.bytes
    }

    static func checksum(_ lengths: [UInt8], _ data: [UInt8]) -> UInt32 {
        var crc = CRC32C()
        crc.update(lengths)
        crc.update(data)
        return crc.value
    }

    private static func compress(_ raw: [UInt8]) -> [UInt8] {
        let bound = Int(LZ4_compressBound(Int32(raw.count)))
        return [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            count = raw.withUnsafeBytes { source in
                Int(
                    LZ4_compress_default(
                        source.bindMemory(to: CChar.self).baseAddress,
                        UnsafeMutableRawBufferPointer(target).bindMemory(to: CChar.self).baseAddress,
                        Int32(raw.count), Int32(bound)))
            }
        }
    }

    /// nil when the data is no LZ4 block of exactly this many raw bytes.
    static func decompress(_ data: [UInt8], rawLength: Int) -> [UInt8]? {
        var got = -1
        let raw = [UInt8](unsafeUninitializedCapacity: rawLength) { target, count in
            got = data.withUnsafeBytes { source in
                Int(
                    LZ4_decompress_safe(
                        source.bindMemory(to: CChar.self).baseAddress,
                        UnsafeMutableRawBufferPointer(target).bindMemory(to: CChar.self).baseAddress,
                        Int32(data.count), Int32(rawLength)))
            }
            count = max(got, 0)
        }
        return got == rawLength ? raw : nil
    }
}
