import Glibc
import Testing

@testable import RegistryServer

/// A member alone, with these listeners.
private func configuration(_ directory: String) -> MemberConfiguration {
    var configuration = MemberConfiguration(dataDirectory: directory)
    configuration.name = "one"
    configuration.initialCluster = [("one", "http://127.0.0.1:1")]
    configuration.listenPeerURLs = []
    configuration.listenClientURLs = ["http://127.0.0.1:0"]
    configuration.clientLoops = 1
    return configuration
}

/// The status of an HTTP/1.1 answer; nil when there was none.
private func status(of method: String, _ path: String, at address: String?) throws -> Int? {
    let port = try #require(address?.split(separator: ":").last.flatMap { UInt16($0) })
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    try #require(socket >= 0)
    defer { close(socket) }
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = port.bigEndian
    place.sin_addr.s_addr = inet_addr("127.0.0.1")
    let connected = withUnsafePointer(to: &place) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    try #require(connected == 0)
    let body = method == "POST" ? "{}" : ""
    let text =
        "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    _ = Array((text + body).utf8).withUnsafeBytes { write(socket, $0.baseAddress, $0.count) }
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4_096)
    while answer.count < 12, case let count = read(socket, &chunk, chunk.count), count > 0 { answer += chunk[..<count] }
    return Int(String(decoding: answer.dropFirst(9).prefix(3), as: UTF8.self))
}

@Suite("Listeners", .timeLimit(.minutes(2)), .serialized)
struct ListenerTests {
    @Test("One client port serves everything, without a gateway all but that")
    func together() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        for isGatewayEnabled in [true, false] {
            var configuration = configuration(directory)
            configuration.isGatewayEnabled = isGatewayEnabled
            configuration.reusesPorts = true
            let member = try await RegistryMember.start(configuration, logger: quiet)
            let address = member.clientAddresses.first
            #expect(try status(of: "GET", "/version", at: address) == 200)
            #expect(try status(of: "GET", "/metrics", at: address) == 200)
            #expect(try status(of: "POST", "/v3/kv/txn", at: address) == (isGatewayEnabled ? 200 : 404))
            #expect(member.clientHTTPAddresses.isEmpty && member.monitoringAddresses.isEmpty)
            await member.stop()
        }
    }

    @Test("HTTP with listeners of its own leaves the client port to gRPC; monitoring has no door to the data")
    func apart() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        var configuration = configuration(directory)
        configuration.listenClientHTTPURLs = ["http://127.0.0.1:0"]
        configuration.listenMetricsURLs = ["http://127.0.0.1:0"]
        let member = try await RegistryMember.start(configuration, logger: quiet)
        #expect(try status(of: "GET", "/version", at: member.clientAddresses.first) == 404)
        #expect(try status(of: "POST", "/v3/kv/txn", at: member.clientAddresses.first) == 404)
        #expect(try status(of: "GET", "/version", at: member.clientHTTPAddresses.first) == 200)
        #expect(try status(of: "POST", "/v3/kv/txn", at: member.clientHTTPAddresses.first) == 200)
        for path in ["/metrics", "/health", "/version"] {
            #expect(try status(of: "GET", path, at: member.monitoringAddresses.first) == 200)
        }
        for path in ["/v3/kv/txn", "/metricsx", "/"] {
            #expect(try status(of: "POST", path, at: member.monitoringAddresses.first) == 404)
        }
        await member.stop()
    }

    @Test("A host that is not on the list is refused where there is data, and served where only metrics are")
    func hosts() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        var configuration = configuration(directory)
        configuration.hostWhitelist = ["registry.example"]
        configuration.listenMetricsURLs = ["http://127.0.0.1:0"]
        let member = try await RegistryMember.start(configuration, logger: quiet)
        #expect(try status(of: "GET", "/metrics", at: member.clientAddresses.first) == 421)
        for path in ["/metrics", "/version"] {
            #expect(try status(of: "GET", path, at: member.monitoringAddresses.first) == 200)
        }
        #expect(try status(of: "POST", "/v3/kv/txn", at: member.monitoringAddresses.first) == 404)
        await member.stop()
    }
}
