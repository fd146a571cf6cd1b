import Primitives
import Raft
import Testing

/// Rules of the Raft paper (extended version) and of the dissertation: terms and elections.
@Suite("Paper: elections")
struct PaperElectionTests {
    @Test("§5.1: a higher term is taken and the role given up", arguments: [Role.follower, .candidate, .leader])
    func higherTerm(_ role: Role) {
        let subject = Subject()
        switch role {
        case .leader: subject.becomeLeader()
        case .candidate:
            subject.fireDeadline()
            subject.receive(from: 2, term: 1, .preVoteResponse(granted: true))
        default: break
        }
        #expect(subject.node.role == role)
        let effects = subject.receive(
            from: 2, term: 9, .append(previous: .zero, entries: [], commit: .zero, readPosition: 0))
        #expect(subject.node.role == .follower)
        #expect(subject.node.term == Term(9))
        #expect(subject.node.leader == member(2))
        #expect(effects.batches.last?.hardState == HardState(term: Term(9)))
    }

    @Test("§5.1: a request of a lower term changes nothing and is told the term")
    func lowerTerm() {
        let subject = Subject(hardState: HardState(term: Term(5)))
        let effects = subject.receive(
            from: 2, term: 4,
            .append(previous: .zero, entries: [entry(1, 4)], commit: index(1), readPosition: 0))
        #expect(subject.node.lastIndex == .zero)
        #expect(subject.node.leader == nil)
        #expect(effects.messages.map(\.term) == [Term(5)])
        #expect(subject.receive(from: 2, term: 4, .requestVote(last: position(9, 4), transfer: true)).isEmpty)
    }

    @Test("§5.1: an answer of a lower term counts for nothing")
    func staleAnswer() {
        let subject = Subject(hardState: HardState(term: Term(4)))
        subject.fireDeadline()
        subject.receive(from: 2, term: 5, .preVoteResponse(granted: true))
        subject.persist()
        #expect(subject.node.role == .candidate)
        #expect(subject.receive(from: 2, term: 4, .voteResponse(granted: true)).isEmpty)
        #expect(subject.node.role == .candidate)
        subject.receive(from: 2, term: 5, .voteResponse(granted: true))
        #expect(subject.node.role == .leader)
        #expect(subject.receive(from: 2, term: 4, .appendAccepted(match: index(1), readPosition: 0)).isEmpty)
        #expect(subject.node.match(of: member(2)) == .zero)
    }

    @Test("§5.2: a member starts as follower and stays one while it hears a leader")
    func staysFollower() {
        let subject = Subject()
        subject.hearLeader(2, term: 1)
        for _ in 0..<100 {
            subject.advance(.milliseconds(400))
            subject.hearLeader(2, term: 1)
            #expect(subject.step(.timer).isEmpty)
            #expect(subject.node.nextDeadline - subject.now >= .milliseconds(500))
        }
        #expect(subject.node.role == .follower)
    }

    @Test("§5.2: a candidate starts a term, votes for itself and asks all other voters")
    func candidate() {
        let subject = Subject(voters: [1, 2, 3, 4, 5], learners: [6], hardState: HardState(term: Term(3)))
        subject.fireDeadline()
        subject.receive(from: 4, term: 4, .preVoteResponse(granted: true))
        let effects = subject.receive(from: 2, term: 4, .preVoteResponse(granted: true))
        #expect(subject.node.role == .candidate)
        #expect(subject.node.term == Term(4))
        #expect(effects.batches.map(\.hardState) == [HardState(term: Term(4), votedFor: member(1))])
        #expect(effects.messages.map(\.to) == members(2, 3, 4, 5))
        for message in effects.messages {
            #expect(message.body == .requestVote(last: .zero, transfer: false))
        }
    }

    @Test(
        "§5.2: a majority elects",
        arguments: [
            (3, [2], true), (3, [], false), (5, [2, 3], true), (5, [2], false), (5, [2, 2, 2], false), (4, [2], false),
            (4, [2, 3], true),
        ] as [(UInt64, [UInt64], Bool)])
    func majority(size: UInt64, granting: [UInt64], isElected: Bool) {
        let subject = Subject(voters: Array(1...size))
        subject.fireDeadline()
        for voter in 2...size { subject.receive(from: voter, term: 1, .preVoteResponse(granted: true)) }
        subject.persist()
        for voter in granting { subject.receive(from: voter, term: 1, .voteResponse(granted: true)) }
        #expect((subject.node.role == .leader) == isElected)
    }

    @Test("§5.2: votes go first come, first served, one a term")
    func oneVote() {
        let subject = Subject(hardState: HardState(term: Term(1)))
        subject.advance(.milliseconds(500))
        let first = subject.receive(from: 2, term: 2, .requestVote(last: .zero, transfer: false))
        #expect(first.bodies(to: member(2)) == [.voteResponse(granted: true)])
        let other = subject.receive(from: 3, term: 2, .requestVote(last: .zero, transfer: false))
        #expect(other.bodies(to: member(3)) == [.voteResponse(granted: false)])
        let again = subject.receive(from: 2, term: 2, .requestVote(last: .zero, transfer: false))
        #expect(again.bodies(to: member(2)) == [.voteResponse(granted: true)])
    }

    @Test("§5.2, figure 2: term and vote are durable before they are told, and outlive a crash")
    func durableVote() throws {
        let subject = Subject()
        subject.advance(.milliseconds(500))
        let effects = subject.receive(from: 2, term: 3, .requestVote(last: .zero, transfer: false))
        let vote = try #require(effects.envelopes.first)
        let batch = try #require(effects.batches.last)
        #expect(vote.message.body == .voteResponse(granted: true))
        #expect(vote.gate == batch.number)
        #expect(batch.hardState == HardState(term: Term(3), votedFor: member(2)))
        let next = Subject(hardState: try #require(batch.hardState))
        next.advance(.milliseconds(500))
        let other = next.receive(from: 3, term: 3, .requestVote(last: .zero, transfer: false))
        #expect(other.messages.map(\.body) == [.voteResponse(granted: false)])
        let same = next.receive(from: 2, term: 3, .requestVote(last: .zero, transfer: false))
        #expect(same.messages.map(\.body) == [.voteResponse(granted: true)])
    }

    @Test("§5.2: whoever of two candidates each voter hears first, exactly one of them is elected", arguments: 0..<8)
    func electionSafety(_ order: Int) {
        let voters: [UInt64] = [1, 2, 3, 4, 5]
        let candidates = [1, 2].map { id in
            let subject = Subject(id: UInt64(id), voters: voters)
            subject.fireDeadline()
            for voter in 3...5 as ClosedRange<UInt64> {
                subject.receive(from: voter, term: 1, .preVoteResponse(granted: true))
            }
            subject.persist()
            return subject
        }
        for (bit, voter) in [3, 4, 5].enumerated() {
            let subject = Subject(id: UInt64(voter), voters: voters)
            subject.advance(.milliseconds(500))
            let first = order >> bit & 1
            for candidate in [first, 1 - first] {
                let request = Message.Body.requestVote(last: .zero, transfer: false)
                let answers = subject.receive(from: UInt64(candidate + 1), term: 1, request)
                for answer in answers.messages { _ = candidates[candidate].step(.received(answer)) }
            }
        }
        #expect(candidates.filter { $0.node.role == .leader }.count == 1)
        #expect(candidates.allSatisfy { $0.node.term == Term(1) })
    }

    @Test("§5.2: a candidate that hears the term's leader follows it")
    func candidateFollows() {
        let subject = Subject()
        subject.fireDeadline()
        subject.receive(from: 3, term: 1, .preVoteResponse(granted: true))
        subject.hearLeader(2, term: 1)
        #expect(subject.node.role == .follower)
        #expect(subject.node.leader == member(2))
        subject.receive(from: 3, term: 1, .voteResponse(granted: true))
        #expect(subject.node.role == .follower)
    }

    @Test("§5.2: a candidate that hears a leader of a lower term stays a candidate")
    func candidateStays() {
        let subject = Subject(hardState: HardState(term: Term(4)))
        subject.fireDeadline()
        subject.receive(from: 3, term: 5, .preVoteResponse(granted: true))
        let effects = subject.hearLeader(2, term: 4)
        #expect(subject.node.role == .candidate)
        #expect(effects.messages.map(\.term) == [Term(5)])
    }

    @Test("Figure 2, followers: a vote that is given restarts the voter's wait, one that is refused does not")
    func voteRestartsWait() {
        let subject = Subject(log: entries([1]), hardState: HardState(term: Term(1)))
        let deadline = subject.node.nextDeadline
        subject.advance(.milliseconds(500))
        subject.receive(from: 2, term: 1, .preVote(last: position(1, 1)))
        #expect(subject.node.nextDeadline == deadline)
        subject.receive(from: 2, term: 2, .requestVote(last: position(1, 1), transfer: false))
        #expect(subject.node.nextDeadline - subject.now >= .milliseconds(500))
        let restarted = subject.node.nextDeadline
        subject.receive(from: 3, term: 2, .requestVote(last: position(1, 1), transfer: false))
        #expect(subject.node.nextDeadline == restarted)
    }

    @Test("§5.2: votes that are split elect nobody, and the next round is one of a new term")
    func splitVote() {
        let subject = Subject()
        for term in 1...3 as ClosedRange<UInt64> {
            subject.fireDeadline()
            subject.receive(from: 2, term: term, .preVoteResponse(granted: true))
            subject.persist()
            #expect(subject.node.term == Term(term))
            subject.receive(from: 2, term: term, .voteResponse(granted: false))
            #expect(subject.node.role == .candidate)
            subject.receive(from: 3, term: term, .voteResponse(granted: false))
            #expect(subject.node.role == .follower)
        }
    }

    @Test("§5.2: timeouts are drawn anew between T and 2 T and differ")
    func randomTimeouts() {
        var seen: [Int64] = []
        let subject = Subject(voters: [1, 2, 3])
        for _ in 0..<50 {
            let wait = subject.node.nextDeadline - subject.now
            #expect(wait >= .milliseconds(500) && wait < .milliseconds(1000))
            seen.append(wait.milliseconds)
            subject.fireDeadline()
        }
        #expect(seen.sorted().first ?? 0 < 600)
        #expect(seen.sorted().last ?? 0 > 900)
    }

    @Test("§5.2: a leader sends heartbeats to everybody all the time")
    func heartbeats() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        for _ in 0..<10 {
            let before = subject.now
            let effects = subject.fireDeadline()
            #expect(subject.now - before == .milliseconds(50))
            #expect(effects.messages.map(\.to) == members(2, 3))
            #expect(effects.messages.allSatisfy { $0.body.isHeartbeat })
            subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 0))
        }
    }

    @Test(
        "§5.4.1: a vote goes only to a log at least as new",
        arguments: [
            (2, 2, true), (3, 2, true), (1, 3, true), (1, 2, false), (9, 1, false), (2, 1, false),
        ] as [(UInt64, UInt64, Bool)])
    func upToDate(lastIndex: UInt64, lastTerm: UInt64, isGranted: Bool) {
        let subject = Subject(log: entries([1, 2]), hardState: HardState(term: Term(2)))
        subject.advance(.milliseconds(500))
        let last = position(lastIndex, lastTerm)
        #expect(
            subject.receive(from: 2, term: 3, .preVote(last: last)).messages.map(\.body) == [
                .preVoteResponse(granted: isGranted)
            ])
        #expect(
            subject.receive(from: 2, term: 3, .requestVote(last: last, transfer: false)).messages.map(\.body) == [
                .voteResponse(granted: isGranted)
            ])
    }

    @Test("§5.4.1: whoever lacks a committed entry is elected by no majority")
    func completeness() {
        // Five voters; the entry at 2 is on the three that the bits name.
        for holders in 0..<32 where holders.nonzeroBitCount == 3 {
            for candidate in 0..<5 where holders >> candidate & 1 == 0 {
                var votes = 1
                for voter in 0..<5 where voter != candidate {
                    let log = entries(holders >> voter & 1 == 1 ? [1, 2] : [1])
                    let subject = Subject(
                        id: UInt64(voter + 1), voters: [1, 2, 3, 4, 5], log: log,
                        hardState: HardState(term: Term(2)))
                    subject.advance(.milliseconds(500))
                    let answer = subject.receive(
                        from: UInt64(candidate + 1), term: 3, .requestVote(last: position(1, 1), transfer: false))
                    if answer.messages.map(\.body) == [.voteResponse(granted: true)] { votes += 1 }
                }
                #expect(votes == 2)
            }
        }
    }

    @Test("§5.6: heartbeats are far more frequent than elections")
    func timing() {
        let timings = RaftTimings()
        #expect(timings.heartbeat * 5 <= timings.election)
    }
}
