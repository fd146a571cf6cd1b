internal import Primitives

/// How much of the write-ahead log the database file depends on.
///
/// SQLite ends its log at the first frame whose checksum fails. While nothing of the log has been copied into the
/// database file, that only loses the newest transactions. Once copying has begun, a shortened log would leave a
/// mixture of old and new pages, each intact in itself. So before the first page is copied, this record says
/// durably how many frames there have to be; it is taken back before the log begins anew or is deleted.
final class WriteAheadMark: @unchecked Sendable {
    // @unchecked: used by the one connection that writes the database.

    static let suffix = "-mark"
    private static let magic: UInt32 = 0x4B4D_4E47  // "GNMK"
    private static let slotBytes = 4096

    private let path: String
    private let fileSystem: any FileSystem
    private var record: SlotFile?
    /// What the record says.
    private var marked: (salts: UInt64, frames: Int) = (0, 0)
    /// The log's present generation; nil while it has not been looked at.
    private var salts: UInt64?
    private var committed = 0
    private var synced = 0

    /// Checks the log of the database at `path` against the record.
    /// - Throws: `damaged` when the log lacks frames of which some may be in the database file.
    init(_ path: String, on fileSystem: any FileSystem) throws(StorageError) {
        self.path = path
        self.fileSystem = fileSystem
        try WriteAheadMark.writeAgain(path + "-wal", on: fileSystem)
        let markPath = path + WriteAheadMark.suffix
        guard try fileSystem.exists(markPath) else { return }
        let record = try SlotFile.open(
            markPath, on: fileSystem, magic: WriteAheadMark.magic, slotBytes: WriteAheadMark.slotBytes)
        self.record = record
        marked = try WriteAheadMark.decode(record.payload, markPath)
        try WriteAheadMark.check(marked, try WriteAheadScan(path + "-wal", on: fileSystem), path)
    }

    deinit { record?.close() }

    /// An earlier life may have ended because a sync of the log failed. The kernel then takes its pages for clean and may
    /// never write them: they read well, a sync succeeds and means nothing. So what is there is written once more.
    private static func writeAgain(_ path: String, on fileSystem: any FileSystem) throws(StorageError) {
        guard try fileSystem.exists(path) else { return }
        let file = try fileSystem.open(path, .readWrite)
        defer { file.close() }
        let size = try file.size()
        guard size > 0 else { return }
        var offset: Int64 = 0
        while offset < size {
            let bytes = try file.read(at: offset, count: Int(min(size - offset, 1 << 20)))
            guard !bytes.isEmpty else { break }
            try file.write(bytes, at: offset)
            offset += Int64(bytes.count)
        }
        try file.sync()
    }

    /// As `init`, but only looks.
    static func check(_ path: String, on fileSystem: any FileSystem) throws(StorageError) {
        let markPath = path + suffix
        guard try fileSystem.exists(markPath) else { return }
        let payload = try SlotFile.peek(markPath, on: fileSystem, magic: magic, slotBytes: slotBytes)
        try check(try decode(payload, markPath), try WriteAheadScan(path + "-wal", on: fileSystem), path)
    }

    private static func check(
        _ marked: (salts: UInt64, frames: Int), _ scan: WriteAheadScan, _ path: String
    ) throws(StorageError) {
        guard marked.frames > 0, scan.salts != marked.salts || scan.frames < marked.frames else { return }
        let found = scan.salts == marked.salts ? scan.frames : 0
        throw StorageError(
            .damaged, "read", path + "-wal",
            "only \(found) of \(marked.frames) frames are intact, and the database already holds pages of later ones")
    }

    private static func decode(
        _ payload: [UInt8], _ path: String
    ) throws(StorageError) -> (salts: UInt64, frames: Int) {
        var reader = ByteReader(payload)
        do throws(DecodingFailure) {
            let salts = try reader.fixed64("mark.salts")
            return (salts, Int(clamping: try reader.fixed64("mark.frames")))
        } catch {
            throw .undecodable(path, error)
        }
    }

    /// Before a write to the log.
    func willWriteLog(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StorageError) {
        if offset == 0 {
            if marked.frames > 0 { try write(0, 0) }
            guard bytes.count >= WriteAheadScan.headerBytes else { return }
            salts = WriteAheadScan.salts([UInt8](bytes[..<WriteAheadScan.headerBytes]), 16)
            committed = 0
            synced = 0
        } else if bytes.count >= WriteAheadScan.frameHeaderBytes, bytes.count != PageChecksum.pageBytes {
            let place = offset - Int64(WriteAheadScan.headerBytes)
            guard place % Int64(WriteAheadScan.frameBytes) == 0 else { return }
            // A frame that ends a transaction says how large the database is then.
            if WriteAheadScan.word([UInt8](bytes[4..<8]), 0) != 0 {
                committed = Int(place / Int64(WriteAheadScan.frameBytes)) + 1
            }
        }
    }

    func didSyncLog() {
        synced = committed
    }

    func willDeleteLog() throws(StorageError) {
        if marked.frames > 0 { try write(0, 0) }
        salts = nil
        committed = 0
        synced = 0
    }

    /// Before a page is copied into the database file.
    func willWritePage() throws(StorageError) {
        if salts == nil {
            // Frames of an earlier life, written again and synced when the database was opened.
            let scan = try WriteAheadScan(path + "-wal", on: fileSystem)
            salts = scan.salts ?? 0
            committed = max(committed, scan.frames)
            synced = committed
        }
        guard let salts, salts != 0, synced > 0, marked != (salts, synced) else { return }
        try write(salts, synced)
    }

    private func write(_ salts: UInt64, _ frames: Int) throws(StorageError) {
        var writer = ByteWriter(reserving: 16)
        writer.fixed64(salts)
        writer.fixed64(UInt64(frames))
        if let record {
            try record.write(writer.bytes)
        } else {
            let markPath = path + WriteAheadMark.suffix
            let fresh = markPath + ".new"
            try fileSystem.removeIfPresent(fresh)
            let record = try SlotFile.create(
                fresh, on: fileSystem, magic: WriteAheadMark.magic, slotBytes: WriteAheadMark.slotBytes,
                payload: writer.bytes)
            try fileSystem.rename(fresh, to: markPath)
            try fileSystem.syncDirectory(SQLiteVFS.directory(of: path))
            self.record = record
        }
        marked = (salts, frames)
    }
}
