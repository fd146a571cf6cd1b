import Primitives
import Raft
import Testing

/// Rules of the Raft paper (extended version, §6) and of the dissertation (§4): who decides.
@Suite("Paper: membership")
struct PaperMembershipTests {
    @Test("§6: a configuration is in force when appended and gone when cut off")
    func configurationInForce() {
        let subject = Subject(log: entries([1]), hardState: HardState(term: Term(1)))
        let grown = Configuration(voters: members(1, 2, 3, 4))
        let change = Entry(
            index: index(2), term: Term(1), kind: .configuration,
            payload: ConfigurationEntry(configuration: grown).encoded())
        subject.receive(
            from: 2, term: 1, .append(previous: position(1, 1), entries: [change], commit: .zero, readPosition: 0))
        #expect(subject.node.configuration == grown)
        #expect(subject.node.committedConfiguration == Configuration(voters: members(1, 2, 3)))
        subject.receive(
            from: 3, term: 2,
            .append(previous: position(1, 1), entries: [entry(2, 2)], commit: .zero, readPosition: 0))
        #expect(subject.node.configuration == Configuration(voters: members(1, 2, 3)))
    }

    @Test("§6: a joint configuration needs both majorities to elect and to commit")
    func jointDecisions() {
        let joint = Configuration(voters: members(1, 2, 3), outgoing: members(1, 4, 5))
        let change = Entry(
            index: index(1), term: Term(1), kind: .configuration,
            payload: ConfigurationEntry(configuration: joint).encoded())
        let subject = Subject(log: [change], hardState: HardState(term: Term(1)))
        subject.fireDeadline()
        for voter in 2...5 as ClosedRange<UInt64> {
            subject.receive(from: voter, term: 2, .preVoteResponse(granted: true))
        }
        subject.persist()
        subject.receive(from: 2, term: 2, .voteResponse(granted: true))
        subject.receive(from: 3, term: 2, .voteResponse(granted: true))
        #expect(subject.node.role == .candidate)
        subject.receive(from: 4, term: 2, .voteResponse(granted: true))
        #expect(subject.node.role == .leader)
        subject.persist()
        subject.accept(from: 2)
        subject.accept(from: 3)
        #expect(subject.node.commitIndex == .zero)
        subject.accept(from: 5)
        #expect(subject.node.commitIndex == index(2))
    }

    private func change(
        _ subject: Subject, _ operations: MembershipOperation...
    ) -> (Result<LogIndex, ConfigurationRefusal>, RaftEffects) {
        var effects = RaftEffects()
        let result = subject.node.proposeConfiguration(operations, context: [7], at: subject.now, into: &effects)
        subject.batches += effects.batches
        return (result, effects)
    }

    /// The configurations in these entries.
    private func configurations(_ entries: [Entry]) -> [ConfigurationEntry] {
        entries.filter { $0.kind == .configuration }.compactMap { try? ConfigurationEntry.decode($0.payload) }
    }

    @Test("§6: several voters change through a joint configuration, which is left once it is committed")
    func jointIsLeft() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (result, effects) = change(subject, .addVoter(member(4)), .addVoter(member(5)), .remove(member(2)))
        #expect(result == .success(index(2)))
        let joint = Configuration(voters: members(1, 3, 4, 5), outgoing: members(1, 2, 3))
        #expect(configurations(effects.writtenEntries) == [ConfigurationEntry(configuration: joint, context: [7])])
        #expect(subject.node.configuration == joint)
        subject.persist()
        // A majority of the new half alone, then of both.
        subject.accept(from: 4)
        #expect(subject.accept(from: 5).committed.isEmpty)
        let left = subject.accept(from: 3)
        #expect(left.committed.map(\.index) == [index(2)])
        let new = Configuration(voters: members(1, 3, 4, 5))
        #expect(configurations(left.writtenEntries) == [ConfigurationEntry(configuration: new)])
        #expect(subject.node.configuration == new)
        #expect(subject.node.isChangingConfiguration)
        subject.persist()
        subject.accept(from: 4)
        subject.accept(from: 5)
        #expect(!subject.node.isChangingConfiguration)
        #expect(subject.node.progress.map(\.id) == members(3, 4, 5))
    }

    @Test("§6: a new leader finishes what it finds joint")
    func jointIsInherited() {
        let joint = Configuration(voters: members(1, 2, 4), outgoing: members(1, 2, 3))
        let found = Entry(
            index: index(1), term: Term(1), kind: .configuration,
            payload: ConfigurationEntry(configuration: joint, context: [7]).encoded())
        let subject = Subject(log: [found], hardState: HardState(term: Term(1)))
        subject.becomeLeader(helpedBy: [2])
        subject.persist()
        let effects = subject.accept(from: 2)
        #expect(effects.committed.map(\.index) == [index(1), index(2)])
        let new = Configuration(voters: members(1, 2, 4))
        #expect(configurations(effects.writtenEntries) == [ConfigurationEntry(configuration: new)])
    }

    @Test("§6: new members first learn, without a vote or a say in what is committed")
    func learners() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (_, effects) = change(subject, .addLearner(member(4)), .addLearner(member(5)))
        #expect(!effects.bodies(to: member(4)).isEmpty)
        subject.accept(from: 4)
        #expect(subject.accept(from: 5).committed.isEmpty)
        subject.persist()
        #expect(subject.node.commitIndex == index(1))
        #expect(subject.accept(from: 2).committed.map(\.index) == [index(2)])
    }

    @Test(
        "Dissertation §4.1: one voter at a time needs no joint configuration; it counts from the moment it is appended")
    func single() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (result, effects) = change(subject, .addVoter(member(4)))
        #expect(result == .success(index(2)))
        let four = Configuration(voters: members(1, 2, 3, 4))
        #expect(configurations(effects.writtenEntries) == [ConfigurationEntry(configuration: four, context: [7])])
        #expect(subject.node.configuration == four)
        // Two of four are no majority any more.
        subject.persist()
        #expect(subject.accept(from: 2).committed.isEmpty)
        #expect(subject.accept(from: 4).committed.map(\.index) == [index(2)])
    }

    @Test("Dissertation §4.1: a change waits until the one before is committed")
    func oneAtATime() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        #expect(change(subject, .addVoter(member(4))).0 == .success(index(2)))
        #expect(change(subject, .addVoter(member(5))).0 == .failure(.changePending))
        subject.persist()
        subject.accept(from: 2)
        subject.accept(from: 3)
        #expect(change(subject, .addVoter(member(5))).0 == .success(index(3)))
    }

    @Test("Dissertation §4.1, as corrected in 2015: no change before an entry of the leader's own term is committed")
    func notBeforeNoop() {
        let subject = Subject(log: entries([1]), hardState: HardState(term: Term(1)))
        subject.becomeLeader()
        #expect(change(subject, .addVoter(member(4))).0 == .failure(.notEstablished))
        subject.persist()
        subject.accept(from: 2)
        #expect(change(subject, .addVoter(member(4))).0 == .success(index(3)))
    }

    @Test("Dissertation §4.2.1: a learner is ready when a round of catching up was shorter than an election timeout")
    func catchingUp() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        for _ in 0..<50 { subject.propose("x") }
        _ = change(subject, .addLearner(member(4)))
        subject.persist()
        subject.accept(from: 2)
        func obstacle() -> PromotionObstacle? { subject.node.promotionObstacle(of: member(4), at: subject.now) }
        func pass(_ span: TimeSpan) {
            subject.advance(span)
            for voter in [2, 3] as [UInt64] {
                subject.receive(from: voter, term: 1, .heartbeatResponse(readPosition: 0))
            }
        }
        #expect(obstacle() == .silent)
        subject.receive(
            from: 4, term: 1, .appendRejected(rejected: index(51), hint: .zero, readPosition: 0))
        #expect(obstacle() == .notReplicating)
        subject.accept(from: 4, match: 10)
        #expect(obstacle() == .catchingUp)
        // The first round takes too long; the next one, of what came meanwhile, does not.
        pass(.milliseconds(600))
        subject.propose("y")
        subject.persist()
        subject.accept(from: 2)
        subject.accept(from: 4, match: 52)
        #expect(obstacle() == .catchingUp)
        pass(.milliseconds(100))
        subject.accept(from: 4)
        #expect(obstacle() == nil)
        #expect(change(subject, .addVoter(member(4))).0 == .success(index(54)))
    }

    @Test("Dissertation §4.2.2: a leader that is left out leads on without counting itself, and then hands over")
    func leaderRemoved() {
        let subject = Subject(voters: [1, 2, 3, 4])
        subject.becomeEstablishedLeader(peers: [2, 3, 4])
        let (result, _) = change(subject, .remove(member(1)))
        #expect(result == .success(index(2)))
        #expect(subject.node.role == .leader)
        subject.persist()
        // Itself and one other: two of the three that count are needed.
        #expect(subject.accept(from: 2).committed.isEmpty)
        #expect(!subject.propose("x").messages.isEmpty)
        let effects = subject.accept(from: 3, match: 2)
        #expect(effects.committed.map(\.index) == [index(2)])
        #expect(subject.node.isTransferring)
        let ordered = subject.accept(from: 2).messages + subject.accept(from: 3).messages
        #expect(ordered.contains { $0.body == .timeoutNow })
        subject.receive(from: 2, term: 2, .requestVote(last: position(3, 1), transfer: true))
        #expect(subject.node.role == .follower)
        // Out of office it never campaigns again.
        subject.hearLeader(2, term: 2, commit: 3)
        for _ in 0..<5 { subject.fireDeadline() }
        #expect(subject.node.term == Term(2))
        #expect(subject.node.role == .follower)
    }

    @Test("Dissertation §4.3: neither half of a joint configuration elects or commits alone", arguments: [true, false])
    func halves(isNewHalf: Bool) {
        let joint = Configuration(voters: members(1, 2, 3), outgoing: members(1, 4, 5))
        let found = Entry(
            index: index(1), term: Term(1), kind: .configuration,
            payload: ConfigurationEntry(configuration: joint).encoded())
        let half: [UInt64] = isNewHalf ? [2, 3] : [4, 5]
        let subject = Subject(log: [found], hardState: HardState(term: Term(1)))
        subject.fireDeadline()
        for voter in half { subject.receive(from: voter, term: 2, .preVoteResponse(granted: true)) }
        #expect(subject.node.role == .preCandidate)
        let leader = Subject(log: [found], hardState: HardState(term: Term(1)))
        leader.becomeLeader(helpedBy: [2, 4])
        leader.persist()
        for voter in half { #expect(leader.accept(from: voter).committed.isEmpty) }
        let other: UInt64 = isNewHalf ? 4 : 2
        #expect(leader.accept(from: other).committed.map(\.index) == [index(1), index(2)])
    }
}
