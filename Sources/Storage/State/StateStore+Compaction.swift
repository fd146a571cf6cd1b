internal import CSQLite
internal import Primitives
internal import RegistryModel

extension StateStore {
    /// Removes history that compaction has made unreachable, in one short transaction of at most `limit` rows
    /// visited; call again while it returns true.
    ///
    /// A pass towards revision R visits, in order, the rows from the last pass's revision on: each makes every older
    /// version of its key unreachable, and a tombstone below R goes itself. So the work is that of the revisions
    /// compacted, not that of the whole table. A tombstone exactly at R stays, for a watch that starts there, and
    /// is visited again by the next pass.
    package func compactSome(limit: Int = 1_000) throws(StorageError) -> Bool {
        var next = stored
        if next.removingThrough <= next.removedThrough {
            guard next.state.compactRevision > next.removedThrough else { return false }
            next.removingThrough = next.state.compactRevision
            next.removingRow = try rows.firstRow(from: next.removedThrough)
        }
        try connection.transaction { () throws(StorageError) in
            var visited = 0
            while visited < limit, let row = try rowToVisit(from: next.removingRow, through: next.removingThrough) {
                try remove(row, target: next.removingThrough)
                next.removingRow = row.id + 1
                visited += 1
            }
            if visited < limit { next.removedThrough = next.removingThrough }
            try write(next)
        }
        stored = next
        return next.removedThrough < next.state.compactRevision
    }

    /// A row that a compaction pass looks at.
    private struct Visited {
        var id: Int64
        var revision: Revision
        var isTombstone: Bool
        var key: [UInt8]
    }

    private func rowToVisit(from id: Int64, through revision: Revision) throws(StorageError) -> Visited? {
        let statement = compaction.next
        statement.bind(1, id)
        guard try statement.step() else { return nil }
        defer { statement.reset() }
        let main = Revision(statement.int64(1))
        guard main <= revision else { return nil }
        return Visited(
            id: statement.int64(0), revision: main,
            isTombstone: statement.int64(2) == Int64(KVEvent.Kind.delete.rawValue), key: statement.bytes(3))
    }

    private func remove(_ row: Visited, target: Revision) throws(StorageError) {
        let older = compaction.deleteOlder
        older.bind(1, row.key)
        older.bind(2, row.isTombstone && row.revision < target ? row.id : row.id - 1)
        try older.run()
    }
}

/// The statements of physical compaction.
struct CompactionStatements {
    let next: SQLiteStatement
    let deleteOlder: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(StorageError) {
        next = try connection.prepare("SELECT id, main, kind, key FROM revision WHERE id >= ?1 ORDER BY id LIMIT 1")
        deleteOlder = try connection.prepare("DELETE FROM revision WHERE key = ?1 AND id <= ?2")
    }
}
