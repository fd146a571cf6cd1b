/// Stores a backup under a name that appears only when the file is whole and durable.
package final class BackupFileWriter {
    private let path: String
    private let fileSystem: any FileSystem
    private let file: any StorageFile
    private let replaces: Bool
    private var isOpen = true
    /// Bytes stored so far.
    package private(set) var bytes: Int64 = 0
    private var first: [UInt8] = []

    /// - Parameters:
    ///   - path: the file's name in the end; until then it is `path` with `.part`.
    ///   - replaces: whether a file of that name may be replaced.
    /// - Throws: `alreadyExists`, `notFound` for a directory that is not there, `io`.
    package init(_ path: String, replaces: Bool, on fileSystem: any FileSystem) throws(StorageError) {
        self.path = path
        self.replaces = replaces
        self.fileSystem = fileSystem
        try BackupFileWriter.check(path, replaces, fileSystem)
        try fileSystem.removeIfPresent(path + ".part")
        file = try fileSystem.open(path + ".part", .create)
    }

    deinit { discard() }

    package func append(_ chunk: [UInt8]) throws(StorageError) {
        if first.count < 8 { first += chunk.prefix(8 - first.count) }
        try file.write(chunk, at: bytes)
        bytes += Int64(chunk.count)
    }

    /// Makes the file durable, verifies it, and gives it its name.
    ///
    /// - Returns: what it holds; nil when the bytes are not a backup of ours, as those of an etcd server: they are
    ///   stored as they came.
    /// - Throws: `invalidSnapshot` when it is a damaged backup, which leaves no file behind.
    package func finish() throws(StorageError) -> BackupContents? {
        do throws(StorageError) {
            try file.sync()
            var contents: BackupContents?
            if first == BackupFormat.magic {
                contents = try BackupFile(path + ".part", on: fileSystem).verify()
            }
            try BackupFileWriter.check(path, replaces, fileSystem)
            file.close()
            isOpen = false
            try fileSystem.rename(path + ".part", to: path)
            try fileSystem.syncDirectory(BackupFileWriter.directory(of: path))
            return contents
        } catch {
            discard()
            throw error
        }
    }

    /// Gives up and removes what was stored; harmless afterwards.
    package func discard() {
        guard isOpen else { return }
        isOpen = false
        file.close()
        try? fileSystem.removeIfPresent(path + ".part")
    }

    private static func check(
        _ path: String, _ replaces: Bool, _ fileSystem: any FileSystem
    ) throws(StorageError) {
        guard !replaces, try fileSystem.exists(path) else { return }
        throw StorageError(.alreadyExists, "save backup", path, "the file exists; --force replaces it")
    }

    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
