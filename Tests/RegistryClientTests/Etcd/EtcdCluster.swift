import Foundation
import RegistryClient
import Synchronization

/// Real etcd members on loopback, in a directory of their own; ended and removed when let go.
final class EtcdCluster: Sendable {
    /// One member; survives being killed and started again.
    final class Member: Sendable {
        let name: String
        let clientPort: Int
        private let arguments: [String]
        private let directory: String
        private let child = Mutex<ChildProcess?>(nil)

        init(name: String, clientPort: Int, arguments: [String], directory: String) {
            self.name = name
            self.clientPort = clientPort
            self.arguments = arguments
            self.directory = directory
        }

        var address: String { "127.0.0.1:\(clientPort)" }

        func start() throws {
            let started = try ChildProcess(
                EtcdCluster.binary, arguments, environment: ["PATH=/usr/bin:/bin"],
                output: "\(directory)/\(name).log")
            child.withLock { $0 = started }
        }

        func freeze() { child.withLock { $0?.signal(SIGSTOP) } }
        func thaw() { child.withLock { $0?.signal(SIGCONT) } }

        /// Ends it the hard way and waits until it is gone.
        func kill9() {
            child.withLock { child in
                child?.kill()
                child = nil
            }
        }

        /// Removes what it has stored; it must not be running.
        func wipe() throws {
            try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
        }
    }

    static let binary = "/usr/bin/etcd"
    let members: [Member]
    private let directory: String

    /// Starts `count` members and waits until they have a leader.
    init(count: Int = 1, extra: [String] = []) async throws {
        guard FileManager.default.isExecutableFile(atPath: Self.binary) else {
            throw HarnessError("\(Self.binary) is missing; bin/setup installs it")
        }
        directory = NSTemporaryDirectory() + "ganglion-etcd-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let ports = try Ports.take(2 * count)
        let initial = (0..<count).map { "m\($0)=http://127.0.0.1:\(ports[2 * $0 + 1])" }.joined(separator: ",")
        members = (0..<count).map { [directory] index in
            let client = "http://127.0.0.1:\(ports[2 * index])"
            let peer = "http://127.0.0.1:\(ports[2 * index + 1])"
            let arguments = [
                "--name", "m\(index)", "--data-dir", "\(directory)/m\(index)",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", initial, "--initial-cluster-token", "test",
                "--heartbeat-interval", "50", "--election-timeout", "500", "--logger", "zap",
                "--log-level", "error",
            ]
            return Member(
                name: "m\(index)", clientPort: ports[2 * index], arguments: arguments + extra, directory: directory)
        }
        for member in members { try member.start() }
        for member in members { try await ready(member) }
    }

    deinit {
        for member in members {
            member.thaw()
            member.kill9()
        }
        try? FileManager.default.removeItem(atPath: directory)
    }

    var endpoints: [String] { members.map(\.address) }

    /// Waits until the member answers a linearizable read.
    func ready(_ member: Member) async throws {
        let registry = Registry(try .init(endpoints: [member.address]))
        let answer = await Result { try await registry.range(RangeRequest(.key("ready")), timeout: .seconds(30)) }
        await registry.close()
        if case .failure(let error) = answer { throw HarnessError("\(member.name) does not start: \(error)") }
    }

    /// A client of all members, in their order.
    func client(_ change: (inout Registry.Configuration) -> Void = { _ in }) throws -> Registry {
        var configuration = try Registry.Configuration(endpoints: endpoints)
        configuration.shufflesEndpoints = false
        change(&configuration)
        return Registry(configuration)
    }
}

struct HarnessError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension Result {
    /// What an asynchronous function returns or throws.
    fileprivate init(_ body: () async throws(Failure) -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}

/// Ports nobody listens on.
enum Ports {
    /// Bound all at once, so that they differ, then let go.
    static func take(_ count: Int) throws -> [Int] {
        var sockets: [Int32] = []
        defer { for socket in sockets { close(socket) } }
        return try (0..<count).map { _ in
            let (descriptor, port) = try bound()
            sockets.append(descriptor)
            return port
        }
    }

    /// A socket bound to a free port of the loopback.
    static func bound() throws -> (descriptor: Int32, port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw HarnessError("cannot open a socket") }
        // As bytes: which module owns the fields of `sockaddr_in` depends on what else is imported.
        var address = [UInt8](repeating: 0, count: 16)
        withUnsafeBytes(of: sa_family_t(AF_INET)) { address.replaceSubrange(0..<2, with: $0) }
        address.replaceSubrange(4..<8, with: [127, 0, 0, 1])
        var length = socklen_t(address.count)
        let result = address.withUnsafeMutableBytes { raw in
            guard let pointer = raw.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            return bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
        }
        guard result else {
            close(descriptor)
            throw HarnessError("cannot bind a port")
        }
        return (descriptor, Int(address[2]) << 8 | Int(address[3]))
    }
}
