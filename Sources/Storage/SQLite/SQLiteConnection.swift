internal import CSQLite

/// One connection to one database file. Used by one thread at a time.
final class SQLiteConnection {
    enum Access: Sendable { case create, readWrite, readOnly }

    let path: String
    private var handle: OpaquePointer?
    private var statements: [SQLiteStatement] = []
    /// A write or sync failed: what the disk holds is unknown until recovery has looked.
    private var broken: StorageError?

    /// - Parameters:
    ///   - vfs: a registered `SQLiteVFS`; nil is the real disk's.
    ///   - cacheBytes: bound on the page cache.
    init(_ path: String, vfs: String?, access: Access, cacheBytes: Int) throws(StorageError) {
        self.path = path
        let flags: Int32
        switch access {
        case .create: flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        case .readWrite: flags = SQLITE_OPEN_READWRITE
        case .readOnly: flags = SQLITE_OPEN_READONLY
        }
        let vfs = try SQLiteConnection.resolved(vfs)
        // One thread at a time uses a connection, so SQLite need not lock it.
        let code = sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs)
        guard code == SQLITE_OK else {
            let error = failure(access == .create ? "create" : "open", code)
            sqlite3_close_v2(handle)
            handle = nil
            throw error
        }
        sqlite3_busy_timeout(handle, 5_000)
        try execute("PRAGMA cache_size = -\(max(cacheBytes / 1024, 64))")
        try execute("PRAGMA temp_store = MEMORY")
        try execute("PRAGMA trusted_schema = OFF")
        try execute("PRAGMA wal_autocheckpoint = 0")
        try execute("PRAGMA cell_size_check = ON")
        if access == .create {
            try execute("PRAGMA page_size = \(PageChecksum.pageBytes)")
            var reserved = Int32(PageChecksum.reservedBytes)
            let code = sqlite3_file_control(handle, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved)
            guard code == SQLITE_OK else { throw failure("reserve bytes in", code) }
        }
    }

    deinit { close() }

    private static func resolved(_ vfs: String?) throws(StorageError) -> String {
        if let vfs { return vfs }
        return try SystemVFS.ensure()
    }

    /// Runs statements without results, or whose results do not matter.
    func execute(_ sql: String) throws(StorageError) {
        try requireSound()
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(SQLiteConnection.verb(sql), code) }
    }

    /// A statement that lives as long as the connection.
    func prepare(_ sql: String) throws(StorageError) -> SQLiteStatement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure(SQLiteConnection.verb(sql), code) }
        let wrapped = SQLiteStatement(statement, of: self)
        statements.append(wrapped)
        return wrapped
    }

    /// The first column of the first row.
    func number(_ sql: String) throws(StorageError) -> Int64 {
        let statement = try prepare(sql)
        defer {
            statement.finalize()
            statements.removeLast()
        }
        return try statement.step() ? statement.int64(0) : 0
    }

    /// Copies what the log of the database holds into the database file and syncs both, as far as readers allow.
    /// - Returns: whether all of it got there.
    func checkpoint() throws(StorageError) -> Bool {
        try requireSound()
        var frames: Int32 = 0
        var copied: Int32 = 0
        let code = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied)
        if code == SQLITE_BUSY { return false }
        guard code == SQLITE_OK else { throw failure("checkpoint", code) }
        return frames == copied
    }

    var isInTransaction: Bool { handle != nil && sqlite3_get_autocommit(handle) == 0 }

    /// Runs `body` in a transaction that is rolled back when it throws.
    func transaction<Result>(
        _ begin: String = "BEGIN IMMEDIATE", _ body: () throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        try execute(begin)
        do throws(StorageError) {
            let result = try body()
            try execute("COMMIT")
            return result
        } catch {
            // Statements that were cut short hold the transaction open. The first error is the one that counts.
            for statement in statements { statement.reset() }
            if isInTransaction { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
            throw error
        }
    }

    func close() {
        for statement in statements { statement.finalize() }
        statements.removeAll()
        if let handle { sqlite3_close_v2(handle) }
        handle = nil
    }

    /// A failed write or sync is never tried again: the kernel may have dropped the pages, and would report success.
    private func requireSound() throws(StorageError) {
        // SQLite looks at a missing connection in some of its functions only.
        guard handle != nil else { throw StorageError(.stopped, "use", path, "the database is closed") }
        guard let broken else { return }
        throw StorageError(.stopped, "use", path, "stopped by an earlier failure: \(broken)")
    }

    private static let breaking = [IOCode.write, IOCode.sync, IOCode.directorySync, IOCode.truncate]

    func failure(_ operation: String, _ code: Int32) -> StorageError {
        let error = described(operation, code)
        if SQLiteConnection.breaking.contains(code), broken == nil { broken = error }
        return error
    }

    private func described(_ operation: String, _ code: Int32) -> StorageError {
        if code == IOCode.data {
            return StorageError(
                .damaged, operation, path, "the checksum of a page does not match, or its log lacks frames",
                code: code)
        }
        let kind: StorageError.Kind
        switch code & 0xFF {
        case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_FORMAT: kind = .damaged
        case SQLITE_FULL: kind = .full
        case SQLITE_BUSY where operation == "open": kind = .inUse
        // Later on it is a journal that cannot be opened.
        case SQLITE_CANTOPEN: kind = operation == "open" ? .notFound : .io
        default: kind = .io
        }
        let text = handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
        return StorageError(kind, operation, path, text, code: code)
    }

    private static func verb(_ sql: String) -> String {
        String(sql.prefix { $0 != "\n" }.prefix(60)) + " in"
    }
}
