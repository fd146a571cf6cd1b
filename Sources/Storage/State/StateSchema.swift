internal import CSQLite
internal import Primitives
internal import RegistryModel

/// The state database.
///
/// Every version of every key is one row of `revision`. Its `id` counts all rows ever written, in apply order, so
/// ids ascend with (main, sub), are the same on every member, and new rows go to the right edge of the table.
/// An index on `key` implies the id as its last column: versions of a key in order. There is no index on `main`;
/// the first row of a revision is found by bisecting ids.
enum StateSchema {
    static let version: Int64 = 1
    /// Of a database with tables of users and roles (`AuthStatements`).
    static let authVersion: Int64 = 2
    /// "GNST", so that `file` and a stray open recognise it.
    static let applicationID: Int64 = 0x474E_5354

    static let tables = """
        CREATE TABLE revision (
            id INTEGER PRIMARY KEY, main INTEGER NOT NULL, sub INTEGER NOT NULL, kind INTEGER NOT NULL,
            created INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL, time INTEGER NOT NULL,
            member INTEGER NOT NULL, incarnation INTEGER NOT NULL, serial INTEGER NOT NULL,
            reason INTEGER NOT NULL, user TEXT, peer TEXT, key BLOB NOT NULL, value BLOB NOT NULL) STRICT;
        CREATE INDEX revision_key ON revision (key);
        CREATE TABLE lease (id INTEGER PRIMARY KEY, ttl INTEGER NOT NULL) STRICT;
        CREATE TABLE member (id INTEGER PRIMARY KEY, description BLOB NOT NULL) STRICT;
        CREATE TABLE removed_member (id INTEGER PRIMARY KEY) STRICT;
        CREATE TABLE alarm (
            member INTEGER NOT NULL, kind INTEGER NOT NULL, PRIMARY KEY (member, kind)) STRICT, WITHOUT ROWID;
        CREATE TABLE header (
            id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB NOT NULL, crc INTEGER NOT NULL,
            next_row INTEGER NOT NULL, removed_through INTEGER NOT NULL, removing_through INTEGER NOT NULL,
            removing_row INTEGER NOT NULL) STRICT;
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(version);
        """

    static let rowColumns = """
        id, main, sub, kind, created, version, lease, time, member, incarnation, serial, reason, user, peer, key, value
        """

    static let insertRow = """
        INSERT INTO revision (\(rowColumns)) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)
        """

    static let upsertHeader = """
        INSERT OR REPLACE INTO header
            (id, state, crc, next_row, removed_through, removing_through, removing_row)
        VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)
        """

    /// - Throws: `damaged` when this is no state database, `newerFormat`.
    static func check(_ connection: SQLiteConnection) throws(StorageError) {
        guard try connection.number("PRAGMA application_id") == applicationID else {
            throw StorageError(.damaged, "open", connection.path, "not a state database")
        }
        let found = try connection.number("PRAGMA user_version")
        guard (version...authVersion).contains(found) else {
            let kind: StorageError.Kind = found > authVersion ? .newerFormat : .damaged
            throw StorageError(
                kind, "open", connection.path, "schema version \(found), this program knows \(authVersion)")
        }
    }
}

/// The `header` table's only row: the applied state's single values, and how far removed history is really gone.
struct StoredHeader {
    var state: StateHeader
    /// The id the next row gets.
    var nextRow: Int64 = 1
    /// History superseded at or below this revision is removed from the table.
    var removedThrough = Revision(-1)
    /// The compaction under way; equal to `removedThrough` when there is none.
    var removingThrough = Revision(-1)
    /// Rows below this id were visited by the compaction under way.
    var removingRow: Int64 = 0

    func bind(to statement: SQLiteStatement) {
        var writer = ByteWriter(reserving: 256)
        state.encode(into: &writer)
        statement.bind(1, writer.bytes)
        statement.bind(2, Int64(CRC32C.of(writer.bytes)))
        statement.bind(3, nextRow)
        statement.bind(4, removedThrough.number)
        statement.bind(5, removingThrough.number)
        statement.bind(6, removingRow)
    }

    static let select = """
        SELECT state, crc, next_row, removed_through, removing_through, removing_row FROM header WHERE id = 1
        """

    static func read(_ statement: SQLiteStatement, path: String) throws(StorageError) -> StoredHeader {
        guard try statement.step() else { throw StorageError(.damaged, "read", path, "the header row is missing") }
        defer { statement.reset() }
        let bytes = statement.bytes(0)
        guard Int64(CRC32C.of(bytes)) == statement.int64(1) else {
            throw StorageError(.damaged, "read", path, "the header row's checksum does not match")
        }
        var reader = ByteReader(bytes)
        do throws(DecodingFailure) {
            return StoredHeader(
                state: try StateHeader.decode(from: &reader), nextRow: statement.int64(2),
                removedThrough: Revision(statement.int64(3)), removingThrough: Revision(statement.int64(4)),
                removingRow: statement.int64(5))
        } catch {
            throw .undecodable(path, error)
        }
    }
}

extension RevisionRow {
    func bind(to statement: SQLiteStatement, id: Int64) {
        statement.bind(1, id)
        statement.bind(2, kv.modRevision.number)
        statement.bind(3, Int64(sub))
        statement.bind(4, Int64(kind.rawValue))
        statement.bind(5, kv.createRevision.number)
        statement.bind(6, kv.version)
        statement.bind(7, kv.lease.number)
        statement.bind(8, commitTimeMilliseconds)
        statement.bind(9, origin.member.number)
        statement.bind(10, origin.incarnation.number)
        statement.bind(11, origin.serial)
        statement.bind(12, Int64(origin.reason.rawValue))
        statement.bind(13, origin.user)
        statement.bind(14, origin.peer)
        statement.bind(15, kv.key.bytes)
        statement.bind(16, kv.value)
    }

    /// The row a statement that selects `StateSchema.rowColumns` stands on.
    init(_ statement: SQLiteStatement, path: String) throws(StorageError) {
        guard let kind = UInt8(exactly: statement.int64(3)).flatMap(KVEvent.Kind.init(rawValue:)),
            let reason = UInt8(exactly: statement.int64(11)).flatMap(ReasonCode.init(rawValue:)),
            let sub = Int32(exactly: statement.int64(2))
        else {
            throw StorageError(
                .damaged, "read", path, "row \(statement.int64(0)) has a kind, reason or position without meaning")
        }
        self.init(
            kind: kind, kv: KeyValue(revisionRow: statement), sub: sub,
            commitTimeMilliseconds: statement.int64(7),
            origin: Origin(
                member: MemberID(statement.uint64(8)), incarnation: Incarnation(statement.uint64(9)),
                serial: statement.uint64(10), user: statement.text(12), peer: statement.text(13), reason: reason))
    }
}

extension KeyValue {
    /// The pair of a row selected as `StateSchema.rowColumns`.
    init(revisionRow statement: SQLiteStatement) {
        self.init(
            key: Key(statement.bytes(14)), value: statement.bytes(15), createRevision: Revision(statement.int64(4)),
            modRevision: Revision(statement.int64(1)), version: statement.int64(5),
            lease: LeaseID(statement.int64(6)))
    }
}
