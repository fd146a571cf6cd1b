import NIOCore
import Primitives
import Testing

@testable import Transport

@Suite("Handshake and frames")
struct HandshakeTests {
    private let hello = Hello(
        cluster: ClusterID(7), from: MemberID(1), to: MemberID(2), life: Life(Incarnation(3), nonce: 33),
        addresses: [PeerAddress(host: "127.0.0.1", port: 2380), PeerAddress(host: "::1", port: 1)])
    private var policy: LinkPolicy {
        var policy = LinkPolicy(cluster: ClusterID(7), member: MemberID(2), life: Life(Incarnation(4), nonce: 44))
        policy.peers = [MemberID(1), MemberID(3)]
        return policy
    }

    @Test("A hello survives the wire and leaves what follows; a flipped bit anywhere is refused")
    func helloRoundTrip() throws {
        let bytes = hello.encoded()
        let read = try #require(try Hello.decode(bytes + [1, 2, 3]))
        #expect(read.hello == hello)
        #expect(read.byteCount == bytes.count)
        for position in bytes.indices {
            var damaged = bytes
            damaged[position] ^= 0x10
            let read = (try? Hello.decode(damaged))?.hello
            #expect(read == nil)
        }
        for length in 0..<bytes.count {
            let read = try Hello.decode(Array(bytes[..<length]))?.hello
            #expect(read == nil)
        }
    }

    @Test("A pong carries its number between frames; to a receiver of frames it is none")
    func pong() throws {
        var buffer = ByteBuffer()
        Frame.writePong(0, into: &buffer)
        Frame.write([1, 2], into: &buffer)
        Frame.writePong(255, into: &buffer)
        var copy = buffer
        #expect(throws: DecodingFailure.self) { try Frame.read(from: &copy) }
        #expect(Frame.readPong(from: &buffer) == 0)
        #expect(Frame.readPong(from: &buffer) == nil)
        #expect(try Frame.read(from: &buffer) == [1, 2])
        var part = try #require(buffer.getSlice(at: buffer.readerIndex, length: 7))
        #expect(Frame.readPong(from: &part) == nil)
        #expect(try Frame.read(from: &part) == nil)
        #expect(Frame.readPong(from: &buffer) == 255)
        #expect(buffer.readableBytes == 0)
    }

    @Test("A hello that claims too much is refused before it has come")
    func oversizedHello() throws {
        var bytes = Array(hello.encoded().prefix(Hello.headerByteCount))
        bytes.replaceSubrange(56..<60, with: [0xFF, 0xFF, 0, 0])
        #expect(throws: DecodingFailure.self) { try Hello.decode(bytes) }
        var many = hello
        many.addresses = (0..<40).map { PeerAddress(host: String(repeating: "h", count: 200), port: $0) }
        let read = try #require(try Hello.decode(many.encoded()))
        #expect(!read.hello.addresses.isEmpty)
        #expect(read.byteCount < Hello.headerByteCount + Hello.addressBytesMax + 8)
    }

    @Test("Another cluster, another receiver, a removed sender and a sender nobody could answer are refused by name")
    func policyVerdicts() {
        #expect(policy.judge(hello).refusal == .none)
        var other = hello
        other.cluster = ClusterID(0xABC)
        #expect(policy.judge(other).refusal == .otherCluster)
        #expect(policy.judge(other).text.contains("abc"))
        other = hello
        other.to = MemberID(5)
        #expect(policy.judge(other).refusal == .otherMember)
        other = hello
        other.from = MemberID(0xFADE)
        #expect(policy.judge(other).refusal == .none)
        other.addresses = []
        #expect(policy.judge(other).refusal == .unknownSender)
        #expect(policy.judge(other).text.contains("fade"))
        other.from = MemberID(2)
        #expect(policy.judge(other).refusal == .unknownSender)
        var after = policy
        after.removed = [MemberID(1)]
        #expect(after.judge(hello).refusal == .removed)
        #expect(after.judge(hello).text.contains("removed"))
    }

    @Test("A sender in an earlier life than one that was seen is refused, and so is another process in the same life")
    func lives() {
        #expect(policy.judge(hello, latest: Life(Incarnation(2), nonce: 99)).refusal == .none)
        #expect(policy.judge(hello, latest: hello.life).refusal == .none)
        let late = policy.judge(hello, latest: Life(Incarnation(4), nonce: 33))
        #expect(late.refusal == .earlierLife)
        #expect(late.text.contains("life 4") && late.text.contains("life 3"))
        let copy = policy.judge(hello, latest: Life(Incarnation(3), nonce: 34))
        #expect(copy.refusal == .earlierLife)
        #expect(copy.text.contains("another process") && copy.text.contains("older copy"))
    }

    @Test(
        "Two ranges of versions agree on the newest common one, or name both sides",
        arguments: [
            (1, 1, 1, 1, 1), (1, 3, 1, 1, 1), (1, 1, 1, 3, 1), (2, 3, 1, 2, 2), (2, 4, 3, 9, 4),
            (2, 3, 1, 1, nil), (1, 1, 2, 3, nil), (99, 99, 1, 1, nil),
        ] as [(UInt32, UInt32, UInt32, UInt32, UInt32?)])
    func versions(_ oldest: UInt32, _ newest: UInt32, _ theirOldest: UInt32, _ theirNewest: UInt32, _ agreed: UInt32?) {
        let ours = ProtocolVersions(oldest: oldest, newest: newest)
        let theirs = ProtocolVersions(oldest: theirOldest, newest: theirNewest)
        #expect(ours.agreed(with: theirs) == agreed)
        #expect(theirs.agreed(with: ours) == agreed)
        var policy = policy
        policy.versions = ours
        var other = hello
        other.versions = theirs
        let answer = policy.judge(other)
        #expect((answer.refusal == .none) == (agreed != nil))
        if agreed == nil {
            #expect(answer.refusal == .protocolVersion)
            #expect(answer.text.contains("\(ours)") && answer.text.contains("\(theirs)"))
        }
    }

    @Test("An answer is read only when whole, not when damaged, and with a verdict of a later version")
    func answerRoundTrip() throws {
        let answer = HelloAnswer(life: Life(Incarnation(8), nonce: 88), refusal: .otherCluster, text: "not ours")
        let bytes = answer.encoded()
        for length in 0..<bytes.count {
            #expect(try HelloAnswer.decode(Array(bytes[..<length])) == nil)
        }
        #expect(try HelloAnswer.decode(bytes) == answer)
        for position in bytes.indices {
            var damaged = bytes
            damaged[position] ^= 1
            let read = try? HelloAnswer.decode(damaged)
            #expect(read == nil)
        }
        var later = Array(bytes.dropLast(4))
        later[32] = 77
        var writer = ByteWriter()
        writer.raw(later)
        writer.fixed32(CRC32C.of(later))
        #expect(try HelloAnswer.decode(writer.bytes)?.refusal == .other)
    }

    @Test("Another host's words cannot forge a line of the log")
    func refusalText() throws {
        let answer = HelloAnswer(
            life: Life(Incarnation(1), nonce: 1), refusal: .other, text: "no\nmember started\u{1B}[2J")
        #expect(try HelloAnswer.decode(answer.encoded())?.text == "no member started [2J")
    }

    @Test("Frames split anywhere come out whole; damage and oversize are errors")
    func frames() throws {
        var buffer = ByteBuffer()
        Frame.write([1, 2, 3], into: &buffer)
        Frame.write([], into: &buffer)
        Frame.write([UInt8](repeating: 9, count: 70_000), into: &buffer)
        let all = Array(buffer.readableBytesView)
        var partial = ByteBuffer()
        var seen: [Int] = []
        for byte in all {
            partial.writeInteger(byte)
            while let frame = try Frame.read(from: &partial) { seen.append(frame.count) }
        }
        #expect(seen == [3, 0, 70_000])
        var damaged = ByteBuffer(bytes: all.map { $0 })
        damaged.setInteger(UInt8(0xFF), at: 9)
        #expect(throws: DecodingFailure.self) { try Frame.read(from: &damaged) }
        var oversize = ByteBuffer()
        oversize.writeInteger(UInt32.max, endianness: .little)
        oversize.writeInteger(UInt32(0), endianness: .little)
        #expect(throws: DecodingFailure.self) { try Frame.read(from: &oversize) }
    }
}

@Suite("Introductions on the wire")
struct IntroductionCodecTests {
    private let introduction = Introduction(
        cluster: ClusterID(0xC1),
        members: [
            IntroducedMember(id: MemberID(1), name: "a", peerURLs: ["http://h:1", "http://h:2"], isLearner: false),
            IntroducedMember(id: MemberID(2), name: "", peerURLs: [], isLearner: true),
        ])

    @Test("A question survives the wire; a flipped bit anywhere is refused, a part is waited for")
    func question() throws {
        let question = IntroductionQuestion(versions: ProtocolVersions(oldest: 2, newest: 5))
        let bytes = question.encoded()
        #expect(bytes.count == IntroductionQuestion.byteCount)
        #expect(try IntroductionQuestion.decode(bytes) == question)
        for length in 0..<bytes.count { #expect(try IntroductionQuestion.decode(Array(bytes[..<length])) == nil) }
        for position in bytes.indices {
            var damaged = bytes
            damaged[position] ^= 4
            #expect(throws: DecodingFailure.self) { try IntroductionQuestion.decode(damaged) }
        }
    }

    @Test("Both kinds of answer survive the wire; damage anywhere never gives an answer")
    func answers() throws {
        for content in [IntroductionAnswer.Content.introduction(introduction), .refusal("ask again")] {
            let answer = IntroductionAnswer(content: content)
            let bytes = answer.encoded()
            #expect(try IntroductionAnswer.decode(bytes) == answer)
            for length in 0..<bytes.count { #expect(try IntroductionAnswer.decode(Array(bytes[..<length])) == nil) }
            for position in bytes.indices {
                var damaged = bytes
                damaged[position] ^= 0x20
                #expect((try? IntroductionAnswer.decode(damaged)) == nil)
            }
        }
    }

    @Test("A sound checksum over nonsense is an error, never a trap", arguments: 0..<200)
    func nonsense(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let body = (0..<Int(generator.below(60))).map { _ in UInt8(generator.below(seed % 2 == 0 ? 256 : 4)) }
        var writer = ByteWriter()
        writer.raw(IntroductionQuestion.magic)
        writer.fixed32(1)
        writer.fixed32(1)
        writer.byte(0)
        writer.fixed32(UInt32(body.count))
        writer.raw(body)
        writer.fixed32(CRC32C.of(writer.bytes))
        // Nonsense that happens to be an introduction stays within its own bytes.
        let answer = try? IntroductionAnswer.decode(writer.bytes)
        if case .introduction(let read) = answer?.content {
            #expect(read.members.count <= body.count)
        } else {
            #expect(throws: DecodingFailure.self) { try IntroductionAnswer.decode(writer.bytes) }
        }
    }

    @Test("A list of members past the bound becomes a refusal that says so")
    func tooLong() throws {
        var long = introduction
        long.members = (0..<3_000).map { number in
            IntroducedMember(
                id: MemberID(UInt64(number)), name: String(repeating: "n", count: 100), peerURLs: [], isLearner: false)
        }
        let bytes = IntroductionAnswer(content: .introduction(long)).encoded()
        #expect(bytes.count < 1_000)
        guard case .refusal(let text) = try IntroductionAnswer.decode(bytes)?.content else {
            Issue.record("no refusal")
            return
        }
        #expect(text.contains("too long"))
        var header = Array(bytes.prefix(IntroductionAnswer.headerByteCount))
        header.replaceSubrange(17..<21, with: [0xFF, 0xFF, 0xFF, 0x7F])
        #expect(throws: DecodingFailure.self) { try IntroductionAnswer.decode(header) }
    }
}
