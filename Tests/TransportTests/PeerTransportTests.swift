import NIOCore
import NIOPosix
import Primitives
import Testing

@testable import Transport

@Suite("Links between members", .timeLimit(.minutes(1)))
struct PeerTransportTests {
    @Test("Frames arrive in order; stopping a member is seen as its host closing the link")
    func delivery() async throws {
        let seenByOne = Recorder()
        let seenByTwo = Recorder()
        let one = Endpoint(1, seenByOne).transport
        let two = Endpoint(2, seenByTwo).transport
        let portOne = try await one.listen(on: PeerAddress(host: "127.0.0.1", port: 0))
        let portTwo = try await two.listen(on: PeerAddress(host: "127.0.0.1", port: 0))
        one.setPeers([Peer(MemberID(2), [PeerAddress(host: "127.0.0.1", port: portTwo)])])
        two.setPeers([Peer(MemberID(1), [PeerAddress(host: "127.0.0.1", port: portOne)])])
        try await seenByOne.wait("link up") { $0.contains { if case .up(MemberID(2)) = $0 { true } else { false } } }

        let payloads = (0..<500).map { number in [UInt8](repeating: UInt8(number % 256), count: number * 7) }
        one.send(payloads) { [(MemberID(2), $0)] }
        try await seenByTwo.wait("all frames") { events in
            events.reduce(0) { if case .frames(_, let batch) = $1 { $0 + batch.count } else { $0 } } == 500
        }
        #expect(seenByTwo.frames(from: MemberID(1)) == payloads)

        await two.shutdown()
        try await seenByOne.wait("closed") { $0.contains { if case .closed(MemberID(2)) = $0 { true } else { false } } }
        await one.shutdown()
    }

    @Test("A member of another cluster is refused and stays unreachable")
    func otherCluster() async throws {
        let seenByOne = Recorder()
        let seenByTwo = Recorder()
        let one = Endpoint(1, cluster: 1, seenByOne).transport
        let two = Endpoint(2, cluster: 2, seenByTwo).transport
        let port = try await two.listen(on: PeerAddress(host: "127.0.0.1", port: 0))
        two.setPeers([Peer(MemberID(1), [PeerAddress(host: "127.0.0.1", port: 1)])])
        one.setPeers([Peer(MemberID(2), [PeerAddress(host: "127.0.0.1", port: port)])])
        try await seenByOne.wait("unreachable") {
            $0.contains { if case .unreachable(MemberID(2)) = $0 { true } else { false } }
        }
        #expect(!seenByOne.contains { if case .up = $0 { true } else { false } })
        #expect(!seenByTwo.contains { if case .frames = $0 { true } else { false } })
        await one.shutdown()
        await two.shutdown()
    }

    @Test("Garbage closes only its own connection", arguments: 0..<20)
    func garbage(seed: UInt64) async throws {
        let recorder = Recorder()
        let two = Endpoint(2, recorder).transport
        let port = try await two.listen(on: PeerAddress(host: "127.0.0.1", port: 0))
        two.setPeers([Peer(MemberID(1), [PeerAddress(host: "127.0.0.1", port: 1)])])
        var generator = SeededGenerator(seed: seed)
        var bytes = (0..<Int(generator.below(4_096) + 8)).map { _ in UInt8(generator.below(256)) }
        if seed % 3 == 0 {
            // A good hello, then garbage where frames should be.
            bytes =
                Hello(cluster: ClusterID(1), from: MemberID(1), to: MemberID(2), life: Life(Incarnation(1), nonce: 7))
                .encoded()
                + [0xFF, 0xFF, 0xFF, 0x7F] + bytes
        }
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(
            host: "127.0.0.1", port: port
        ).get()
        // The member may close before everything is written: that is the point.
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
        try await channel.closeFuture.get()

        let one = Endpoint(1, incarnation: 2).transport
        one.setPeers([Peer(MemberID(2), [PeerAddress(host: "127.0.0.1", port: port)])])
        for _ in 0..<400 where recorder.frames(from: MemberID(1)).isEmpty {
            one.send([UInt8(42)]) { [(MemberID(2), [$0.map { [$0] }].flatMap { $0 })] }
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(recorder.frames(from: MemberID(1)).first == [42])
        await one.shutdown()
        await two.shutdown()
    }

    @Test("A frame that the receiver cannot read ends its link, and the next link works")
    func unreadable() async throws {
        let seenByOne = Recorder()
        let seenByTwo = Recorder()
        let one = Endpoint(1, seenByOne).transport
        let two = Endpoint(2, seenByTwo).transport
        let port = try await two.listen(on: PeerAddress(host: "127.0.0.1", port: 0))
        two.setPeers([Peer(MemberID(1), [PeerAddress(host: "127.0.0.1", port: 1)])])
        one.setPeers([Peer(MemberID(2), [PeerAddress(host: "127.0.0.1", port: port)])])
        try await seenByOne.wait("link up") { $0.contains { if case .up(MemberID(2)) = $0 { true } else { false } } }
        one.send([[0xBA, 0xD0] as [UInt8]]) { [(MemberID(2), $0)] }
        try await seenByOne.wait("closed") { $0.contains { if case .closed(MemberID(2)) = $0 { true } else { false } } }
        try await seenByOne.wait("up again") { events in
            events.filter { if case .up(MemberID(2)) = $0 { true } else { false } }.count == 2
        }
        await one.shutdown()
        await two.shutdown()
    }

    @Test("A port in use is named in the error")
    func portInUse() async throws {
        let one = Endpoint(1, Recorder()).transport
        let two = Endpoint(2, Recorder()).transport
        let port = try await one.listen(on: PeerAddress(host: "127.0.0.1", port: 0))
        let error = await #expect(throws: TransportError.self) {
            _ = try await two.listen(on: PeerAddress(host: "127.0.0.1", port: port))
        }
        #expect(error?.description.contains("127.0.0.1:\(port)") == true)
        await one.shutdown()
    }
}
