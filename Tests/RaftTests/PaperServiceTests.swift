import Primitives
import Raft
import Testing

/// Rules of the Raft paper (extended version, §8) and of the dissertation: reads, handing over, and leading alone.
@Suite("Paper: reads and leaders")
struct PaperServiceTests {
    @Test("Dissertation §3.10: a leader hands over to a caught-up target")
    func transfer() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (isStarted, effects) = subject.transfer(to: 3)
        #expect(isStarted)
        #expect(effects.messages.map(\.body) == [.timeoutNow])
        #expect(effects.messages.map(\.to) == members(3))
    }

    @Test(
        "Dissertation §3.10: while handing over a leader takes no proposals, and after an election timeout it does again"
    )
    func transferEnds() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        #expect(subject.transfer(to: 3).isStarted)
        #expect(subject.propose("x").isEmpty)
        let start = subject.now
        while subject.node.isTransferring, subject.now - start < .seconds(5) {
            subject.fireDeadline()
            subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 0))
        }
        #expect(subject.now - start == .milliseconds(500))
        #expect(!subject.propose("x").isEmpty)
    }

    @Test("Dissertation §3.10: the target campaigns without waiting, and is voted for though a leader is near")
    func transferTarget() {
        let subject = Subject(hardState: HardState(term: Term(1)))
        subject.hearLeader(2, term: 1)
        let effects = subject.receive(from: 2, term: 1, .timeoutNow)
        #expect(subject.node.role == .candidate)
        #expect(effects.messages.map(\.body) == Array(repeating: .requestVote(last: .zero, transfer: true), count: 2))
        let voter = Subject(id: 3, hardState: HardState(term: Term(1)))
        voter.advance(.milliseconds(500))
        voter.hearLeader(2, term: 1)
        let vote = voter.receive(from: 1, term: 2, .requestVote(last: .zero, transfer: true))
        #expect(vote.messages.map(\.body) == [.voteResponse(granted: true)])
    }

    @Test("Dissertation §6.2: a leader without a majority steps down within an election timeout")
    func checkQuorum() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let start = subject.now
        while subject.node.role == .leader, subject.now - start < .seconds(5) { subject.fireDeadline() }
        #expect(subject.node.role == .follower)
        #expect(subject.now - start == .milliseconds(500))
        #expect(subject.node.term == Term(1))
    }

    @Test("Dissertation §6.2: a leader that a majority answers stays, whoever else is silent")
    func quorumAnswers() {
        let subject = Subject(voters: [1, 2, 3, 4, 5], learners: [6])
        subject.becomeEstablishedLeader(peers: [2, 3])
        for _ in 0..<100 {
            subject.fireDeadline()
            for peer in [2, 4] as [UInt64] {
                subject.receive(from: peer, term: 1, .heartbeatResponse(readPosition: 0))
            }
        }
        #expect(subject.node.role == .leader)
        // A learner's answers do not make up for a voter's.
        let start = subject.now
        while subject.node.role == .leader, subject.now - start < .seconds(5) {
            subject.fireDeadline()
            for peer in [2, 6] as [UInt64] {
                subject.receive(from: peer, term: 1, .heartbeatResponse(readPosition: 0))
            }
        }
        #expect(subject.now - start <= .milliseconds(500))
    }

    @Test("Dissertation §6.4: a read waits for a round of heartbeats, not for the log")
    func readIndex() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (read, asked) = subject.read()
        #expect(asked.batches.isEmpty && asked.readsReady.isEmpty)
        #expect(asked.messages.compactMap(\.body.readPosition) == [1, 1])
        let effects = subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1))
        #expect(effects.readsReady == [ReadReady(id: read, index: index(1))])
    }

    @Test("§8, dissertation §6.4 (1): no read before an entry of the leader's own term is committed")
    func readAfterNoop() {
        let subject = Subject(log: entries([1]), hardState: HardState(term: Term(1)))
        subject.becomeLeader()
        let (read, asked) = subject.read()
        #expect(asked.messages.isEmpty && asked.readsReady.isEmpty)
        subject.persist()
        let committed = subject.accept(from: 2)
        #expect(committed.readsReady.isEmpty)
        let position = committed.messages.compactMap(\.body.readPosition).max() ?? 0
        let effects = subject.receive(from: 2, term: 2, .heartbeatResponse(readPosition: position))
        #expect(effects.readsReady == [ReadReady(id: read, index: index(2))])
    }

    @Test("§8, dissertation §6.4 (3): a deposed leader serves no read")
    func deposed() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (read, _) = subject.read()
        let effects = subject.receive(from: 3, term: 2, .heartbeat(commit: .zero, readPosition: 0))
        #expect(effects.readsAborted == [read])
        #expect(subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1)).readsReady.isEmpty)
    }

    @Test("Dissertation §6.4: a follower serves a read at the index its leader tells it")
    func followerRead() throws {
        let subject = Subject(id: 2)
        subject.hearLeader(1, term: 1)
        let (read, asked) = subject.read()
        guard case .readIndex(let id) = try #require(asked.bodies(to: member(1)).first) else {
            Issue.record("the leader is not asked")
            return
        }
        let effects = subject.receive(from: 1, term: 1, .readIndexResponse(id: id, index: index(9)))
        #expect(effects.readsReady == [ReadReady(id: read, index: index(9))])
    }

    @Test("Dissertation §6.4.1: with leases a read waits for nobody while a majority's promise lasts, and not after")
    func leases() {
        let subject = Subject(timings: RaftTimings(earlyElection: false, leaseReads: true))
        subject.becomeEstablishedLeader()
        #expect(!subject.node.holdsReadLease(at: subject.now))
        let sent = subject.fireDeadline()
        let position = sent.messages.compactMap(\.body.readPosition).max() ?? 0
        subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: position))
        let (read, asked) = subject.read()
        #expect(asked.readsReady == [ReadReady(id: read, index: index(1))])
        subject.advance(.milliseconds(499))
        #expect(subject.read().1.readsReady.isEmpty)
    }
}
