import Primitives
import Raft
import Testing

/// The list's mistakes that concern membership and identity.
@Suite("Mistakes others shipped, membership")
struct MembershipMistakesTests {
    private func change(_ place: UInt64, _ term: UInt64, _ voters: [UInt64]) -> Entry {
        let configuration = Configuration(voters: voters.map { MemberID($0) })
        return Entry(
            index: index(place), term: Term(term), kind: .configuration,
            payload: ConfigurationEntry(configuration: configuration).encoded())
    }

    @Test("B05: a candidate uses every configuration its log holds, applied or not (etcd 12133, 11284)")
    func laggingConfiguration() {
        let subject = Subject(
            log: [change(1, 1, [1, 2, 3, 4]), change(2, 1, [1, 2, 3, 4, 5])], hardState: HardState(term: Term(1)))
        #expect(subject.fireDeadline().messages.map(\.to) == members(2, 3, 4, 5))
        subject.receive(from: 3, term: 2, .preVoteResponse(granted: true))
        #expect(subject.node.role == .preCandidate, "two of three would do under the old one")
        subject.receive(from: 4, term: 2, .preVoteResponse(granted: true))
        #expect(subject.node.role == .candidate)
    }

    @Test("B06: no change before the leader's own no-op is committed (Ongaro, raft-dev 2015)")
    func changeBeforeNoop() {
        // Member 1 led term 1 of {1,2,3,4} and appended {1,2,3,4,5}, which reached 5 alone. Member 2 leads term 2.
        let second = Subject(id: 2, voters: [1, 2, 3, 4])
        second.becomeLeader(helpedBy: [3, 4])
        second.persist()
        second.accept(from: 3)
        #expect(second.change(.remove(member(1))).result == .failure(.notEstablished))
        second.accept(from: 4)
        #expect(second.change(.remove(member(1))).result == .success(index(2)))
        // Then 4 has the no-op, so the first leader cannot win {1,4,5} and overwrite what {2,3} committed.
        let fourth = Subject(id: 4, voters: [1, 2, 3, 4])
        fourth.receive(
            from: 2, term: 2,
            .append(
                previous: .zero, entries: [Entry(index: index(1), term: Term(2), kind: .noop, payload: [])],
                commit: .zero, readPosition: 0))
        fourth.persist()
        fourth.advance(.seconds(2))
        let asked = fourth.receive(from: 1, term: 3, .requestVote(last: position(1, 1), transfer: false))
        #expect(asked.messages.map(\.body) == [.voteResponse(granted: false)])
    }

    @Test("B07: no second change before the first is committed (redisraft 17)")
    func secondChange() {
        let subject = Subject(voters: [1, 2, 3, 4, 5])
        subject.becomeEstablishedLeader(peers: [2, 3, 4, 5])
        #expect(subject.change(.remove(member(5))).result == .success(index(2)))
        subject.persist()
        #expect(subject.change(.remove(member(4))).result == .failure(.changePending))
        subject.accept(from: 2)
        #expect(subject.change(.remove(member(4))).result == .failure(.changePending))
        subject.accept(from: 3)
        #expect(subject.change(.remove(member(4))).result == .success(index(3)))
    }

    @Test("B08: a wiped member that comes back under its name elects nobody (openraft 2002, etcd 20269)")
    func wipedMember() {
        let wiped = Subject(id: 2, voters: [], recovery: Recovery(claimed: nil))
        wiped.advance(.seconds(1))
        #expect(
            wiped.receive(from: 3, term: 9, .preVote(last: position(5, 4))).messages.map(\.body) == [
                .preVoteResponse(granted: false)
            ])
        #expect(
            wiped.receive(from: 3, term: 9, .requestVote(last: position(5, 4), transfer: false)).messages.map(\.body)
                == [.voteResponse(granted: false)])
        // Nor does its word commit anything.
        let leader = Subject()
        leader.becomeEstablishedLeader()
        leader.propose("x")
        leader.persist()
        leader.accept(from: 2, isRecovering: true)
        #expect(leader.node.commitIndex == index(1))
        leader.accept(from: 3)
        #expect(leader.node.commitIndex == index(2))
    }

    @Test("B19: what the log forgets up to carries the committed configuration; an uncommitted one can be cut off")
    func snapshotConfiguration() {
        var limits = RaftLimits()
        limits.trailingEntries = 0
        let subject = Subject(id: 2, limits: limits)
        subject.receive(
            from: 1, term: 1,
            .append(
                previous: .zero, entries: [entry(1, 1), change(2, 1, [1, 2, 3, 4])], commit: index(1), readPosition: 0))
        subject.persist()
        let base = subject.step(.stateDurable(index(1))).compactTo
        #expect(base == LogBase(position: position(1, 1), configuration: Configuration(voters: members(1, 2, 3))))
        #expect(subject.node.base.configuration == Configuration(voters: members(1, 2, 3)))
        subject.receive(
            from: 3, term: 2,
            .append(previous: position(1, 1), entries: [entry(2, 2)], commit: .zero, readPosition: 0))
        #expect(subject.node.configuration == Configuration(voters: members(1, 2, 3)))
    }
}
