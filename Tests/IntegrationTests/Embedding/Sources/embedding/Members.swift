import Glibc
import Logging
import RegistryServer

struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Ports of one address on which nobody listens: bound all at once, so that they differ, then let go.
func freePorts(_ count: Int, on host: String) throws -> [Int] {
    var sockets: [Int32] = []
    defer { for socket in sockets { close(socket) } }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    inet_pton(AF_INET, host, &address.sin_addr)
    return try (0..<count).map { _ in
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        sockets.append(descriptor)
        var bound = address
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &bound) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard result else { throw Failure("cannot bind a port of \(host)") }
        return Int(UInt16(bigEndian: bound.sin_port))
    }
}

/// Three members in this process, talking to each other over loopback and to clients not at all.
func startMembers(in directory: String, logger: Logger) async throws -> [RegistryMember] {
    let host = "127.0.87.1"
    let names = ["one", "two", "three"]
    let cluster = zip(names, try freePorts(3, on: host)).map { (name: $0, url: "http://\(host):\($1)") }
    return try await withThrowingTaskGroup(of: RegistryMember.self) { group in
        for (name, url) in cluster {
            group.addTask {
                var configuration = MemberConfiguration(dataDirectory: "\(directory)/\(name)")
                configuration.name = name
                configuration.listenPeerURLs = [url]
                configuration.listenClientURLs = []
                configuration.initialCluster = cluster
                return try await RegistryMember.start(configuration, logger: logger)
            }
        }
        return try await group.reduce(into: []) { $0.append($1) }
    }
}
