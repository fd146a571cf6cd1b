import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import AgentShell

@Suite(.serialized, .timeLimit(.minutes(1)))
struct RuntimeSocketTests {
    /// Limits of two seconds are under test here, so other tests must not hold up the loop.
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private func send(_ commands: [String], to path: String) async -> Result<[String], RuntimeSocketFailure> {
        let loop = Self.group.next()
        return await withCheckedContinuation { continuation in
            loop.execute {
                RuntimeSocket(on: loop).send(commands, to: path) { continuation.resume(returning: $0) }
            }
        }
    }

    @Test("Each command has a connection of its own, in order, and its reply goes up to the end")
    func order() async throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/s"
        let server = try await TestListener.unix(path) { request in
            .answer(["\n\nreply to ", request], every: .milliseconds(5))
        }
        let result = await send(["one", "two", "three"], to: path)
        #expect(result == .success(["\n\nreply to one\n", "\n\nreply to two\n", "\n\nreply to three\n"]))
        #expect(server.received == ["one\n", "two\n", "three\n"])
        #expect(await send([], to: path) == .success([]))
    }

    @Test("The first command that fails ends the run and is named")
    func failures() async throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/s"
        #expect(await send(["show stat"], to: path) == .failure(.init(command: "show stat", reason: "no such socket")))
        let server = try await TestListener.unix(path) { request in
            switch request {
            case "good\n": .answer(["ok\n"])
            case "hang\n": .silent
            default: .closeAtOnce
            }
        }
        #expect(
            await send(["good", "bad", "good"], to: path)
                == .failure(.init(command: "bad", reason: "closed without a reply")))
        #expect(server.received.count == 2)
        let start = ContinuousClock.now
        #expect(await send(["hang"], to: path) == .failure(.init(command: "hang", reason: "no whole reply within 2 s")))
        #expect(ContinuousClock.now - start < .seconds(10))
        try await server.stop()
        let gone = await send(["good"], to: path)
        #expect(
            ["no such socket", "connection refused"].map { .failure(.init(command: "good", reason: $0)) }.contains(gone)
        )
    }

    @Test("A reply without end is cut off")
    func flood() async throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/s"
        let piece = String(repeating: "x", count: 1 << 20)
        try await withListener(path, .answer(Array(repeating: piece, count: 64))) {
            #expect(
                await send(["show stat"], to: path)
                    == .failure(.init(command: "show stat", reason: "the reply is longer than 32 MiB")))
        }
    }

    @Test("A real HAProxy answers: servers are added, changed and removed")
    func realHAProxy() async throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/haproxy.sock"
        let port = try Ports.take(1)[0]
        let config = try scratch.write(
            "haproxy.cfg",
            """
            global
                stats socket \(path) mode 600 level admin
            defaults
                timeout connect 1s
                timeout client 1s
                timeout server 1s
            frontend f
                bind 127.0.0.1:\(port)
                default_backend b
            backend b
                balance roundrobin

            """)
        let process = try TestProcess(
            "/usr/sbin/haproxy", ["-db", "-f", config], output: "\(scratch.path)/haproxy.log")
        try await eventually("HAProxy answers") {
            if case .success = await send(["show version"], to: path) { true } else { false }
        }
        let replies = try await send(
            [
                "add server b/s1 127.0.0.1:1 id 7", "set server b/s1 state ready", "show servers state b",
                "del server b/s1", "set server b/s1 state maint", "del server b/s1", "del server b/s1", "nonsense",
            ], to: path
        ).get()
        #expect(replies[0] == "New server registered.\n\n")
        #expect(replies[1] == "\n")
        #expect(replies[2].contains(" b 7 s1 127.0.0.1 "))
        #expect(replies[3].hasPrefix("Only servers in maintenance mode can be deleted."))
        #expect(replies[4] == "\n")
        #expect(replies[5] == "Server deleted.\n")
        #expect(replies[6] == "No such server.\n")
        #expect(replies[7].hasPrefix("Unknown command"))
        process.kill()
    }

    private func withListener(
        _ path: String, _ behaviour: TestListener.Behaviour, _ body: () async -> Void
    ) async throws {
        let listener = try await TestListener.unix(path) { _ in behaviour }
        await body()
        try await listener.stop()
    }
}
