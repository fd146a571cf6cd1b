internal import CSQLite
internal import Primitives
internal import RegistryModel

/// The tables of users and roles. A database gets them, and a version of its own, with its first change of auth: one
/// that never had any can go back to a program that knows nothing of auth.
///
/// Names are blobs: what is the same and what comes first is decided by bytes.
struct AuthStatements {
    private let setSettings: SQLiteStatement
    private let putUser: SQLiteStatement
    private let deleteUser: SQLiteStatement
    private let putRole: SQLiteStatement
    private let deleteRole: SQLiteStatement

    private static let tables = """
        CREATE TABLE auth (
            id INTEGER PRIMARY KEY CHECK (id = 1), enabled INTEGER NOT NULL, revision INTEGER NOT NULL) STRICT;
        CREATE TABLE auth_user (name BLOB PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE auth_role (name BLOB PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;
        PRAGMA user_version = \(StateSchema.authVersion);
        """

    /// Creates the tables when they are missing; inside a transaction, which takes them back if it fails.
    init(_ connection: SQLiteConnection) throws(StorageError) {
        if try !AuthStatements.exist(connection) { try connection.execute(AuthStatements.tables) }
        setSettings = try connection.prepare("INSERT OR REPLACE INTO auth (id, enabled, revision) VALUES (1, ?1, ?2)")
        putUser = try connection.prepare("INSERT OR REPLACE INTO auth_user (name, record) VALUES (?1, ?2)")
        deleteUser = try connection.prepare("DELETE FROM auth_user WHERE name = ?1")
        putRole = try connection.prepare("INSERT OR REPLACE INTO auth_role (name, record) VALUES (?1, ?2)")
        deleteRole = try connection.prepare("DELETE FROM auth_role WHERE name = ?1")
    }

    private static func exist(_ connection: SQLiteConnection) throws(StorageError) -> Bool {
        try connection.number("PRAGMA user_version") >= StateSchema.authVersion
    }

    func set(isEnabled: Bool, revision: UInt64) throws(StorageError) {
        setSettings.bind(1, isEnabled ? 1 : 0 as Int64)
        setSettings.bind(2, revision)
        try setSettings.run()
    }

    func put(_ user: AuthUser) throws(StorageError) {
        var writer = ByteWriter()
        user.encode(into: &writer)
        try AuthStatements.run(putUser, user.name, writer.bytes)
    }

    func put(_ role: AuthRole) throws(StorageError) {
        var writer = ByteWriter()
        role.encode(into: &writer)
        try AuthStatements.run(putRole, role.name, writer.bytes)
    }

    func removeUser(_ name: AuthName) throws(StorageError) { try AuthStatements.run(deleteUser, name) }

    func removeRole(_ name: AuthName) throws(StorageError) { try AuthStatements.run(deleteRole, name) }

    private static func run(
        _ statement: SQLiteStatement, _ name: AuthName, _ record: [UInt8]? = nil
    ) throws(StorageError) {
        statement.bind(1, Array(name.text.utf8))
        if let record { statement.bind(2, record) }
        try statement.run()
    }

    // MARK: - Reading

    /// Everything, users and roles in order of their names.
    static func read(_ connection: SQLiteConnection) throws(StorageError) -> AuthRows {
        guard try exist(connection) else { return .initial }
        var rows = AuthRows.initial
        let settings = try connection.prepare("SELECT enabled, revision FROM auth WHERE id = 1")
        if try settings.step() {
            rows.isEnabled = settings.int64(0) != 0
            rows.revision = settings.uint64(1)
        }
        settings.reset()
        rows.users = try records("auth_user", connection) { (reader) throws(DecodingFailure) in
            try AuthUser.decode(from: &reader)
        }
        rows.roles = try records("auth_role", connection) { (reader) throws(DecodingFailure) in
            try AuthRole.decode(from: &reader)
        }
        return rows
    }

    private static func records<Record>(
        _ table: String, _ connection: SQLiteConnection, _ decode: (inout ByteReader) throws(DecodingFailure) -> Record
    ) throws(StorageError) -> [Record] {
        let statement = try connection.prepare("SELECT record FROM \(table) ORDER BY name")
        var records: [Record] = []
        while try statement.step() {
            var reader = ByteReader(statement.bytes(0))
            do throws(DecodingFailure) {
                records.append(try decode(&reader))
            } catch {
                throw .undecodable(connection.path, error)
            }
        }
        return records
    }
}
