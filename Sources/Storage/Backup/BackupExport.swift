internal import Primitives
internal import RegistryModel

/// A backup ready to be sent: any part of its bytes, until it is closed.
package final class BackupExport: @unchecked Sendable {
    // @unchecked: no locks; one thread at a time uses it, and its owner hands it over through a queue.

    package let header: BackupHeader
    private let fileSystem: any FileSystem
    private let path: String
    private let stream: SnapshotFile
    private let head: [UInt8]
    private let end: [UInt8]
    private var isOpen = true

    fileprivate init(_ path: String, header: BackupHeader, on fileSystem: any FileSystem) throws(StorageError) {
        self.path = path
        self.header = header
        self.fileSystem = fileSystem
        stream = try SnapshotFile(path, identity: header.stream, on: fileSystem)
        head = BackupFormat.encode(header)
        end = BackupFormat.end(of: header)
    }

    deinit { close() }

    /// Of the whole backup.
    package var bytes: Int64 { header.fileBytes }

    /// The next bytes from `offset`, at most `count`; fewer where header, stream and end meet. Empty at the end only.
    package func read(at offset: Int64, count: Int) throws(StorageError) -> [UInt8] {
        let streamEnd = BackupFormat.headerBytes + header.stream.bytes
        if offset < BackupFormat.headerBytes { return Array(head.dropFirst(Int(offset)).prefix(count)) }
        if offset >= streamEnd { return Array(end.dropFirst(Int(clamping: offset - streamEnd)).prefix(count)) }
        let bytes = try stream.read(at: offset - BackupFormat.headerBytes, count: count)
        guard !bytes.isEmpty else { throw .backup(path, "it ends at \(offset), inside its contents") }
        return bytes
    }

    /// Stores all of it as a file.
    package func save(to writer: BackupFileWriter) throws(StorageError) {
        while writer.bytes < bytes {
            try writer.append(try read(at: writer.bytes, count: SnapshotFormat.chunkBytes))
        }
    }

    /// Frees the file it was read from.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        stream.close()
        try? fileSystem.removeGradually(path)
    }
}

extension MemberDirectory {
    /// Writes the state as it stands now into a file of its own beside the database. Reads on a connection of its own:
    /// writes go on meanwhile, and no transaction stays open while a slow receiver takes the bytes.
    ///
    /// - Parameters:
    ///   - number: tells backups made at the same time apart.
    ///   - createdMilliseconds: the wall clock's time.
    ///   - isWanted: asked between pieces of about a megabyte.
    /// - Returns: nil when it was no longer wanted.
    /// - Throws: `full` when the disk has no room for the state a second time; `damaged`, `io`.
    package func exportBackup(
        number: UInt64, createdMilliseconds: Int64, isWanted: () -> Bool
    ) throws(StorageError) -> BackupExport? {
        let path = "\(home)/outgoing-backup-\(number)"
        let reader = try openReader()
        defer { reader.close() }
        try requireRoom(reader)
        do throws(StorageError) {
            let writer = try SnapshotWriter(path, on: fileSystem, from: reader)
            let state = writer.state
            while isWanted() {
                if try writer.step() { continue }
                let header = BackupHeader(
                    cluster: cluster, member: member, incarnation: incarnation, revision: state.revision,
                    compactRevision: state.compactRevision, createdMilliseconds: createdMilliseconds,
                    stream: try writer.finish())
                return try BackupExport(path, header: header, on: fileSystem)
            }
            writer.cancel()
        } catch {
            try? fileSystem.removeIfPresent(path)
            throw error
        }
        try fileSystem.removeIfPresent(path)
        return nil
    }

    /// The log must not be the one that runs out of space for a backup's sake.
    private func requireRoom(_ reader: StateReader) throws(StorageError) {
        let wanted = try reader.databaseBytes()
        let free = try freeBytes()
        guard free > wanted else {
            throw StorageError(
                .full, "back up", home, "it needs up to \(wanted) free bytes for a moment; there are \(free)")
        }
    }
}

extension StateReader {
    fileprivate func databaseBytes() throws(StorageError) -> Int64 {
        try connection.number("PRAGMA page_count") * (try connection.number("PRAGMA page_size"))
    }
}
