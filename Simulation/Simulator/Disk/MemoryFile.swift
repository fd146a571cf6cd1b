internal import Storage

/// An open file of the simulated disk; dead after a crash.
final class MemoryFile: StorageFile {
    let path: String
    private let node: FileNode
    private let disk: MemoryFileSystem
    private let life: Int

    init(path: String, node: FileNode, disk: MemoryFileSystem) {
        self.path = path
        self.node = node
        self.disk = disk
        life = disk.life
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(StorageError) -> Int {
        try alive("read")
        let start = Int(offset)
        guard start < node.content.count else { return 0 }
        let end = min(start + buffer.count, node.content.count)
        for bad in disk.unreadable where bad.path == path && bad.bytes.overlaps(start..<end) {
            throw StorageError(.io, "read \(end - start) bytes at \(start) of", path, "input/output error", code: 5)
        }
        node.content.withUnsafeBytes { content in
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: content[start..<end]))
        }
        return end - start
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StorageError) {
        try alive("write")
        guard !bytes.isEmpty else { return }
        try disk.grow(by: Int(offset) + bytes.count - node.content.count, path)
        try disk.begin(.write, path, bytes: bytes.count)
        var target = Int(offset)
        if let planned = disk.misdirected, path.contains(planned.path) {
            disk.misdirected = nil
            // Within the file; what should have been overwritten stays as it was.
            if target + planned.by + bytes.count <= node.content.count {
                target += planned.by
                disk.isDamaged = true
            }
        }
        node.write(bytes, at: target)
    }

    func allocate(_ size: Int64) throws(StorageError) {
        try alive("allocate")
        guard Int(size) > node.content.count else { return }
        try disk.grow(by: Int(size) - node.content.count, path)
        try disk.begin(.allocate, path)
        node.resize(to: Int(size))
    }

    func sync() throws(StorageError) {
        try alive("sync")
        do throws(StorageError) {
            try disk.begin(.sync, path)
        } catch {
            if disk.operationsLeft != 0 { node.failSync() }
            throw error
        }
        if !disk.ignoresSync { node.sync() }
    }

    func truncate(to size: Int64) throws(StorageError) {
        try alive("truncate")
        try disk.grow(by: Int(size) - node.content.count, path)
        try disk.begin(.truncate, path)
        node.resize(to: Int(size))
    }

    func size() throws(StorageError) -> Int64 {
        try alive("ask for the size of")
        return Int64(node.content.count)
    }

    func close() {}

    private func alive(_ operation: String) throws(StorageError) {
        guard life == disk.life else {
            throw StorageError(.io, operation, path, "the file was opened before the power failed")
        }
    }
}
