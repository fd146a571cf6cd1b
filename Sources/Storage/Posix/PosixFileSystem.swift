internal import Glibc

/// The real disk.
package final class PosixFileSystem: FileSystem {
    package init() {}

    package func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any StorageFile {
        let flags: Int32
        switch mode {
        case .readOnly: flags = O_RDONLY
        case .readWrite: flags = O_RDWR
        case .create: flags = O_RDWR | O_CREAT | O_EXCL
        case .openOrCreate: flags = O_RDWR | O_CREAT
        }
        let descriptor = retrying { Glibc.open(path, flags | O_CLOEXEC, 0o600) }
        guard descriptor >= 0 else { throw .posix("open", path) }
        return PosixFile(path: path, descriptor: descriptor)
    }

    package func createDirectory(_ path: String) throws(StorageError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw .posix("create directory", path) }
    }

    package func rename(_ path: String, to target: String) throws(StorageError) {
        guard Glibc.rename(path, target) == 0 else { throw .posix("rename to \(target)", path) }
    }

    package func remove(_ path: String) throws(StorageError) {
        guard Glibc.remove(path) == 0 else { throw .posix("remove", path) }
    }

    package func list(_ directory: String) throws(StorageError) -> [String] {
        guard let stream = opendir(directory) else { throw .posix("list", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw .posix("list", directory) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    }

    package func exists(_ path: String) throws(StorageError) -> Bool {
        if access(path, F_OK) == 0 { return true }
        if errno == ENOENT { return false }
        throw .posix("look for", path)
    }

    package func syncDirectory(_ path: String) throws(StorageError) {
        let descriptor = retrying { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw .posix("open directory", path) }
        defer { _ = Glibc.close(descriptor) }
        // Not retried, whatever the error: a failed sync may have marked the pages clean.
        guard fsync(descriptor) == 0 else { throw .failedSync("sync directory", path) }
    }

    package func lock(_ path: String) throws(StorageError) -> any FileLock {
        let descriptor = retrying { Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600) }
        guard descriptor >= 0 else { throw .posix("open", path) }
        guard retrying({ flock(descriptor, LOCK_EX | LOCK_NB) }) == 0 else {
            let code = errno
            _ = Glibc.close(descriptor)
            if code == EWOULDBLOCK {
                throw StorageError(.inUse, "lock", path, "another process is using this directory", code: code)
            }
            throw .posix("lock", path, code)
        }
        return PosixLock(descriptor: descriptor)
    }

    package func freeBytes(_ path: String) throws(StorageError) -> Int64 {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { throw .posix("ask for free space of", path) }
        let (bytes, overflow) = Int64(clamping: information.f_bavail)
            .multipliedReportingOverflow(by: Int64(clamping: information.f_frsize))
        return overflow ? .max : bytes
    }

    package func giveWay() {
        usleep(10_000)
    }
}

private final class PosixLock: FileLock {
    private var descriptor: Int32

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { release() }

    func release() {
        guard descriptor >= 0 else { return }
        // The lock belongs to the open file, which a child between fork and exec shares: closing alone would leave it.
        _ = flock(descriptor, LOCK_UN)
        _ = Glibc.close(descriptor)
        descriptor = -1
    }
}

/// Repeats a call that a signal interrupted.
func retrying(_ body: () -> Int32) -> Int32 {
    while true {
        let result = body()
        if result != -1 || errno != EINTR { return result }
    }
}

extension StorageError {
    /// A sync that failed, even for want of space, cannot be repeated: what it covered may be gone.
    static func failedSync(_ operation: String, _ path: String) -> StorageError {
        var error = posix(operation, path)
        error.kind = .io
        return error
    }

    /// The error of the system call that just failed.
    static func posix(_ operation: String, _ path: String, _ code: Int32 = errno) -> StorageError {
        let kind: Kind
        switch code {
        case ENOSPC, EDQUOT: kind = .full
        case ENOENT: kind = .notFound
        case EEXIST: kind = .alreadyExists
        default: kind = .io
        }
        return StorageError(kind, operation, path, String(cString: strerror(code)), code: code)
    }
}
