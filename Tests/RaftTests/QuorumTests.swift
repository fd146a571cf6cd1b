import Primitives
import Raft
import Testing

@Suite("Quorum")
struct QuorumTests {
    @Test("One voter decides alone")
    func single() {
        let quorum = MajorityQuorum([MemberID(1)])
        #expect(quorum.reached { _ in 12 } == 12)
    }
}
