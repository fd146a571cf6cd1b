internal import CSQLite
internal import Primitives
package import RegistryModel

/// Why a read of the state database has no answer.
package enum StateReadFailure: Error, Hashable, Sendable {
    /// The revision is below this compact revision.
    case compacted(Revision)
    /// The database has not reached the revision; it stands at this one. Memory may be ahead of it.
    case future(current: Revision)
    case storage(StorageError)
}

/// Part of the event history of an interval.
package struct EventPage: Sendable {
    /// Whole revisions, ascending; those without an event in the interval are absent.
    package var events: [RevisionEvents]
    /// Every event up to this revision is in the page; continue after it.
    package var through: Revision
}

/// A read-only connection to the state database, for old revisions, history and snapshots. Reads see one committed
/// state each and do not disturb the writer.
package final class StateReader: @unchecked Sendable {
    // @unchecked: no locks; one thread at a time uses a reader, and its owner hands it over through a queue.

    let connection: SQLiteConnection
    let rows: RowFinder
    private let selectHeader: SQLiteStatement
    let selectRows: SQLiteStatement
    let selectVersions: SQLiteStatement

    /// - Throws: `damaged` when the file is no intact state database; `newerFormat`, `notFound`, `io`.
    package init(_ path: String, options: StorageOptions) throws(StorageError) {
        connection = try SQLiteConnection(
            path, vfs: options.vfs, access: .readOnly, cacheBytes: options.pageCacheBytes / 4)
        try StateSchema.check(connection)
        rows = try RowFinder(connection)
        selectHeader = try connection.prepare(StoredHeader.select)
        selectRows = try connection.prepare(
            "SELECT \(StateSchema.rowColumns) FROM revision WHERE id >= ?1 ORDER BY id")
        selectVersions = try connection.prepare(
            """
            SELECT \(StateSchema.rowColumns) FROM revision INDEXED BY revision_key
            WHERE key = ?1 AND id >= ?2 ORDER BY id
            """)
    }

    /// The newest committed header.
    package func header() throws(StorageError) -> StateHeader {
        try storedHeader().state
    }

    func storedHeader() throws(StorageError) -> StoredHeader {
        try StoredHeader.read(selectHeader, path: connection.path)
    }

    package func close() {
        connection.close()
    }

    /// Answers a range request with etcd's semantics at `request.revision`; 0 or less reads what the database holds.
    /// - Complexity: O(k log n) in the keys of the interval, however long their history is.
    package func range(_ request: RangeRequest) throws(StateReadFailure) -> RangeResult {
        try reading { (header) throws(StateReadFailure) in
            let current = header.state.revision
            let revision = request.revision.number <= 0 ? current : request.revision
            if revision > current { throw .future(current: current) }
            if revision < header.state.compactRevision { throw .compacted(header.state.compactRevision) }
            do throws(StorageError) {
                let last = revision == current ? Int64.max : try rows.firstRow(from: revision.next) - 1
                return try collect(request, throughRow: last)
            } catch {
                throw .storage(error)
            }
        }
    }

    /// Counts every live key of the interval, keeps the pairs that the answer can need.
    private func collect(_ request: RangeRequest, throughRow last: Int64) throws(StorageError) -> RangeResult {
        var shape = RangeShaping(request)
        var next: Key? = try firstKey(of: request.range)
        while let key = next, request.range.contains(key) {
            if shape.wantsPair {
                if let pair = try rows.pair(key, atRow: last) { shape.add(pair) }
            } else if try rows.isAlive(key, atRow: last) {
                shape.addUnread()
            }
            if case .single = request.range.end { break }
            next = try rows.key(after: key)
        }
        return shape.result()
    }

    private func firstKey(of range: KeyRange) throws(StorageError) -> Key? {
        if case .single = range.end { return range.start }
        // The start itself may not exist; the empty key never does.
        if try rows.exists(range.start) { return range.start }
        return try rows.key(after: range.start)
    }

    /// The events of an interval, whole revisions at a time, with the pairs as they were before (nil for creations
    /// and where compaction took them).
    ///
    /// - Parameters:
    ///   - from: at least the compact revision, else `compacted`.
    ///   - through: at most the database's revision, else `future`.
    ///   - limit: stops after the revision that reaches this many events.
    package func events(
        in range: KeyRange, from: Revision, through: Revision, limit: Int
    ) throws(StateReadFailure) -> [RevisionEvents] {
        try page(in: range, from: from, through: through, limit: limit, scanLimit: .max).events
    }

    /// As `events`, and stops also after `scanLimit` rows were looked at: bounds the time of one call where few of
    /// many events match.
    package func page(
        in range: KeyRange, from: Revision, through: Revision, limit: Int, scanLimit: Int
    ) throws(StateReadFailure) -> EventPage {
        try reading { (header) throws(StateReadFailure) in
            let state = header.state
            if through > state.revision { throw .future(current: state.revision) }
            if from < state.compactRevision { throw .compacted(state.compactRevision) }
            do throws(StorageError) {
                return try scan(
                    range, from: from, through: through, compacted: state.compactRevision, limit: limit,
                    scanLimit: scanLimit)
            } catch {
                throw .storage(error)
            }
        }
    }

    private func scan(
        _ range: KeyRange, from: Revision, through: Revision, compacted: Revision, limit: Int, scanLimit: Int
    ) throws(StorageError) -> EventPage {
        var page = EventPage(events: [], through: through)
        guard from <= through else { return page }
        selectRows.bind(1, try rows.firstRow(from: from))
        defer { selectRows.reset() }
        var found = 0
        var scanned = 0
        var previousMain = from
        while try selectRows.step() {
            let main = Revision(selectRows.int64(1))
            if main > through { return page }
            if main != previousMain && (found >= limit || scanned >= scanLimit) {
                page.through = previousMain
                return page
            }
            previousMain = main
            scanned += 1
            guard range.contains(Key(selectRows.bytes(14))) else { continue }
            let id = selectRows.int64(0)
            let row = try RevisionRow(selectRows, path: connection.path)
            let knowsPrevious = main > compacted
            let previous = knowsPrevious ? try rows.pair(row.kv.key, atRow: id - 1) : nil
            StateReader.add(row, previous: previous, to: &page.events)
            found += 1
        }
        return page
    }

    private static func add(_ row: RevisionRow, previous: KeyValue?, to events: inout [RevisionEvents]) {
        let event = KVEvent(kind: row.kind, kv: row.kv, previous: previous, sub: row.sub)
        if events.last?.revision == event.revision {
            events[events.count - 1].events.append(event)
        } else {
            events.append(
                RevisionEvents(
                    revision: event.revision, events: [event], commitTimeMilliseconds: row.commitTimeMilliseconds,
                    origin: row.origin))
        }
    }

    /// Runs `body` on one committed state.
    func reading<Result>(
        _ body: (StoredHeader) throws(StateReadFailure) -> Result
    ) throws(StateReadFailure) -> Result {
        let header: StoredHeader
        do throws(StorageError) {
            try begin()
            header = try storedHeader()
        } catch {
            end()
            throw .storage(error)
        }
        defer { end() }
        return try body(header)
    }

    /// Holds on to the present committed state until `end`.
    func begin() throws(StorageError) {
        precondition(!connection.isInTransaction, "the reader is busy with another read")
        try connection.execute("BEGIN")
    }

    func end() {
        guard connection.isInTransaction else { return }
        try? connection.execute("COMMIT")
    }
}

extension StateReader {
    /// Versions in the history table, removed ones not counted: for tests and status views.
    package func rowCount() throws(StorageError) -> Int64 {
        try connection.number("SELECT count(*) FROM revision")
    }
}
