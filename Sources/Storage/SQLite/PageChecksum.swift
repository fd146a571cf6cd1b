internal import Glibc
internal import Primitives

/// The checksum at the end of every page of a database file, in bytes that SQLite keeps free for us.
///
/// It covers the page's contents and its number, so that a page written to the wrong place is seen, too. Pages in the
/// write-ahead log have SQLite's own checksums instead; they get ours on their way into the database file.
///
/// - Source: SQLite's `ext/misc/cksumvfs.c` for the idea of checksums in the reserved bytes.
enum PageChecksum {
    static let pageBytes = 4096
    /// CRC32C u32, magic u32.
    static let reservedBytes = 8
    private static let contentBytes = pageBytes - reservedBytes
    private static let magic: UInt32 = 0x4350_4E47  // "GNPC"

    /// Whether a transfer of this size and place is one of a database page.
    static func isPage(_ count: Int, at offset: Int64) -> Bool {
        count == pageBytes && offset % Int64(pageBytes) == 0
    }

    /// Writes the checksum into the last bytes of the page at `offset` of its file.
    static func seal(_ page: UnsafeMutableRawBufferPointer, at offset: Int64) {
        let crc = checksum(UnsafeRawBufferPointer(page), at: offset)
        page.storeBytes(of: crc.littleEndian, toByteOffset: contentBytes, as: UInt32.self)
        page.storeBytes(of: magic.littleEndian, toByteOffset: contentBytes + 4, as: UInt32.self)
    }

    /// Whether the page is what was written there. A page of zeros is: SQLite leaves unused pages unwritten.
    static func isIntact(_ page: UnsafeRawBufferPointer, at offset: Int64) -> Bool {
        let crc = UInt32(littleEndian: page.loadUnaligned(fromByteOffset: contentBytes, as: UInt32.self))
        let mark = UInt32(littleEndian: page.loadUnaligned(fromByteOffset: contentBytes + 4, as: UInt32.self))
        if mark == magic { return crc == checksum(page, at: offset) }
        return page[0] == 0 && page.baseAddress.map { memcmp($0, $0 + 1, page.count - 1) == 0 } ?? false
    }

    private static func checksum(_ page: UnsafeRawBufferPointer, at offset: Int64) -> UInt32 {
        var crc = CRC32C()
        crc.update(UnsafeRawBufferPointer(rebasing: page[..<contentBytes]))
        withUnsafeBytes(of: UInt64(offset / Int64(pageBytes) + 1).littleEndian) { crc.update($0) }
        return crc.value
    }
}
