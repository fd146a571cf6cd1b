internal import CSQLite
internal import Glibc

/// Puts a `FileSystem` under SQLite, so that the state database lives on the same (simulated) disk as the log, and
/// keeps a checksum in every page: its databases have pages of 4096 bytes, 8 of them reserved. The
/// index of the write-ahead log is in memory, so all connections must be in this process.
///
/// Register one for each life of a member; unregister it when that life's connections are closed.
package final class SQLiteVFS: @unchecked Sendable {
    // @unchecked: immutable but for SQLite's own list, which SQLite guards; `files` guards itself.

    package let name: String
    let fileSystem: any FileSystem
    let random: @Sendable () -> UInt64
    let wallMilliseconds: @Sendable () -> Int64
    let sleep: @Sendable (_ microseconds: Int32) -> Void
    let databases = SharedDatabases()
    private let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
    private let nameBytes: UnsafeMutablePointer<CChar>
    private var isRegistered = false

    private init(
        name: String, fileSystem: any FileSystem, random: @escaping @Sendable () -> UInt64,
        wallMilliseconds: @escaping @Sendable () -> Int64, sleep: @escaping @Sendable (Int32) -> Void
    ) {
        self.name = name
        self.sleep = sleep
        self.fileSystem = fileSystem
        self.random = random
        self.wallMilliseconds = wallMilliseconds
        nameBytes = strdup(name)
    }

    deinit {
        free(nameBytes)
        vfs.deallocate()
    }

    /// Makes the file system available to connections under `name`.
    ///
    /// - Parameters:
    ///   - random: seeds what SQLite draws once a process; see `sqlite3_randomness`.
    ///   - wallMilliseconds: since 1970.
    ///   - sleep: lets another thread finish; nothing where all connections are on one thread.
    package static func register(
        name: String, fileSystem: any FileSystem, random: @escaping @Sendable () -> UInt64,
        wallMilliseconds: @escaping @Sendable () -> Int64,
        sleep: @escaping @Sendable (_ microseconds: Int32) -> Void = { _ in }
    ) throws(StorageError) -> SQLiteVFS {
        let instance = SQLiteVFS(
            name: name, fileSystem: fileSystem, random: random, wallMilliseconds: wallMilliseconds, sleep: sleep)
        instance.vfs.initialize(to: sqlite3_vfs())
        instance.vfs.pointee.iVersion = 2
        instance.vfs.pointee.szOsFile = Int32(MemoryLayout<VFSFileHandle>.size)
        instance.vfs.pointee.mxPathname = 1024
        instance.vfs.pointee.zName = UnsafePointer(instance.nameBytes)
        // Balanced by `unregister`.
        instance.vfs.pointee.pAppData = Unmanaged.passRetained(instance).toOpaque()
        setCalls(instance.vfs)
        let code = sqlite3_vfs_register(instance.vfs, 0)
        guard code == SQLITE_OK else {
            throw StorageError(.io, "register VFS", name, String(cString: sqlite3_errstr(code)), code: code)
        }
        instance.isRegistered = true
        return instance
    }

    /// Takes the name away; every connection through it must be closed.
    package func unregister() {
        guard isRegistered else { return }
        isRegistered = false
        sqlite3_vfs_unregister(vfs)
        Unmanaged.passUnretained(self).release()
    }

    private static func setCalls(_ vfs: UnsafeMutablePointer<sqlite3_vfs>) {
        vfs.pointee.xOpen = { vfs, name, file, flags, outFlags in
            guard let owner = SQLiteVFS.of(vfs), let file else { return SQLITE_MISUSE }
            return VFSFile.open(owner, name.map { String(cString: $0) }, file, flags, outFlags)
        }
        vfs.pointee.xDelete = { vfs, name, syncDirectory in
            guard let owner = SQLiteVFS.of(vfs), let name else { return SQLITE_MISUSE }
            return owner.delete(String(cString: name), sync: syncDirectory != 0)
        }
        vfs.pointee.xAccess = { vfs, name, _, result in
            guard let owner = SQLiteVFS.of(vfs), let name else { return SQLITE_MISUSE }
            guard let exists = try? owner.fileSystem.exists(String(cString: name)) else { return IOCode.access }
            result?.pointee = exists ? 1 : 0
            return SQLITE_OK
        }
        vfs.pointee.xFullPathname = { _, name, capacity, out in
            guard let name, let out, strlen(name) < Int(capacity) else { return SQLITE_CANTOPEN }
            strcpy(out, name)
            return SQLITE_OK
        }
        vfs.pointee.xRandomness = { vfs, count, out in
            guard let owner = SQLiteVFS.of(vfs), let out else { return 0 }
            for position in 0..<Int(count) { out[position] = CChar(truncatingIfNeeded: owner.random()) }
            return count
        }
        vfs.pointee.xSleep = { vfs, microseconds in
            SQLiteVFS.of(vfs)?.sleep(microseconds)
            return microseconds
        }
        vfs.pointee.xCurrentTime = { vfs, out in
            guard let owner = SQLiteVFS.of(vfs) else { return SQLITE_MISUSE }
            out?.pointee = Double(owner.wallMilliseconds() + SQLiteVFS.julianMilliseconds) / 86_400_000
            return SQLITE_OK
        }
        vfs.pointee.xCurrentTimeInt64 = { vfs, out in
            guard let owner = SQLiteVFS.of(vfs) else { return SQLITE_MISUSE }
            out?.pointee = owner.wallMilliseconds() + SQLiteVFS.julianMilliseconds
            return SQLITE_OK
        }
        vfs.pointee.xGetLastError = { _, _, _ in 0 }
    }

    /// From the start of the Julian day count to 1970.
    private static let julianMilliseconds: Int64 = 210_866_760_000_000

    private static func of(_ vfs: UnsafeMutablePointer<sqlite3_vfs>?) -> SQLiteVFS? {
        vfs?.pointee.pAppData.map { Unmanaged<SQLiteVFS>.fromOpaque($0).takeUnretainedValue() }
    }

    private func delete(_ path: String, sync: Bool) -> Int32 {
        do throws(StorageError) {
            if path.hasSuffix("-wal") { try databases.mark(String(path.dropLast(4)))?.willDeleteLog() }
            try fileSystem.remove(path)
            if sync { try fileSystem.syncDirectory(SQLiteVFS.directory(of: path)) }
            return SQLITE_OK
        } catch {
            return error.kind == .notFound ? IOCode.deleteAbsent : IOCode.delete
        }
    }

    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return String(path[..<slash])
    }
}
