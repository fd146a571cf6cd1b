import GRPC
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@Suite struct ConnectionTests {
    @Test("Graceful shutdown lets a running call finish and refuses new ones as unprocessed")
    func gracefulShutdown() async throws {
        let server = try await TestServer.start()
        let events = Mutex<[GRPCClientConnectionEvent]>([])
        let client = try await server.connect(onEvent: { event in events.withLock { $0.append(event) } })
        let call = RecordedCall(client, "/test.Echo/Stream")
        call.send([1])
        await waitUntil("the echo") { call.current.messages.count == 1 }
        let stopped = Task { await server.server.shutdown(grace: .seconds(30)) }
        await server.log.wait(for: "stream shutdown")
        await waitUntil("GOAWAY") { events.withLock { !$0.isEmpty } }
        let refused = await #expect(throws: GRPCStatus.self) {
            try await client.unary(path: "/test.Echo/Unary", message: [1])
        }
        #expect(refused?.code == .unavailable)
        #expect(refused?.isUnprocessed == true)
        call.send([2])
        call.halfClose()
        let record = await call.finished()
        #expect(record.messages == [[1], [2]])
        #expect(record.end?.status == .ok)
        await stopped.value
        #expect(server.server.connectionCount == 0)
        await waitUntil("the close event") { events.withLock { $0.count == 2 } }
        #expect(events.withLock { $0.first } == .draining("NO_ERROR"))
    }

    @Test("Calls that do not end in time are cut off by shutdown")
    func shutdownDeadline() async throws {
        let server = try await TestServer.start()
        let client = try await server.connect()
        let call = RecordedCall(client, "/test.Echo/Never")
        call.send([1])
        await server.log.wait(for: "never got 1")
        let start = NIODeadline.now()
        await server.server.shutdown(grace: .milliseconds(100))
        #expect(NIODeadline.now() - start < .seconds(5))
        let end = await call.finished().end
        #expect(end?.status.code == .unavailable)
        #expect(end?.status.isUnprocessed == false)
        await server.log.wait(for: "never closed connectionLost")
    }

    @Test("Shutdown of an idle server is immediate and closes its port")
    func idleShutdown() async throws {
        // Another test's server may be given the freed port; that nobody listens there any more shows within a few tries.
        var isClosed = false
        for _ in 1...5 where !isClosed {
            let server = try await TestServer.start()
            let client = try await server.connect()
            _ = try await client.unary(path: "/test.Echo/Unary", message: [1])
            #expect(isListening(on: server.port))
            await server.server.shutdown(grace: .seconds(30))
            isClosed = !isListening(on: server.port)
        }
        #expect(isClosed)
    }

    /// Whether a socket of this process listens on the port. Binding it again would ask the whole machine, programs
    /// included that other tests started and that inherited the socket.
    private func isListening(on port: Int) -> Bool {
        (0..<4_096 as Range<Int32>).contains { descriptor in
            var accepts: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) == 0, accepts == 1 else {
                return false
            }
            var address = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let found = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
            }
            return found == 0 && Int(UInt16(bigEndian: address.sin_port)) == port
        }
    }

    @Test("A port in use is reported with the address")
    func portInUse() async throws {
        let server = try await TestServer.start()
        let second = GRPCServer(group: TestServer.group)
        let error = await #expect(throws: ListenError.self) {
            try await second.bind(host: "127.0.0.1", port: server.port) { _ in GRPCServices(calls: nil) }
        }
        #expect(error?.description == "cannot listen on 127.0.0.1:\(server.port): address already in use")
        await server.stop()
    }

    @Test("Connecting to a closed port and to something that is not HTTP/2 fails as unprocessed")
    func connectFailures() async throws {
        let server = try await TestServer.start()
        await server.stop()
        let refused = await #expect(throws: GRPCStatus.self) { try await server.connect() }
        #expect(refused?.code == .unavailable)
        #expect(refused?.isUnprocessed == true)
        #expect(refused?.message.hasPrefix("cannot connect to 127.0.0.1:\(server.port): ") == true)

        let mute = try await MuteServer.start()
        let silent = await #expect(throws: GRPCStatus.self) {
            try await mute.connect { $0.connectTimeout = .milliseconds(100) }
        }
        #expect(silent?.message.hasSuffix("no HTTP/2 answer in time") == true)
        await mute.stop()
    }

    @Test("Calls on a dead connection fail at once; running ones end when it dies")
    func deadConnection() async throws {
        let server = try await TestServer.start()
        let closed = Mutex<[GRPCClientConnectionEvent]>([])
        let client = try await server.connect(onEvent: { event in closed.withLock { $0.append(event) } })
        let call = RecordedCall(client, "/test.Echo/Never")
        call.send([1])
        await server.log.wait(for: "never got 1")
        client.close()
        let end = await call.finished().end
        #expect(end?.status == GRPCStatus(.unavailable, "connection closed by the client"))
        let error = await #expect(throws: GRPCStatus.self) {
            try await client.unary(path: "/test.Echo/Unary", message: [1])
        }
        #expect(error?.isUnprocessed == true)
        #expect(closed.withLock { $0 } == [.closed("connection closed by the client")])
        await server.stop()
    }

    @Test("A call that waited for a free stream when the connection died is known to be unprocessed")
    func waitingCall() async throws {
        let server = try await TestServer.start { $0.http2.concurrentStreamsMax = 1 }
        let client = try await server.connect()
        let running = RecordedCall(client, "/test.Echo/Never")
        running.send([1])
        await server.log.wait(for: "never got 1")
        let waiting = RecordedCall(client, "/test.Echo/Never")
        waiting.send([1, 2])
        client.close()
        #expect(await running.finished().end?.status.isUnprocessed == false)
        let end = await waiting.finished().end
        #expect(end?.status.code == .unavailable)
        #expect(end?.status.isUnprocessed == true)
        #expect(!server.log.all.contains("never got 2"))
        await server.stop()
    }

    @Test("A server that shuts down closes by itself once the last call of a connection is over")
    func shutdownClosesItself() async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        connection.send(
            RawConnection.hello + RawConnection.frame(type: 1, flags: 4, stream: 1, RawConnection.head())
                + RawConnection.frame(type: 0, flags: 0, stream: 1, [0, 0, 0, 0, 1, 9]))
        await server.log.wait(for: "never got 1")
        let stopped = Task { await server.server.shutdown(grace: .seconds(60)) }
        // The first GOAWAY refuses nothing yet.
        let notice = RawConnection.frame(type: 7, flags: 0, stream: 0, [0x7F, 255, 255, 255, 0, 0, 0, 0])
        await connection.receive(bytes: notice)
        connection.send(RawConnection.frame(type: 3, flags: 0, stream: 1, [0, 0, 0, 8]))
        #expect(await connection.isClosed())
        await stopped.value
    }

    @Test("A peer that stops answering is noticed by keepalive")
    func keepalive() async throws {
        let frozen = try await MuteServer.start(greets: true)
        let client = try await frozen.connect {
            $0.http2.keepaliveInterval = .milliseconds(50)
            $0.http2.keepaliveTimeout = .milliseconds(50)
        }
        let call = RecordedCall(client, "/test.Echo/Never")
        let end = await call.finished().end
        #expect(end?.status == GRPCStatus(.unavailable, "keepalive: no answer from the peer within 50 ms"))
        await frozen.stop()
    }

    @Test("Keepalive leaves a connection alone whose peer answers")
    func keepaliveAnswered() async throws {
        let server = try await TestServer.start { $0.http2.keepaliveInterval = .milliseconds(20) }
        let client = try await server.connect {
            $0.http2.keepaliveInterval = .hours(1)
        }
        let call = RecordedCall(client, "/test.Echo/Stream")
        try await Task.sleep(for: .milliseconds(150))
        call.send([1])
        call.halfClose()
        #expect(await call.finished().end?.status == .ok)
        client.close()
        await server.stop()
    }

    @Test("A connection is closed when it is idle, and only then")
    func idleTimeout() async throws {
        let server = try await TestServer.start { $0.http2.idleTimeout = .milliseconds(100) }
        // On a busy machine the connection may be idle for too long before its first call.
        for _ in 0..<50 {
            let events = Mutex<[GRPCClientConnectionEvent]>([])
            let client = try await server.connect(onEvent: { event in events.withLock { $0.append(event) } })
            let call = RecordedCall(client, "/test.Echo/Stream")
            call.send([1])
            await waitUntil("the echo or the end") { call.isEnded || !call.current.messages.isEmpty }
            if call.isEnded { continue }
            try await Task.sleep(for: .milliseconds(300))
            #expect(events.withLock { $0.isEmpty })
            call.halfClose()
            #expect(await call.finished().end?.status == .ok)
            await waitUntil("the connection to be closed") { events.withLock { $0.count == 2 } }
            await server.stop()
            return
        }
        Issue.record("the connection never lived long enough for a call")
    }
}
