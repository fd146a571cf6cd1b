import Primitives
import Raft
import Testing

@Suite("Transfer")
struct TransferTests {
    @Test("Learners, strangers, oneself and non-leaders are refused")
    func refused() {
        let subject = Subject(learners: [4])
        #expect(!subject.transfer(to: 2).isStarted)
        subject.becomeEstablishedLeader()
        #expect(!subject.transfer(to: 1).isStarted)
        #expect(!subject.transfer(to: 4).isStarted)
        #expect(!subject.transfer(to: 9).isStarted)
        #expect(!subject.node.isTransferring)
        #expect(!Subject(voters: [1]).transfer(to: nil).isStarted)
    }

    @Test("The order waits until the target holds the whole log, goes out once, and proposals are refused")
    func waits() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        #expect(subject.transfer(to: 3).effects.messages.isEmpty)
        #expect(subject.node.isTransferring)
        var effects = RaftEffects()
        let refused = subject.node.propose([[1]], at: subject.now, into: &effects)
        #expect(refused == .failure(.transferring))
        #expect(subject.accept(from: 2).messages.allSatisfy { $0.body != .timeoutNow })
        let ordered = subject.accept(from: 3).messages.filter { $0.body == .timeoutNow }
        #expect(ordered.map(\.to) == members(3))
        #expect(subject.accept(from: 3).messages.isEmpty)
    }

    @Test("Left to itself the leader chooses the voter that holds most and still answers")
    func choice() {
        let subject = Subject(voters: [1, 2, 3, 4])
        subject.becomeEstablishedLeader(peers: [2, 3, 4])
        subject.propose("x")
        subject.persist()
        subject.accept(from: 4)
        #expect(subject.transfer(to: nil).effects.messages.map(\.to) == members(4))
        let lonely = Subject()
        lonely.becomeEstablishedLeader()
        lonely.advance(.milliseconds(500))
        #expect(!lonely.transfer(to: nil).isStarted)
    }

    @Test("The target campaigns at once, without pre-vote, and voters near their leader still vote")
    func wins() {
        let target = Subject(id: 3)
        target.hearLeader(1, term: 1)
        let asked = target.receive(from: 1, term: 1, .timeoutNow)
        #expect(target.node.role == .candidate)
        #expect(target.node.term == Term(2))
        #expect(asked.messages.map(\.body) == Array(repeating: .requestVote(last: .zero, transfer: true), count: 2))
        let voter = Subject(id: 2)
        voter.hearLeader(1, term: 1)
        #expect(
            voter.receive(from: 3, term: 2, .requestVote(last: .zero, transfer: true)).messages.map(\.body) == [
                .voteResponse(granted: true)
            ])
    }

    @Test("An order of an old term, or not from the leader, is ignored")
    func stale() {
        let subject = Subject(id: 3)
        subject.hearLeader(1, term: 2)
        #expect(subject.receive(from: 1, term: 1, .timeoutNow).isEmpty)
        #expect(subject.receive(from: 2, term: 2, .timeoutNow).isEmpty)
        #expect(subject.node.role == .follower)
    }

    @Test("After an election timeout the transfer is given up and proposals are taken again")
    func abort() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        _ = subject.transfer(to: 3)
        let start = subject.now
        while subject.now - start < .milliseconds(500) {
            subject.accept(from: 2)
            subject.fireDeadline()
        }
        #expect(subject.node.role == .leader)
        #expect(!subject.node.isTransferring)
        #expect(!subject.propose("x").batches.isEmpty)
    }

    @Test("A target that turns out to have lost entries is given up at once")
    func recoveringTarget() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        #expect(subject.transfer(to: 3).isStarted)
        let told = subject.accept(from: 3, isRecovering: true)
        #expect(told.messages.allSatisfy { $0.body != .timeoutNow })
        _ = subject.step(.timer)
        #expect(!subject.node.isTransferring)
        #expect(subject.node.role == .leader)
    }

    @Test("Another target replaces the first")
    func replaced() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        #expect(subject.transfer(to: 2).effects.messages.map(\.to) == members(2))
        #expect(subject.transfer(to: 2).effects.messages.isEmpty)
        #expect(subject.transfer(to: 3).effects.messages.map(\.to) == members(3))
    }

    @Test("A whole cluster hands over within a few round trips", arguments: 0..<10 as Range<UInt64>)
    func wholeCluster(seed: UInt64) {
        var cluster = Cluster(members: 3, seed: seed)
        cluster.run(for: .seconds(2))
        guard let leader = cluster.leaders.first else {
            Issue.record("no leader")
            return
        }
        cluster.transferLeadership(from: leader)
        cluster.run(for: .milliseconds(40))
        #expect(cluster.leaders.count == 1)
        #expect(cluster.leaders.first != leader)
        #expect(cluster.checks.findings.isEmpty)
    }
}
