import NIOCore
import NIOPosix
import Primitives
import Synchronization
import Testing

@testable import Transport

@Suite("Members that come, move, restart and go", .timeLimit(.minutes(1)))
struct PeerChangesTests {
    @Test("A member whose address changed is dialed at the new one; an unchanged one keeps its connection")
    func moved() async throws {
        let one = Endpoint(1)
        let two = Endpoint(2)
        let three = Endpoint(3)
        let (old, new, third) = (try await two.listen(), try await two.listen(), try await three.listen())
        for other in [two, three] { other.transport.setPeers([Peer(MemberID(1), [Endpoint.nowhere])]) }
        one.transport.setPeers([Peer(MemberID(2), [old]), Peer(MemberID(3), [third])])
        try await one.seen.waitUp(2)
        try await one.seen.waitUp(3)
        one.transport.setPeers([Peer(MemberID(2), [new]), Peer(MemberID(3), [third])])
        try await one.seen.waitUp(2, times: 2)
        try await one.send([7], to: two)
        // Nobody's host closed anything.
        #expect(!one.seen.contains { if case .closed = $0 { true } else { false } })
        #expect(one.seen.count { if case .up(MemberID(3)) = $0 { true } else { false } } == 1)
        for end in [one, two, three] { await end.transport.shutdown() }
    }

    @Test("The addresses of a member are tried in turn, and a list without any is waited on")
    func severalAddresses() async throws {
        let one = Endpoint(1)
        let two = Endpoint(2)
        let good = try await two.listen()
        two.transport.setPeers([Peer(MemberID(1), [Endpoint.nowhere])])
        one.transport.setPeers([Peer(MemberID(2), [])])
        try await one.seen.wait("unreachable") {
            $0.contains { if case .unreachable(MemberID(2)) = $0 { true } else { false } }
        }
        one.transport.setPeers([Peer(MemberID(2), [Endpoint.nowhere, good])])
        try await one.seen.waitUp(2)
        try await one.send([1], to: two)
        // The other way round nothing changes: the connection stands where it should.
        one.transport.setPeers([Peer(MemberID(2), [good, Endpoint.nowhere])])
        try await one.send([2], to: two)
        #expect(one.seen.count { if case .up(MemberID(2)) = $0 { true } else { false } } == 1)
        for end in [one, two] { await end.transport.shutdown() }
    }

    @Test("A member that is not known yet is heard and answered; once it is removed it is told so")
    func stranger() async throws {
        let one = Endpoint(1)
        let leader = Endpoint(9)
        let address = try await one.listen()
        let own = try await leader.listen()
        one.transport.setPeers([])
        leader.transport.setPeers([Peer(MemberID(9), [own]), Peer(MemberID(1), [address])])
        try await leader.send([1], to: one)
        try await one.send([2], to: leader)
        // It becomes known, and its link stays.
        one.transport.setPeers([Peer(MemberID(9), [own])])
        try await one.send([3], to: leader)
        #expect(one.seen.count { if case .up(MemberID(9)) = $0 { true } else { false } } == 1)

        one.transport.setPeers([], removed: [MemberID(9)])
        try await leader.seen.wait("told that it was removed") {
            $0.contains { if case .removed(by: MemberID(1)) = $0 { true } else { false } }
        }
        try await leader.log.wait("removed from this cluster")
        for end in [one, leader] { await end.transport.shutdown() }
    }

    @Test("Strangers are bounded, and forgotten when they go")
    func manyStrangers() async throws {
        let one = Endpoint(1)
        let address = try await one.listen()
        func call(_ member: UInt64) async throws -> (any Channel, HelloAnswer) {
            let hello = Hello(
                cluster: ClusterID(1), from: MemberID(member), to: MemberID(1),
                life: Life(Incarnation(1), nonce: member),
                addresses: [Endpoint.nowhere])
            return try await RawLink.open(address, hello)
        }
        var channels: [any Channel] = []
        for number in 0..<UInt64(PeerTransport.strangersMax) {
            let (channel, answer) = try await call(100 + number)
            #expect(answer.refusal == .none)
            channels.append(channel)
        }
        let (refused, answer) = try await call(99)
        #expect(answer.refusal == .unknownSender)
        try await refused.closeFuture.get()
        for channel in channels { try await channel.close() }
        for _ in 0..<1_000 where one.transport.state.withLock({ !$0.links.isEmpty }) {
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(
            one.transport.state.withLock {
                $0.links.isEmpty && $0.strangers.isEmpty && $0.accepted.isEmpty && $0.lives.isEmpty
            })
        let (again, welcome) = try await call(99)
        #expect(welcome.refusal == .none)
        try await again.close()
        await one.transport.shutdown()
    }

    @Test("Frames of an earlier life are dropped once a later one dials, and its link ends")
    func laterLifeDials() async throws {
        let two = Endpoint(2)
        let address = try await two.listen()
        two.transport.setPeers([Peer(MemberID(1), [Endpoint.nowhere])])
        func hello(_ life: UInt64) -> Hello {
            Hello(cluster: ClusterID(1), from: MemberID(1), to: MemberID(2), life: Life(Incarnation(life), nonce: life))
        }
        let (old, first) = try await RawLink.open(address, hello(4))
        #expect(first.refusal == .none)
        try await RawLink.send([4], on: old)
        try await two.seen.waitFrame([4], from: 1)

        let (new, second) = try await RawLink.open(address, hello(5))
        #expect(second.refusal == .none)
        // Its connection is closed from our side, whatever it still sends.
        try? await RawLink.send([44], on: old)
        try await old.closeFuture.get()
        try await RawLink.send([5], on: new)
        try await two.seen.waitFrame([5], from: 1)
        #expect(two.seen.frames(from: MemberID(1)) == [[4], [5]])
        #expect(two.seen.count { if case .closed(MemberID(1)) = $0 { true } else { false } } == 1)

        let (copy, third) = try await RawLink.open(address, hello(4))
        #expect(third.refusal == .earlierLife)
        #expect(third.text.contains("older copy of its data directory"))
        try await copy.closeFuture.get()
        try await two.log.wait("older copy of its data directory")
        var twin = hello(5)
        twin.life.nonce = 55
        let (other, judged) = try await RawLink.open(address, twin)
        #expect(judged.refusal == .earlierLife)
        try await other.closeFuture.get()
        // The same life may come again: connections break.
        let (again, fourth) = try await RawLink.open(address, hello(5))
        #expect(fourth.refusal == .none)
        for channel in [new, again] { try await channel.close() }
        await two.transport.shutdown()
    }

    @Test("A later life that answers our dial ends the accepted link of the earlier one")
    func laterLifeAnswers() async throws {
        let one = Endpoint(1)
        let address = try await one.listen()
        let later = Endpoint(2, incarnation: 8)
        let laterAddress = try await later.listen()
        later.transport.setPeers([Peer(MemberID(1), [Endpoint.nowhere])])
        one.transport.setPeers([Peer(MemberID(2), [Endpoint.nowhere])])
        let earlier = Hello(
            cluster: ClusterID(1), from: MemberID(2), to: MemberID(1), life: Life(Incarnation(7), nonce: 7))
        let (channel, answer) = try await RawLink.open(address, earlier)
        #expect(answer.refusal == .none)
        #expect(answer.life.incarnation == Incarnation(1))
        one.transport.setPeers([Peer(MemberID(2), [laterAddress])])
        try await one.seen.waitUp(2)
        try await channel.closeFuture.get()
        #expect(one.seen.frames(from: MemberID(2)).isEmpty)
        for end in [one, later] { await end.transport.shutdown() }
    }

    @Test("Our link to an earlier life ends when a later one dials us, and the earlier one is not taken again")
    func earlierLifeAnswers() async throws {
        let one = Endpoint(1)
        let address = try await one.listen()
        let earlier = Endpoint(2, incarnation: 7)
        let earlierAddress = try await earlier.listen()
        earlier.transport.setPeers([Peer(MemberID(1), [Endpoint.nowhere])])
        one.transport.setPeers([Peer(MemberID(2), [earlierAddress])])
        try await one.seen.waitUp(2)
        let later = Hello(
            cluster: ClusterID(1), from: MemberID(2), to: MemberID(1), life: Life(Incarnation(8), nonce: 8))
        let (channel, answer) = try await RawLink.open(address, later)
        #expect(answer.refusal == .none)
        try await one.log.wait("life 7", "older copy")
        #expect(one.seen.count { if case .up(MemberID(2)) = $0 { true } else { false } } == 1)
        try await channel.close()
        for end in [one, earlier] { await end.transport.shutdown() }
    }

    @Test("A member of versions that do not overlap is refused with both versions on both sides; ranges may differ")
    func versions() async throws {
        let one = Endpoint(1)
        let later = Endpoint(2, versions: ProtocolVersions(oldest: 2, newest: 3))
        let both = Endpoint(3, versions: ProtocolVersions(oldest: 1, newest: 3))
        let laterAddress = try await later.listen()
        let bothAddress = try await both.listen()
        later.transport.setPeers([Peer(MemberID(1), [Endpoint.nowhere])])
        both.transport.setPeers([Peer(MemberID(1), [Endpoint.nowhere])])
        one.transport.setPeers([Peer(MemberID(2), [laterAddress]), Peer(MemberID(3), [bothAddress])])
        try await one.seen.waitUp(3)
        try await one.send([3], to: both)
        try await one.log.wait("refused", "protocol 1", "speaks 2 to 3")
        try await later.log.wait("refused a member link", "protocol 1", "speaks 2 to 3")
        #expect(!one.seen.contains { if case .up(MemberID(2)) = $0 { true } else { false } })
        #expect(later.seen.frames(from: MemberID(1)).isEmpty)
        for end in [one, later, both] { await end.transport.shutdown() }
    }
}

/// A link spoken by hand.
enum RawLink {
    /// Dials and says hello.
    static func open(_ address: PeerAddress, _ hello: Hello) async throws -> (any Channel, HelloAnswer) {
        let (channel, bytes) = try await ask(address, hello.encoded()) { try HelloAnswer.decode($0) }
        return (channel, bytes)
    }

    static func send(_ payload: [UInt8], on channel: any Channel) async throws {
        var buffer = ByteBuffer()
        Frame.write(payload, into: &buffer)
        try await channel.writeAndFlush(buffer)
    }

    /// Sends bytes and reads until `decode` finds an answer.
    static func ask<Answer: Sendable>(
        _ address: PeerAddress, _ bytes: [UInt8], _ decode: @escaping @Sendable ([UInt8]) throws -> Answer?
    ) async throws -> (any Channel, Answer) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: Answer.self)
        let channel = try await ClientBootstrap(group: loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(AnswerReader(decode, promise))
            }
        }.connect(host: address.host, port: address.port).get()
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
        return (channel, try await promise.futureResult.get())
    }

    private final class AnswerReader<Answer: Sendable>: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let decode: @Sendable ([UInt8]) throws -> Answer?
        private let promise: EventLoopPromise<Answer>
        private var received: [UInt8] = []
        private var isOver = false

        init(_ decode: @escaping @Sendable ([UInt8]) throws -> Answer?, _ promise: EventLoopPromise<Answer>) {
            self.decode = decode
            self.promise = promise
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += Array(unwrapInboundIn(data).readableBytesView)
            guard !isOver else { return }
            do {
                guard let answer = try decode(received) else { return }
                isOver = true
                promise.succeed(answer)
            } catch {
                isOver = true
                promise.fail(error)
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            if !isOver { promise.fail(TransportError(description: "closed without an answer")) }
            isOver = true
        }
    }
}
