import Glibc

/// Whole files, read and written. Everything here waits for the disk: never on an event loop.
package enum FileAccess {
    /// Larger files are refused; nobody writes such a configuration.
    static let bytesMax = 64 << 20

    /// The bytes of a file.
    package static func read(_ path: String) throws(FileFailure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure(path, "cannot open") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileFailure(path, "cannot read")
            }
            guard bytes.count + count <= bytesMax else {
                throw FileFailure(path, "cannot read", reason: "it is larger than \(bytesMax >> 20) MiB")
            }
            bytes += buffer[..<count]
        }
    }

    /// The bytes of a file, or nil when there is none.
    package static func readIfPresent(_ path: String) throws(FileFailure) -> [UInt8]? {
        do {
            return try read(path)
        } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
    }

    /// Makes `path` hold `bytes`, durably: readers see the old file or the new one, never a part, also after a power
    /// cut.
    ///
    /// - Parameters:
    ///   - temporary: written first; in the same file system as `path`.
    ///   - approve: asked when `temporary` is complete; false leaves `path` as it is, and `temporary` for people to
    ///     look at.
    package static func replace(
        _ path: String, with bytes: [UInt8], by temporary: String, approve: () -> Bool = { true }
    ) throws(FileFailure) {
        try write(bytes, to: temporary)
        guard approve() else { return }
        guard rename(temporary, path) == 0 else { throw FileFailure(path, "cannot rename \(temporary) over it") }
        try syncDirectory(of: path)
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(FileFailure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileFailure(path, "cannot create") }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written) }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileFailure(path, "cannot write")
            }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw FileFailure(path, "cannot sync") }
    }

    private static func syncDirectory(of path: String) throws(FileFailure) {
        let directory = self.directory(of: path)
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure(directory, "cannot open") }
        defer { close(descriptor) }
        // Some file systems cannot sync a directory and say so; the rename stands all the same.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw FileFailure(directory, "cannot sync") }
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Creates the file if there is none, and sets its times to the present.
    package static func touch(_ path: String) throws(FileFailure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileFailure(path, "cannot open") }
        defer { close(descriptor) }
        guard futimens(descriptor, nil) == 0 else { throw FileFailure(path, "cannot set its times") }
    }

    /// When the file was changed last, in nanoseconds since 1970; nil when it cannot be looked at.
    package static func modificationTime(_ path: String) -> Int64? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    }

    /// Names in a directory, sorted, without `.` and `..`.
    package static func names(in directory: String) throws(FileFailure) -> [String] {
        guard let stream = opendir(directory) else { throw FileFailure(directory, "cannot open") }
        defer { closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw FileFailure(directory, "cannot read") }
        return names.sorted()
    }
}
