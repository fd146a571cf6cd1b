import Foundation

/// Loopback addresses of our own: every host gets its address, so that the usual ports are free.
enum Loopback {
    /// A prefix like `127.0.88.` on which nobody listens on a registry's ports.
    ///
    /// - Parameter addresses: the last bytes of the addresses that are to be used.
    static func freePrefix(addresses: ClosedRange<Int> = 11...13) throws -> String {
        // Two runs at a time start looking at different places.
        let first = Int(getpid()) % 60
        for step in 0..<60 {
            let prefix = "127.0.\(88 + (first + step) % 60)."
            let hosts = addresses.map { "\(prefix)\($0)" }
            if hosts.allSatisfy({ isFree($0, 2379) && isFree($0, 2380) }) { return prefix }
        }
        throw TestFailure("ports 2379 and 2380 are taken on some address of each of 127.0.88.0/24 to 127.0.147.0/24")
    }

    static func isFree(_ host: String, _ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        return withAddress(host, port) { bind(descriptor, $0, $1) } == 0
    }

    static func withAddress<Value>(
        _ host: String, _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) -> Value {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

struct SocketError: Error, CustomStringConvertible {
    var what: String
    var code: Int32

    var description: String { "\(what): \(String(cString: strerror(code)))" }
}

/// A blocking connection whose every wait is bounded.
final class Connection: Sendable {
    private let descriptor: Int32

    /// - Parameters:
    ///   - seconds: bound of connecting and of each read and write.
    ///   - namespace: where the connection starts; nil where this process is.
    init(_ host: String, _ port: Int, seconds: Double = 5, from namespace: Namespace? = nil) throws {
        descriptor = try namespace?.open { try Self.open(AF_INET, seconds) } ?? Self.open(AF_INET, seconds)
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        let descriptor = descriptor
        guard Loopback.withAddress(host, port, { connect(descriptor, $0, $1) }) == 0 else {
            throw SocketError(what: "cannot connect to \(host):\(port)", code: errno)
        }
    }

    /// To a socket in the file system.
    init(unix path: String, seconds: Double = 2) throws {
        descriptor = try Self.open(AF_UNIX, seconds)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        precondition(bytes.count < MemoryLayout.size(ofValue: address.sun_path), "\(path) is too long for a socket")
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = descriptor
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw SocketError(what: "cannot connect to \(path)", code: errno) }
    }

    private static func open(_ family: Int32, _ seconds: Double) throws -> Int32 {
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError(what: "cannot open a socket", code: errno) }
        var limit = timeval()
        limit.tv_sec = Int(seconds)
        limit.tv_usec = Int((seconds - seconds.rounded(.down)) * 1e6)
        let length = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, length)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, length)
        return descriptor
    }

    deinit { close(descriptor) }

    /// - Throws: when the other side has closed, or takes nothing for too long.
    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw SocketError(what: "cannot send", code: errno) }
            sent += count
        }
    }

    /// Bytes that have arrived, at least one; empty when the other side has closed.
    func receive() throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { throw SocketError(what: "cannot receive", code: errno) }
        return Array(buffer[..<count])
    }

    /// Sends, and reads until the other side closes.
    func ask(_ text: String) throws -> String {
        try send(Array(text.utf8))
        var answer: [UInt8] = []
        while case let bytes = try receive(), !bytes.isEmpty { answer += bytes }
        return String(decoding: answer, as: UTF8.self)
    }
}
