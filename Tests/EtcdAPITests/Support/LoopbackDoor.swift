import EtcdProto
import GRPC
import NIOCore
import NIOPosix
import SwiftProtobuf
import Testing

@testable import EtcdAPI

/// Doors over a real listener on loopback, and a client connection to it.
final class LoopbackDoor: Sendable {
    let registry: MemoryRegistry
    let group: MultiThreadedEventLoopGroup
    let doors: EtcdFrontDoors
    let server: GRPCServer
    let client: GRPCClientConnection
    let port: Int

    /// Runs `body` with a fresh door and shuts everything down behind it.
    static func with(
        options: EtcdDoorOptions = EtcdDoorOptions(), metricsSource: (any MetricsSource)? = nil,
        _ body: (LoopbackDoor) async throws -> Void
    ) async throws {
        let door = try await LoopbackDoor(options, metricsSource)
        do {
            try await body(door)
        } catch {
            try await door.shutDown()
            throw error
        }
        try await door.shutDown()
    }

    private init(_ options: EtcdDoorOptions, _ metricsSource: (any MetricsSource)?) async throws {
        registry = MemoryRegistry()
        group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let doors = EtcdFrontDoors(
            service: registry, group: group, options: options, metricsSource: metricsSource)
        self.doors = doors
        server = GRPCServer(group: group)
        let address = try await server.bind(host: "127.0.0.1", port: 0) { doors.services(on: $0) }
        port = try #require(address.port)
        client = try await GRPCClientConnection.connect(host: "127.0.0.1", port: port, on: group.any()).get()
    }

    private func shutDown() async throws {
        await server.shutdown(grace: .milliseconds(50))
        await doors.detach()
        #expect(registry.sinkCount == 0)
        try await group.shutdownGracefully()
    }

    /// One unary call.
    func call<Response: Message & Sendable>(
        _ path: String, _ request: some Message, metadata: Metadata = Metadata(), as type: Response.Type
    ) async throws -> Response {
        let bytes = try await call(path, bytes: request.serializedBytes(), metadata: metadata)
        return try Response(serializedBytes: bytes)
    }

    func call(_ path: String, bytes: [UInt8], metadata: Metadata = Metadata()) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            let client = self.client
            client.eventLoop.execute {
                client.unary(path: path, message: bytes, metadata: metadata) { result in
                    continuation.resume(with: result)
                }
            }
        }
    }

    /// The status a call fails with; nil when it succeeds.
    func failure(
        _ path: String, _ request: some Message, metadata: Metadata = Metadata()
    ) async throws -> GRPCStatus? {
        do {
            _ = try await call(path, bytes: try request.serializedBytes(), metadata: metadata)
            return nil
        } catch let status as GRPCStatus {
            return status
        }
    }

    /// Opens a stream call.
    func stream<Request: Message & Sendable, Response: Message & Sendable>(
        _ path: String, metadata: Metadata = Metadata(), _: Request.Type, _: Response.Type
    ) -> TestStream<Request, Response> {
        TestStream(client, path: path, metadata: metadata)
    }
}

/// One streaming call with its answers as an async sequence.
final class TestStream<Request: Message & Sendable, Response: Message & Sendable>: Sendable {
    enum Event: Sendable {
        case message(Response)
        case ended(GRPCStatus)
    }

    private final class Handler: ClientCallHandler {
        let continuation: AsyncStream<Event>.Continuation

        init(_ continuation: AsyncStream<Event>.Continuation) {
            self.continuation = continuation
        }

        func messageReceived(_ message: [UInt8], _ call: ClientCall) {
            do {
                continuation.yield(.message(try Response(serializedBytes: message)))
            } catch {
                continuation.yield(.ended(GRPCStatus(.internal, "the answer cannot be read: \(error)")))
            }
        }

        func ended(_ status: GRPCStatus, _ trailers: Metadata, _ call: ClientCall) {
            continuation.yield(.ended(status))
            continuation.finish()
        }
    }

    private let eventLoop: any EventLoop
    private let call: EventLoopFuture<NIOLoopBound<ClientCall>>
    private let events: AsyncStream<Event>

    init(_ client: GRPCClientConnection, path: String, metadata: Metadata) {
        let (events, continuation) = AsyncStream.makeStream(of: Event.self)
        self.events = events
        eventLoop = client.eventLoop
        call = client.eventLoop.submit {
            let call = client.open(path: path, metadata: metadata, handler: Handler(continuation))
            return NIOLoopBound(call, eventLoop: client.eventLoop)
        }
    }

    private func onCall(_ body: @escaping @Sendable (ClientCall) -> Void) {
        call.whenSuccess { body($0.value) }
    }

    func send(_ request: Request) throws {
        let bytes: [UInt8] = try request.serializedBytes()
        onCall { $0.send(bytes) }
    }

    func send(raw bytes: [UInt8]) {
        onCall { $0.send(bytes) }
    }

    func halfClose() { onCall { $0.halfClose() } }
    func cancel() { onCall { $0.cancel() } }
    func pauseReading() { onCall { $0.pauseReading() } }
    func resumeReading() { onCall { $0.resumeReading() } }

    /// The next answer. Fails the test when the call ended instead.
    func next() async throws -> Response {
        for await event in events {
            switch event {
            case .message(let message): return message
            case .ended(let status): throw status
            }
        }
        throw GRPCStatus(.internal, "the stream is over")
    }

    /// The status the call ends with; answers before it are passed over.
    func end() async -> GRPCStatus? {
        for await event in events {
            if case .ended(let status) = event { return status }
        }
        return nil
    }
}
