import Glibc

/// Tells whether a file was replaced or written.
struct FileStamp: Hashable, Sendable {
    private var numbers: [Int64] = []

    /// nil when nothing can be said about the file.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        numbers = [
            Int64(truncatingIfNeeded: status.st_dev), Int64(truncatingIfNeeded: status.st_ino), Int64(status.st_size),
            Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec), Int64(status.st_ctim.tv_sec),
            Int64(status.st_ctim.tv_nsec),
        ]
    }
}

extension TLSFile {
    /// A bundle of all public CAs has a quarter of that.
    private static let bytesMax = 4 * 1024 * 1024

    /// The whole file. Blocks.
    ///
    /// - Throws: `TLSSetupError` naming setting, file and reason.
    package func read() throws(TLSSetupError) -> [UInt8] {
        // Nonblocking: a pipe or a terminal must not hold the program up.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw complaint("cannot be read: \(TLSFile.reason(errno))") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw complaint("cannot be read: \(TLSFile.reason(errno))") }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= TLSFile.bytesMax else {
                throw complaint("is larger than \(TLSFile.bytesMax) bytes: this is no file of certificates")
            }
        }
        guard !bytes.isEmpty else { throw complaint("is empty") }
        return bytes
    }

    func complaint(_ text: String) -> TLSSetupError { TLSSetupError("\(setting): \(path) \(text)") }

    private static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }
}
