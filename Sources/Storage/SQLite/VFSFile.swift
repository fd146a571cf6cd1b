internal import CSQLite

/// What SQLite allocates for an open file: its own head, then our object.
struct VFSFileHandle {
    var head: sqlite3_file
    var object: UnsafeMutableRawPointer?
}

/// One open file of a `SQLiteVFS`.
final class VFSFile {
    let owner: SQLiteVFS
    let path: String
    let file: any StorageFile
    /// A database file has locks and a log index; journals have neither.
    let isDatabase: Bool
    /// Set for a new journal: its name must be durable with its first sync.
    var needsDirectorySync: Bool
    let deletesOnClose: Bool
    var held: Int32 = SQLITE_LOCK_NONE
    /// Where a page gets its checksum on its way to the disk; database files only.
    private let scratch: UnsafeMutableRawBufferPointer?
    /// Of the database that this file or its journal belongs to, when it is opened for writing.
    private let mark: WriteAheadMark?
    private var behind = WriteBehind()
    /// Index locks this connection holds, to give back on close.
    var indexShared: Set<Int> = []
    var indexExclusive: Set<Int> = []

    private init(
        owner: SQLiteVFS, path: String, file: any StorageFile, isDatabase: Bool, needsDirectorySync: Bool,
        deletesOnClose: Bool, mark: WriteAheadMark?
    ) {
        self.mark = mark
        scratch = isDatabase ? .allocate(byteCount: PageChecksum.pageBytes, alignment: 16) : nil
        self.owner = owner
        self.path = path
        self.file = file
        self.isDatabase = isDatabase
        self.needsDirectorySync = needsDirectorySync
        self.deletesOnClose = deletesOnClose
        if isDatabase { owner.databases.join(path) }
    }

    deinit { scratch?.deallocate() }

    static func of(_ file: UnsafeMutablePointer<sqlite3_file>?) -> VFSFile? {
        guard let file else { return nil }
        let object = file.withMemoryRebound(to: VFSFileHandle.self, capacity: 1) { $0.pointee.object }
        return object.map { Unmanaged<VFSFile>.fromOpaque($0).takeUnretainedValue() }
    }

    static func open(
        _ owner: SQLiteVFS, _ path: String?, _ handle: UnsafeMutablePointer<sqlite3_file>, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        handle.pointee.pMethods = nil
        // Temporary files are kept in memory by `temp_store`; none is ever asked for.
        guard let path else { return SQLITE_CANTOPEN }
        let isReadOnly = flags & SQLITE_OPEN_READONLY != 0
        let creates = flags & SQLITE_OPEN_CREATE != 0
        let isJournal = flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL) != 0
        do throws(StorageError) {
            let exists = try owner.fileSystem.exists(path)
            let mode: FileMode = isReadOnly ? .readOnly : (creates ? .openOrCreate : .readWrite)
            let isDatabase = flags & SQLITE_OPEN_MAIN_DB != 0
            let mark = isReadOnly ? nil : try mark(owner, path, isDatabase: isDatabase)
            let file = try owner.fileSystem.open(path, mode)
            if isDatabase && !isReadOnly { try (file as? PosixFile)?.excludeOthers() }
            let opened = VFSFile(
                owner: owner, path: path, file: file,
                isDatabase: isDatabase, needsDirectorySync: isJournal && !exists,
                deletesOnClose: flags & SQLITE_OPEN_DELETEONCLOSE != 0, mark: mark)
            handle.withMemoryRebound(to: VFSFileHandle.self, capacity: 1) {
                $0.pointee.object = Unmanaged.passRetained(opened).toOpaque()
            }
            handle.pointee.pMethods = VFSMethods.pointer
            outFlags?.pointee = flags
            return SQLITE_OK
        } catch {
            switch error.kind {
            case .full: return SQLITE_FULL
            case .damaged: return IOCode.data
            case .notFound: return SQLITE_CANTOPEN
            case .inUse: return SQLITE_BUSY
            default: return IOCode.access
            }
        }
    }

    /// The mark shared by a database and its log; made, and the log checked, when the database is opened.
    private static func mark(
        _ owner: SQLiteVFS, _ path: String, isDatabase: Bool
    ) throws(StorageError) -> WriteAheadMark? {
        guard isDatabase else { return path.hasSuffix("-wal") ? owner.databases.mark(String(path.dropLast(4))) : nil }
        if let mark = owner.databases.mark(path) { return mark }
        guard try owner.fileSystem.exists(path) else { return nil }
        let mark = try WriteAheadMark(path, on: owner.fileSystem)
        owner.databases.with(path) { $0.mark = mark }
        return mark
    }

    /// Gives everything back; the object is gone afterwards.
    static func close(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Int32 {
        guard let object = of(file) else { return SQLITE_OK }
        object.file.close()
        object.leave()
        if object.deletesOnClose { try? object.owner.fileSystem.remove(object.path) }
        file?.withMemoryRebound(to: VFSFileHandle.self, capacity: 1) { $0.pointee.object = nil }
        Unmanaged.passUnretained(object).release()
        return SQLITE_OK
    }

    private func leave() {
        guard isDatabase else { return }
        let me = ObjectIdentifier(self)
        let (held, shared, exclusive) = (held, indexShared, indexExclusive)
        owner.databases.with(path) { database in
            database.unlock(me, from: held, to: SQLITE_LOCK_NONE)
            for slot in shared { database.unlockIndex(me, slot..<(slot + 1), exclusive: false) }
            for slot in exclusive { database.unlockIndex(me, slot..<(slot + 1), exclusive: true) }
        }
        owner.databases.leave(path)
    }

    /// Runs a file operation and turns its error into SQLite's code.
    func code(_ failed: Int32, _ body: () throws(StorageError) -> Int32) -> Int32 {
        do throws(StorageError) {
            return try body()
        } catch {
            return error.kind == .full ? SQLITE_FULL : failed
        }
    }

    func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int32 {
        code(IOCode.read) { () throws(StorageError) in
            let got = try file.read(into: buffer, at: offset)
            if isDatabase, got == buffer.count, got >= 512 {
                let page = UnsafeRawBufferPointer(buffer)
                guard PageChecksum.isPage(got, at: offset), PageChecksum.isIntact(page, at: offset) else {
                    return IOCode.data
                }
            }
            guard got < buffer.count else { return SQLITE_OK }
            // SQLite demands the rest zeroed.
            UnsafeMutableRawBufferPointer(rebasing: buffer[got...]).initializeMemory(as: UInt8.self, repeating: 0)
            return IOCode.shortRead
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) -> Int32 {
        code(IOCode.write) { () throws(StorageError) in
            guard isDatabase, let scratch else {
                try mark?.willWriteLog(bytes, at: offset)
                try file.write(bytes, at: offset)
                behind.wrote(bytes.count, at: offset, to: file)
                return SQLITE_OK
            }
            // Whole pages of a database with room for the checksum, or it is none of ours.
            guard PageChecksum.isPage(bytes.count, at: offset),
                offset > 0 || bytes[VFSFile.reservedBytesOffset] == UInt8(PageChecksum.reservedBytes)
            else { return IOCode.write }
            try mark?.willWritePage()
            scratch.copyMemory(from: bytes)
            PageChecksum.seal(scratch, at: offset)
            try file.write(UnsafeRawBufferPointer(scratch), at: offset)
            behind.wrote(bytes.count, at: offset, to: file)
            return SQLITE_OK
        }
    }

    /// Where page 1 says how many bytes at the end of each page are free for the VFS.
    private static let reservedBytesOffset = 20

    func sync() -> Int32 {
        code(IOCode.sync) { () throws(StorageError) in
            try file.sync()
            if !isDatabase { mark?.didSyncLog() }
            if needsDirectorySync {
                try owner.fileSystem.syncDirectory(SQLiteVFS.directory(of: path))
                needsDirectorySync = false
            }
            return SQLITE_OK
        }
    }

    func lock(_ wanted: Int32) -> Int32 {
        guard isDatabase, wanted > held else { return SQLITE_OK }
        let (me, from) = (ObjectIdentifier(self), held)
        guard owner.databases.with(path, { $0.lock(me, from: from, to: wanted) }) else { return SQLITE_BUSY }
        held = wanted
        return SQLITE_OK
    }

    func unlock(_ wanted: Int32) -> Int32 {
        guard isDatabase, wanted < held else { return SQLITE_OK }
        let (me, from) = (ObjectIdentifier(self), held)
        owner.databases.with(path) { $0.unlock(me, from: from, to: wanted) }
        held = wanted
        return SQLITE_OK
    }

    /// SQLite's `xShmLock`: takes or gives back a run of index locks.
    func lockIndex(_ slots: Range<Int>, _ flags: Int32) -> Int32 {
        let exclusive = flags & SQLITE_SHM_EXCLUSIVE != 0
        let me = ObjectIdentifier(self)
        if flags & SQLITE_SHM_UNLOCK != 0 {
            // Giving back what is not held is allowed.
            let held = slots.filter { exclusive ? indexExclusive.contains($0) : indexShared.contains($0) }
            owner.databases.with(path) { database in
                for slot in held { database.unlockIndex(me, slot..<(slot + 1), exclusive: exclusive) }
            }
            for slot in held { _ = exclusive ? indexExclusive.remove(slot) : indexShared.remove(slot) }
            return SQLITE_OK
        }
        let wanted = slots.filter { !(exclusive ? indexExclusive.contains($0) : indexShared.contains($0)) }
        guard wanted.count == slots.count else { return SQLITE_OK }
        guard owner.databases.with(path, { $0.lockIndex(me, slots, exclusive: exclusive) }) else { return SQLITE_BUSY }
        for slot in slots { _ = exclusive ? indexExclusive.insert(slot) : indexShared.insert(slot) }
        return SQLITE_OK
    }
}
