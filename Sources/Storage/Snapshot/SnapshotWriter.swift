internal import CSQLite
package import Primitives
package import RegistryModel

/// Writes the database's present contents to a snapshot file, a piece a call, from one read transaction: the writer
/// goes on meanwhile. The reader is busy until the last piece.
///
/// History that compaction has made unreachable but not yet removed is left out, so that the bytes depend on the
/// applied position alone.
package final class SnapshotWriter {
    /// Raw bytes a call to `step` exports, about.
    private static let stepBytes = 1024 * 1024

    private enum Phase { case rows, rest, done }

    private let reader: StateReader
    let path: String
    private let fileSystem: any FileSystem
    private let file: any StorageFile
    private let stored: StoredHeader
    /// Rows with this id or a higher one are later than the compact revision, hence all retained.
    private let firstRetained: Int64
    private let needsFilter: Bool
    private var phase = Phase.rows
    private var raw: [UInt8] = []
    private var offset: Int64 = 0
    private var behind = WriteBehind()
    private var digest = Digest128()
    private var rowCount: UInt64 = 0
    private let auth: AuthRows

    package init(_ path: String, on fileSystem: any FileSystem, from reader: StateReader) throws(StorageError) {
        self.reader = reader
        self.path = path
        self.fileSystem = fileSystem
        try fileSystem.removeIfPresent(path)
        file = try fileSystem.open(path, .create)
        try reader.begin()
        do throws(StorageError) {
            stored = try reader.storedHeader()
            firstRetained = try reader.rows.firstRow(from: stored.state.compactRevision.next)
            auth = try AuthStatements.read(reader.connection)
            needsFilter = stored.removedThrough < stored.state.compactRevision
            reader.selectRows.bind(1, 0 as Int64)
        } catch {
            reader.end()
            throw error
        }
        try put(SnapshotFormat.fileHeader(hasAuth: auth != .initial))
        try add(.header(stored.state, nextRow: stored.nextRow))
    }

    deinit { cancel() }

    /// The position this snapshot stands at.
    package var position: LogPosition { stored.state.applied }

    /// The state it exports.
    package var state: StateHeader { stored.state }

    /// Exports the next piece.
    /// - Returns: whether more is left; when not, `finish` has the identity.
    package func step() throws(StorageError) -> Bool {
        do throws(StorageError) {
            switch phase {
            case .rows:
                if try exportRows() { phase = .rest }
            case .rest:
                try exportRest()
                reader.end()
                phase = .done
            case .done:
                break
            }
        } catch {
            cancel()
            throw error
        }
        return phase != .done
    }

    /// Exports whatever is left and says what was written.
    package func finish() throws(StorageError) -> SnapshotIdentity {
        while try step() {}
        return SnapshotIdentity(position: position, digest: digest, bytes: offset)
    }

    /// Gives up, frees the reader and removes what was written; harmless when done.
    package func cancel() {
        guard phase != .done else { return }
        phase = .done
        reader.selectRows.reset()
        reader.end()
        file.close()
        try? fileSystem.removeIfPresent(path)
    }

    /// - Returns: whether the table is through.
    private func exportRows() throws(StorageError) -> Bool {
        let goal = offset + Int64(raw.count + SnapshotWriter.stepBytes)
        let rows = reader.selectRows
        while offset + Int64(raw.count) < goal {
            guard try rows.step() else { return true }
            let id = rows.int64(0)
            if needsFilter, id < firstRetained,
                !(try reader.isRetained(rows, stored.state.compactRevision, before: firstRetained))
            {
                continue
            }
            try add(.row(try RevisionRow(rows, path: reader.connection.path), id: id))
            rowCount += 1
        }
        return false
    }

    private func exportRest() throws(StorageError) {
        let leases = try StateRows.leases(reader.connection)
        for lease in leases { try add(.lease(lease)) }
        let members = try StateRows.members(reader.connection)
        for member in members { try add(.member(member)) }
        let removed = try StateRows.removedMembers(reader.connection)
        for id in removed { try add(.removedMember(id)) }
        let alarms = try StateRows.alarms(reader.connection)
        for alarm in alarms { try add(.alarm(alarm)) }
        var counts = SnapshotCounts(
            rows: rowCount, leases: UInt64(leases.count), members: UInt64(members.count),
            removedMembers: UInt64(removed.count), alarms: UInt64(alarms.count))
        try exportAuth(&counts)
        try add(.end(counts))
        while !raw.isEmpty { try putBlock(min(raw.count, SnapshotFormat.rawBytesMax)) }
        let end = SnapshotFormat.endBlock(digest)
        try file.write(end, at: offset)
        offset += Int64(end.count)
        file.close()
    }

    private func exportAuth(_ counts: inout SnapshotCounts) throws(StorageError) {
        guard auth != .initial else { return }
        try add(.authSettings(isEnabled: auth.isEnabled, revision: auth.revision))
        for user in auth.users { try add(.authUser(user)) }
        for role in auth.roles { try add(.authRole(role)) }
        counts.authSettings = 1
        counts.users = UInt64(auth.users.count)
        counts.roles = UInt64(auth.roles.count)
    }

    private func add(_ record: SnapshotRecord) throws(StorageError) {
        var writer = ByteWriter(reserving: 256)
        record.encode(into: &writer)
        var length = ByteWriter()
        length.varint(UInt64(writer.bytes.count))
        raw.append(contentsOf: length.bytes)
        raw.append(contentsOf: writer.bytes)
        while raw.count >= SnapshotFormat.rawBytesMax { try putBlock(SnapshotFormat.rawBytesMax) }
    }

    private func putBlock(_ count: Int) throws(StorageError) {
        try put(SnapshotFormat.block(Array(raw[..<count])))
        raw.removeFirst(count)
    }

    private func put(_ bytes: [UInt8]) throws(StorageError) {
        try file.write(bytes, at: offset)
        behind.wrote(bytes.count, at: offset, to: file)
        offset += Int64(bytes.count)
        digest = SnapshotFormat.chained(digest, bytes)
    }
}

/// A snapshot that can be sent: any part, any number of times.
package final class SnapshotFile: @unchecked Sendable {
    // @unchecked: no locks; one thread at a time reads, and its owner hands it over through a queue.

    package let identity: SnapshotIdentity
    private let file: any StorageFile
    private let fileSystem: any FileSystem

    init(_ path: String, identity: SnapshotIdentity, on fileSystem: any FileSystem) throws(StorageError) {
        self.identity = identity
        self.fileSystem = fileSystem
        // Writable only for `discard`.
        file = try fileSystem.open(path, .readWrite)
    }

    /// Up to `count` bytes from `offset`; 256 KiB is a good chunk. Empty at the end.
    package func read(at offset: Int64, count: Int) throws(StorageError) -> [UInt8] {
        guard offset >= 0, offset < identity.bytes, count > 0 else { return [] }
        return try file.read(at: offset, count: min(count, Int(clamping: identity.bytes - offset)))
    }

    package func close() {
        file.close()
    }

    /// Closes it and gives its space back without haste; its name must be gone already.
    package func discard() {
        try? fileSystem.shrinkGradually(file)
        file.close()
    }
}
