internal import Primitives
package import Raft
package import RegistryModel

/// A received snapshot, verified and turned into a database file that nothing names yet.
package struct PreparedState: Hashable, Sendable {
    package var identity: SnapshotIdentity
    /// Where the log has to stand once it is activated.
    package var base: LogBase
    let database: UInt64
}

extension MemberDirectory {
    /// Starts writing the reader's present state to a snapshot file. The reader is busy until it is done or
    /// cancelled; open one for the purpose.
    package func beginExport(from reader: StateReader) throws(StorageError) -> SnapshotWriter {
        let position = try reader.header().applied
        return try SnapshotWriter(outgoingPath(position), on: fileSystem, from: reader)
    }

    /// Writes a whole snapshot and opens it for sending.
    package func exportSnapshot(from reader: StateReader) throws(StorageError) -> SnapshotFile {
        let writer = try beginExport(from: reader)
        let identity = try writer.finish()
        // By the name it was written under: the state may have moved on between the naming and the reading.
        let file = try SnapshotFile(writer.path, identity: identity, on: fileSystem)
        // Whoever has it open goes on reading; nothing is left behind when that ends.
        try fileSystem.removeIfPresent(writer.path)
        return file
    }

    /// The one place for incoming chunks.
    package func receiver() throws(StorageError) -> SnapshotReceiver {
        try SnapshotReceiver(home, on: fileSystem)
    }

    /// Verifies the received snapshot and builds a database from it, durably. Nothing in use is touched, so this
    /// may take its time on any thread.
    ///
    /// - Throws: `invalidSnapshot` when the bytes are not what they claim; `full`, `io`.
    package func prepareInstall(_ identity: SnapshotIdentity) throws(StorageError) -> PreparedState {
        let received = "\(home)/\(SnapshotReceiver.fileName)"
        let file = try fileSystem.open(received, .readWrite)
        defer { file.close() }
        // The whole digest first: no byte of a wrong snapshot gets into a database.
        try SnapshotScanner(received, identity: identity, on: fileSystem).scan { _ in }
        try file.sync()
        let number = meta.database + 1
        let builder = try StateBuilder(databasePath(number), on: fileSystem, options: options)
        do throws(StorageError) {
            var header: StoredHeader?
            try SnapshotScanner(received, identity: identity, on: fileSystem).scan { (record) throws(StorageError) in
                switch record {
                case .header(let state, let nextRow):
                    header = StoredHeader(
                        state: state, nextRow: nextRow, removedThrough: state.compactRevision,
                        removingThrough: state.compactRevision)
                case .row(let row, let id): try builder.add(row, id: id)
                case .lease(let lease): try builder.add(lease)
                case .member(let member): try builder.add(member)
                case .removedMember(let id): try builder.addRemoved(id)
                case .alarm(let alarm): try builder.add(alarm)
                case .authSettings(let isEnabled, let revision):
                    try builder.addAuth(isEnabled: isEnabled, revision: revision)
                case .authUser(let user): try builder.add(user)
                case .authRole(let role): try builder.add(role)
                case .end: break
                }
            }
            guard let header else { throw StorageError(.invalidSnapshot, "read", received, "no header") }
            let base = try logBase(of: header.state, path: received)
            try builder.finish(header)
            try fileSystem.syncDirectory(home)
            return PreparedState(identity: identity, base: base, database: number)
        } catch {
            builder.discard()
            throw error
        }
    }

    /// Makes the prepared database the state: from the durable record on, a restart finds the new state. The log
    /// still has to be fitted to it (`LogStore.adopt(prepared.base)`), at once or by `openStores` after a crash.
    ///
    /// - Returns: the new state, open. Close the old store and readers; they serve the old file.
    package func activate(_ prepared: PreparedState) throws(StorageError) -> (StateStore, RestoredState) {
        precondition(prepared.database == meta.database + 1, "another snapshot was installed meanwhile")
        let state = try StateStore(databasePath(prepared.database), options: options)
        let restored = try state.restore()
        try nameDatabase(prepared.database, installed: prepared.base.position)
        return (state, restored)
    }

    /// Installs a completely received snapshot: database, then the record that names it, then the log. A crash at
    /// any point leaves the old state or the new one, never a mixture.
    package func install(
        _ identity: SnapshotIdentity, log: LogStore
    ) throws(StorageError) -> (StateStore, RestoredState) {
        let prepared = try prepareInstall(identity)
        let installed = try activate(prepared)
        _ = try log.adopt(prepared.base)
        return installed
    }

    /// Removes files of databases that are no longer the state, without haste; their connections must be closed. One
    /// that is being prepared stays.
    package func removeOldDatabases() throws(StorageError) {
        for name in try fileSystem.list(home) where name.hasPrefix("state-") && !isDamaged(name) {
            let digits = name.dropFirst("state-".count).prefix { $0.isNumber }
            guard let number = UInt64(digits), number < meta.database else { continue }
            try fileSystem.removeGradually("\(home)/\(name)")
        }
    }

    private func outgoingPath(_ position: LogPosition) -> String {
        "\(home)/outgoing-\(position.index.number)-\(position.term.number).snapshot"
    }
}
