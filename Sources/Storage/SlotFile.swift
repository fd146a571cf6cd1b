internal import Primitives

/// A small record that is replaced as a whole and never lost: two slots written in turn, each with a sequence
/// number and a checksum, each kept twice so that one rotten sector does not bring an older record back.
///
/// ```
/// 0          slot 0   first copy
/// 1 × slot   slot 1   first copy
/// 2 × slot   slot 0   second copy
/// 3 × slot   slot 1   second copy
///
/// copy: magic u32 | format u32 | sequence u64 | length u32 | CRC32C u32 of all else | payload
/// ```
/// The record is the valid copy with the highest sequence. A slot is overwritten only while the other one is
/// known to be durable. All integers little-endian.
final class SlotFile {
    static let headerBytes = 24
    private static let format: UInt32 = 1

    private let file: any StorageFile
    private let magic: UInt32
    private let slotBytes: Int
    private(set) var payload: [UInt8]
    private var sequence: UInt64
    /// The slot that holds the newest synced record; the other one may be overwritten.
    private var durableSlot: Int
    /// A sync failed: what the file holds is unknown until it is opened again.
    private var failure: StorageError?

    private init(
        file: any StorageFile, magic: UInt32, slotBytes: Int, payload: [UInt8], sequence: UInt64, durableSlot: Int
    ) {
        self.file = file
        self.magic = magic
        self.slotBytes = slotBytes
        self.payload = payload
        self.sequence = sequence
        self.durableSlot = durableSlot
    }

    /// Creates the file and makes its first record durable; its name becomes so with the directory.
    static func create(
        _ path: String, on fileSystem: any FileSystem, magic: UInt32, slotBytes: Int, payload: [UInt8]
    ) throws(StorageError) -> SlotFile {
        let file = try fileSystem.open(path, .create)
        try file.allocate(Int64(4 * slotBytes))
        let slots = SlotFile(
            file: file, magic: magic, slotBytes: slotBytes, payload: [], sequence: 0, durableSlot: 1)
        try slots.write(payload)
        return slots
    }

    /// Reads the newest record and writes it again: what the page cache shows after an unclean stop need not be
    /// on the disk. Copy by copy, so that one valid copy remains at every moment.
    /// - Throws: `damaged` when no copy is valid, `newerFormat`.
    static func open(
        _ path: String, on fileSystem: any FileSystem, magic: UInt32, slotBytes: Int
    ) throws(StorageError) -> SlotFile {
        let file = try fileSystem.open(path, .readWrite)
        let best = try newest(file, magic: magic, slotBytes: slotBytes)
        let slots = SlotFile(
            file: file, magic: magic, slotBytes: slotBytes, payload: best.payload, sequence: best.sequence,
            durableSlot: best.slot)
        let bytes = slots.encode(best.payload, sequence: best.sequence)
        for copy in 0..<2 {
            try file.write(bytes, at: Int64((2 * copy + best.slot) * slotBytes))
            try file.sync()
        }
        return slots
    }

    /// The newest record, without touching the file.
    /// - Throws: as `open`.
    static func peek(
        _ path: String, on fileSystem: any FileSystem, magic: UInt32, slotBytes: Int
    ) throws(StorageError) -> [UInt8] {
        let file = try fileSystem.open(path, .readOnly)
        defer { file.close() }
        return try newest(file, magic: magic, slotBytes: slotBytes).payload
    }

    private static func newest(
        _ file: any StorageFile, magic: UInt32, slotBytes: Int
    ) throws(StorageError) -> (slot: Int, sequence: UInt64, payload: [UInt8]) {
        var best: (slot: Int, sequence: UInt64, payload: [UInt8])?
        for place in 0..<4 {
            // A copy that cannot be read is as good as a damaged one.
            guard let bytes = try? file.read(at: Int64(place * slotBytes), count: slotBytes),
                let (sequence, payload) = try decode(bytes, magic: magic, path: file.path)
            else { continue }
            if sequence > best?.sequence ?? 0 { best = (place % 2, sequence, payload) }
        }
        guard let best else {
            throw StorageError(.damaged, "read", file.path, "no copy of the record is intact")
        }
        return best
    }

    /// Replaces the record durably.
    ///
    /// - Throws: `full` when nothing has changed and the call may be repeated. After a failed sync, always `stopped`.
    func write(_ payload: [UInt8]) throws(StorageError) {
        if let failure {
            throw StorageError(.stopped, "write", file.path, "stopped by an earlier failure: \(failure)")
        }
        let target = 1 - durableSlot
        let bytes = encode(payload, sequence: sequence + 1)
        try file.write(bytes, at: Int64(target * slotBytes))
        try file.write(bytes, at: Int64((2 + target) * slotBytes))
        do throws(StorageError) {
            try file.sync()
        } catch {
            failure = error
            throw error
        }
        sequence += 1
        self.payload = payload
        durableSlot = target
    }

    /// Replaces the record without a sync: after a power loss this one or the last durable one is there.
    func writeHint(_ payload: [UInt8]) throws(StorageError) {
        try file.write(encode(payload, sequence: sequence + 1), at: Int64((1 - durableSlot) * slotBytes))
        sequence += 1
        self.payload = payload
    }

    func close() {
        file.close()
    }

    private func encode(_ payload: [UInt8], sequence: UInt64) -> [UInt8] {
        precondition(payload.count <= slotBytes - SlotFile.headerBytes, "a record larger than its slot")
        var writer = ByteWriter(reserving: SlotFile.headerBytes + payload.count)
        writer.fixed32(magic)
        writer.fixed32(SlotFile.format)
        writer.fixed64(sequence)
        writer.fixed32(UInt32(payload.count))
        var crc = CRC32C()
        crc.update(writer.bytes)
        crc.update(payload)
        writer.fixed32(crc.value)
        writer.raw(payload)
        return writer.bytes
    }

    private static func decode(
        _ bytes: [UInt8], magic: UInt32, path: String
    ) throws(StorageError) -> (sequence: UInt64, payload: [UInt8])? {
        var reader = ByteReader(bytes)
        guard let found = try? reader.fixed32("magic"), found == magic, let format = try? reader.fixed32("format"),
            let sequence = try? reader.fixed64("sequence"), let length = try? reader.fixed32("length"),
            let stored = try? reader.fixed32("crc"), let payload = try? reader.raw(Int(length), "payload")
        else { return nil }
        var crc = CRC32C()
        crc.update(Array(bytes[0..<20]))
        crc.update(payload)
        guard crc.value == stored else { return nil }
        guard format == SlotFile.format else {
            throw StorageError(
                .newerFormat, "read", path, "the record has format \(format), this program knows \(SlotFile.format)")
        }
        return (sequence, payload)
    }
}
