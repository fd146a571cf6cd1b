internal import CSQLite
package import Primitives
package import RegistryModel

/// The state machine's durable side: every retained revision, leases, members, alarms, users and roles, and the applied position in the same
/// transaction as the data it describes. The one writing connection of the database.
///
/// It may lag behind memory and, after a power loss, behind what `apply` returned; never behind `durableIndex`.
/// It can always be rebuilt from a snapshot and the log, so damage is an error (`damaged`), not the end.
package final class StateStore: @unchecked Sendable {
    // @unchecked: no locks; the state lane owns the store, and its owner hands it over through a queue.

    let connection: SQLiteConnection
    private let insertRow: SQLiteStatement
    private let insertLease: SQLiteStatement
    private let deleteLease: SQLiteStatement
    private let insertMember: SQLiteStatement
    private let deleteMember: SQLiteStatement
    private let insertRemoved: SQLiteStatement
    private let insertAlarm: SQLiteStatement
    private let deleteAlarm: SQLiteStatement
    private let upsertHeader: SQLiteStatement
    /// Since the first change of auth.
    private var auth: AuthStatements?
    let rows: RowFinder
    let compaction: CompactionStatements
    var stored: StoredHeader
    /// The applied index that survives a power loss.
    package private(set) var durableIndex: LogIndex

    /// - Throws: `damaged` when the file is no intact state database; `newerFormat`, `notFound`, `io`.
    package convenience init(_ path: String, options: StorageOptions) throws(StorageError) {
        let connection = try SQLiteConnection(
            path, vfs: options.vfs, access: .readWrite, cacheBytes: options.pageCacheBytes)
        try self.init(connection)
    }

    private init(_ connection: SQLiteConnection) throws(StorageError) {
        self.connection = connection
        try StateSchema.check(connection)
        try connection.execute("PRAGMA journal_mode = WAL")
        try connection.execute("PRAGMA synchronous = NORMAL")
        insertRow = try connection.prepare(StateSchema.insertRow)
        insertLease = try connection.prepare("INSERT OR REPLACE INTO lease (id, ttl) VALUES (?1, ?2)")
        deleteLease = try connection.prepare("DELETE FROM lease WHERE id = ?1")
        insertMember = try connection.prepare("INSERT OR REPLACE INTO member (id, description) VALUES (?1, ?2)")
        deleteMember = try connection.prepare("DELETE FROM member WHERE id = ?1")
        insertRemoved = try connection.prepare("INSERT OR REPLACE INTO removed_member (id) VALUES (?1)")
        insertAlarm = try connection.prepare("INSERT OR REPLACE INTO alarm (member, kind) VALUES (?1, ?2)")
        deleteAlarm = try connection.prepare("DELETE FROM alarm WHERE member = ?1 AND kind = ?2")
        upsertHeader = try connection.prepare(StateSchema.upsertHeader)
        rows = try RowFinder(connection)
        compaction = try CompactionStatements(connection)
        stored = try StoredHeader.read(try connection.prepare(StoredHeader.select), path: connection.path)
        // What an earlier life committed may be in the page cache only.
        durableIndex = .zero
        _ = try makeDurable()
    }

    /// Creates a database that holds only `header` and `members`, durably but for its name.
    package static func create(
        _ path: String, header: StateHeader, members: [MemberDescription], on fileSystem: any FileSystem,
        options: StorageOptions
    ) throws(StorageError) {
        let builder = try StateBuilder(path, on: fileSystem, options: options)
        for member in members { try builder.add(member) }
        try builder.finish(StoredHeader(state: header))
    }

    /// As of the last `apply`.
    package var header: StateHeader { stored.state }

    /// Adds the batches, in order, in one transaction. Nothing of it stays when it fails.
    ///
    /// A transaction writes each page it touched once, so the cost of a row falls with their number: a busy lane
    /// should gather some thousand rows.
    package func apply(_ batches: [StateBatch]) throws(StorageError) {
        guard let last = batches.last else { return }
        var next = stored
        next.state = last.header
        do throws(StorageError) {
            try connection.transaction { () throws(StorageError) in
                for batch in batches {
                    for change in batch.changes { try apply(change, row: &next.nextRow) }
                }
                try write(next)
            }
        } catch {
            // The tables may be gone with the transaction that made them.
            auth = nil
            throw error
        }
        stored = next
    }

    private func apply(_ change: StateChange, row: inout Int64) throws(StorageError) {
        switch change {
        case .row(let change):
            change.bind(to: insertRow, id: row)
            try insertRow.run()
            row += 1
        case .leaseGranted(let lease):
            insertLease.bind(1, lease.id.number)
            insertLease.bind(2, lease.ttlMilliseconds)
            try insertLease.run()
        case .leaseRemoved(let id):
            deleteLease.bind(1, id.number)
            try deleteLease.run()
        case .member(let member):
            try StateStore.insert(member, insertMember)
        case .memberRemoved(let id):
            deleteMember.bind(1, id.number)
            try deleteMember.run()
            try StateStore.insert(id, insertRemoved)
        case .alarm(let change):
            try StateStore.bind(change.alarm, change.isRaised ? insertAlarm : deleteAlarm)
        case .authSettings, .authUser, .authUserRemoved, .authRole, .authRoleRemoved:
            try applyAuth(change)
        case .compacted:
            // The header says how far; `compactSome` removes the rows in its own time.
            break
        }
    }

    private func applyAuth(_ change: StateChange) throws(StorageError) {
        let statements = if let auth { auth } else { try AuthStatements(connection) }
        auth = statements
        switch change {
        case .authSettings(let isEnabled, let revision): try statements.set(isEnabled: isEnabled, revision: revision)
        case .authUser(let user): try statements.put(user)
        case .authUserRemoved(let name): try statements.removeUser(name)
        case .authRole(let role): try statements.put(role)
        case .authRoleRemoved(let name): try statements.removeRole(name)
        default: preconditionFailure("not about auth")
        }
    }

    static func insert(_ member: MemberDescription, _ statement: SQLiteStatement) throws(StorageError) {
        var writer = ByteWriter()
        member.encode(into: &writer)
        statement.bind(1, member.id.number)
        statement.bind(2, writer.bytes)
        try statement.run()
    }

    /// Into the table of removed members.
    static func insert(_ id: MemberID, _ statement: SQLiteStatement) throws(StorageError) {
        statement.bind(1, id.number)
        try statement.run()
    }

    /// Runs a statement whose parameters are an alarm.
    static func bind(_ alarm: Alarm, _ statement: SQLiteStatement) throws(StorageError) {
        statement.bind(1, alarm.member.number)
        statement.bind(2, Int64(alarm.kind.rawValue))
        try statement.run()
    }

    func write(_ header: StoredHeader) throws(StorageError) {
        header.bind(to: upsertHeader)
        try upsertHeader.run()
    }

    /// Everything a state machine needs at start.
    package func restore() throws(StorageError) -> RestoredState {
        let live = try rows.live()
        let leases = try StateRows.leases(connection)
        let members = try StateRows.members(connection)
        var state = RestoredState(
            header: header, live: live.pairs, leases: leases, members: members,
            removedMembers: try StateRows.removedMembers(connection), alarms: try StateRows.alarms(connection),
            auth: try AuthStatements.read(connection))
        state.leaseOrigins = live.origins
        return state
    }

    /// Makes everything applied so far survive a power loss: two syncs, one more when a reader is in the way.
    /// - Returns: the applied index that is durable now.
    package func makeDurable() throws(StorageError) -> LogIndex {
        let applied = stored.state.applied.index
        if !(try connection.checkpoint()) {
            // A reader keeps the database file from catching up. A fully synchronous commit syncs all before it.
            try connection.execute("PRAGMA synchronous = FULL")
            defer { try? connection.execute("PRAGMA synchronous = NORMAL") }
            try connection.transaction { () throws(StorageError) in try write(stored) }
        }
        durableIndex = max(durableIndex, applied)
        return durableIndex
    }

    /// Bytes of the database file, and those of them that hold data.
    package func sizes() throws(StorageError) -> (bytes: Int64, inUse: Int64) {
        let pages = try connection.number("PRAGMA page_count")
        let free = try connection.number("PRAGMA freelist_count")
        let pageBytes = try connection.number("PRAGMA page_size")
        return (pages * pageBytes, (pages - free) * pageBytes)
    }

    package func close() {
        connection.close()
    }
}
