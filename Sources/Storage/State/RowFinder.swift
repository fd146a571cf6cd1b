internal import CSQLite
internal import Primitives
internal import RegistryModel

/// Looks rows of `revision` up, on either kind of connection.
final class RowFinder {
    private let path: String
    private let rowAtOrAfter: SQLiteStatement
    private let lastRow: SQLiteStatement
    private let nextKey: SQLiteStatement
    private let versionAt: SQLiteStatement
    private let lastOfEachKey: SQLiteStatement
    private let row: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(StorageError) {
        path = connection.path
        rowAtOrAfter = try connection.prepare(
            "SELECT id, main FROM revision WHERE id >= ?1 ORDER BY id LIMIT 1")
        lastRow = try connection.prepare("SELECT id FROM revision ORDER BY id DESC LIMIT 1")
        nextKey = try connection.prepare(
            "SELECT key FROM revision INDEXED BY revision_key WHERE key > ?1 ORDER BY key LIMIT 1")
        versionAt = try connection.prepare(
            """
            SELECT \(StateSchema.rowColumns) FROM revision INDEXED BY revision_key
            WHERE key = ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1
            """)
        lastOfEachKey = try connection.prepare(
            "SELECT max(id) FROM revision INDEXED BY revision_key GROUP BY key ORDER BY key")
        row = try connection.prepare("SELECT \(StateSchema.rowColumns) FROM revision WHERE id = ?1")
    }

    /// The id of the first row whose revision is `revision` or later; one past the last row when there is none.
    /// - Complexity: O(log n) look-ups: ids ascend with revisions.
    func firstRow(from revision: Revision) throws(StorageError) -> Int64 {
        guard try lastRow.step() else { return 1 }
        var high = lastRow.int64(0) + 1
        lastRow.reset()
        var low: Int64 = 0
        while low < high {
            let middle = low + (high - low) / 2
            rowAtOrAfter.bind(1, middle)
            guard try rowAtOrAfter.step() else {
                high = middle
                continue
            }
            let (id, main) = (rowAtOrAfter.int64(0), rowAtOrAfter.int64(1))
            rowAtOrAfter.reset()
            if main >= revision.number { high = middle } else { low = id + 1 }
        }
        return low
    }

    /// The first key after `key` that has any version.
    func key(after key: Key) throws(StorageError) -> Key? {
        nextKey.bind(1, key.bytes)
        guard try nextKey.step() else { return nil }
        defer { nextKey.reset() }
        return Key(nextKey.bytes(0))
    }

    /// The id of the newest version of `key` among rows up to `id`.
    func newestRow(of key: Key, atRow id: Int64) throws(StorageError) -> Int64? {
        versionAt.bind(1, key.bytes)
        versionAt.bind(2, id)
        guard try versionAt.step() else { return nil }
        defer { versionAt.reset() }
        return versionAt.int64(0)
    }

    /// Whether `key` has any version.
    func exists(_ key: Key) throws(StorageError) -> Bool {
        try newestRow(of: key, atRow: .max) != nil
    }

    /// The newest version of `key` among rows up to `id`; nil when there is none or it is a tombstone.
    func pair(_ key: Key, atRow id: Int64) throws(StorageError) -> KeyValue? {
        versionAt.bind(1, key.bytes)
        versionAt.bind(2, id)
        guard try versionAt.step() else { return nil }
        defer { versionAt.reset() }
        guard versionAt.int64(3) == Int64(KVEvent.Kind.put.rawValue) else { return nil }
        return KeyValue(revisionRow: versionAt)
    }

    /// Whether `key` is alive among rows up to `id`; cheaper than reading the pair.
    func isAlive(_ key: Key, atRow id: Int64) throws(StorageError) -> Bool {
        versionAt.bind(1, key.bytes)
        versionAt.bind(2, id)
        guard try versionAt.step() else { return false }
        defer { versionAt.reset() }
        return versionAt.int64(3) == Int64(KVEvent.Kind.put.rawValue)
    }

    /// All live pairs in key order, and where those came from that keep a lease company.
    ///
    /// The index gives each key's newest row; the rows are then fetched in id order, so that every page of the table
    /// is read once however small the cache.
    func live() throws(StorageError) -> (pairs: [KeyValue], origins: [LeaseOrigin]) {
        defer {
            lastOfEachKey.reset()
            row.reset()
        }
        var ids: [Int64] = []
        while try lastOfEachKey.step() { ids.append(lastOfEachKey.int64(0)) }
        var pairs = [KeyValue?](repeating: nil, count: ids.count)
        // In id order, so the host of the latest put remains.
        var hosts: [LeaseID: String] = [:]
        for place in ids.indices.sorted(by: { ids[$0] < ids[$1] }) {
            row.bind(1, ids[place])
            guard try row.step() else {
                throw StorageError(.damaged, "read", path, "index and table disagree about row \(ids[place])")
            }
            if row.int64(3) == Int64(KVEvent.Kind.put.rawValue) {
                let pair = KeyValue(revisionRow: row)
                if pair.lease != .none {
                    hosts[pair.lease] = Origin.source(of: row.text(13), at: MemberID(row.uint64(8)))
                }
                pairs[place] = pair
            }
            row.reset()
        }
        let origins = hosts.map { LeaseOrigin(lease: $0.key, host: $0.value) }.sorted { $0.lease < $1.lease }
        return (pairs.compactMap { $0 }, origins)
    }
}

/// The small tables, read whole.
enum StateRows {
    /// In id order.
    static func leases(_ connection: SQLiteConnection) throws(StorageError) -> [LeaseRow] {
        let statement = try connection.prepare("SELECT id, ttl FROM lease ORDER BY id")
        var rows: [LeaseRow] = []
        while try statement.step() {
            rows.append(LeaseRow(id: LeaseID(statement.int64(0)), ttlMilliseconds: statement.int64(1)))
        }
        return rows
    }

    /// In id order.
    static func members(_ connection: SQLiteConnection) throws(StorageError) -> [MemberDescription] {
        let statement = try connection.prepare("SELECT description FROM member")
        var members: [MemberDescription] = []
        while try statement.step() {
            var reader = ByteReader(statement.bytes(0))
            do throws(DecodingFailure) {
                members.append(try MemberDescription.decode(from: &reader))
            } catch {
                throw .undecodable(connection.path, error)
            }
        }
        return members.sorted { $0.id < $1.id }
    }

    /// Ascending.
    static func removedMembers(_ connection: SQLiteConnection) throws(StorageError) -> [MemberID] {
        let statement = try connection.prepare("SELECT id FROM removed_member")
        var ids: [MemberID] = []
        while try statement.step() { ids.append(MemberID(statement.uint64(0))) }
        return ids.sorted()
    }

    /// In order of member and kind.
    static func alarms(_ connection: SQLiteConnection) throws(StorageError) -> [Alarm] {
        let statement = try connection.prepare("SELECT member, kind FROM alarm")
        var alarms: [Alarm] = []
        while try statement.step() {
            guard let kind = UInt8(exactly: statement.int64(1)).flatMap(AlarmKind.init(rawValue:)) else {
                throw StorageError(
                    .damaged, "read", connection.path, "an alarm of kind \(statement.int64(1)), which means nothing")
            }
            alarms.append(Alarm(member: MemberID(statement.uint64(0)), kind: kind))
        }
        return alarms.sorted()
    }
}
