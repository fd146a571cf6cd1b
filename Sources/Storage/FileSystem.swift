/// How a file is opened.
package enum FileMode: Sendable {
    case readOnly
    /// The file must exist.
    case readWrite
    /// The file must not exist.
    case create
    case openOrCreate
}

/// Everything this module asks of a disk. Synchronous: callers run it on their own lane.
///
/// Paths are absolute or relative to the process, parts joined with `/`. Names in a directory and the contents of
/// files are separate: a created, renamed or removed name survives a power loss only after `syncDirectory` of its
/// directory, contents only after `StorageFile.sync`.
package protocol FileSystem: AnyObject, Sendable {
    /// - Throws: `notFound`, `alreadyExists`, `full` or `io`.
    func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any StorageFile
    /// Creates one directory; it is no error when it is there.
    func createDirectory(_ path: String) throws(StorageError)
    /// Renames a file or directory; an existing file at `target` is replaced.
    func rename(_ path: String, to target: String) throws(StorageError)
    /// Removes a file or an empty directory.
    /// - Throws: `notFound` when there is none.
    func remove(_ path: String) throws(StorageError)
    /// The names in a directory, in byte order, without `.` and `..`.
    func list(_ directory: String) throws(StorageError) -> [String]
    func exists(_ path: String) throws(StorageError) -> Bool
    /// Makes created, renamed and removed names of the directory durable.
    func syncDirectory(_ path: String) throws(StorageError)
    /// Creates the file if needed and locks it against other processes until released.
    /// - Throws: `inUse` when somebody else holds it.
    func lock(_ path: String) throws(StorageError) -> any FileLock
    /// Bytes this process may still write to the disk that holds `path`.
    func freeBytes(_ path: String) throws(StorageError) -> Int64
    /// Lets other work on the same disk go first for a moment.
    func giveWay()
}

/// An open file. Used by one thread at a time.
package protocol StorageFile: AnyObject {
    var path: String { get }
    /// Reads up to the buffer's size; fewer bytes only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(StorageError) -> Int
    /// Writes all bytes; a gap before `offset` reads as zeros.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StorageError)
    /// Grows the file to at least `size` bytes with zeros and reserves their space, so that writing below `size`
    /// cannot fail for want of space.
    func allocate(_ size: Int64) throws(StorageError)
    /// Makes every write before this call durable (`fdatasync`).
    func sync() throws(StorageError)
    /// Has the disk begin with what was written in this range, without waiting for it: a later sync has less to do.
    /// Promises nothing.
    func startWriting(_ range: Range<Int64>)
    func truncate(to size: Int64) throws(StorageError)
    func size() throws(StorageError) -> Int64
    /// Harmless when repeated.
    func close()
}

package protocol FileLock: AnyObject {
    func release()
}

extension StorageFile {
    package func startWriting(_ range: Range<Int64>) {}

    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    package func read(at offset: Int64, count: Int) throws(StorageError) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 16)
        defer { buffer.deallocate() }
        let got = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), at: offset)
        return [UInt8](buffer[..<got])
    }

    /// Writes all of `bytes` at `offset`.
    package func write(_ bytes: [UInt8], at offset: Int64) throws(StorageError) {
        try bytes.withUnsafeBufferPointer { (buffer: UnsafeBufferPointer<UInt8>) throws(StorageError) in
            try write(UnsafeRawBufferPointer(buffer), at: offset)
        }
    }
}

extension FileSystem {
    package func giveWay() {}

    /// Removes a file if it is there, for one that may be large: the name at once, the space piece by piece. To give a
    /// gigabyte back at once makes every sync on the disk wait (ext4 with discard: 180 ms; in pieces 4 ms).
    ///
    /// Nobody else may have the file open.
    func removeGradually(_ path: String) throws(StorageError) {
        let file: any StorageFile
        do throws(StorageError) {
            file = try open(path, .readWrite)
        } catch {
            if error.kind == .notFound { return }
            throw error
        }
        defer { file.close() }
        try remove(path)
        try shrinkGradually(file)
    }

    /// Gives the space of a file that is no longer wanted back, piece by piece.
    func shrinkGradually(_ file: any StorageFile) throws(StorageError) {
        let piece: Int64 = 16 * 1024 * 1024
        var size = try file.size()
        while size > piece {
            size -= piece
            try file.truncate(to: size)
            giveWay()
        }
    }

    /// Removes a file if it is there.
    func removeIfPresent(_ path: String) throws(StorageError) {
        do throws(StorageError) {
            try remove(path)
        } catch {
            if error.kind != .notFound { throw error }
        }
    }

    /// Removes a directory with everything in it; no error when there is none.
    package func removeTree(_ path: String, depth: Int = 4) throws(StorageError) {
        guard try exists(path) else { return }
        if depth > 0, let names = try? list(path) {
            for name in names { try removeTree("\(path)/\(name)", depth: depth - 1) }
        }
        try removeIfPresent(path)
    }
}
