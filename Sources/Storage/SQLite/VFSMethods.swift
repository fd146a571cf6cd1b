internal import CSQLite

/// The table of file calls that SQLite makes; one for all files of all our VFSs, never freed.
enum VFSMethods {
    private struct Table: @unchecked Sendable {
        // @unchecked: written once, before anybody reads it.
        let pointer: UnsafePointer<sqlite3_io_methods>
    }

    static var pointer: UnsafePointer<sqlite3_io_methods> { table.pointer }

    private static let table: Table = {
        let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        methods.initialize(to: sqlite3_io_methods())
        methods.pointee.iVersion = 2
        setFileCalls(methods)
        setLockCalls(methods)
        setIndexCalls(methods)
        return Table(pointer: UnsafePointer(methods))
    }()

    private static func setFileCalls(_ methods: UnsafeMutablePointer<sqlite3_io_methods>) {
        methods.pointee.xClose = { VFSFile.close($0) }
        methods.pointee.xRead = { file, buffer, count, offset in
            guard let object = VFSFile.of(file) else { return IOCode.read }
            return object.read(UnsafeMutableRawBufferPointer(start: buffer, count: Int(count)), at: offset)
        }
        methods.pointee.xWrite = { file, bytes, count, offset in
            guard let object = VFSFile.of(file) else { return IOCode.write }
            return object.write(UnsafeRawBufferPointer(start: bytes, count: Int(count)), at: offset)
        }
        methods.pointee.xTruncate = { file, size in
            guard let object = VFSFile.of(file) else { return IOCode.truncate }
            return object.code(IOCode.truncate) { () throws(StorageError) in
                try object.file.truncate(to: size)
                return SQLITE_OK
            }
        }
        methods.pointee.xSync = { file, _ in VFSFile.of(file)?.sync() ?? IOCode.sync }
        methods.pointee.xFileSize = { file, out in
            guard let object = VFSFile.of(file) else { return IOCode.size }
            return object.code(IOCode.size) { () throws(StorageError) in
                out?.pointee = try object.file.size()
                return SQLITE_OK
            }
        }
        methods.pointee.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
        methods.pointee.xSectorSize = { _ in 4096 }
        // No promises: a torn sector may damage its neighbours' bytes.
        methods.pointee.xDeviceCharacteristics = { _ in 0 }
    }

    private static func setLockCalls(_ methods: UnsafeMutablePointer<sqlite3_io_methods>) {
        methods.pointee.xLock = { file, level in VFSFile.of(file)?.lock(level) ?? IOCode.lock }
        methods.pointee.xUnlock = { file, level in VFSFile.of(file)?.unlock(level) ?? IOCode.unlock }
        methods.pointee.xCheckReservedLock = { file, out in
            guard let object = VFSFile.of(file) else { return IOCode.checkReserved }
            out?.pointee = object.owner.databases.with(object.path) { $0.isReserved } ? 1 : 0
            return SQLITE_OK
        }
    }

    private static func setIndexCalls(_ methods: UnsafeMutablePointer<sqlite3_io_methods>) {
        methods.pointee.xShmMap = { file, number, bytes, extend, out in
            guard let object = VFSFile.of(file) else { return IOCode.indexMap }
            let address = object.owner.databases.with(object.path) { database in
                UInt(bitPattern: database.region(Int(number), bytes: Int(bytes), create: extend != 0))
            }
            out?.pointee = UnsafeMutableRawPointer(bitPattern: address)
            return SQLITE_OK
        }
        methods.pointee.xShmLock = { file, offset, count, flags in
            guard let object = VFSFile.of(file) else { return IOCode.indexLock }
            return object.lockIndex(Int(offset)..<Int(offset + count), flags)
        }
        methods.pointee.xShmBarrier = { file in
            // Taking and releasing the table's lock orders memory.
            guard let object = VFSFile.of(file) else { return }
            object.owner.databases.with(object.path) { _ in }
        }
        methods.pointee.xShmUnmap = { file, delete in
            guard let object = VFSFile.of(file), delete != 0 else { return SQLITE_OK }
            object.owner.databases.with(object.path) { $0.dropIndex() }
            return SQLITE_OK
        }
    }
}
