import GRPC
import NIOCore
import Testing

@Suite struct StreamTests {
    @Test("A stream carries messages both ways in order and ends with both sides")
    func echo() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        let call = RecordedCall(client, "/test.Echo/Stream")
        let sent = (0..<500).map { pattern($0 * 7 % 3000) }
        for message in sent {
            call.send(message)
        }
        call.halfClose()
        let record = await call.finished()
        #expect(record.messages == sent)
        #expect(record.end?.status == .ok)
        #expect(record.endCount == 1)
        await server.log.wait(for: "stream closed finished")
        client.close()
        await server.stop()
    }

    @Test("Five hundred streams on one connection do not mix")
    func manyStreams() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        let calls = (0..<500).map { _ in RecordedCall(client, "/test.Echo/Stream") }
        for round in 0..<5 {
            for (index, call) in calls.enumerated() {
                call.send(Array("\(index) \(round)".utf8))
            }
        }
        for call in calls {
            call.halfClose()
        }
        for (index, call) in calls.enumerated() {
            let record = await call.finished()
            #expect(record.messages == (0..<5).map { Array("\(index) \($0)".utf8) })
            #expect(record.end?.status == .ok)
        }
        client.close()
        await server.stop()
    }

    @Test("Calls past the server's stream limit wait their turn")
    func streamLimit() async throws {
        let server = try await TestServer.start { $0.http2.concurrentStreamsMax = 3 }
        let client = try await server.connect()
        let answers = try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for index in 0..<40 {
                group.addTask { try await client.unary(path: "/test.Echo/Unary", message: [UInt8(index)]) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers.map { $0[0] }.sorted() == (0..<40).map { UInt8($0) })
        client.close()
        await server.stop()
    }

    @Test("A slow reader holds the sender to its bound, and gets everything in the end")
    func slowReader() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect { $0.http2.streamWindowBytes = 65_535 }
        let call = RecordedCall(client, "/test.Echo/Flood", pausesAfterFirst: true)
        call.send(Array("5000".utf8))
        await waitUntil("the first message") { !call.current.messages.isEmpty }
        // The connection is not blocked by the paused stream.
        for _ in 0..<20 {
            #expect(try await client.unary(path: "/test.Echo/Unary", message: [9]) == [9])
        }
        #expect(call.current.messages.count == 1)
        #expect(!server.log.all.contains { $0.hasPrefix("flood") })
        call.resume()
        call.halfClose()
        let record = await call.finished()
        #expect(record.messages.count == 5000)
        #expect(record.bytes == 5_000_000)
        #expect(record.end?.status == .ok)
        await server.log.wait(for: "flood bounded=true drained=true")
        client.close()
        await server.stop()
    }

    @Test("An answer that is complete before a paused reader resumes is not lost")
    func pausedToTheEnd() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        let call = RecordedCall(client, "/test.Echo/Flood", pausesAfterFirst: true)
        call.send(Array("100".utf8))
        call.halfClose()
        await server.log.wait(for: "flood closed finished")
        _ = try await client.unary(path: "/test.Echo/Unary", message: [1])
        #expect(call.current.messages.count == 1)
        #expect(!call.isEnded)
        call.resume()
        let record = await call.finished()
        #expect(record.messages.count == 100)
        #expect(record.end?.status == .ok)
        client.close()
        await server.stop()
    }

    @Test("A server that pauses reading holds its client back and gets everything after")
    func pausedServer() async throws {
        let server = try await TestServer.start { $0.http2.streamWindowBytes = 65_535 }
        let client = try await server.connect()
        let call = RecordedCall(client, "/test.Echo/Paused")
        for _ in 0..<1000 {
            call.send(pattern(1000))
        }
        call.halfClose()
        await server.log.wait(for: "paused 0")
        let record = await call.finished()
        #expect(record.messages == [Array("999000".utf8)])
        #expect(record.drains >= 1)
        client.close()
        await server.stop()
    }

    @Test("Large answers leave room for small ones on the same connection")
    func fairness() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect { $0.http2.connectionWindowBytes = 64 * 1024 * 1024 }
        let large = RecordedCall(client, "/test.Echo/Big")
        large.send(Array("30000000".utf8))
        large.halfClose()
        var overtook = 0
        while !large.isEnded {
            _ = try await client.unary(path: "/test.Echo/Unary", message: [1])
            overtook += 1
        }
        // Behind the whole large answer only the first small one would count.
        #expect(overtook > 3)
        #expect(large.current.messages.first == pattern(30_000_000))
        client.close()
        await server.stop()
    }

    @Test("Assembly over the connection's bound goes on one stream at a time and completes")
    func assemblyBound() async throws {
        let server = try await TestServer.start {
            $0.http2.assemblyBytesMax = 200_000
            $0.http2.streamWindowBytes = 65_535
        }
        let client = try await server.connect()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let answer = try await client.unary(
                        path: "/test.Echo/Unary", message: pattern(1_000_000), timeout: .seconds(30))
                    #expect(answer.count == 1_000_000)
                }
            }
            try await group.waitForAll()
        }
        client.close()
        await server.stop()
    }

    @Test("Streams held back by the assembly bound go on although none of them ends")
    func assemblyBoundWithoutEnd() async throws {
        let server = try await TestServer.start {
            $0.http2.assemblyBytesMax = 200_000
            $0.http2.streamWindowBytes = 65_535
        }
        let client = try await server.connect()
        let calls = (0..<8).map { _ in RecordedCall(client, "/test.Echo/Stream") }
        for call in calls {
            call.send(pattern(500_000))
        }
        for call in calls {
            await waitUntil("the echo") { call.current.bytes == 500_000 }
        }
        client.close()
        await server.stop()
    }
}
