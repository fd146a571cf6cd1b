import Primitives
import Raft
import Testing

@Suite("Reads")
struct ReadTests {
    @Test("A round starts at once; later arrivals share the next one")
    func rounds() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (first, one) = subject.read()
        #expect(one.messages.count == 2)
        let (second, two) = subject.read()
        let (third, three) = subject.read()
        #expect(two.isEmpty && three.isEmpty)
        let confirmed = subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 1))
        #expect(confirmed.readsReady.map(\.id) == [first])
        #expect(confirmed.messages.compactMap(\.body.readPosition) == [2, 2])
        let rest = subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 2))
        #expect(rest.readsReady.map(\.id) == [second, third])
    }

    @Test("Appends carry the position too, and their answers confirm it")
    func appendsCarry() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (read, _) = subject.read()
        #expect(subject.propose("x").messages.compactMap(\.body.readPosition) == [1, 1])
        #expect(subject.accept(from: 2, readPosition: 1).readsReady.map(\.id) == [read])
        let (second, _) = subject.read()
        let rejected = Message.Body.appendRejected(rejected: .zero, hint: .zero, readPosition: 2)
        #expect(subject.receive(from: 3, term: 1, rejected).readsReady.map(\.id) == [second])
    }

    @Test("Learners and strangers confirm nothing")
    func learners() {
        let subject = Subject(learners: [4])
        subject.becomeEstablishedLeader()
        _ = subject.read()
        #expect(subject.receive(from: 4, term: 1, .heartbeatResponse(readPosition: 1)).readsReady.isEmpty)
        #expect(subject.receive(from: 9, term: 1, .heartbeatResponse(readPosition: 1)).readsReady.isEmpty)
        #expect(!subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1)).readsReady.isEmpty)
    }

    @Test("A read is never served below what was committed when it came")
    func index() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        subject.persist()
        subject.accept(from: 2)
        let (_, _) = subject.read()
        subject.propose("y")
        subject.persist()
        subject.accept(from: 2)
        let effects = subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1))
        #expect(effects.readsReady.map(\.index) == [LogIndex(2)])
    }

    @Test("A leader that loses leadership aborts its reads and refuses those of others")
    func abort() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (first, _) = subject.read()
        let (second, _) = subject.read()
        subject.receive(from: 3, term: 1, .readIndex(id: 77))
        var effects = RaftEffects()
        while subject.node.role == .leader { effects = subject.fireDeadline() }
        #expect(effects.readsAborted == [first, second])
        #expect(effects.bodies(to: member(3)) == [.readIndexRefused(id: 77)])
        #expect(
            subject.receive(from: 3, term: 1, .readIndex(id: 78)).messages.map(\.body) == [.readIndexRefused(id: 78)])
    }

    @Test("A follower's read goes to the leader, and answers with its index")
    func forwarded() {
        let leader = Subject()
        leader.becomeEstablishedLeader()
        let follower = Subject(id: 2)
        follower.hearLeader(1, term: 1)
        let (read, asked) = follower.read()
        let (shared, more) = follower.read()
        #expect(asked.messages.map(\.to) == members(1))
        #expect(more.isEmpty)
        let round = leader.step(.received(asked.messages[0]))
        #expect(round.messages.compactMap(\.body.readPosition) == [1, 1])
        let answer = leader.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 1)).messages[0]
        let effects = follower.step(.received(answer))
        #expect(effects.readsReady == [ReadReady(id: read, index: LogIndex(1))])
        #expect(effects.messages.count == 1)
        let again = leader.step(.received(effects.messages[0]))
        #expect(again.messages.compactMap(\.body.readPosition) == [2, 2])
        let last = leader.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 2)).messages[0]
        #expect(follower.step(.received(last)).readsReady.map(\.id) == [shared])
        #expect(follower.step(.received(last)).isEmpty)
    }

    @Test("Without a leader a read waits for one, and goes out with its first word")
    func queued() {
        let subject = Subject(id: 2)
        let (read, asked) = subject.read()
        #expect(asked.isEmpty)
        let effects = subject.hearLeader(1, term: 1)
        #expect(effects.readsAborted.isEmpty)
        #expect(effects.messages.contains { if case .readIndex = $0.body { true } else { false } })
        #expect(subject.hearLeader(3, term: 2).readsAborted == [read])
    }

    @Test("A waiting read is served by the member itself when it is elected")
    func queuedThenElected() {
        let subject = Subject()
        let (read, _) = subject.read()
        subject.becomeLeader()
        subject.persist()
        let round = subject.accept(from: 2)
        #expect(round.messages.compactMap(\.body.readPosition).contains(1))
        #expect(subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1)).readsReady.map(\.id) == [read])
    }

    @Test("A lost request is asked again under a fresh id when the leader is heard")
    func resent() {
        let subject = Subject(id: 2)
        subject.hearLeader(1, term: 1)
        let (read, asked) = subject.read()
        #expect(subject.hearLeader(1, term: 1).messages.count == 1)
        subject.advance(.milliseconds(100))
        let again = subject.hearLeader(1, term: 1).messages.filter {
            if case .readIndex = $0.body { true } else { false }
        }
        guard case .readIndex(let old) = asked.messages.first?.body, case .readIndex(let fresh) = again.first?.body
        else {
            Issue.record("not asked twice")
            return
        }
        #expect(old != fresh)
        #expect(subject.receive(from: 1, term: 1, .readIndexResponse(id: old, index: LogIndex(5))).isEmpty)
        #expect(
            subject.receive(from: 1, term: 1, .readIndexResponse(id: fresh, index: LogIndex(5))).readsReady == [
                ReadReady(id: read, index: LogIndex(5))
            ])
    }

    @Test("A refusal means that the term has no leader any more")
    func refused() {
        let subject = Subject(id: 2)
        subject.advance(.milliseconds(600))
        subject.hearLeader(1, term: 1)
        let (read, asked) = subject.read()
        guard case .readIndex(let request) = asked.messages.first?.body else {
            Issue.record("not asked")
            return
        }
        #expect(subject.receive(from: 3, term: 1, .readIndexRefused(id: request)).isEmpty)
        #expect(subject.receive(from: 1, term: 1, .readIndexRefused(id: request)).readsAborted == [read])
        #expect(subject.node.leader == nil)
        #expect(!subject.receive(from: 3, term: 2, .preVote(last: .zero)).isEmpty)
    }

    @Test("Read ids of two lives differ")
    func freshIDs() {
        let first = Subject(seed: 1).read().0
        let second = Subject(seed: 2).read().0
        #expect(first != second)
    }
}
