internal import Primitives
package import RegistryModel

/// What a whole, intact backup holds.
package struct BackupContents: Hashable, Sendable {
    package var header: BackupHeader
    /// Versions of keys, deletions included.
    package var revisions: UInt64 = 0
    package var leases: UInt64 = 0
    package var users: UInt64 = 0
    package var roles: UInt64 = 0
    package var isAuthEnabled = false
    /// Of the cluster that was backed up.
    package var members: [MemberDescription] = []
}

/// A backup in a file.
package final class BackupFile {
    package let path: String
    package let header: BackupHeader
    private let file: any StorageFile

    /// Reads the header and checks that the file is as long as it says.
    ///
    /// - Throws: `notFound`, `io`; `newerFormat`; `invalidSnapshot` with a text that names what is wrong and where.
    package init(_ path: String, on fileSystem: any FileSystem) throws(StorageError) {
        self.path = path
        file = try fileSystem.open(path, .readOnly)
        do throws(StorageError) {
            header = try BackupFormat.decode(
                try file.read(at: 0, count: Int(BackupFormat.headerBytes)), path: path)
            let size = try file.size()
            let missing = header.fileBytes - size
            if missing > 0 { throw .backup(path, "it is cut short: \(size) of \(header.fileBytes) bytes are there") }
            if missing < 0 { throw .backup(path, "\(-missing) bytes follow its end at \(header.fileBytes)") }
        } catch {
            file.close()
            throw error
        }
    }

    deinit { file.close() }

    /// Reads the whole file and checks every byte of it.
    ///
    /// - Throws: `invalidSnapshot` with a text that names what is wrong and where; `newerFormat`, `io`.
    package func verify() throws(StorageError) -> BackupContents {
        var contents = BackupContents(header: header)
        try scan { (record) throws(StorageError) in
            switch record {
            case .header(let state, _):
                guard state.revision == header.revision, state.compactRevision == header.compactRevision else {
                    throw .backup(path, "the revision in its header is not that of its contents")
                }
            case .row: contents.revisions += 1
            case .lease: contents.leases += 1
            case .member(let member): contents.members.append(member)
            case .authSettings(let isEnabled, _): contents.isAuthEnabled = isEnabled
            case .authUser: contents.users += 1
            case .authRole: contents.roles += 1
            case .removedMember, .alarm, .end: break
            }
        }
        return contents
    }

    /// Hands every record on, in order, then checks what follows the stream.
    func scan(_ body: (SnapshotRecord) throws(StorageError) -> Void) throws(StorageError) {
        let window = FileWindow(file, from: BackupFormat.headerBytes, bytes: header.stream.bytes)
        let scanner = try scanner(window)
        do throws(StorageError) {
            try scanner.scan(body)
        } catch {
            throw located(error, scanner.offset)
        }
        try checkEnd()
    }

    private func scanner(_ window: FileWindow) throws(StorageError) -> SnapshotScanner {
        do throws(StorageError) {
            return try SnapshotScanner(path, in: window, identity: header.stream)
        } catch {
            throw located(error, Int64(SnapshotFormat.headerBytes))
        }
    }

    /// Says where in the file a scan of its stream failed.
    private func located(_ error: StorageError, _ offset: Int64) -> StorageError {
        guard error.kind == .invalidSnapshot, error.operation == "read snapshot" else { return error }
        let place = BackupFormat.headerBytes + offset
        return .backup(path, "its contents are damaged before byte \(place): \(error.detail)")
    }

    private func checkEnd() throws(StorageError) {
        let expected = BackupFormat.end(of: header)
        let start = BackupFormat.headerBytes + header.stream.bytes
        let found = try file.read(at: start, count: expected.count)
        guard found != expected else { return }
        let place = zip(found, expected).prefix { $0 == $1 }.count
        throw .backup(path, "its end is damaged at byte \(start + Int64(place))")
    }
}

/// A part of an open file, read as a file of its own.
final class FileWindow: StorageFile {
    private let file: any StorageFile
    private let start: Int64
    private let bytes: Int64

    /// - Parameter file: stays open when the window is closed.
    init(_ file: any StorageFile, from start: Int64, bytes: Int64) {
        self.file = file
        self.start = start
        self.bytes = bytes
    }

    var path: String { file.path }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(StorageError) -> Int {
        let count = min(buffer.count, Int(clamping: bytes - offset))
        guard offset >= 0, count > 0 else { return 0 }
        return try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), at: start + offset)
    }

    func size() throws(StorageError) -> Int64 { bytes }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StorageError) { throw readOnly("write") }

    func allocate(_ size: Int64) throws(StorageError) { throw readOnly("grow") }

    func sync() throws(StorageError) { throw readOnly("sync") }

    func truncate(to size: Int64) throws(StorageError) { throw readOnly("truncate") }

    func close() {}

    private func readOnly(_ operation: String) -> StorageError {
        StorageError(.io, operation, path, "it is open for reading only")
    }
}
