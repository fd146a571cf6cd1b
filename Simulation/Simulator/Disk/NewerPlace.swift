import Primitives

/// Where the formats of a member's files have their versions. Written down here a second time on purpose: whoever moves
/// one of them breaks the data of earlier releases.
extension NewerPlace {
    /// In the first chunk of a snapshot.
    static let snapshotVersionOffset = 8
    static let snapshotVersionNext: UInt8 = 3

    /// Whether a file is of this kind.
    func isMeant(_ path: String) -> Bool {
        switch self {
        case .segment: path.hasSuffix(".segment")
        case .hardState: path.hasSuffix("/hardstate")
        case .base: path.hasSuffix("/base")
        case .meta: path.hasSuffix("/meta")
        case .database: path.hasSuffix(".db") || path.hasSuffix(".db-wal")
        }
    }

    /// The file's bytes with another version in them and all checksums right.
    ///
    /// - Parameter isBack: the program's own version again in place of the next one.
    func changed(_ content: [UInt8], path: String, isBack: Bool) -> [UInt8] {
        // A database's version 2 has users and roles.
        let next: UInt8 = self == .database ? 3 : 2
        let (from, to): (UInt8, UInt8) = isBack ? (next, 1) : (1, next)
        var bytes = content
        switch self {
        case .segment:
            for copy in [0, 4_096] { NewerPlace.set(&bytes, at: copy, version: (8, from, to), sum: 12, length: 48) }
        case .hardState, .base, .meta:
            let slot = bytes.count / 4
            for place in 0..<4 where slot > 24 {
                let start = place * slot
                let length = Int(NewerPlace.word(bytes, start + 16))
                guard length <= slot - 24 else { continue }
                NewerPlace.set(&bytes, at: start, version: (4, from, to), sum: 20, length: 24 + length)
            }
        case .database where path.hasSuffix("-wal"): NewerPlace.setLog(&bytes, from, to)
        case .database: NewerPlace.setPage(&bytes, at: 0, from, to)
        }
        return bytes
    }

    /// A record with a version and a CRC32C of all its other bytes; one whose checksum does not hold stays.
    private static func set(
        _ bytes: inout [UInt8], at start: Int, version: (offset: Int, from: UInt8, to: UInt8), sum: Int, length: Int
    ) {
        guard start + length <= bytes.count else { return }
        func crc() -> UInt32 {
            var crc = CRC32C()
            crc.update(Array(bytes[start..<(start + sum)]))
            crc.update(Array(bytes[(start + sum + 4)..<(start + length)]))
            return crc.value
        }
        guard word(bytes, start + sum) == crc(), word(bytes, start) != 0,
            bytes[start + version.offset] == version.from
        else { return }
        bytes[start + version.offset] = version.to
        let value = crc()
        for byte in 0..<4 { bytes[start + sum + byte] = UInt8(truncatingIfNeeded: value >> UInt32(8 * byte)) }
    }

    // MARK: SQLite

    private static let pageBytes = 4_096

    /// `user_version` in the first page of a database, and the page's own checksum if it has one.
    private static func setPage(_ bytes: inout [UInt8], at start: Int, _ from: UInt8, _ to: UInt8) {
        guard start + pageBytes <= bytes.count, bytes[start] == UInt8(ascii: "S"), bytes[start + 63] == from else {
            return
        }
        bytes[start + 63] = to
        let sum = start + pageBytes - 8
        guard word(bytes, sum + 4) == 0x4350_4E47 else { return }
        var crc = CRC32C()
        crc.update(Array(bytes[start..<sum]))
        crc.update([1, 0, 0, 0, 0, 0, 0, 0])
        for byte in 0..<4 { bytes[sum + byte] = UInt8(truncatingIfNeeded: crc.value >> UInt32(8 * byte)) }
    }

    /// The same wherever the write-ahead log has that page; every later frame's checksum follows.
    ///
    /// Source: https://sqlite.org/fileformat2.html#walformat
    private static func setLog(_ bytes: inout [UInt8], _ from: UInt8, _ to: UInt8) {
        guard bytes.count >= 32 else { return }
        let isBigEndian = bytes[3] & 1 == 1
        var sum: (UInt32, UInt32) = (0, 0)
        func add(_ range: Range<Int>) {
            for place in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
                let (one, two) = (word(bytes, place), word(bytes, place + 4))
                sum.0 = sum.0 &+ (isBigEndian ? one.byteSwapped : one) &+ sum.1
                sum.1 = sum.1 &+ (isBigEndian ? two.byteSwapped : two) &+ sum.0
            }
        }
        add(0..<24)
        var old = sum
        var start = 32
        while start + 24 + pageBytes <= bytes.count, bytes[(start + 8)..<(start + 16)] == bytes[16..<24] {
            let changed = sum
            sum = old
            add(start..<(start + 8))
            add((start + 24)..<(start + 24 + pageBytes))
            guard word(bytes, start + 16).byteSwapped == sum.0, word(bytes, start + 20).byteSwapped == sum.1 else {
                return
            }
            old = sum
            sum = changed
            if word(bytes, start).byteSwapped == 1 { setPage(&bytes, at: start + 24, from, to) }
            add(start..<(start + 8))
            add((start + 24)..<(start + 24 + pageBytes))
            for byte in 0..<4 {
                bytes[start + 16 + byte] = UInt8(truncatingIfNeeded: sum.0 >> UInt32(24 - 8 * byte))
                bytes[start + 20 + byte] = UInt8(truncatingIfNeeded: sum.1 >> UInt32(24 - 8 * byte))
            }
            start += 24 + pageBytes
        }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
}
