import Primitives
import RegistryModel
import Testing

@Suite struct RecordDigestTests {
    private let pair = KeyValue(
        key: Key("k"), value: [1, 2], createRevision: Revision(3), modRevision: Revision(4), version: 2,
        lease: LeaseID(9))

    @Test("Every field of a pair counts")
    func pairFields() {
        var variants = Array(repeating: pair, count: 6)
        variants[0].key = Key("l")
        variants[1].value = [1, 3]
        variants[2].createRevision = Revision(2)
        variants[3].modRevision = Revision(5)
        variants[4].version = 3
        variants[5].lease = LeaseID(8)
        let all = [pair] + variants
        #expect(Set(all.map { RecordDigest.pair($0) }).count == all.count)
        #expect(RecordDigest.tombstone(pair.key, at: Revision(4)) != RecordDigest.tombstone(pair.key, at: Revision(5)))
    }

    @Test("Every field of a member counts")
    func memberFields() {
        var variants = Array(repeating: Samples.member, count: 6)
        variants[0].id = MemberID(1)
        variants[1].name = "infra-1"
        variants[2].peerURLs = ["http://127.0.0.1:2380"]
        variants[3].clientURLs = []
        variants[4].isLearner = false
        variants[5].promotesItself = false
        let all = [Samples.member] + variants
        #expect(Set(all.map { RecordDigest.member($0) }).count == all.count)
    }

    @Test("A removed member, an alarm of either field and a bare member are different records")
    func removedMembersAndAlarms() {
        var digests = [1, 2].map { RecordDigest.removedMember(MemberID($0)) }
        for member in [1, 2] as [UInt64] {
            for kind in AlarmKind.allCases {
                digests.append(RecordDigest.alarm(Alarm(member: MemberID(member), kind: kind)))
            }
        }
        digests.append(
            RecordDigest.member(MemberDescription(id: MemberID(1), name: "", peerURLs: [], clientURLs: [])))
        #expect(Set(digests).count == 9)
    }

    @Test("The state's digest covers revision, compaction, time, live data and history")
    func header() {
        var variants = Array(repeating: StateHeader.initial, count: 5)
        variants[0].revision = Revision(2)
        variants[1].compactRevision = .zero
        variants[2].wallMilliseconds = 1
        variants[3].liveDigest = Digest128(low: 1, high: 0)
        variants[4].pastDigest = Digest128(low: 1, high: 0)
        let all = [StateHeader.initial] + variants
        #expect(Set(all.map(\.digest)).count == all.count)
    }
}
