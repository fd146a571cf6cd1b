internal import CSQLite
internal import Primitives
internal import RegistryModel

/// Fills a new database file in one go. Nothing is synced until `finish`: a crash before leaves a file nobody names.
final class StateBuilder {
    private let path: String
    private let fileSystem: any FileSystem
    private let connection: SQLiteConnection
    private let insertRow: SQLiteStatement
    private let insertLease: SQLiteStatement
    private let insertMember: SQLiteStatement
    private let insertRemoved: SQLiteStatement
    private let insertAlarm: SQLiteStatement
    private var auth: AuthStatements?
    private static let cacheBytesMin = 32 * 1024 * 1024

    init(_ path: String, on fileSystem: any FileSystem, options: StorageOptions) throws(StorageError) {
        self.path = path
        self.fileSystem = fileSystem
        for suffix in ["", "-wal", "-shm", "-journal", WriteAheadMark.suffix] {
            try fileSystem.removeIfPresent(path + suffix)
        }
        connection = try SQLiteConnection(
            path, vfs: options.vfs, access: .create, cacheBytes: max(options.pageCacheBytes, StateBuilder.cacheBytesMin)
        )
        try connection.execute("PRAGMA journal_mode = OFF")
        try connection.execute("PRAGMA synchronous = OFF")
        try connection.execute("BEGIN IMMEDIATE")
        try connection.execute(StateSchema.tables)
        insertRow = try connection.prepare(StateSchema.insertRow)
        insertLease = try connection.prepare("INSERT INTO lease (id, ttl) VALUES (?1, ?2)")
        insertMember = try connection.prepare("INSERT INTO member (id, description) VALUES (?1, ?2)")
        insertRemoved = try connection.prepare("INSERT INTO removed_member (id) VALUES (?1)")
        insertAlarm = try connection.prepare("INSERT INTO alarm (member, kind) VALUES (?1, ?2)")
    }

    /// Rows must come in ascending id order.
    func add(_ row: RevisionRow, id: Int64) throws(StorageError) {
        row.bind(to: insertRow, id: id)
        try insertRow.run()
    }

    func add(_ lease: LeaseRow) throws(StorageError) {
        insertLease.bind(1, lease.id.number)
        insertLease.bind(2, lease.ttlMilliseconds)
        try insertLease.run()
    }

    func add(_ member: MemberDescription) throws(StorageError) {
        try StateStore.insert(member, insertMember)
    }

    func addRemoved(_ member: MemberID) throws(StorageError) {
        try StateStore.insert(member, insertRemoved)
    }

    func add(_ alarm: Alarm) throws(StorageError) {
        try StateStore.bind(alarm, insertAlarm)
    }

    func addAuth(isEnabled: Bool, revision: UInt64) throws(StorageError) {
        try authStatements().set(isEnabled: isEnabled, revision: revision)
    }

    func add(_ user: AuthUser) throws(StorageError) {
        try authStatements().put(user)
    }

    func add(_ role: AuthRole) throws(StorageError) {
        try authStatements().put(role)
    }

    private func authStatements() throws(StorageError) -> AuthStatements {
        let statements = if let auth { auth } else { try AuthStatements(connection) }
        auth = statements
        return statements
    }

    /// Writes the header, closes the database and makes its contents durable; its name is up to the caller.
    func finish(_ header: StoredHeader) throws(StorageError) {
        let upsert = try connection.prepare(StateSchema.upsertHeader)
        header.bind(to: upsert)
        try upsert.run()
        try connection.execute("COMMIT")
        connection.close()
        let file = try fileSystem.open(path, .readWrite)
        defer { file.close() }
        try file.sync()
    }

    /// Gives up; the file is removed.
    func discard() {
        connection.close()
        try? fileSystem.removeIfPresent(path)
    }
}
