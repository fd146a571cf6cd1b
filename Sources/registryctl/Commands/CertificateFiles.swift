import Glibc

/// `NAME.pem` and `NAME.key` in a directory. Nothing is ever overwritten.
struct CertificateFiles {
    let directory: String

    /// Whether a client's files can be called so.
    static func isUsable(_ name: String) -> Bool {
        !name.isEmpty && !name.hasPrefix(".") && !name.contains("/") && name.utf8.count <= 64
            && name.utf8.allSatisfy { $0 >= 32 && $0 != 127 } && !["ca", "server", "peer"].contains(name)
    }

    /// - Throws: `.failed` naming all files that are there.
    func refuseExisting(_ names: [String]) throws {
        let there = names.flatMap { ["\($0).pem", "\($0).key"] }.filter(exists)
        guard there.isEmpty else {
            let list = there.map { "\(directory)/\($0)" }.joined(separator: ", ")
            throw CtlError.failed("nothing was made: \(list) \(there.count == 1 ? "exists" : "exist")")
        }
    }

    func exists(_ file: String) -> Bool { access("\(directory)/\(file)", F_OK) == 0 }

    func makeDirectory() throws {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
            throw CtlError.failed("\(directory) cannot be made: \(Self.reason)")
        }
    }

    /// The key is the owner's only; the certificate is for everybody.
    func write(_ name: String, _ pair: CertificatePair) throws {
        try write("\(name).key", pair.key, mode: 0o600)
        try writeCertificate(name, pair)
    }

    func writeCertificate(_ name: String, _ pair: CertificatePair) throws {
        try write("\(name).pem", pair.certificate, mode: 0o644)
    }

    /// - Throws: `.failed` naming the file and what was wrong.
    func read(_ file: String) throws -> String {
        let path = "\(directory)/\(file)"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw CtlError.failed("\(path) cannot be read: \(Self.reason)") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 64 * 1024)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw CtlError.failed("\(path) cannot be read: \(Self.reason)") }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private func write(_ file: String, _ text: String, mode: mode_t) throws {
        let path = "\(directory)/\(file)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw CtlError.failed("\(path) cannot be made: \(Self.reason)") }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw CtlError.failed("\(path) cannot be written: \(Self.reason)") }
            rest = rest.dropFirst(count)
        }
    }

    private static var reason: String { String(cString: strerror(errno)) }
}
