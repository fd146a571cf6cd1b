import Logging
import NIOCore
import NIOEmbedded
import Primitives
import Raft
import RegistryModel
import Replica

@testable import Transport

/// The port between members: greetings and questions of strangers, frames, and what is in them.
///
/// The first byte tells what the rest is. Checksums are put right for everything but the bytes of a link, or no mutation
/// would ever get past them.
enum PeerDoor: Door {
    static let name = "peer"

    static func take(_ input: [UInt8]) {
        var script = Script(input)
        switch script.choice(8) {
        case 0: link(&script, greets: false)
        case 1: link(&script, greets: true)
        case 2: readHello(sealed(script.rest()))
        case 3: readAnswer(sealed(script.rest()))
        case 4: readQuestion(sealed(script.rest()))
        case 5: readIntroduction(sealed(script.rest()))
        default: readMessage(script.rest())
        }
    }

    private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(bytes)
        writer.fixed32(CRC32C.of(bytes))
        return writer.bytes
    }

    // What is read is written again, and read once more: both have to mean the same.

    private static func readHello(_ bytes: [UInt8]) {
        guard let read = try? Hello.decode(bytes) else { return }
        guard let again = try? Hello.decode(read.hello.encoded()) else { fatalError("a hello is lost") }
        promise(again.hello == read.hello, "a hello changes")
    }

    private static func readAnswer(_ bytes: [UInt8]) {
        guard let read = try? HelloAnswer.decode(bytes) else { return }
        guard (try? HelloAnswer.decode(read.encoded())) != nil else { fatalError("an answer is lost") }
    }

    private static func readQuestion(_ bytes: [UInt8]) {
        guard let read = try? IntroductionQuestion.decode(bytes) else { return }
        promise((try? IntroductionQuestion.decode(read.encoded())) == read, "a question changes")
    }

    private static func readIntroduction(_ bytes: [UInt8]) {
        guard let read = try? IntroductionAnswer.decode(bytes) else { return }
        guard (try? IntroductionAnswer.decode(read.encoded())) != nil else {
            fatalError("an introduction is lost")
        }
    }

    private static func readMessage(_ bytes: [UInt8]) {
        guard let read = try? PeerMessage.decode(bytes) else { return }
        let written = read.encoded()
        guard let again = try? PeerMessage.decode(written) else { fatalError("\(read) is lost") }
        promise(again.encoded() == written, "\(read) changes")
        if case .forward(_, let commands) = read {
            for command in commands { readCommand(command) }
        }
    }

    private static func readCommand(_ bytes: [UInt8]) {
        guard let read = try? Command.decode(bytes) else { return }
        let written = read.encoded()
        guard let again = try? Command.decode(written) else { fatalError("\(read) is lost") }
        promise(again.encoded() == written, "\(read) changes")
    }

    // MARK: A link

    private static func link(_ script: inout Script, greets: Bool) {
        let host = Host()
        let loop = EmbeddedEventLoop()
        var logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        let link = AcceptedLink(
            host: host, helloTimeout: .seconds(5), pingInterval: .seconds(2), logger: logger
        ) { event in
            guard case .frames(_, let frames) = event else { return true }
            return frames.allSatisfy { (try? PeerMessage.decode($0)) != nil }
        }
        let channel = EmbeddedChannel(handler: link, loop: loop)
        channel.connect(to: address, promise: nil)
        if greets { feed(hello, channel) }
        let step = Int(script.byte())
        if greets, step & 1 == 1 {
            while !script.isOver, channel.isActive {
                var frame = ByteBuffer()
                Frame.write(script.chunk(), into: &frame)
                feed(Array(frame.readableBytesView), channel)
            }
        }
        let bytes = script.rest()
        for start in stride(from: 0, to: bytes.count, by: max(step, 1)) where channel.isActive {
            feed(Array(bytes[start..<min(bytes.count, start + max(step, 1))]), channel)
        }
        loop.advanceTime(by: .seconds(6))
        if channel.isActive { channel.close(promise: nil) }
        loop.run()
        promise(host.ended == 1, "a link ended \(host.ended) times")
    }

    private static func feed(_ bytes: [UInt8], _ channel: EmbeddedChannel) {
        guard channel.isActive, !bytes.isEmpty else { return }
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: bytes))
        channel.pipeline.fireChannelReadComplete()
        channel.embeddedEventLoop.run()
        while (try? channel.readOutbound(as: ByteBuffer.self)) != nil {}
    }

    private static let address: SocketAddress = {
        guard let address = try? SocketAddress(ipAddress: "127.0.0.1", port: 2380) else {
            fatalError("loopback has no address")
        }
        return address
    }()

    private static let hello = Hello(
        cluster: ClusterID(9), from: MemberID(2), to: MemberID(1), life: Life(Incarnation(3), nonce: 4),
        addresses: [PeerAddress(host: "127.0.0.1", port: 2380)]
    ).encoded()

    /// Takes whoever is of its cluster.
    private final class Host: LinkHost, @unchecked Sendable {
        // `@unchecked Sendable` is safe: used on one thread.
        var ended = 0
        private let counted = PeerTraffic()

        func admit(_ hello: Hello, over link: AcceptedLink) -> HelloAnswer {
            HelloAnswer(life: hello.life, refusal: hello.cluster == ClusterID(9) ? .none : .otherCluster, text: "no")
        }

        func introduce(
            to question: IntroductionQuestion, on loop: any EventLoop
        ) -> EventLoopFuture<IntroductionAnswer> {
            loop.makeSucceededFuture(introduction)
        }

        func traffic(with member: MemberID) -> PeerTraffic? { counted }

        func ended(_ link: AcceptedLink) {
            ended += 1
        }
    }

    private static let introduction = IntroductionAnswer(
        content: .introduction(
            Introduction(
                cluster: ClusterID(9),
                members: [IntroducedMember(id: MemberID(1), name: "m1", peerURLs: ["http://a:2380"], isLearner: false)])
        ))

    static let words: [[UInt8]] = [
        Hello.magic, IntroductionQuestion.magic, [0xFF, 0xFF, 0xFF, 0xFF],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], [0, 0, 0, 1], [1, 0, 0, 0],
    ]

    static var seeds: [Seed] {
        let put = Command(
            wallMilliseconds: 5, origin: Origin(member: MemberID(2), incarnation: Incarnation(3), serial: 4),
            operation: .put(PutRequest(key: Key("a"), value: [1]))
        ).encoded()
        let messages: [(String, PeerMessage)] = [
            ("forward", .forward(term: Term(3), commands: [put])), ("diverged", .diverged(index: LogIndex(4))),
        ]
        func body(_ bytes: [UInt8]) -> [UInt8] { Array(bytes.dropLast(4)) }
        var frame = ByteBuffer()
        Frame.write(messages[0].1.encoded(), into: &frame)
        let framed = Array(frame.readableBytesView)
        return [
            Seed("bytes-hello-and-frame", [0, 100] + hello + framed), Seed("link-frame", [1, 16] + framed),
            Seed("question", [0, 0] + IntroductionQuestion().encoded()), Seed("hello", [2] + body(hello)),
            Seed(
                "answer",
                [3] + body(HelloAnswer(life: Life(Incarnation(3), nonce: 4), refusal: .removed, text: "no").encoded())),
            Seed("question-alone", [4] + body(IntroductionQuestion().encoded())),
            Seed("introduction", [5] + body(introduction.encoded())),
        ] + messages.map { Seed("message-\($0.0)", [6] + $0.1.encoded()) }
    }
}
