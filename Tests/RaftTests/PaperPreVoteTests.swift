import Primitives
import Raft
import Testing

/// Rules of the dissertation (§4.2.3, §9.6) that keep elections from being disturbed.
@Suite("Paper: undisturbed leaders")
struct PaperPreVoteTests {
    @Test("Dissertation §4.2.3: a vote is not even looked at while the leader is near")
    func disruptive() {
        let subject = Subject(hardState: HardState(term: Term(1)))
        subject.advance(.seconds(1))
        subject.hearLeader(2, term: 1)
        subject.advance(.milliseconds(499))
        #expect(subject.receive(from: 3, term: 8, .requestVote(last: position(99, 7), transfer: false)).isEmpty)
        #expect(subject.node.term == Term(1))
        subject.advance(.milliseconds(1))
        #expect(!subject.receive(from: 3, term: 8, .requestVote(last: position(99, 7), transfer: false)).isEmpty)
        #expect(subject.node.term == Term(8))
    }

    @Test("Dissertation §4.2.3: a leader does not even take the term of a member that was left out")
    func leftOut() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        for term in 2...50 as ClosedRange<UInt64> {
            let body = Message.Body.requestVote(last: position(1, 1), transfer: false)
            #expect(subject.receive(from: 9, term: term, body).isEmpty)
            #expect(subject.receive(from: 9, term: term, .preVote(last: position(1, 1))).isEmpty)
        }
        #expect(subject.node.role == .leader)
        #expect(subject.node.term == Term(1))
    }

    @Test("Dissertation §9.6: a pre-vote changes nothing at the voter or the asker")
    func preVote() {
        let subject = Subject(hardState: HardState(term: Term(4)))
        let asked = subject.fireDeadline()
        #expect(subject.node.term == Term(4))
        #expect(asked.batches.isEmpty)
        #expect(asked.messages.map(\.term) == [Term(5), Term(5)])
        #expect(asked.messages.map(\.body) == [.preVote(last: .zero), .preVote(last: .zero)])
        let answer = subject.receive(from: 3, term: 9, .preVote(last: .zero))
        #expect(subject.node.term == Term(4))
        #expect(answer.batches.isEmpty)
        #expect(answer.messages.map(\.term) == [Term(9)])
        #expect(answer.messages.map(\.body) == [.preVoteResponse(granted: true)])
    }

    @Test("Dissertation §9.6: without a majority of pre-votes no term is started, however long it takes")
    func noDisturbance() {
        let subject = Subject(hardState: HardState(term: Term(4)))
        for _ in 0..<20 {
            #expect(subject.fireDeadline().batches.isEmpty)
            subject.receive(from: 2, term: 4, .preVoteResponse(granted: false))
            subject.receive(from: 3, term: 4, .preVoteResponse(granted: false))
        }
        #expect(subject.node.term == Term(4))
    }
}
