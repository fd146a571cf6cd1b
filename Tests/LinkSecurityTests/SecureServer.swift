import GRPC
import LinkSecurity
import NIOCore
import NIOPosix
import Synchronization

/// Lines that credentials wrote for a log.
final class Notices: Sendable {
    private let lines = Mutex<[String]>([])

    func append(_ line: String) { lines.withLock { $0.append(line) } }

    var all: [String] { lines.withLock { $0 } }

    func count(_ words: String) -> Int { all.count { $0.contains(words) } }
}

/// An echo over gRPC, and over HTTP a line about the connection, with or without TLS on 127.0.0.1.
final class SecureServer: Sendable {
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)

    let notices = Notices()
    let port: Int
    private let server: GRPCServer

    init(_ settings: TLSSettings?) async throws {
        server = GRPCServer(group: Self.group)
        let notices = notices
        let credentials = settings.map { settings in
            var settings = settings
            settings.applicationProtocols = GRPCServer.applicationProtocols
            return TLSCredentials.server(settings) { notices.append($0) }
        }
        try credentials?.load()
        let address = try await server.bind(host: "127.0.0.1", port: 0, tls: credentials) { _ in
            let services = EchoServices()
            return GRPCServices(calls: services, http: services)
        }
        port = address.port ?? 0
    }

    func connect(_ settings: TLSSettings?, host: String = "127.0.0.1") async throws -> GRPCClientConnection {
        try await connect(settings.map { TLSCredentials.client($0) }, host: host)
    }

    func connect(_ credentials: TLSCredentials?, host: String = "127.0.0.1") async throws -> GRPCClientConnection {
        var options = GRPCClientOptions()
        options.tls = credentials
        return try await GRPCClientConnection.connect(
            host: host, port: port, on: Self.group.next(), options: options
        ).get()
    }

    /// What the server says about a new connection with these settings; or why there is none, or not for long.
    func ask(_ settings: TLSSettings?, host: String = "127.0.0.1") async -> String {
        do {
            let client = try await connect(settings, host: host)
            defer { client.close() }
            let answer = try await client.unary(path: "/test.Echo/Who", message: [], timeout: .seconds(5))
            return String(decoding: answer, as: UTF8.self)
        } catch {
            return "\(error)"
        }
    }

    func stop() async {
        await server.shutdown(grace: .zero)
    }
}

private final class EchoServices: CallRouter, HTTPRouter {
    func open(_ call: ServerCall) -> (any ServerCallHandler)? { Echo() }

    func hasService(_ name: String) -> Bool { true }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        responder.respond(status: 200, body: Array(EchoServices.describe(responder.connection).utf8))
    }

    static func describe(_ connection: ConnectionInfo) -> String {
        guard connection.isSecure else { return "plaintext" }
        guard connection.hasVerifiedCertificate else { return "secure" }
        let name = connection.certificateCommonName ?? "nobody"
        return "\(name) of \(connection.certificateHosts.joined(separator: ","))"
    }

    private final class Echo: ServerCallHandler {
        func messageReceived(_ message: [UInt8], _ call: ServerCall) {
            call.respond(call.path.hasSuffix("Who") ? Array(EchoServices.describe(call.connection).utf8) : message)
        }

        func halfClosed(_ call: ServerCall) {}

        func closed(_ call: ServerCall, _ end: ServerCallEnd) {}
    }
}
