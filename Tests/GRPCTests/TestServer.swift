import GRPC
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A server on a free port of 127.0.0.1 with services for the tests, and clients to it.
final class TestServer: Sendable {
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)

    let server: GRPCServer
    let port: Int
    let log: CallLog

    static func start(_ configure: (inout GRPCServerOptions) -> Void = { _ in }) async throws -> TestServer {
        var options = GRPCServerOptions()
        configure(&options)
        let server = GRPCServer(group: group, options: options)
        let log = CallLog()
        let address = try await server.bind(host: "127.0.0.1", port: 0) { _ in
            let services = TestServices(log)
            return GRPCServices(calls: services, http: services)
        }
        return TestServer(server: server, port: address.port ?? 0, log: log)
    }

    private init(server: GRPCServer, port: Int, log: CallLog) {
        self.server = server
        self.port = port
        self.log = log
    }

    func connect(
        _ configure: (inout GRPCClientOptions) -> Void = { _ in },
        onEvent: @escaping @Sendable (GRPCClientConnectionEvent) -> Void = { _ in }
    ) async throws -> GRPCClientConnection {
        var options = GRPCClientOptions()
        configure(&options)
        return try await GRPCClientConnection.connect(
            host: "127.0.0.1", port: port, on: Self.group.next(), options: options, onEvent: onEvent
        ).get()
    }

    func stop() async {
        await server.shutdown(grace: .zero)
    }

    /// The server still answers, on a new connection.
    func expectAlive() async throws {
        let client = try await connect()
        defer { client.close() }
        let answer = try await client.unary(path: "/test.Echo/Unary", message: [1, 2, 3], timeout: .seconds(5))
        #expect(answer == [1, 2, 3])
    }
}

/// What handlers saw, for tests to look at and wait for.
final class CallLog: Sendable {
    private let entries = Mutex<[String]>([])

    func add(_ entry: String) {
        entries.withLock { $0.append(entry) }
    }

    var all: [String] { entries.withLock { $0 } }

    /// Waits until an entry is there; fails the test after ten seconds.
    func wait(for entry: String, sourceLocation: SourceLocation = #_sourceLocation) async {
        await waitUntil("log entry \(entry); have \(all)", sourceLocation: sourceLocation) { self.all.contains(entry) }
    }
}

/// Waits for what another thread will bring about; bounded.
func waitUntil(
    _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () -> Bool
) async {
    let start = ContinuousClock.now
    while !condition() {
        guard ContinuousClock.now - start < .seconds(10) else {
            Issue.record("gave up waiting for \(what)", sourceLocation: sourceLocation)
            return
        }
        try? await Task.sleep(for: .milliseconds(2))
    }
}

/// A stream of test bytes that shows any loss, repetition or reordering.
func pattern(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        for index in 0..<count {
            buffer[index] = UInt8(truncatingIfNeeded: index &* 31 &+ index >> 8 &+ index >> 16)
        }
        initialized = count
    }
}
