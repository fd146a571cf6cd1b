import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

@Suite("Messages between members on the wire")
struct PeerMessageTests {
    static let samples: [PeerMessage] = {
        let identity = SnapshotIdentity(
            position: LogPosition(index: LogIndex(900), term: Term(7)), digest: Digest128(low: 1, high: 2), bytes: 4_096
        )
        let answer = TimeToLiveAnswer(remainingMilliseconds: -1, grantedMilliseconds: 5, keys: [Key("a"), Key("")])
        let vote = Message(
            from: MemberID(1), to: MemberID(2), term: Term(3),
            body: .requestVote(last: LogPosition(index: LogIndex(4), term: Term(2)), transfer: true))
        let name = RequestName(Incarnation(3), 1 << 40)
        return [
            .raft(vote),
            .forward(term: Term(3), commands: [[1, 2, 3], []]),
            .forwardRefused(Incarnation(1 << 40), serials: [1, 1 << 40], overloaded: true),
            .renew(name, leases: [LeaseID(-1), LeaseID(77)]),
            .renewed(name, answers: [LeaseAnswer(lease: LeaseID(-1), ttlMilliseconds: 0)]),
            .renewAs(
                name, leases: [LeaseID(-1), LeaseID(77)],
                holders: [.none, Identity(user: "alice", authRevision: 1 << 40)]),
            .renewed(
                name,
                answers: [
                    LeaseAnswer(lease: LeaseID(-1), ttlMilliseconds: 0, refusal: .permissionDenied),
                    LeaseAnswer(lease: LeaseID(3), ttlMilliseconds: 9_000),
                ]),
            .timeToLive(name, lease: LeaseID(5), wantsKeys: true),
            .timeToLiveAnswer(name, answer),
            .leaseRefused(name),
            .leaseHints(term: Term(9), round: 3, leases: [LeaseID(1), LeaseID(-7)]),
            .leaseHintsHeard(term: Term(9), round: 3),
            .leaseAgesWanted(term: Term(9), minimum: LogIndex(44), after: nil, through: LeaseID(5)),
            .leaseAgesWanted(term: Term(9), minimum: LogIndex(44), after: LeaseID(-5), through: LeaseID(5)),
            .leaseAges(term: Term(9), through: LeaseID(5), ages: [LeaseAge(lease: LeaseID(-7), milliseconds: 88)]),
            .forwardMembership(term: Term(3), command: [1, 2]),
            .membershipRefused(name, nil),
            .membershipRefused(name, Rejection(.memberNotFound, "who")),
            .digest(index: LogIndex(1 << 40), Digest128(low: 3, high: 4)),
            .diverged(index: LogIndex(7)),
            .diskLow,
            .snapshotChunk(identity, offset: 256, bytes: [9, 9, 9]),
            .snapshotStored(identity, nextOffset: 512),
            .snapshotInstalled(identity),
            .snapshotRefused(identity),
        ]
    }()

    @Test("Every message survives the wire and is refused when cut anywhere", arguments: samples)
    func roundTrip(message: PeerMessage) throws {
        let bytes = message.encoded()
        #expect(try PeerMessage.decode(bytes) == message)
        for length in 0..<bytes.count {
            #expect(throws: DecodingFailure.self) { try PeerMessage.decode(Array(bytes[..<length])) }
        }
        #expect(throws: DecodingFailure.self) { try PeerMessage.decode(bytes + [0]) }
    }

    @Test("Random bytes are an error or a message, never a trap")
    func random() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            var bytes = (0..<Int(generator.below(60))).map { _ in UInt8(generator.below(256)) }
            if !bytes.isEmpty { bytes[0] = UInt8(generator.below(24)) }
            if let message = try? PeerMessage.decode(bytes) {
                // Whatever was understood can be said again.
                #expect((try? PeerMessage.decode(message.encoded())) == message)
            }
        }
    }
}
