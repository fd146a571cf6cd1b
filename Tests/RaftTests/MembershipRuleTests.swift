import Primitives
import Raft
import Testing

/// What a leader does with a change of the membership: paper §6, dissertation §4.
@Suite("Membership rules")
struct MembershipRuleTests {
    private func configurations(in effects: RaftEffects) -> [ConfigurationEntry] {
        effects.writtenEntries.filter { $0.kind == .configuration }.compactMap {
            try? ConfigurationEntry.decode($0.payload)
        }
    }

    private func orders(in effects: RaftEffects) -> [MemberID] {
        effects.messages.filter { $0.body == .timeoutNow }.map(\.to)
    }

    @Test("Only a leader that is neither new nor on its way out takes a change")
    func refused() {
        let subject = Subject()
        subject.hearLeader(2, term: 1)
        #expect(subject.change(.addLearner(member(4))).result == .failure(.notLeader(known: member(2))))
        subject.becomeLeader()
        #expect(subject.change(.addLearner(member(4))).result == .failure(.notEstablished))
        subject.persist()
        subject.accept(from: 3)
        #expect(
            subject.change(.remove(member(1)), .remove(member(2)), .remove(member(3))).result
                == .failure(.invalid(.removedAllVoters)))
        _ = subject.transfer(to: 2)
        let refused = subject.change(.addLearner(member(4)))
        #expect(refused.result == .failure(.transferring))
        #expect(refused.effects.batches.isEmpty)
    }

    @Test("One voter and learners change directly: in force when appended, sent to the new member at once")
    func simple() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (result, effects) = subject.change(.addVoter(member(4)), .addLearner(member(5)), context: [7])
        #expect(result == .success(index(2)))
        let grown = Configuration(voters: members(1, 2, 3, 4), learners: members(5))
        #expect(configurations(in: effects) == [ConfigurationEntry(configuration: grown, context: [7])])
        #expect(subject.node.configuration == grown)
        #expect(subject.node.committedConfiguration == Configuration(voters: members(1, 2, 3)))
        #expect(subject.node.isChangingConfiguration)
        #expect(effects.messages.map(\.to) == members(2, 3, 4, 5))
        subject.persist()
        subject.accept(from: 2)
        #expect(subject.node.commitIndex == index(1), "three of four are needed")
        subject.accept(from: 5)
        #expect(subject.node.commitIndex == index(1), "a learner does not count")
        #expect(subject.accept(from: 4).committed.map(\.kind) == [.configuration])
        #expect(!subject.node.isChangingConfiguration)
    }

    @Test("More voters go through a joint configuration, which is left as soon as both halves have it")
    func joint() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (_, effects) = subject.change(
            .remove(member(2)), .addLearner(member(3)), .addVoter(member(4)), .addVoter(member(5)), context: [1])
        let joint = Configuration(voters: members(1, 4, 5), outgoing: members(1, 2, 3), learnersNext: members(3))
        #expect(configurations(in: effects) == [ConfigurationEntry(configuration: joint, context: [1])])
        subject.persist()
        #expect(configurations(in: subject.accept(from: 2)).isEmpty)
        #expect(subject.node.commitIndex == index(1), "the new half has not got it")
        let left = subject.accept(from: 4)
        let final = Configuration(voters: members(1, 4, 5), learners: members(3))
        #expect(subject.node.commitIndex == index(2))
        #expect(configurations(in: left) == [ConfigurationEntry(configuration: final)])
        #expect(subject.change(.addLearner(member(8))).result == .failure(.changePending))
        subject.persist()
        subject.accept(from: 3)
        #expect(subject.node.isChangingConfiguration, "the old half no longer counts")
        subject.accept(from: 5)
        #expect(!subject.node.isChangingConfiguration)
        #expect(subject.node.match(of: member(2)) == nil)
    }

    @Test("A new leader leaves the joint configuration it finds, once its own no-op is committed")
    func jointInherited() {
        let joint = Configuration(voters: members(1, 2, 4), outgoing: members(1, 2, 3))
        let change = Entry(
            index: index(1), term: Term(1), kind: .configuration,
            payload: ConfigurationEntry(configuration: joint).encoded())
        let subject = Subject(log: [change], hardState: HardState(term: Term(1)))
        subject.becomeLeader(helpedBy: [2])
        subject.persist()
        #expect(configurations(in: subject.accept(from: 2, match: 1)).isEmpty)
        let left = subject.accept(from: 2)
        #expect(configurations(in: left).map(\.configuration) == [Configuration(voters: members(1, 2, 4))])
    }

    @Test("A leader that is left out leads on without counting itself, then hands over")
    func leaderLeaves() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (result, effects) = subject.change(.remove(member(1)))
        #expect(result == .success(index(2)))
        #expect(effects.messages.map(\.to) == members(2, 3))
        subject.persist()
        subject.propose("x")
        subject.accept(from: 2, match: 2)
        #expect(
            subject.node.commitIndex == index(1), "itself and one other are not a majority of the two that are left")
        let committed = subject.accept(from: 3)
        #expect(committed.committed.map(\.index) == [index(2)])
        #expect(subject.node.role == .leader)
        #expect(orders(in: committed) == members(3))
        subject.advance(.milliseconds(500))
        _ = subject.step(.timer)
        #expect(subject.node.role == .follower, "its successor did not answer the call")
        for _ in 0..<3 { #expect(subject.fireDeadline().messages.isEmpty) }
    }

    @Test("A leader that becomes a learner hands over too, and nobody follows a change that leaves nobody reachable")
    func leaderDemoted() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        _ = subject.change(.addLearner(member(1)))
        #expect(subject.node.configuration == Configuration(voters: members(2, 3), learners: members(1)))
        subject.accept(from: 2)
        #expect(orders(in: subject.accept(from: 3)).count == 1)
        let lonely = Subject(voters: [1, 2])
        lonely.becomeEstablishedLeader(peers: [2])
        _ = lonely.change(.remove(member(1)))
        lonely.advance(.milliseconds(100))
        lonely.accept(from: 2)
        #expect(lonely.node.isTransferring)
        lonely.hearLeader(2, term: 2)
        #expect(lonely.node.role == .follower)
    }

    @Test("§4.2.2: whoever holds the only copy of the entry that leaves it out can still be elected")
    func onlyCopy() {
        let left = Configuration(voters: members(2))
        let change = Entry(
            index: index(1), term: Term(1), kind: .configuration,
            payload: ConfigurationEntry(configuration: left).encoded())
        let subject = Subject(voters: [1, 2], log: [change], hardState: HardState(term: Term(1)))
        // The other one lacks the entry, so it cannot win this member's vote, which it needs.
        subject.advance(.milliseconds(500))
        let asked = subject.receive(from: 2, term: 2, .requestVote(last: .zero, transfer: false))
        #expect(asked.messages.map(\.body) == [.voteResponse(granted: false)])
        subject.persist()
        #expect(subject.fireDeadline().messages.map(\.to) == members(2))
        subject.receive(from: 2, term: 3, .preVoteResponse(granted: true))
        subject.persist()
        subject.receive(from: 2, term: 3, .voteResponse(granted: true))
        #expect(subject.node.role == .leader)
        subject.persist()
        #expect(orders(in: subject.accept(from: 2)) == members(2))
        // Known to be committed, it is the end.
        let gone = Subject(voters: [1, 2], log: [change], hardState: HardState(term: Term(1), commit: index(1)))
        for _ in 0..<3 { #expect(gone.fireDeadline().messages.isEmpty) }
    }

    @Test("A new voter counts as just heard, so that adding it does not depose the leader")
    func newVoterIsActive() {
        let subject = Subject(voters: [1])
        subject.fireDeadline()
        subject.persist()
        subject.persist()
        subject.advance(.seconds(60))
        _ = subject.change(.addVoter(member(2)))
        _ = subject.step(.timer)
        #expect(subject.node.role == .leader)
        subject.advance(.milliseconds(499))
        _ = subject.step(.timer)
        #expect(subject.node.role == .leader)
        subject.advance(.milliseconds(1))
        _ = subject.step(.timer)
        #expect(subject.node.role == .follower)
    }

    @Test("Removed and added again in one change: nothing is known of the member any more")
    func renewed() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        #expect(subject.node.match(of: member(3)) == index(1))
        _ = subject.change(.remove(member(3)), .addLearner(member(3)))
        #expect(subject.node.match(of: member(3)) == .zero)
        #expect(subject.node.progress[1].state == .probe)
        #expect(subject.node.match(of: member(2)) == index(1))
    }

    @Test("A read that waited for a removed voter is answered, and the tail's bound does not stop a change")
    func sideEffects() {
        var limits = RaftLimits()
        limits.uncommittedBytesMax = 3
        let subject = Subject(voters: [1, 2], limits: limits)
        subject.becomeEstablishedLeader(peers: [2])
        subject.propose("xyz")
        let (read, asked) = subject.read()
        #expect(asked.readsReady.isEmpty)
        let (result, effects) = subject.change(.remove(member(2)))
        #expect(result == .success(index(3)))
        #expect(effects.readsReady == [ReadReady(id: read, index: index(1))])
        #expect(subject.persist().committed.map(\.index) == [index(2), index(3)])
    }
}
