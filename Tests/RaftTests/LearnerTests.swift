import Primitives
import Raft
import Testing

@Suite("Learners and their promotion")
struct LearnerTests {
    private func obstacle(_ subject: Subject, of id: UInt64 = 4) -> PromotionObstacle? {
        subject.node.promotionObstacle(of: member(id), at: subject.now)
    }

    @Test("A learner's answers count for no commit, no read and no quorum")
    func neverCounts() {
        let subject = Subject(learners: [4, 5])
        subject.becomeEstablishedLeader()
        subject.propose("x")
        subject.persist()
        subject.accept(from: 4)
        subject.accept(from: 5)
        #expect(subject.node.commitIndex == index(1))
        let (_, asked) = subject.read()
        #expect(asked.messages.map(\.to) == members(2, 3))
        #expect(subject.receive(from: 4, term: 1, .heartbeatResponse(readPosition: 1)).readsReady.isEmpty)
        subject.advance(.milliseconds(500))
        subject.receive(from: 4, term: 1, .heartbeatResponse(readPosition: 1))
        subject.receive(from: 5, term: 1, .heartbeatResponse(readPosition: 1))
        _ = subject.step(.timer)
        #expect(subject.node.role == .follower)
    }

    @Test("A learner is ready when it answers, is replicating, caught up quickly and is close behind")
    func ready() {
        let subject = Subject()
        #expect(obstacle(subject) == .notLeader)
        subject.becomeEstablishedLeader()
        #expect(obstacle(subject) == .notLearner)
        _ = subject.change(.addLearner(member(4)))
        #expect(obstacle(subject) == .changePending)
        subject.persist()
        subject.accept(from: 2)
        #expect(obstacle(subject) == .silent, "counted as heard, but it never said a word")
        #expect(!subject.node.isRecentlyActive(member(4), at: subject.now))
        subject.receive(from: 4, term: 1, .heartbeatResponse(readPosition: 0))
        #expect(obstacle(subject) == .notReplicating)
        subject.advance(.milliseconds(20))
        subject.accept(from: 4)
        #expect(obstacle(subject) == nil)
        #expect(obstacle(subject, of: 2) == .notLearner)
        #expect(subject.node.progress[2].lastRound == .milliseconds(20))
        subject.advance(.milliseconds(500))
        #expect(obstacle(subject) == .silent)
    }

    @Test("A round that takes an election timeout or more is too slow, and so is one that has not ended")
    func rounds() {
        let subject = Subject(learners: [4])
        subject.becomeEstablishedLeader()
        subject.advance(.milliseconds(600))
        for peer in [2, 3] as [UInt64] { subject.accept(from: peer) }
        subject.propose("x")
        subject.accept(from: 4, match: 1)
        #expect(obstacle(subject) == .catchingUp, "the first round began with the reign")
        subject.advance(.milliseconds(100))
        subject.accept(from: 4)
        #expect(obstacle(subject) == nil)
        #expect(subject.node.progress[2].lastRound == .milliseconds(100))
        // Idle time is no part of a round.
        subject.advance(.seconds(30))
        subject.propose("y")
        for peer in [2, 3, 4] as [UInt64] { subject.accept(from: peer) }
        #expect(obstacle(subject) == nil)
        subject.propose("z")
        subject.propose("z")
        subject.accept(from: 4, match: 4)
        subject.advance(.milliseconds(499))
        for peer in [2, 3, 4] as [UInt64] { subject.accept(from: peer, match: 4) }
        #expect(obstacle(subject) == nil)
        subject.advance(.milliseconds(1))
        #expect(obstacle(subject) == .catchingUp)
    }

    @Test("More than a thousand entries behind is too far")
    func lag() {
        let subject = Subject(learners: [4])
        subject.becomeEstablishedLeader()
        subject.accept(from: 4)
        for _ in 0..<1_000 { subject.propose("x") }
        #expect(obstacle(subject) == nil)
        subject.propose("x")
        #expect(obstacle(subject) == .behind(1_001))
    }

    @Test("A quorum of those who would vote must be answering; members that lost entries do not count")
    func quorum() {
        let subject = Subject(learners: [4])
        subject.becomeEstablishedLeader()
        subject.accept(from: 4)
        subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 0), isRecovering: true)
        #expect(obstacle(subject) == nil, "three of four")
        subject.advance(.milliseconds(499))
        subject.accept(from: 4)
        subject.advance(.milliseconds(1))
        #expect(obstacle(subject) == .quorumAtRisk)
        subject.accept(from: 2)
        #expect(obstacle(subject) == nil)
        subject.accept(from: 4, isRecovering: true)
        #expect(obstacle(subject) == .recovering)
    }
}
