internal import CSQLite

/// A prepared statement. Parameters count from 1, columns from 0.
final class SQLiteStatement {
    private var handle: OpaquePointer?
    private unowned let connection: SQLiteConnection

    /// SQLite copies the bytes before the call returns.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    init(_ handle: OpaquePointer, of connection: SQLiteConnection) {
        self.handle = handle
        self.connection = connection
    }

    func bind(_ position: Int32, _ value: Int64) {
        sqlite3_bind_int64(handle, position, value)
    }

    func bind(_ position: Int32, _ value: UInt64) {
        sqlite3_bind_int64(handle, position, Int64(bitPattern: value))
    }

    func bind(_ position: Int32, _ bytes: [UInt8]) {
        if bytes.isEmpty {
            sqlite3_bind_zeroblob(handle, position, 0)
        } else {
            bytes.withUnsafeBytes { buffer in
                _ = sqlite3_bind_blob64(
                    handle, position, buffer.baseAddress, UInt64(buffer.count), SQLiteStatement.transient)
            }
        }
    }

    func bind(_ position: Int32, _ text: String) {
        if text.isEmpty {
            sqlite3_bind_null(handle, position)
        } else {
            sqlite3_bind_text(handle, position, text, -1, SQLiteStatement.transient)
        }
    }

    /// Moves to the next row; false when there is none, and then the statement can be bound and run again.
    func step() throws(StorageError) -> Bool {
        let code = sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE {
            sqlite3_reset(handle)
            return false
        }
        let error = connection.failure("run a statement in", code)
        sqlite3_reset(handle)
        throw error
    }

    /// Runs a statement that returns no rows.
    func run() throws(StorageError) {
        while try step() {}
    }

    func reset() {
        sqlite3_reset(handle)
    }

    func isNull(_ column: Int32) -> Bool {
        sqlite3_column_type(handle, column) == SQLITE_NULL
    }

    func int64(_ column: Int32) -> Int64 {
        sqlite3_column_int64(handle, column)
    }

    func uint64(_ column: Int32) -> UInt64 {
        UInt64(bitPattern: sqlite3_column_int64(handle, column))
    }

    func bytes(_ column: Int32) -> [UInt8] {
        guard let start = sqlite3_column_blob(handle, column) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
    }

    /// Invalid UTF-8 is repaired: it is for display.
    func text(_ column: Int32) -> String {
        guard sqlite3_column_type(handle, column) != SQLITE_NULL else { return "" }
        return String(decoding: bytes(column), as: UTF8.self)
    }

    func finalize() {
        sqlite3_finalize(handle)
        handle = nil
    }
}
