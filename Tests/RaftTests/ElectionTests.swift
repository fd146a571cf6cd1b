import Primitives
import Raft
import Testing

@Suite("Election")
struct ElectionTests {
    @Test("After a restart nobody gets a vote for one election timeout, however good its log")
    func holdOff() {
        let subject = Subject()
        subject.advance(.milliseconds(499))
        #expect(subject.receive(from: 2, term: 5, .preVote(last: position(9, 4))).isEmpty)
        #expect(subject.receive(from: 2, term: 5, .requestVote(last: position(9, 4), transfer: false)).isEmpty)
        #expect(subject.node.term == .zero)
        subject.advance(.milliseconds(1))
        #expect(!subject.receive(from: 2, term: 5, .preVote(last: position(9, 4))).isEmpty)
    }

    @Test("A leader neither votes nor takes the term of one who missed it")
    func leaderIgnores() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        #expect(subject.receive(from: 3, term: 9, .preVote(last: position(99, 8))).isEmpty)
        #expect(subject.receive(from: 3, term: 9, .requestVote(last: position(99, 8), transfer: false)).isEmpty)
        #expect(subject.node.role == .leader)
        subject.receive(from: 3, term: 9, .requestVote(last: position(99, 8), transfer: true))
        #expect(subject.node.role == .follower)
    }

    @Test("Pre-candidates grant each other, though a third still hears the leader")
    func preCandidatesGrant() {
        let subject = Subject()
        subject.fireDeadline()
        #expect(subject.node.role == .preCandidate)
        let effects = subject.receive(from: 3, term: 1, .preVote(last: .zero))
        #expect(effects.messages.map(\.body) == [.preVoteResponse(granted: true)])
        #expect(subject.node.role == .preCandidate)
    }

    @Test("A refused pre-vote round ends in the same term")
    func preVoteLost() {
        let subject = Subject(log: entries([1]), hardState: HardState(term: Term(3)))
        subject.fireDeadline()
        subject.receive(from: 2, term: 3, .preVoteResponse(granted: false))
        #expect(subject.node.role == .preCandidate)
        subject.receive(from: 3, term: 3, .preVoteResponse(granted: false))
        #expect(subject.node.role == .follower)
        #expect(subject.node.term == Term(3))
        #expect(subject.batches.isEmpty)
    }

    @Test("A lost election makes a follower of the same term, which asks first when it tries again")
    func electionLost() {
        let subject = Subject()
        subject.fireDeadline()
        subject.receive(from: 2, term: 1, .preVoteResponse(granted: true))
        subject.persist()
        subject.receive(from: 2, term: 1, .voteResponse(granted: false))
        subject.receive(from: 3, term: 1, .voteResponse(granted: false))
        #expect(subject.node.role == .follower)
        #expect(subject.node.term == Term(1))
        #expect(subject.fireDeadline().messages.map(\.body) == [.preVote(last: .zero), .preVote(last: .zero)])
    }

    @Test("A refusal does not reset the voter's own timer")
    func timerOnGrantOnly() {
        let subject = Subject(log: entries([1, 2]), hardState: HardState(term: Term(2)))
        subject.advance(.milliseconds(500))
        subject.receive(from: 2, term: 3, .requestVote(last: position(1, 1), transfer: false))
        let deadline = subject.node.nextDeadline
        subject.advance(.milliseconds(10))
        subject.receive(from: 3, term: 3, .requestVote(last: position(1, 1), transfer: false))
        #expect(subject.node.nextDeadline == deadline)
        subject.receive(from: 3, term: 3, .requestVote(last: position(2, 2), transfer: false))
        #expect(subject.node.nextDeadline >= subject.now + .milliseconds(500))
    }

    @Test("A candidate that cannot win keeps nobody from campaigning, however often it tries")
    func hopelessCandidate() {
        let subject = Subject(log: entries([1, 2]), hardState: HardState(term: Term(2)))
        subject.advance(.milliseconds(500))
        let deadline = subject.node.nextDeadline
        for term in 3...6 as ClosedRange<UInt64> {
            subject.receive(from: 2, term: term, .requestVote(last: position(1, 1), transfer: false))
            #expect(subject.node.term == Term(term) && subject.node.role == .follower)
            #expect(subject.node.nextDeadline == deadline)
            subject.advance(.milliseconds(1))
        }
    }

    @Test("A pre-candidate that votes does not go on to depose the one it voted for")
    func preCandidateVotes() {
        let subject = Subject(hardState: HardState(term: Term(1)))
        subject.fireDeadline()
        subject.receive(from: 3, term: 1, .requestVote(last: position(1, 1), transfer: false))
        #expect(subject.node.role == .follower)
        subject.receive(from: 2, term: 2, .preVoteResponse(granted: true))
        #expect(subject.node.term == Term(1))
    }

    @Test("Learners and strangers vote but never campaign", arguments: [4, 9] as [UInt64])
    func learners(id: UInt64) {
        let subject = Subject(id: id, learners: [4])
        for _ in 0..<5 {
            #expect(subject.fireDeadline().messages.isEmpty)
            #expect(subject.node.role == .follower)
        }
        let effects = subject.receive(from: 7, term: 3, .requestVote(last: .zero, transfer: false))
        #expect(effects.messages.map(\.body) == [.voteResponse(granted: true)])
        subject.hearLeader(7, term: 3)
        subject.persist()
        #expect(subject.receive(from: 7, term: 3, .timeoutNow).isEmpty)
        subject.fireDeadline()
        #expect(subject.node.leader == nil)
    }

    @Test("Votes of strangers and learners do not count")
    func strangersVotes() {
        let subject = Subject(voters: [1, 2, 3], learners: [4])
        subject.fireDeadline()
        subject.receive(from: 4, term: 1, .preVoteResponse(granted: true))
        subject.receive(from: 9, term: 1, .preVoteResponse(granted: true))
        #expect(subject.node.role == .preCandidate)
    }

    @Test("Messages for somebody else or from oneself are dropped")
    func misdelivered() {
        let subject = Subject()
        let body = Message.Body.heartbeat(commit: .zero, readPosition: 0)
        let foreign = Message(from: member(2), to: member(3), term: Term(5), body: body)
        #expect(subject.step(.received(foreign)).isEmpty)
        let own = Message(from: member(1), to: member(1), term: Term(5), body: body)
        #expect(subject.step(.received(own)).isEmpty)
        #expect(subject.node.term == .zero)
    }

    @Test("A timer that comes early does nothing")
    func earlyTimer() {
        let subject = Subject()
        let deadline = subject.node.nextDeadline
        #expect(subject.step(.timer).isEmpty)
        #expect(subject.node.nextDeadline == deadline)
    }

    @Test("Same events, same effects")
    func deterministic() {
        var traces: [[UInt64]] = []
        for _ in 0..<2 {
            var cluster = Cluster(
                members: 5, seed: 12, faults: Faults(dropPercent: 20, crashEvery: .milliseconds(500)))
            cluster.run(for: .seconds(6))
            #expect(cluster.steps > 500)
            var trace = [UInt64(cluster.steps), cluster.random.next()]
            for host in cluster.hosts {
                trace += [host.node?.term.number ?? 0, host.node?.commitIndex.number ?? 0]
            }
            traces.append(trace)
        }
        #expect(traces[0] == traces[1])
    }
}

@Suite("Early election")
struct EarlyElectionTests {
    private func follower(_ id: UInt64, voters: [UInt64] = [1, 2, 3]) -> Subject {
        let subject = Subject(id: id, voters: voters)
        subject.advance(.milliseconds(600))
        subject.hearLeader(1, term: 1)
        subject.persist()
        return subject
    }

    @Test("When the leader's host closes its link, voters campaign by rank within milliseconds")
    func ranks() {
        for (id, rank) in [(2, 0), (3, 1), (4, 2), (5, 3)] as [(UInt64, Int64)] {
            let subject = follower(id, voters: [1, 2, 3, 4, 5])
            _ = subject.step(.linkClosed(member(1)))
            let wait = subject.node.nextDeadline - subject.now
            #expect(wait >= .milliseconds(15 * rank) && wait <= .milliseconds(15 * rank + 5))
            #expect(subject.fireDeadline().messages.count == 4)
            #expect(subject.node.role == .preCandidate)
        }
    }

    @Test("The voter also leaves its recency window, for pre-vote and vote")
    func window() {
        let subject = follower(3)
        #expect(subject.receive(from: 2, term: 2, .preVote(last: .zero)).isEmpty)
        _ = subject.step(.linkClosed(member(1)))
        #expect(
            subject.receive(from: 2, term: 2, .preVote(last: .zero)).messages.map(\.body) == [
                .preVoteResponse(granted: true)
            ])
        #expect(
            subject.receive(from: 2, term: 2, .requestVote(last: .zero, transfer: false)).messages.map(\.body) == [
                .voteResponse(granted: true)
            ])
    }

    @Test("A word from the leader restores the window; it is not left again within an election timeout")
    func oncePerTimeout() {
        let subject = follower(2)
        _ = subject.step(.linkClosed(member(1)))
        subject.hearLeader(1, term: 1)
        #expect(subject.node.nextDeadline - subject.now >= .milliseconds(500))
        #expect(subject.receive(from: 3, term: 2, .preVote(last: .zero)).isEmpty)
        subject.advance(.milliseconds(499))
        subject.hearLeader(1, term: 1)
        _ = subject.step(.linkClosed(member(1)))
        #expect(subject.node.nextDeadline - subject.now >= .milliseconds(500))
        #expect(subject.receive(from: 3, term: 2, .preVote(last: .zero)).isEmpty)
        // One spurious close does not switch it off for the rest of the reign.
        subject.advance(.milliseconds(1))
        _ = subject.step(.linkClosed(member(1)))
        #expect(subject.node.nextDeadline - subject.now <= .milliseconds(5))
        // Another reign, another sign.
        subject.hearLeader(1, term: 2)
        _ = subject.step(.linkClosed(member(1)))
        #expect(subject.node.nextDeadline - subject.now <= .milliseconds(5))
    }

    @Test("Lost early rounds are tried again within 20 to 100 ms, for one election timeout")
    func retries() {
        let subject = follower(2)
        let start = subject.now
        _ = subject.step(.linkClosed(member(1)))
        subject.fireDeadline()
        var rounds = 0
        while subject.now - start < .milliseconds(490) {
            let wait = subject.node.nextDeadline - subject.now
            #expect(wait >= .milliseconds(20) && wait <= .milliseconds(100))
            subject.fireDeadline()
            rounds += 1
        }
        #expect(rounds >= 5)
        while subject.now - start < .milliseconds(500) { subject.fireDeadline() }
        #expect(subject.node.nextDeadline - subject.now >= .milliseconds(500))
    }

    @Test("Another member's link means nothing, nor does any when switched off")
    func others() {
        let subject = follower(2)
        _ = subject.step(.linkClosed(member(3)))
        #expect(subject.node.nextDeadline - subject.now >= .milliseconds(500))
        let off = Subject(
            id: 2,
            timings: RaftTimings(heartbeat: .milliseconds(50), election: .milliseconds(500), earlyElection: false))
        off.hearLeader(1, term: 1)
        _ = off.step(.linkClosed(member(1)))
        #expect(off.node.nextDeadline - off.now >= .milliseconds(500))
    }

    private func settled(_ seed: UInt64) -> (cluster: Cluster, leader: Int)? {
        var cluster = Cluster(members: 3, seed: seed)
        cluster.run(for: .seconds(2))
        guard let leader = cluster.leaders.first else {
            Issue.record("no leader")
            return nil
        }
        return (cluster, leader)
    }

    @Test("A killed leader is replaced within 60 ms", arguments: 0..<20 as Range<UInt64>)
    func killed(seed: UInt64) {
        guard var (cluster, leader) = settled(seed) else { return }
        cluster.crash(leader)
        cluster.run(for: .milliseconds(60))
        #expect(cluster.leaders.count == 1)
        #expect(cluster.checks.findings.isEmpty)
        leader = cluster.leaders.first ?? leader
        #expect(cluster.hosts[leader].node?.isEstablishedLeader == true)
    }

    @Test("A mere broken link costs nothing", arguments: 0..<20 as Range<UInt64>)
    func brokenLink(seed: UInt64) {
        guard var (cluster, leader) = settled(seed) else { return }
        let term = cluster.hosts[leader].node?.term
        cluster.closeLink(from: leader, to: (leader + 1) % 3)
        cluster.run(for: .seconds(1))
        #expect(cluster.leaders == [leader])
        #expect(cluster.hosts[leader].node?.term == term)
        leader = cluster.leaders.first ?? leader
    }

    @Test("Links that keep breaking, of all voters in turn, cause no election", arguments: 0..<10 as Range<UInt64>)
    func breakingLinks(seed: UInt64) {
        guard var (cluster, leader) = settled(seed) else { return }
        let term = cluster.hosts[leader].node?.term
        for round in 0..<100 {
            cluster.closeLink(from: leader, to: (leader + 1 + round % 2) % 3)
            cluster.run(for: .milliseconds(300))
        }
        #expect(cluster.leaders == [leader])
        #expect(cluster.hosts[leader].node?.term == term)
        leader = cluster.leaders.first ?? leader
    }

    @Test("A split vote is tried again soon, but not before votes in flight and on their way to disk had their time")
    func splitVoteSoon() {
        let subject = Subject()
        subject.fireDeadline()
        subject.receive(from: 2, term: 1, .preVoteResponse(granted: true))
        subject.persist()
        #expect(subject.node.nextDeadline - subject.now >= .milliseconds(500))
        subject.receive(from: 2, term: 1, .voteResponse(granted: false))
        #expect(subject.node.role == .candidate)
        let wait = subject.node.nextDeadline - subject.now
        #expect(wait >= .milliseconds(100) && wait <= .milliseconds(250))
        // The vote that was only slow still counts.
        subject.receive(from: 3, term: 1, .voteResponse(granted: true))
        #expect(subject.node.role == .leader)
    }
}
