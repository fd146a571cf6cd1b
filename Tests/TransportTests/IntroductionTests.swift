import NIOCore
import NIOPosix
import Primitives
import Synchronization
import Testing

@testable import Transport

@Suite("A stranger asks who the members are", .timeLimit(.minutes(1)))
struct IntroductionTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private let introduction = Introduction(
        cluster: ClusterID(0xC1),
        members: [IntroducedMember(id: MemberID(1), name: "a", peerURLs: ["http://h:1"], isLearner: false)])

    private func refusal(_ address: PeerAddress, versions: ProtocolVersions = .supported) async -> String {
        do {
            let answer = try await IntroductionClient.ask(address, versions: versions, on: loop)
            return "answered with \(answer)"
        } catch {
            return "\(error)"
        }
    }

    @Test("It is told the cluster's id and the members, and its connection ends")
    func answered() async throws {
        let one = Endpoint(1)
        let address = try await one.listen()
        let introduction = introduction
        #expect(await refusal(address).contains("ask again"))
        one.transport.answerIntroductions { introduction }
        #expect(try await IntroductionClient.ask(address, on: loop) == introduction)
        let (channel, _) = try await RawLink.ask(address, IntroductionQuestion().encoded()) {
            try IntroductionAnswer.decode($0)
        }
        try await channel.closeFuture.get()
        // Strangers are no members: nothing was reported of them.
        #expect(!one.seen.contains { _ in true })
        await one.transport.shutdown()
    }

    @Test("A member that cannot tell says why; one of other versions names both; silence and absence are named")
    func refused() async throws {
        let one = Endpoint(1)
        let address = try await one.listen()
        let introduction = introduction
        one.transport.answerIntroductions { throw TransportError(description: "no leader") }
        #expect(await refusal(address).contains("no leader"))
        one.transport.answerIntroductions { introduction }
        let text = await refusal(address, versions: ProtocolVersions(oldest: 7, newest: 8))
        #expect(text.contains("protocol 1 ") && text.contains("speaks 7 to 8"), "\(text)")
        await one.transport.shutdown()
        #expect(await refusal(address).contains("\(address): "))

        let silent = try await ServerBootstrap(group: loop).bind(host: "127.0.0.1", port: 0).get()
        let quiet = PeerAddress(host: "127.0.0.1", port: silent.localAddress?.port ?? 0)
        do {
            _ = try await IntroductionClient.ask(quiet, timeout: .milliseconds(100), on: loop)
            Issue.record("answered")
        } catch {
            #expect("\(error)".contains("no answer in time"))
        }
        try await silent.close()
    }

    @Test("Questions are answered a few at a time; the rest are told to come again, and later ones are answered")
    func bounded() async throws {
        let one = Endpoint(1)
        let address = try await one.listen()
        let introduction = introduction
        let release = loop.makePromise(of: Void.self)
        one.transport.answerIntroductions {
            try await release.futureResult.get()
            return introduction
        }
        let count = PeerTransport.introductionsMax
        try await withThrowingTaskGroup(of: Introduction.self) { group in
            for _ in 0..<count {
                group.addTask { try await IntroductionClient.ask(address, timeout: .seconds(20), on: loop) }
            }
            for _ in 0..<1_000 where one.transport.state.withLock({ $0.introductions < count }) {
                try await Task.sleep(for: .milliseconds(1))
            }
            #expect(await refusal(address).contains("ask again"))
            release.succeed()
            for try await answer in group { #expect(answer == introduction) }
        }
        #expect(try await IntroductionClient.ask(address, on: loop) == introduction)
        #expect(one.transport.state.withLock { $0.introductions } == 0)
        await one.transport.shutdown()
    }

    @Test("Hostile questions close their own connection; hostile answers are errors", arguments: 0..<24)
    func hostile(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let one = Endpoint(1)
        let address = try await one.listen()
        let introduction = introduction
        one.transport.answerIntroductions { introduction }
        var question = IntroductionQuestion().encoded()
        let junk = (0..<Int(generator.below(600) + 20)).map { _ in UInt8(generator.below(256)) }
        switch seed % 3 {
        case 0: question = IntroductionQuestion.magic + junk
        case 1: question[Int(generator.below(20))] ^= UInt8(1 << generator.below(8))
        default: question += junk
        }
        let channel = try await ClientBootstrap(group: loop).connect(host: "127.0.0.1", port: address.port).get()
        try? await channel.writeAndFlush(ByteBuffer(bytes: question))
        try await channel.closeFuture.get()
        #expect(try await IntroductionClient.ask(address, on: loop) == introduction)
        await one.transport.shutdown()

        let answer = seed % 2 == 0 ? junk : IntroductionQuestion.magic + junk
        let liar = try await ServerBootstrap(group: loop).childChannelInitializer { channel in
            channel.writeAndFlush(ByteBuffer(bytes: answer)).flatMapError { _ in
                channel.eventLoop.makeSucceededVoidFuture()
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        await #expect(throws: TransportError.self) {
            _ = try await IntroductionClient.ask(
                PeerAddress(host: "127.0.0.1", port: liar.localAddress?.port ?? 0), timeout: .milliseconds(200),
                on: loop)
        }
        try await liar.close()
    }
}
