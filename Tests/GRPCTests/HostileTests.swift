import GRPC
import NIOCore
import NIOPosix
import Testing

/// Whatever bytes come, only the connection they come on may suffer.
@Suite struct HostileTests {
    @Test("Garbage is refused and the server goes on", arguments: 0..<40)
    func garbage(seed: UInt64) async throws {
        let server = try await TestServer.start()
        var random = SplitMix(state: seed)
        let connection = try await RawConnection.open(port: server.port)
        // Odd seeds get past the preface first.
        var bytes = seed % 2 == 1 ? RawConnection.preface : []
        bytes += (0..<Int.random(in: 1...5000, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes += Array("\r\n\r\n".utf8)
        connection.send(bytes)
        try await server.expectAlive()
        connection.close()
        await server.stop()
    }

    @Test("Random frames of every type, cut at random places, hurt nobody else", arguments: 0..<60)
    func randomFrames(seed: UInt64) async throws {
        let server = try await TestServer.start { $0.http2.messageBytesMax = 10_000 }
        let bystander = try await server.connect()
        var random = SplitMix(state: seed &* 977)
        let connection = try await RawConnection.open(port: server.port)
        connection.send(RawConnection.hello)
        for _ in 0..<60 {
            var bytes = randomFrame(&random)
            if Int.random(in: 0..<20, using: &random) == 0 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            let cut = Int.random(in: 0...bytes.count, using: &random)
            connection.send(Array(bytes[..<cut]))
            connection.send(Array(bytes[cut...]))
        }
        #expect(try await bystander.unary(path: "/test.Echo/Unary", message: [7], timeout: .seconds(10)) == [7])
        connection.close()
        try await server.expectAlive()
        bystander.close()
        await server.stop()
    }

    private func randomFrame(_ random: inout SplitMix) -> [UInt8] {
        let stream = UInt32.random(in: 0..<12, using: &random)
        let paths = ["/test.Echo/Unary", "/test.Echo/Stream", "/test.Echo/Early", "/test.Echo/Flood", "/x", ""]
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 1, 2:
            let method = Int.random(in: 0..<10, using: &random) == 0 ? "GET" : "POST"
            let head = RawConnection.head(path: paths.randomElement(using: &random) ?? "", method: method)
            let flags: UInt8 = Bool.random(using: &random) ? 5 : 4
            return RawConnection.frame(type: 1, flags: flags, stream: stream, head)
        case 3, 4, 5:
            let length = Int.random(in: 0..<400, using: &random)
            let announced = Int.random(in: 0..<3, using: &random) == 0 ? 70_000 : length
            let prefix = [0, 0, UInt8(announced >> 16), UInt8(announced >> 8 & 255), UInt8(announced & 255)]
            let flags: UInt8 = Bool.random(using: &random) ? 1 : 0
            return RawConnection.frame(type: 0, flags: flags, stream: stream, prefix + pattern(length))
        default:
            let payload = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            return RawConnection.frame(
                type: UInt8.random(in: 0...12, using: &random), flags: UInt8.random(in: 0...255, using: &random),
                stream: stream, payload)
        }
    }

    @Test("A frame cut off by the end of the connection ends its calls")
    func truncated() async throws {
        let server = try await TestServer.start()
        let whole =
            RawConnection.hello + RawConnection.frame(type: 1, flags: 4, stream: 1, RawConnection.head())
            + RawConnection.frame(type: 0, flags: 0, stream: 1, [0, 0, 0, 0, 3, 1, 2, 3])
        for cut in stride(from: 1, to: whole.count, by: 5) {
            let connection = try await RawConnection.open(port: server.port)
            connection.send(Array(whole[..<cut]))
            connection.close()
        }
        let connection = try await RawConnection.open(port: server.port)
        connection.send(whole)
        await server.log.wait(for: "never got 3")
        connection.close()
        await server.log.wait(for: "never closed connectionLost")
        await waitUntil("all connections to be gone") { server.server.connectionCount == 0 }
        await server.stop()
    }

    @Test("A stream that ends inside a message is refused")
    func cutMessage() async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        connection.send(
            RawConnection.hello + RawConnection.frame(type: 1, flags: 4, stream: 1, RawConnection.head())
                + RawConnection.frame(type: 0, flags: 1, stream: 1, [0, 0, 0, 0, 3, 1]))
        await server.log.wait(for: "never closed finished")
        connection.close()
        await server.stop()
    }

    @Test("A peer still sending when its call was answered is told to stop with NO_ERROR")
    func stillSending() async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        connection.send(
            RawConnection.hello
                + RawConnection.frame(type: 1, flags: 4, stream: 1, RawConnection.head(path: "/test.Echo/Early"))
                + RawConnection.frame(type: 0, flags: 0, stream: 1, [0, 0, 0, 0, 1, 9]))
        await connection.receive(bytes: RawConnection.frame(type: 3, flags: 0, stream: 1, [0, 0, 0, 0]))
        connection.close()
        await server.stop()
    }

    @Test("A header list over the limit is refused, a flood of headers ends the connection")
    func headerFlood() async throws {
        let server = try await TestServer.start { $0.http2.headerListBytesMax = 8000 }
        let client = try await server.connect()
        var metadata = Metadata()
        for index in 0..<100 {
            metadata.add("x-\(index)", String(repeating: "v", count: 100))
        }
        await #expect(throws: GRPCStatus(.resourceExhausted, "header list larger than max (8000 bytes)")) {
            try await client.unary(path: "/test.Echo/Unary", message: [1], metadata: metadata)
        }
        #expect(try await client.unary(path: "/test.Echo/Unary", message: [1]) == [1])
        client.close()

        let connection = try await RawConnection.open(port: server.port)
        connection.send(RawConnection.hello)
        connection.send(RawConnection.frame(type: 1, flags: 0, stream: 1, RawConnection.head()))
        let field = RawConnection.field("x", String(repeating: "y", count: 100))
        let block = (0..<100).flatMap { _ in field }
        for _ in 0..<200 {
            connection.send(RawConnection.frame(type: 9, flags: 0, stream: 1, block))
        }
        #expect(await connection.isClosed())
        try await server.expectAlive()
        await server.stop()
    }

    @Test("A client that opens and resets streams without end is cut off")
    func resetFlood() async throws {
        let server = try await TestServer.start {
            $0.http2.resetBurstMax = 100
            $0.http2.resetsPerSecondMax = 10
        }
        let connection = try await RawConnection.open(port: server.port)
        connection.send(RawConnection.hello)
        for index in 0..<2000 as Range<UInt32> {
            connection.send(
                RawConnection.frame(type: 1, flags: 4, stream: index * 2 + 1, RawConnection.head())
                    + RawConnection.frame(type: 3, flags: 0, stream: index * 2 + 1, [0, 0, 0, 8]))
        }
        #expect(await connection.isClosed())
        try await server.expectAlive()
        let opened = server.log.all.filter { $0 == "never closed cancelled" || $0 == "never closed connectionLost" }
        #expect(opened.count < 300)
        await server.stop()
    }

    @Test("Floods of frames that move nothing end the connection", arguments: [4, 2, 0] as [UInt8])
    func controlFlood(type: UInt8) async throws {
        let server = try await TestServer.start { $0.http2.controlFramesPerSecondMax = 1000 }
        let connection = try await RawConnection.open(port: server.port)
        connection.send(
            RawConnection.hello + RawConnection.frame(type: 1, flags: 4, stream: 1, RawConnection.head()))
        let payload: [UInt8] = type == 2 ? [0, 0, 0, 0, 10] : []
        let frame = RawConnection.frame(type: type, flags: 0, stream: type == 4 ? 0 : 1, payload)
        for _ in 0..<20 {
            connection.send((0..<500).flatMap { _ in frame })
        }
        #expect(await connection.isClosed())
        try await server.expectAlive()
        await server.stop()
    }

    @Test("Pings more often than allowed draw GOAWAY too_many_pings, pings at leisure do not")
    func pingFlood() async throws {
        let server = try await TestServer.start { $0.http2.peerPingIntervalMin = .milliseconds(40) }
        let ping = RawConnection.frame(type: 6, flags: 0, stream: 0, [1, 2, 3, 4, 5, 6, 7, 8])
        let polite = try await RawConnection.open(port: server.port)
        polite.send(RawConnection.hello)
        for _ in 0..<5 {
            polite.send(ping)
            try await Task.sleep(for: .milliseconds(60))
        }
        #expect(!String(decoding: await polite.received, as: UTF8.self).contains("too_many_pings"))
        polite.close()

        let rude = try await RawConnection.open(port: server.port)
        rude.send(RawConnection.hello)
        for _ in 0..<10 {
            rude.send(ping)
        }
        #expect(await rude.receive(until: "too_many_pings").contains("too_many_pings"))
        #expect(await rude.isClosed())
        await server.stop()
    }

    @Test("A compressed message without a known encoding is refused in the words of grpc-go")
    func compressed() async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        connection.send(
            RawConnection.hello + RawConnection.frame(type: 1, flags: 4, stream: 1, RawConnection.head())
                + RawConnection.frame(type: 0, flags: 1, stream: 1, [1, 0, 0, 0, 1, 9]))
        await server.log.wait(for: "never closed finished")
        let gzip = RawConnection.head() + RawConnection.field("grpc-encoding", "gzip")
        connection.send(
            RawConnection.frame(type: 1, flags: 4, stream: 3, gzip)
                + RawConnection.frame(type: 0, flags: 1, stream: 3, [1, 0, 0, 0, 1, 9]))
        await waitUntil("the second answer") {
            server.log.all.filter { $0 == "never closed finished" }.count == 2
        }
        connection.close()
        await server.stop()
    }

    @Test("A client survives a server that sends nonsense, and its call ends once", arguments: 0..<60)
    func hostileServer(seed: UInt64) async throws {
        var random = SplitMix(state: seed &* 31)
        let frames = (0..<20).map { _ in randomAnswer(&random) }
        let server = try await MuteServer.start(greets: true, saying: frames)
        let client = try await server.connect()
        let calls = (0..<4).map { _ in RecordedCall(client, "/test.Echo/Stream") }
        for call in calls {
            call.send(pattern(100))
        }
        for call in calls {
            #expect(await call.finished().endCount == 1)
        }
        client.close()
        await server.stop()
    }

    private func randomAnswer(_ random: inout SplitMix) -> [UInt8] {
        let stream = UInt32.random(in: 0..<10, using: &random)
        let flags: UInt8 = Int.random(in: 0..<4, using: &random) == 0 ? 5 : 4
        switch Int.random(in: 0..<7, using: &random) {
        case 0, 1:
            let status = ["200", "200", "200", "100", "503", "x"].randomElement(using: &random) ?? ""
            let head = RawConnection.field(":status", status) + RawConnection.field("content-type", "application/grpc")
            return RawConnection.frame(type: 1, flags: flags, stream: stream, head)
        case 2:
            let status = ["0", "5", "77", "-1", ""].randomElement(using: &random) ?? ""
            let trailers = RawConnection.field("grpc-status", status) + RawConnection.field("grpc-message", "%zz%4")
            return RawConnection.frame(type: 1, flags: 5, stream: stream, trailers)
        case 3, 4:
            let length = UInt8.random(in: 0..<100, using: &random)
            return RawConnection.frame(
                type: 0, flags: flags & 1, stream: stream, [0, 0, 0, 0, length] + pattern(Int(length)))
        default:
            let payload = (0..<Int.random(in: 0..<30, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            return RawConnection.frame(
                type: UInt8.random(in: 0...9, using: &random), flags: UInt8.random(in: 0...255, using: &random),
                stream: stream, payload)
        }
    }

    @Test("A connection that begins HTTP/2 and sends no SETTINGS is closed")
    func noSettings() async throws {
        let server = try await TestServer.start { $0.http2.greetingTimeout = .milliseconds(50) }
        let connection = try await RawConnection.open(port: server.port)
        connection.send(RawConnection.preface)
        #expect(await connection.isClosed())
        await server.stop()
    }

    @Test("A connection that says nothing is closed")
    func silence() async throws {
        let server = try await TestServer.start { $0.negotiationTimeout = .milliseconds(50) }
        let connection = try await RawConnection.open(port: server.port)
        #expect(await connection.isClosed())
        await server.stop()
    }
}

/// A small generator, so that a failing seed can be run again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
