import Glibc
import RegistryClient
import Synchronization

/// One real etcd on loopback; can be stopped and started again with its data, or without.
final class LocalEtcd: Sendable {
    let port: Int
    private let peerPort: Int
    private let scratch: Scratch
    private let process = Mutex<TestProcess?>(nil)
    /// Part of the cluster's identity.
    private let token: Mutex<Int>

    init() throws {
        scratch = try Scratch()
        let ports = try Ports.take(2)
        (port, peerPort) = (ports[0], ports[1])
        token = Mutex(1)
    }

    deinit { stop() }

    var address: String { "127.0.0.1:\(port)" }

    func start() async throws {
        let client = "http://127.0.0.1:\(port)"
        let peer = "http://127.0.0.1:\(peerPort)"
        let number = token.withLock { $0 }
        let started = try TestProcess(
            "/usr/bin/etcd",
            [
                "--name", "m", "--data-dir", "\(scratch.path)/data-\(number)", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", "m=\(peer)", "--initial-cluster-token", "token-\(number)",
                "--heartbeat-interval", "50", "--election-timeout", "500", "--logger", "zap", "--log-level", "error",
            ], output: "\(scratch.path)/etcd.log")
        process.withLock { $0 = started }
        try await withClient { _ = try await $0.range(RangeRequest(.key("ready")), timeout: .seconds(30)) }
    }

    func stop() {
        process.withLock { process in
            process?.kill()
            process = nil
        }
    }

    /// The next start has no data and another cluster id.
    func forget() {
        token.withLock { $0 += 1 }
    }

    @discardableResult
    func withClient<Result>(_ body: (Registry) async throws -> Result) async throws -> Result {
        let client = Registry(try .init(endpoints: [address]))
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }

    /// Keys and values under a prefix.
    func entries(_ prefix: String) async throws -> [String: String] {
        try await withClient { client in
            let answer = try await client.range(RangeRequest(.prefix(prefix)))
            return Dictionary(
                uniqueKeysWithValues: answer.kvs.map {
                    (String(decoding: $0.key, as: UTF8.self), String(decoding: $0.value, as: UTF8.self))
                })
        }
    }
}

/// Ports nobody listens on.
enum Ports {
    /// Bound all at once, so that they differ, then let go.
    static func take(_ count: Int) throws -> [Int] {
        var sockets: [RawSocket] = []
        for _ in 0..<count { sockets.append(try RawSocket.bound()) }
        return sockets.map(\.port)
    }
}

/// A socket without an event loop; closed when let go.
final class RawSocket: Sendable {
    let descriptor: Int32
    let port: Int

    private init(_ descriptor: Int32, port: Int) {
        self.descriptor = descriptor
        self.port = port
    }

    deinit { close(descriptor) }

    /// Bound to a free port of 127.0.0.1.
    static func bound() throws -> RawSocket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestFailure("cannot open a socket") }
        var address = Self.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let done = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard done else { throw TestFailure("cannot bind a port") }
        return RawSocket(descriptor, port: Int(UInt16(bigEndian: address.sin_port)))
    }

    /// On its way to that port, without waiting for it.
    static func connecting(to port: Int) -> RawSocket {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_INET, type, 0)
        var address = Self.loopback(port: port)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                _ = connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return RawSocket(descriptor, port: port)
    }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        return address
    }
}
