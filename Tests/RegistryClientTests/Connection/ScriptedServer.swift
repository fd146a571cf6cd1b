import EtcdProto
import Foundation
import GRPC
import NIOCore
import NIOPosix
import RegistryClient
import SwiftProtobuf
import Synchronization

/// A member that does as the test says. Calls are counted by path.
final class ScriptedServer: Sendable {
    /// What to do with a call; for a stream, with each of its messages.
    typealias Answer = @Sendable (_ call: ServerCall, _ message: [UInt8], _ number: Int) -> Void

    private struct State {
        var answers: [String: Answer] = [:]
        var counts: [String: Int] = [:]
        var metadata: [String: [Metadata]] = [:]
    }

    private let state = Mutex(State())
    private let server: GRPCServer
    let endpoint: Endpoint

    init() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        server = GRPCServer(group: group)
        let port = try Ports.take(1)[0]
        endpoint = Endpoint(host: "127.0.0.1", port: port)
        let router = Weak()
        try await server.bind(host: "127.0.0.1", port: port) { _ in
            GRPCServices(calls: Router(server: router))
        }
        router.server.withLock { $0 = Unowned(self) }
    }

    func close() async {
        await server.shutdown(grace: .milliseconds(50))
    }

    /// Says what becomes of the calls of one method. The number counts messages of that method from 1.
    func on(_ path: String, _ answer: @escaping Answer) {
        state.withLock { $0.answers[path] = answer }
    }

    func count(_ path: String) -> Int {
        state.withLock { $0.counts[path] ?? 0 }
    }

    func metadata(_ path: String) -> [Metadata] {
        state.withLock { $0.metadata[path] ?? [] }
    }

    fileprivate func received(_ message: [UInt8], _ call: ServerCall) {
        let (answer, number) = state.withLock { state in
            state.counts[call.path, default: 0] += 1
            state.metadata[call.path, default: []].append(call.metadata)
            return (state.answers[call.path], state.counts[call.path] ?? 0)
        }
        guard let answer else { return call.finish(GRPCStatus(.unimplemented, "not scripted: \(call.path)")) }
        answer(call, message, number)
    }

    private struct Unowned: @unchecked Sendable {
        // The server outlives its connections: `close` waits for them.
        unowned let server: ScriptedServer

        init(_ server: ScriptedServer) {
            self.server = server
        }
    }

    private final class Weak: Sendable {
        let server = Mutex<Unowned?>(nil)
    }

    private final class Router: CallRouter, ServerCallHandler {
        private let server: Weak

        init(server: Weak) {
            self.server = server
        }

        func open(_ call: ServerCall) -> (any ServerCallHandler)? { self }
        func hasService(_ name: String) -> Bool { true }
        func halfClosed(_ call: ServerCall) {}
        func closed(_ call: ServerCall, _ end: ServerCallEnd) {}

        func messageReceived(_ message: [UInt8], _ call: ServerCall) {
            let server = server.server.withLock { $0 }
            server?.server.received(message, call)
        }
    }
}

extension ServerCall {
    /// Sends a message of the protobuf library.
    func send(_ message: some SwiftProtobuf.Message) {
        if let bytes = try? message.serializedBytes() as [UInt8] { send(bytes) }
    }

    /// Answers a unary call.
    func respond(_ message: some SwiftProtobuf.Message) {
        send(message)
        finish()
    }
}

/// Takes connections (the kernel does) and never says a word, like a process that is stopped.
final class MuteListener: Sendable {
    let endpoint: Endpoint
    private let descriptor: Int32

    init() throws {
        let (descriptor, port) = try Ports.bound()
        guard listen(descriptor, 16) == 0 else { throw HarnessError("cannot listen") }
        self.descriptor = descriptor
        endpoint = Endpoint(host: "127.0.0.1", port: port)
    }

    deinit { _ = Glibc.close(descriptor) }
}
