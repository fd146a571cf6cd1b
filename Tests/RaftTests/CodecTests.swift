import Primitives
import Raft
import Testing

@Suite("Message codec")
struct CodecTests {
    static let configuration = Configuration(voters: members(1, 2, 3), learners: members(9))

    static let bodies: [Message.Body] = [
        .preVote(last: position(7, 3)), .preVoteResponse(granted: true), .preVoteResponse(granted: false),
        .requestVote(last: position(7, 3), transfer: true), .requestVote(last: .zero, transfer: false),
        .voteResponse(granted: true),
        .append(previous: position(300, 2), entries: [], commit: index(299), readPosition: 1 << 40),
        .append(
            previous: .zero,
            entries: [
                entry(1, 2, "put"), Entry(index: index(2), term: Term(2), kind: .noop, payload: []),
                Entry(
                    index: index(3), term: Term(4), kind: .configuration,
                    payload: ConfigurationEntry(configuration: configuration).encoded()),
            ], commit: .zero, readPosition: 0),
        .appendAccepted(match: index(4), readPosition: 5),
        .appendRejected(rejected: index(9), hint: position(6, 2), readPosition: 8),
        .heartbeat(commit: index(4), readPosition: 5), .heartbeatResponse(readPosition: 6), .readIndex(id: .max),
        .readIndexResponse(id: 3, index: index(12)), .readIndexRefused(id: 3), .timeoutNow,
    ]

    private static func encoded(_ body: Message.Body) -> (Message, [UInt8]) {
        let message = Message(from: member(3), to: member(0xFFFF_0000_0000_0001), term: Term(4), body: body)
        var writer = ByteWriter()
        message.encode(into: &writer)
        return (message, writer.bytes)
    }

    private static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> Message {
        var reader = ByteReader(bytes)
        let message = try Message.decode(from: &reader)
        guard reader.isAtEnd else { throw .invalid("trailing bytes") }
        return message
    }

    @Test("What is written is read back", arguments: bodies)
    func roundTrip(_ body: Message.Body) throws {
        let (message, bytes) = CodecTests.encoded(body)
        #expect(try CodecTests.decode(bytes) == message)
    }

    @Test("Cut at any byte, a message is refused", arguments: bodies)
    func truncation(_ body: Message.Body) {
        let (_, bytes) = CodecTests.encoded(body)
        for length in 0..<bytes.count {
            #expect(throws: DecodingFailure.self) { try CodecTests.decode(Array(bytes.prefix(length))) }
        }
    }

    @Test("Random bytes and flipped bits are refused or make sense, and never trap")
    func noise() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<20_000 {
            var bytes: [UInt8]
            if random.chance(1, in: 2) {
                bytes = (0..<random.below(60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                if bytes.count > 2 {
                    bytes[0] = 1
                    bytes[1] = UInt8(random.below(15))
                }
            } else {
                bytes = CodecTests.encoded(CodecTests.bodies[Int(random.below(UInt64(CodecTests.bodies.count)))]).1
                bytes[Int(random.below(UInt64(bytes.count)))] ^= UInt8(1) << UInt8(random.below(8))
            }
            guard let message = try? CodecTests.decode(bytes) else { continue }
            if case .append(let previous, let entries, _, _) = message.body {
                var last = previous
                for entry in entries {
                    #expect(entry.index == last.index.next && entry.term >= last.term)
                    last = entry.position
                }
                #expect(last.term <= message.term)
            }
        }
    }

    @Test("A newer format is named as such")
    func newer() {
        var (_, bytes) = CodecTests.encoded(.timeoutNow)
        bytes[0] = 2
        #expect(throws: DecodingFailure.newerVersion(found: 2, known: 1)) { try CodecTests.decode(bytes) }
    }

    @Test("Entries of a term above the message's, out of order or unreadable are refused")
    func shape() {
        func refused(_ body: Message.Body) {
            let (_, bytes) = CodecTests.encoded(body)
            #expect(throws: DecodingFailure.self) { try CodecTests.decode(bytes) }
        }
        refused(.append(previous: .zero, entries: [entry(1, 5)], commit: .zero, readPosition: 0))
        refused(.append(previous: position(1, 3), entries: [entry(2, 2)], commit: .zero, readPosition: 0))
        refused(.append(previous: position(1, 5), entries: [], commit: .zero, readPosition: 0))
        refused(.append(previous: position(1 << 61, 1), entries: [], commit: .zero, readPosition: 0))
        let junk = Entry(index: index(1), term: Term(1), kind: .configuration, payload: [9, 9])
        refused(.append(previous: .zero, entries: [junk], commit: .zero, readPosition: 0))
    }

    @Test("Configurations are read back as they were written")
    func configurations() throws {
        let joint = Configuration(
            voters: members(4, 2, 1), outgoing: members(3, 2, 1), learners: members(8), learnersNext: members(3))
        #expect(try Configuration.decode(joint.encoded()) == joint)
        #expect(joint.voters == members(1, 2, 3, 4))
        #expect(joint.members == members(1, 2, 3, 4, 8))
    }
}
