package import Primitives
package import Storage

/// An operation that changes the simulated disk.
package struct DiskOperation: Hashable, Sendable {
    package enum Kind: UInt8, Sendable, CaseIterable {
        case create, write, allocate, sync, truncate, rename, remove, createDirectory, syncDirectory
    }

    package var kind: Kind
    package var path: String
    /// Counted from 1 over the life of the disk.
    package var number: Int
    /// Bytes of a write; 0 otherwise.
    package var bytes: Int
}

/// A disk in memory that forgets what was never synced. Readers see all changes at once, as through a page cache;
/// `crash` decides, from a seed, what of the unsynced changes is there afterwards.
package final class MemoryFileSystem: FileSystem, @unchecked Sendable {
    // @unchecked: a simulation, and a test, uses its disk on one thread.

    private let root: DirectoryNode
    private var locks: Set<String> = []
    /// Files opened before the last crash are dead.
    private(set) var life = 0
    /// Operations carried out or refused so far.
    package private(set) var operations = 0
    /// The power fails after this many further operations: later ones do nothing and throw.
    package var operationsLeft: Int?
    /// Asked before each operation; what it throws is what the caller gets. A failed sync leaves its writes in
    /// the cache but never brings them to the disk.
    package var fault: ((DiskOperation) -> StorageError?)?
    /// A disk that lies: syncs report success and do nothing.
    package var ignoresSync = false
    /// Parts of files that the disk cannot read any more: reads that touch them fail.
    package var unreadable: [(path: String, bytes: Range<Int>)] = []
    /// The next write of a file whose path contains the text lands so many bytes further on.
    package var misdirected: (path: String, by: Int)?
    /// Called before each operation: what other threads do meanwhile.
    package var between: (() -> Void)?
    /// Bytes all files may have together.
    package var capacity = Int.max

    package init() {
        root = DirectoryNode()
    }

    /// A disk with the same files; nothing of it is unsynced, no file open, no lock held, no fault planned.
    package init(copyOf other: MemoryFileSystem) {
        root = other.root.copy()
    }

    /// The power fails: every open file is dead, every lock free, unsynced changes meet their fate.
    package func crash(_ policy: CrashPolicy, using generator: inout SeededGenerator) {
        killProcess()
        root.crash(policy, using: &generator)
    }

    /// The process dies, the machine does not: every open file is dead, every lock free, and the page cache shows all
    /// changes to the next process. They are no more durable than before.
    package func killProcess() {
        life += 1
        locks.removeAll()
        operationsLeft = nil
        misdirected = nil
        between = nil
    }

    /// Some of its bytes changed by themselves, some time.
    package internal(set) var isDamaged = false

    /// Bytes of all files.
    package var bytesUsed: Int { root.bytes }

    /// Flips bits of a byte on the disk; nothing when the file or the byte is not there.
    package func corrupt(_ path: String, at offset: Int, mask: UInt8) {
        isDamaged = true
        if case .file(let node) = entry(path) { node.corrupt(at: offset, mask: mask) }
    }

    /// The file's bytes as a reader sees them; nil when it is not there.
    package func content(_ path: String) -> [UInt8]? {
        if case .file(let node) = entry(path) { return node.content }
        return nil
    }

    /// Whether one of a file's latest writes, of a process that may be gone, touched this byte.
    func wasWrittenLast(_ path: String, at offset: Int) -> Bool {
        guard case .file(let node) = entry(path) else { return false }
        return node.latestWrites.contains { $0.contains(offset) }
    }

    package func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any StorageFile {
        let (directory, name) = try parent(path)
        switch (directory.entries[name], mode) {
        case (.file(let node), .readOnly), (.file(let node), .readWrite), (.file(let node), .openOrCreate):
            return MemoryFile(path: path, node: node, disk: self)
        case (.directory, _):
            throw StorageError(.io, "open", path, "is a directory")
        case (.file, .create):
            throw StorageError(.alreadyExists, "open", path, "file exists")
        case (nil, .readOnly), (nil, .readWrite):
            throw StorageError(.notFound, "open", path, "no such file")
        case (nil, .create), (nil, .openOrCreate):
            try begin(.create, path)
            let node = FileNode()
            directory.set(name, to: .file(node))
            return MemoryFile(path: path, node: node, disk: self)
        }
    }

    package func createDirectory(_ path: String) throws(StorageError) {
        let (directory, name) = try parent(path)
        guard directory.entries[name] == nil else { return }
        try begin(.createDirectory, path)
        directory.set(name, to: .directory(DirectoryNode()))
    }

    package func rename(_ path: String, to target: String) throws(StorageError) {
        let (directory, name) = try parent(path)
        let (targetDirectory, targetName) = try parent(target)
        precondition(directory === targetDirectory, "the simulated disk renames within one directory")
        guard directory.entries[name] != nil else { throw StorageError(.notFound, "rename", path, "no such file") }
        try begin(.rename, path)
        directory.rename(name, to: targetName)
    }

    package func remove(_ path: String) throws(StorageError) {
        let (directory, name) = try parent(path)
        switch directory.entries[name] {
        case nil: throw StorageError(.notFound, "remove", path, "no such file")
        case .directory(let node) where !node.entries.isEmpty:
            throw StorageError(.io, "remove", path, "directory not empty")
        default: break
        }
        try begin(.remove, path)
        directory.set(name, to: nil)
    }

    package func list(_ directory: String) throws(StorageError) -> [String] {
        try self.directory(directory).names
    }

    package func exists(_ path: String) throws(StorageError) -> Bool {
        entry(path) != nil
    }

    package func syncDirectory(_ path: String) throws(StorageError) {
        let directory = try directory(path)
        try begin(.syncDirectory, path)
        if !ignoresSync { directory.sync() }
    }

    package func lock(_ path: String) throws(StorageError) -> any FileLock {
        _ = try open(path, .openOrCreate)
        guard locks.insert(path).inserted else {
            throw StorageError(.inUse, "lock", path, "another process is using this directory")
        }
        return MemoryLock(path: path, life: life, disk: self)
    }

    package func freeBytes(_ path: String) throws(StorageError) -> Int64 {
        capacity == .max ? .max : Int64(max(0, capacity - root.bytes))
    }

    fileprivate func unlock(_ path: String, life: Int) {
        if life == self.life { locks.remove(path) }
    }

    /// Counts the operation and lets the power fail or a fault strike first.
    func begin(_ kind: DiskOperation.Kind, _ path: String, bytes: Int = 0) throws(StorageError) {
        between?()
        if let left = operationsLeft {
            guard left > 0 else { throw StorageError(.io, "\(kind)", path, "the power is off") }
            operationsLeft = left - 1
        }
        operations += 1
        let operation = DiskOperation(kind: kind, path: path, number: operations, bytes: bytes)
        if let error = fault?(operation) { throw error }
    }

    /// Refuses growth beyond the capacity.
    func grow(by bytes: Int, _ path: String) throws(StorageError) {
        guard capacity != .max, bytes > 0, root.bytes + bytes > capacity else { return }
        throw StorageError(.full, "write", path, "no space left on device")
    }

    /// By bytes: looking for the borders of characters costs more than all the rest of finding a file.
    private func parts(_ path: String) -> [Substring.UTF8View] {
        path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: true)
    }

    private func directory(_ path: String) throws(StorageError) -> DirectoryNode {
        try directory(parts(path)[...], of: path)
    }

    private func directory(
        _ parts: ArraySlice<Substring.UTF8View>, of path: String
    ) throws(StorageError) -> DirectoryNode {
        var node = root
        for part in parts {
            guard case .directory(let next) = node.entries[String(Substring(part))] else {
                throw StorageError(.notFound, "open", path, "no such directory")
            }
            node = next
        }
        return node
    }

    private func parent(_ path: String) throws(StorageError) -> (DirectoryNode, String) {
        let parts = parts(path)
        guard let name = parts.last else { throw StorageError(.io, "open", path, "is a directory") }
        return (try directory(parts.dropLast(), of: path), String(Substring(name)))
    }

    private func entry(_ path: String) -> DirectoryNode.Entry? {
        guard let (directory, name) = try? parent(path) else { return nil }
        return directory.entries[name]
    }
}

private final class MemoryLock: FileLock {
    private let path: String
    private let life: Int
    private let disk: MemoryFileSystem

    init(path: String, life: Int, disk: MemoryFileSystem) {
        self.path = path
        self.life = life
        self.disk = disk
    }

    func release() {
        disk.unlock(path, life: life)
    }
}
