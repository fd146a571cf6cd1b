import NIOCore
import Primitives
import Testing

@testable import Transport

@Suite("What links carry is counted", .timeLimit(.minutes(1)))
struct TrafficTests {
    /// Asks until what is known of `member` is as wanted.
    private func wait(
        _ endpoint: Endpoint, _ member: UInt64, _ what: String, until found: (PeerTrafficSnapshot) -> Bool
    ) async throws -> PeerTrafficSnapshot {
        for _ in 0..<1_000 {
            let all = try await endpoint.transport.traffic().get()
            if let one = all.first(where: { $0.member == MemberID(member) }), found(one) { return one }
            try await Task.sleep(for: .milliseconds(5))
        }
        struct Missing: Error { var what: String }
        throw Missing(what: what)
    }

    @Test("Bytes count once at each end, headers included; round trips are measured in both directions")
    func bytes() async throws {
        let (one, two) = (Endpoint(1, pingInterval: .milliseconds(20)), Endpoint(2, pingInterval: .milliseconds(20)))
        let (oneAddress, twoAddress) = (try await one.listen(), try await two.listen())
        one.transport.setPeers([Peer(MemberID(2), [twoAddress])])
        two.transport.setPeers([Peer(MemberID(1), [oneAddress])])
        try await one.seen.waitUp(2)
        try await two.seen.waitUp(1)
        one.transport.send([[UInt8](repeating: 7, count: 100), []]) { [(MemberID(2), $0)] }
        try await two.seen.waitFrame([], from: 1)
        let size = UInt64(100 + 2 * Frame.headerByteCount)
        let there = try await wait(one, 2, "bytes sent") { $0.sentBytes > 0 && $0.roundTrips.total >= 3 }
        let here = try await wait(two, 1, "bytes received") { $0.roundTrips.total >= 3 }
        #expect(there.sentBytes == size && here.receivedBytes == size, "pongs count for nothing")
        #expect(here.sentBytes == 0 && there.receivedBytes == 0)
        #expect(there.isConnected && there.losses == 0 && there.sendFailures == 0)
        #expect(there.roundTrips.sum > .zero && there.roundTrips.sum < .seconds(10))
        #expect(two.seen.frames(from: MemberID(1)).count == 2)
        await two.transport.shutdown()
        let lost = try await wait(one, 2, "the loss") { !$0.isConnected }
        #expect(lost.losses == 1)
        one.send([1], to: 2)
        let failed = try await wait(one, 2, "what could not be sent") { $0.sendFailures > 0 }
        #expect(failed.sendFailures == 1 && failed.sentBytes == size)
        await one.transport.shutdown()
    }

    @Test("A dialer that answers no pings keeps its link; an answer that nobody asked for measures nothing")
    func silent() async throws {
        let one = Endpoint(1, pingInterval: .milliseconds(5))
        let address = try await one.listen()
        one.transport.setPeers([Peer(MemberID(2), [Endpoint.nowhere])])
        let hello = Hello(
            cluster: ClusterID(1), from: MemberID(2), to: MemberID(1), life: Life(Incarnation(1), nonce: 1))
        let (channel, answer) = try await RawLink.open(address, hello)
        #expect(answer.refusal == .none)
        try await Task.sleep(for: .milliseconds(100))
        try await RawLink.send([4], on: channel)
        try await one.seen.waitFrame([4], from: 2)
        var buffer = ByteBuffer()
        Frame.writePong(200, into: &buffer)
        Frame.write([5], into: &buffer)
        try await channel.writeAndFlush(buffer)
        try await one.seen.waitFrame([5], from: 2)
        let known = try await wait(one, 2, "frames") { $0.receivedBytes > 0 }
        #expect(known.roundTrips.total == 0 && known.receiveFailures == 0)
        try await RawLink.send([0xBA, 0xD0], on: channel)
        let failed = try await wait(one, 2, "a message that cannot be read") { $0.receiveFailures > 0 }
        #expect(failed.receiveFailures == 1)
        await one.transport.shutdown()
    }
}
