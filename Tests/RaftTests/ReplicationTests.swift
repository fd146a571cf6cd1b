import Primitives
import Raft
import Testing

@Suite("Replication")
struct ReplicationTests {
    @Test("Only a leader takes proposals, and says who leads")
    func notLeader() {
        let subject = Subject()
        var effects = RaftEffects()
        #expect(subject.node.propose([[1]], at: subject.now, into: &effects) == .failure(.notLeader(known: nil)))
        subject.hearLeader(2, term: 1)
        let refused = subject.node.propose([[1]], at: subject.now, into: &effects)
        #expect(refused == .failure(.notLeader(known: member(2))))
        #expect(effects.isEmpty)
    }

    @Test("Too much uncommitted payload is refused; one proposal always fits an empty tail, and empty ones always")
    func overloaded() {
        var limits = RaftLimits()
        limits.uncommittedBytesMax = 10
        let subject = Subject(limits: limits)
        subject.becomeEstablishedLeader()
        #expect(!subject.propose("much more than ten bytes").batches.isEmpty)
        var effects = RaftEffects()
        let refused = subject.node.propose([[1]], at: subject.now, into: &effects)
        #expect(refused == .failure(.overloaded))
        #expect(!subject.propose("").batches.isEmpty)
        subject.persist()
        subject.accept(from: 2)
        #expect(!subject.propose("123456").batches.isEmpty)
        #expect(!subject.propose("1234").batches.isEmpty)
        let full = subject.node.propose([[1]], at: subject.now, into: &effects)
        #expect(full == .failure(.overloaded))
    }

    @Test("Until the first answer a peer gets one append at a time, then they are sent ahead")
    func probeThenStream() {
        let subject = Subject()
        subject.becomeLeader()
        #expect(subject.propose("x").messages.isEmpty)
        let effects = subject.accept(from: 2, match: 1)
        #expect(effects.bodies(to: member(2)).compactMap(\.appendedEntries) == [[entry(2, 1, "x")]])
        #expect(subject.propose("y").bodies(to: member(2)).compactMap(\.appendedEntries) == [[entry(3, 1, "y")]])
        #expect(subject.node.progress[0].window.count == 2)
    }

    @Test("One append holds at most the byte limit, and always one entry")
    func appendSize() {
        var limits = RaftLimits()
        limits.appendBytesMax = 4
        let subject = Subject(limits: limits)
        subject.becomeEstablishedLeader()
        let effects = subject.propose("aaaaaa", "bb", "cc", "d")
        #expect(effects.bodies(to: member(2)).compactMap { $0.appendedEntries?.count } == [1, 2, 1])
        #expect(effects.bodies(to: member(2)).compactMap { $0.appendPrevious?.index.number } == [1, 2, 4])
    }

    @Test("A window full of bytes stops the stream until an answer frees it")
    func windowBytes() {
        var limits = RaftLimits()
        limits.windowBytesMax = 4
        let subject = Subject(limits: limits)
        subject.becomeEstablishedLeader()
        subject.propose("abcd")
        #expect(subject.propose("e").messages.isEmpty)
        let effects = subject.accept(from: 2, match: 2)
        #expect(effects.bodies(to: member(2)).compactMap(\.appendedEntries) == [[entry(3, 1, "e")]])
    }

    @Test("Until the effects are drained, appends to a peer and writes to the log grow instead of multiplying")
    func coalescing() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        var effects = RaftEffects()
        for text in ["a", "b", "c"] {
            _ = subject.node.propose([Array(text.utf8)], at: subject.now, into: &effects)
        }
        #expect(effects.batches.count == 1)
        #expect(effects.batches[0].entries == [entry(2, 1, "a"), entry(3, 1, "b"), entry(4, 1, "c")])
        #expect(effects.bodies(to: member(2)).compactMap(\.appendedEntries) == [effects.batches[0].entries])
        #expect(effects.messages.count == 2)
        #expect(subject.node.progress[0].window.count == 1)
        // Drained: from here on it is a new write and a new message.
        effects = RaftEffects()
        _ = subject.node.propose([[100]], at: subject.now, into: &effects)
        #expect(effects.batches.map(\.entries.count) == [1])
        #expect(effects.bodies(to: member(2)).compactMap { $0.appendPrevious?.index.number } == [4])
        #expect(subject.node.progress[0].window.count == 2)
    }

    @Test("Both peers' messages share one array with the log's batch in content and order")
    func laggardGetsItsOwn() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        _ = subject.step(.unreachable(member(3)))
        let effects = subject.propose("y")
        #expect(effects.bodies(to: member(2)).compactMap { $0.appendedEntries?.count } == [1])
        #expect(effects.bodies(to: member(3)).compactMap { $0.appendedEntries?.count } == [2])
    }

    @Test("Answers of a follower to several appends of one drain are one answer")
    func coalescedAnswers() {
        let subject = Subject(id: 2)
        subject.hearLeader(1, term: 1)
        subject.persist()
        var effects = RaftEffects()
        for place in 1...3 as ClosedRange<UInt64> {
            let previous = place == 1 ? LogPosition.zero : position(place - 1, 1)
            let body = Message.Body.append(
                previous: previous, entries: [entry(place, 1)], commit: .zero, readPosition: place)
            let message = Message(from: member(1), to: member(2), term: Term(1), body: body)
            subject.node.step(.received(message), at: subject.now, into: &effects)
        }
        #expect(effects.batches.count == 1)
        #expect(effects.messages.map(\.body) == [.appendAccepted(match: index(3), readPosition: 3)])
        #expect(effects.envelopes.map(\.gate) == [effects.batches[0].number])
    }

    @Test("Old and impossible acknowledgements change nothing")
    func strayAcknowledgements() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x", "y")
        subject.accept(from: 2, match: 3)
        subject.accept(from: 2, match: 2)
        #expect(subject.node.match(of: member(2)) == index(3))
        subject.accept(from: 3, match: 99)
        #expect(subject.node.match(of: member(3)) == index(1))
        #expect(subject.receive(from: 9, term: 1, .appendAccepted(match: index(3), readPosition: 0)).isEmpty)
    }

    @Test("A stale rejection moves nothing")
    func staleRejection() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        subject.accept(from: 2)
        let stale = Message.Body.appendRejected(rejected: index(1), hint: .zero, readPosition: 0)
        #expect(subject.receive(from: 2, term: 1, stale).isEmpty)
        #expect(subject.node.progress[0].state == .replicate)
        #expect(subject.node.progress[0].next == index(3))
    }

    @Test("A read round's answers do not make the leader probe more often than heartbeats do")
    func nudges() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        subject.advance(.milliseconds(60))
        #expect(subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 0)).messages.count == 1)
        #expect(subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 0)).messages.isEmpty)
        subject.advance(.milliseconds(30))
        #expect(subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 0)).messages.count == 1)
    }

    @Test("A heartbeat that promises more than the follower holds moves no commit index")
    func heartbeatBeyondEnd() {
        let subject = Subject(id: 2, log: entries([1, 1]), hardState: HardState(term: Term(1)))
        #expect(subject.hearLeader(1, term: 1, commit: 5).committed.isEmpty)
        #expect(subject.node.commitIndex == .zero)
        #expect(subject.hearLeader(1, term: 1, commit: 2).committed.count == 2)
    }

    @Test("A learner gets the log, counts for nothing, and commits")
    func learner() {
        let subject = Subject(voters: [1, 2, 3], learners: [4])
        let won = subject.becomeLeader()
        #expect(won.bodies(to: member(4)).count == 1)
        subject.persist()
        subject.accept(from: 4)
        #expect(subject.node.commitIndex == .zero)
        let effects = subject.accept(from: 2)
        #expect(effects.bodies(to: member(4)).compactMap(\.commit) == [index(1)])
    }

    @Test("Leadership is told when role, term, leader or standing change, and only then")
    func leadership() {
        let subject = Subject()
        let won = subject.becomeLeader()
        #expect(
            won.leadership == Leadership(role: .leader, term: Term(1), leader: member(1), isEstablished: false))
        subject.persist()
        let standing = subject.accept(from: 2)
        #expect(standing.leadership?.isEstablished == true)
        #expect(subject.accept(from: 3).leadership == nil)
        #expect(subject.hearLeader(2, term: 2).leadership?.leader == member(2))
        #expect(subject.hearLeader(2, term: 2).leadership == nil)
    }

    @Test("Adding a member to the configuration gives it a progress record at once, removing takes it")
    func reconcile() {
        let grown = Configuration(voters: members(1, 2, 4), learners: members(5))
        let change = Entry(
            index: index(1), term: Term(1), kind: .configuration,
            payload: ConfigurationEntry(configuration: grown).encoded())
        let subject = Subject(log: [change], hardState: HardState(term: Term(1)))
        subject.becomeLeader()
        #expect(subject.node.progress.map(\.id) == members(2, 4, 5))
    }

    @Test(
        "A follower that refuses names its highest entry that may be the leader's",
        arguments: [
            (position(10, 6), position(7, 4)), (position(6, 3), position(3, 1)), (position(5, 9), position(5, 4)),
            (position(20, 0), position(0, 0)),
        ])
    func hint(previous: LogPosition, expected: LogPosition) {
        let subject = Subject(log: entries([1, 1, 1, 4, 4, 4, 4]), hardState: HardState(term: Term(9)))
        let effects = subject.receive(
            from: 2, term: 9, .append(previous: previous, entries: [], commit: .zero, readPosition: 4))
        #expect(
            effects.messages.map(\.body) == [
                .appendRejected(rejected: previous.index, hint: expected, readPosition: 4)
            ])
    }

    @Test(
        "A leader probes next at its highest entry that may be the follower's",
        arguments: [
            (position(11, 3), position(3, 1)), (position(7, 4), position(5, 4)), (position(9, 6), position(9, 6)),
            (position(4, 5), position(4, 4)), (position(0, 0), position(0, 0)),
        ])
    func probeAfterHint(hint: LogPosition, expected: LogPosition) {
        let subject = Subject(log: entries([1, 1, 1, 4, 4, 5, 5, 6, 6, 6]), hardState: HardState(term: Term(7)))
        subject.becomeLeader(helpedBy: [3])
        let effects = subject.receive(
            from: 2, term: 8, .appendRejected(rejected: index(10), hint: hint, readPosition: 0))
        #expect(effects.bodies(to: member(2)).compactMap(\.appendPrevious) == [expected])
    }

    @Test("An append in the same drain that goes back is a message of its own")
    func goingBack() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        var effects = RaftEffects()
        _ = subject.node.propose([[1], [2]], at: subject.now, into: &effects)
        subject.node.step(.unreachable(member(3)), at: subject.now, into: &effects)
        let accepted = Message.Body.appendAccepted(match: index(1), readPosition: 0)
        subject.node.step(
            .received(Message(from: member(3), to: member(1), term: Term(1), body: accepted)), at: subject.now,
            into: &effects)
        let sent = effects.bodies(to: member(3)).compactMap(\.appendedEntries)
        #expect(sent.map { $0.map(\.index) } == [[index(2), index(3)], [index(2), index(3)]])
    }
}
