import GRPC
import NIOCore
import Testing

@Suite struct CallTests {
    @Test("A unary call is answered with its message")
    func unary() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        for size in [0, 1, 256, 70_000] {
            let answer = try await client.unary(path: "/test.Echo/Unary", message: pattern(size))
            #expect(answer == pattern(size))
        }
        client.close()
        await server.stop()
    }

    @Test("Messages of 8 MiB pass windows of 64 KiB both ways")
    func largeMessages() async throws {
        let server = try await TestServer.start {
            $0.http2.streamWindowBytes = 65_535
            $0.http2.connectionWindowBytes = 65_535
            $0.http2.messageBytesMax = 16 * 1024 * 1024
        }
        let client = try await server.connect {
            $0.http2.streamWindowBytes = 65_535
            $0.http2.connectionWindowBytes = 65_535
        }
        let message = pattern(8 * 1024 * 1024)
        let answer = try await client.unary(path: "/test.Echo/Unary", message: message, timeout: .seconds(60))
        #expect(answer == message)
        client.close()
        await server.stop()
    }

    @Test("Metadata, binary metadata, headers and trailers arrive")
    func metadata() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        var metadata = Metadata(["X-Echo": "one", "x-echo": "two"])
        metadata.addBinary("x-data-bin", [0, 255, 7])
        let call = RecordedCall(client, "/test.Echo/Headers", metadata: metadata, timeout: .seconds(60))
        call.send([])
        call.halfClose()
        let record = await call.finished()
        #expect(record.headers?.values("x-echo") == ["one", "two"])
        #expect(record.messages == [Array("true 127.0.0.1:\(server.port) true".utf8)])
        #expect(record.end?.status == .ok)
        #expect(record.end?.trailers["x-trail"] == "one")
        #expect(record.end?.trailers.binary("x-data-bin") == [0, 255, 7])
        client.close()
        await server.stop()
    }

    @Test("Every status code arrives with its text, whatever characters it has", arguments: GRPCStatus.Code.allCases)
    func statuses(code: GRPCStatus.Code) async throws {
        guard code != .ok else { return }
        let server = try await TestServer.start()
        let client = try await server.connect()
        let text = "100% wrong:\r\n\t\u{7f}grüße 日本 \(code)"
        let call = RecordedCall(client, "/test.Echo/Fail")
        call.send([UInt8(code.rawValue)] + Array(text.utf8))
        call.halfClose()
        let end = await call.finished().end
        #expect(end?.status == GRPCStatus(code, text))
        #expect(end?.trailers["x-why"] == "because")
        client.close()
        await server.stop()
    }

    @Test(
        "Unknown methods are refused in the words of grpc-go",
        arguments: [
            ("/test.Echo/Nothing", "unknown method Nothing for service test.Echo"),
            ("/other.Thing/Do", "unknown service other.Thing"),
            ("/x", "malformed method name: \"/x\""),
        ])
    func unknownMethod(path: String, text: String) async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        await #expect(throws: GRPCStatus(.unimplemented, text)) {
            try await client.unary(path: path, message: [1])
        }
        client.close()
        await server.stop()
    }

    @Test("A router may refuse a call at once")
    func refused() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        await #expect(throws: GRPCStatus(.unauthenticated, "no")) {
            try await client.unary(path: "/test.Echo/Refused", message: [1])
        }
        client.close()
        await server.stop()
    }

    @Test("A message over the limit is refused in the words of grpc-go, on either side")
    func oversize() async throws {
        let server = try await TestServer.start { $0.http2.messageBytesMax = 1000 }
        let client = try await server.connect { $0.http2.messageBytesMax = 2000 }
        let big = "grpc: received message larger than max"
        await #expect(throws: GRPCStatus(.resourceExhausted, "\(big) (1001 vs. 1000)")) {
            try await client.unary(path: "/test.Echo/Unary", message: pattern(1001))
        }
        await #expect(throws: GRPCStatus(.resourceExhausted, "\(big) (3000 vs. 2000)")) {
            try await client.unary(path: "/test.Echo/Big", message: Array("3000".utf8))
        }
        #expect(try await client.unary(path: "/test.Echo/Unary", message: pattern(1000)) == pattern(1000))
        client.close()
        await server.stop()
    }

    @Test("A message may be sent in parts, and several at once")
    func parts() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        let call = RecordedCall(client, "/test.Echo/Parts")
        call.send([])
        call.halfClose()
        let record = await call.finished()
        #expect(record.messages == [[1, 2, 3, 4, 5], [], [6], [7, 8]])
        #expect(record.end?.status == .ok)
        client.close()
        await server.stop()
    }

    @Test("A call past its deadline ends on both sides")
    func deadline() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        let start = NIODeadline.now()
        let call = RecordedCall(client, "/test.Echo/Never", timeout: .milliseconds(500))
        call.send([1])
        await server.log.wait(for: "never got 1")
        let end = await call.finished().end
        #expect(end?.status == GRPCStatus(.deadlineExceeded, "context deadline exceeded"))
        #expect(NIODeadline.now() - start >= .milliseconds(500))
        await waitUntil("the server's end") {
            let log = server.log.all
            return log.contains("never closed deadlineExceeded") || log.contains("never closed cancelled")
        }
        client.close()
        await server.stop()
    }

    @Test("The server enforces a deadline by itself")
    func serverDeadline() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        // Sent as plain metadata, so that this client does not watch the time.
        let call = RecordedCall(client, "/test.Echo/Never", metadata: Metadata(["grpc-timeout": "30m"]))
        let end = await call.finished().end
        #expect(end?.status == GRPCStatus(.deadlineExceeded, "context deadline exceeded"))
        await server.log.wait(for: "never closed deadlineExceeded")
        let malformed = RecordedCall(client, "/test.Echo/Never", metadata: Metadata(["grpc-timeout": "soon"]))
        #expect(await malformed.finished().end?.status == GRPCStatus(.internal, "malformed grpc-timeout: \"soon\""))
        client.close()
        await server.stop()
    }

    @Test("Cancelling reaches the server; cancelling the task cancels the call")
    func cancel() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        let call = RecordedCall(client, "/test.Echo/Never")
        call.send([1, 2])
        await server.log.wait(for: "never got 2")
        call.cancel()
        let record = await call.finished()
        #expect(record.end?.status.code == .cancelled)
        #expect(record.endCount == 1)
        await server.log.wait(for: "never closed cancelled")

        let task = Task { try await client.unary(path: "/test.Echo/Never", message: [1, 2, 3]) }
        await server.log.wait(for: "never got 3")
        task.cancel()
        let result = await task.result
        #expect(throws: GRPCStatus.self) { try result.get() }
        #expect(try await client.unary(path: "/test.Echo/Unary", message: [5]) == [5])
        client.close()
        await server.stop()
    }

    @Test("A server that answers early stops an upload without hurting the connection")
    func earlyAnswer() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        let call = RecordedCall(client, "/test.Echo/Early")
        for _ in 0..<50 {
            call.send(pattern(100_000))
        }
        let record = await call.finished()
        #expect(record.messages == [[42]])
        #expect(record.end?.status == .ok)
        #expect(try await client.unary(path: "/test.Echo/Unary", message: [5]) == [5])
        client.close()
        await server.stop()
    }
}
