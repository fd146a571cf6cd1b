import Primitives
import Raft
import Testing

/// Reads without a round trip, and the conditions that make them sound.
@Suite("Lease reads")
struct LeaseReadTests {
    /// T is 500 ms, clocks err by 1 %, so a lease lasts 480 ms.
    private static let timings = RaftTimings(
        earlyElection: false, leaseReads: true, clockErrorPermille: 10, leaseSlack: .milliseconds(10))

    /// An established leader that has just sent a round of heartbeats, which `acknowledged` confirm 5 ms later.
    private func leader(acknowledged: [UInt64] = [2]) -> Subject {
        let subject = Subject(timings: LeaseReadTests.timings)
        subject.becomeEstablishedLeader()
        subject.advance(subject.node.nextDeadline - subject.now)
        let sent = subject.step(.timer)
        let position = sent.messages.compactMap(\.body.readPosition).max() ?? 0
        subject.advance(.milliseconds(5))
        for peer in acknowledged { subject.receive(from: peer, term: 1, .heartbeatResponse(readPosition: position)) }
        return subject
    }

    @Test("Within the lease a read is answered at once; after it, by a round")
    func lease() {
        let subject = leader()
        let (read, effects) = subject.read()
        #expect(effects.readsReady == [ReadReady(id: read, index: index(1))])
        #expect(effects.messages.isEmpty)
        // The lease began when the round was sent, 5 ms ago.
        subject.advance(.milliseconds(474))
        #expect(subject.read().1.readsReady.count == 1)
        subject.advance(.milliseconds(1))
        let (_, late) = subject.read()
        #expect(late.readsReady.isEmpty)
        #expect(late.messages.map(\.to) == members(2, 3))
    }

    @Test("A minority's answers, or answers to an older round, extend nothing")
    func quorum() {
        #expect(leader(acknowledged: []).read().1.readsReady.isEmpty)
        let five = Subject(voters: [1, 2, 3, 4, 5], timings: LeaseReadTests.timings)
        five.becomeEstablishedLeader(peers: [2, 3, 4, 5])
        five.fireDeadline()
        five.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1))
        #expect(!five.node.holdsReadLease(at: five.now))
        five.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 1), isRecovering: true)
        #expect(!five.node.holdsReadLease(at: five.now), "a recovering member promises nothing")
        five.receive(from: 4, term: 1, .heartbeatResponse(readPosition: 1))
        #expect(five.node.holdsReadLease(at: five.now))
        five.advance(.milliseconds(479))
        for peer in [2, 3, 4] as [UInt64] { five.receive(from: peer, term: 1, .heartbeatResponse(readPosition: 1)) }
        five.advance(.milliseconds(1))
        #expect(!five.node.holdsReadLease(at: five.now))
    }

    @Test("Heartbeats that leave a whole interval late are counted, one for each peer")
    func lateHeartbeats() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        for _ in 0..<3 {
            subject.advance(.milliseconds(99))
            _ = subject.step(.timer)
        }
        #expect(subject.node.lateHeartbeats == 0)
        subject.advance(.milliseconds(101))
        _ = subject.step(.timer)
        #expect(subject.node.lateHeartbeats == 2)
    }

    @Test("Off unless asked for")
    func off() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.fireDeadline()
        subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 0))
        #expect(!subject.node.holdsReadLease(at: subject.now))
        #expect(subject.read().1.messages.count == 2)
    }

    @Test("B20: not before the no-op of the term is committed")
    func noop() {
        let subject = Subject(timings: LeaseReadTests.timings)
        subject.becomeLeader()
        subject.fireDeadline()
        subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1))
        #expect(!subject.node.holdsReadLease(at: subject.now))
        #expect(subject.read().1.readsReady.isEmpty)
    }

    @Test("B23: time is time, however few events came in between")
    func pause() {
        let subject = leader()
        subject.advance(.seconds(2))
        #expect(subject.read().1.readsReady.isEmpty)
    }

    @Test("B24: an order to campaign ends the lease for the rest of the term, whatever becomes of the transfer")
    func transfer() {
        let subject = leader()
        _ = subject.transfer(to: 3)
        #expect(!subject.node.holdsReadLease(at: subject.now))
        let start = subject.now
        while subject.now - start < .milliseconds(550) {
            let sent = subject.fireDeadline()
            let position = sent.messages.compactMap(\.body.readPosition).max() ?? 0
            subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: position))
        }
        #expect(subject.node.role == .leader)
        #expect(!subject.node.isTransferring)
        #expect(!subject.node.holdsReadLease(at: subject.now))
    }

    @Test("A change of the membership ends it until the new majority has confirmed a round")
    func membership() {
        let subject = leader()
        _ = subject.change(.addVoter(member(4)))
        #expect(!subject.node.holdsReadLease(at: subject.now))
    }

    @Test("B25: a voter keeps its promise across a restart and across a change of its term")
    func promise() {
        let subject = Subject(id: 2, timings: LeaseReadTests.timings)
        subject.advance(.seconds(1))
        subject.hearLeader(1, term: 1)
        subject.persist()
        subject.advance(.milliseconds(100))
        // Some message of a later term makes it forget the leader, not the promise.
        subject.receive(from: 3, term: 2, .voteResponse(granted: false))
        #expect(subject.node.leader == nil)
        func asked() -> [Message.Body] {
            subject.receive(from: 3, term: 2, .requestVote(last: position(9, 1), transfer: false)).messages.map(\.body)
        }
        #expect(asked() == [.voteResponse(granted: false)])
        #expect(subject.receive(from: 3, term: 3, .preVote(last: position(9, 1))).isEmpty)
        subject.advance(.milliseconds(400))
        #expect(asked() == [.voteResponse(granted: true)])
        let restarted = Subject(id: 2, timings: LeaseReadTests.timings)
        restarted.receive(from: 3, term: 2, .voteResponse(granted: false))
        #expect(
            restarted.receive(from: 3, term: 2, .requestVote(last: position(9, 1), transfer: false)).messages
                .map(\.body) == [.voteResponse(granted: false)])
    }

    @Test("Clusters that read by lease read nothing stale under every fault", arguments: 0..<20 as Range<UInt64>)
    func chaos(seed: UInt64) {
        var cluster = Cluster(
            members: 3, seed: seed,
            faults: Faults(
                dropPercent: 5, duplicatePercent: 5, delayMax: .milliseconds(20), syncMax: .milliseconds(5),
                crashEvery: .milliseconds(1500), cutEvery: .milliseconds(900)),
            timings: LeaseReadTests.timings)
        cluster.run(for: .seconds(6))
        #expect(cluster.checks.findings.isEmpty)
        #expect(cluster.checks.readsServed > 20)
    }
}
