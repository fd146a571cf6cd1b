import Primitives
import Raft
import Testing

/// Rules of the Raft paper (extended version) and of the dissertation: the log and what is committed.
@Suite("Paper: the log")
struct PaperLogTests {
    @Test("§5.3: a proposal is appended and sent with what precedes it")
    func replicate() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let effects = subject.propose("x", "y")
        #expect(subject.node.lastIndex == index(3))
        for peer in members(2, 3) {
            #expect(
                effects.bodies(to: peer) == [
                    .append(
                        previous: position(1, 1), entries: [entry(2, 1, "x"), entry(3, 1, "y")], commit: index(1),
                        readPosition: 0)
                ])
        }
        #expect(effects.writtenEntries == [entry(2, 1, "x"), entry(3, 1, "y")])
    }

    @Test("§5.3: an entry is committed once a majority holds it, and followers are told")
    func commit() {
        let subject = Subject(voters: [1, 2, 3, 4, 5])
        subject.becomeLeader(helpedBy: [2, 3])
        subject.persist()
        for peer in [2, 3, 4, 5] as [UInt64] { subject.accept(from: peer) }
        subject.propose("x")
        subject.persist()
        #expect(subject.accept(from: 2).committed.isEmpty)
        let effects = subject.accept(from: 5)
        #expect(effects.committed == [entry(2, 1, "x")])
        #expect(subject.node.commitIndex == index(2))
        #expect(effects.bodies(to: member(2)).compactMap(\.commit) == [index(2)])
        #expect(subject.propose("y").bodies(to: member(3)).compactMap(\.commit) == [index(2)])
    }

    @Test("§5.3: a follower applies what the leader committed, in order and once")
    func followerCommits() {
        let subject = Subject(id: 2)
        let log = [entry(1, 1, "a"), entry(2, 1, "b")]
        let first = subject.receive(
            from: 1, term: 1, .append(previous: .zero, entries: log, commit: index(1), readPosition: 0))
        #expect(first.committed == [log[0]])
        let second = subject.receive(
            from: 1, term: 1, .append(previous: position(2, 1), entries: [], commit: index(2), readPosition: 0))
        #expect(second.committed == [log[1]])
        #expect(subject.hearLeader(1, term: 1, commit: 2).committed.isEmpty)
    }

    @Test(
        "§5.3: an append is refused unless the entry before it matches",
        arguments: [(1, 1, true), (2, 2, true), (0, 0, true), (2, 3, false), (3, 2, false), (1, 2, false)]
            as [(UInt64, UInt64, Bool)])
    func consistencyCheck(previousIndex: UInt64, previousTerm: UInt64, isAccepted: Bool) {
        let subject = Subject(log: entries([1, 2]), hardState: HardState(term: Term(3)))
        let effects = subject.receive(
            from: 2, term: 3,
            .append(
                previous: position(previousIndex, previousTerm), entries: [], commit: .zero, readPosition: 0))
        if case .appendAccepted(let match, _) = effects.messages.last?.body {
            #expect(isAccepted && match == index(previousIndex))
        } else {
            #expect(!isAccepted)
        }
    }

    @Test("§5.3: a conflicting entry and all that follow it are replaced")
    func conflict() {
        let subject = Subject(log: entries([1, 1, 2, 2]), hardState: HardState(term: Term(2)))
        let effects = subject.receive(
            from: 2, term: 3,
            .append(previous: position(2, 1), entries: [entry(3, 3, "new")], commit: .zero, readPosition: 0))
        #expect(subject.node.lastIndex == index(3))
        #expect(subject.node.term(at: index(3)) == Term(3))
        #expect(effects.batches.last?.truncateFrom == index(3))
        #expect(effects.batches.last?.entries == [entry(3, 3, "new")])
    }

    @Test("§5.3: a leader never changes its own log, whatever old leaders send it")
    func leaderAppendOnly() {
        let subject = Subject(log: entries([1, 1, 2]), hardState: HardState(term: Term(2)))
        subject.becomeLeader()
        let before = subject.node.entries(from: index(1), through: index(4))
        for term in 1...2 as ClosedRange<UInt64> {
            let effects = subject.receive(
                from: 2, term: term,
                .append(previous: position(1, 1), entries: [entry(2, term)], commit: index(2), readPosition: 0))
            #expect(effects.batches.isEmpty)
        }
        #expect(subject.node.lastIndex == index(4))
        #expect(subject.node.entries(from: index(1), through: index(4)) == before)
        #expect(subject.node.role == .leader)
    }

    @Test("§5.3: logs that agree in one entry agree in all before it", arguments: 0..<4 as Range<UInt64>)
    func logMatching(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed, purpose: "log matching")
        for _ in 0..<300 {
            // Two histories that part somewhere.
            var common: [UInt64] = [1]
            for _ in 0..<random.below(4) { common.append(common[common.count - 1] + random.below(2)) }
            func tail(from term: UInt64) -> [UInt64] {
                var terms = [term]
                for _ in 0..<random.below(4) { terms.append(terms[terms.count - 1] + random.below(2)) }
                return terms
            }
            let last = common[common.count - 1]
            let leaderLog = entries(common + tail(from: last + 2))
            let follower = Subject(
                log: entries(common + tail(from: last + 1).map { min($0, last + 1) }),
                hardState: HardState(term: Term(last + 6)))
            let cut = Int(random.below(UInt64(leaderLog.count) + 1))
            let previous = cut == 0 ? LogPosition.zero : leaderLog[cut - 1].position
            let effects = follower.receive(
                from: 2, term: last + 6,
                .append(previous: previous, entries: Array(leaderLog[cut...]), commit: .zero, readPosition: 0))
            let isKnown = follower.node.term(at: previous.index) == previous.term
            guard case .appendAccepted(let match, _) = effects.messages.last?.body else {
                #expect(!isKnown)
                continue
            }
            #expect(match == leaderLog[leaderLog.count - 1].index)
            #expect(follower.node.entries(from: index(1), through: match) == leaderLog)
        }
    }

    @Test("§5.3: a lost append is sent again until it is answered")
    func retried() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        for _ in 0..<5 {
            subject.fireDeadline()
            subject.accept(from: 3, match: 1)
            let effects = subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 0))
            // What was streamed ahead may be lost: an append after it brings that to light.
            let place = effects.bodies(to: member(2)).compactMap(\.appendPrevious)
            #expect(place == [position(2, 1)])
        }
        let resent = subject.receive(
            from: 2, term: 1, .appendRejected(rejected: index(2), hint: position(1, 1), readPosition: 0))
        #expect(resent.bodies(to: member(2)).compactMap(\.appendedEntries) == [[entry(2, 1, "x")]])
    }

    @Test("§5.3: a new leader finds where a follower's log parts and makes it equal, one probe per term")
    func figure7() {
        // The leader for term 8 and the six followers of figure 7.
        let leaderTerms: [UInt64] = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
        let followers: [[UInt64]] = [
            [1, 1, 1, 4, 4, 5, 5, 6, 6], [1, 1, 1, 4], [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
            [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], [1, 1, 1, 4, 4, 4, 4], [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        ]
        for terms in followers {
            let leader = Subject(voters: [1, 2, 3], log: entries(leaderTerms), hardState: HardState(term: Term(7)))
            let follower = Subject(id: 2, log: entries(terms), hardState: HardState(term: Term(7)))
            var pending = leader.becomeLeader(helpedBy: [3]).messages
            var probes = 0
            while let message = pending.first(where: { $0.to == member(2) }) {
                probes += 1
                let answers = follower.step(.received(message)).messages
                follower.persist()
                pending = answers.flatMap { leader.step(.received($0)).messages }
                #expect(probes < 6)
            }
            #expect(follower.node.lastPosition == position(11, 8))
            #expect(
                follower.node.entries(from: index(1), through: index(11))
                    == leader.node.entries(from: index(1), through: index(11)))
            #expect(leader.node.match(of: member(2)) == index(11))
        }
    }

    @Test("Figure 2, AppendEntries 5: a follower commits up to the leader's commit or the last entry it was sent")
    func followerCommitBound() {
        let subject = Subject(id: 2, log: entries([1, 1, 1, 1]), hardState: HardState(term: Term(1)))
        func hear(_ previous: UInt64, commit: UInt64) {
            subject.receive(
                from: 1, term: 2,
                .append(previous: position(previous, 1), entries: [], commit: index(commit), readPosition: 0))
        }
        hear(2, commit: 4)
        #expect(subject.node.commitIndex == index(2))
        hear(4, commit: 3)
        #expect(subject.node.commitIndex == index(3))
        hear(1, commit: 1)
        #expect(subject.node.commitIndex == index(3))
    }

    @Test("§5.5: a repeated append changes nothing and is answered as before")
    func idempotent() {
        let subject = Subject(id: 2)
        let append = Message.Body.append(
            previous: .zero, entries: entries([1, 1]), commit: index(1), readPosition: 0)
        let first = subject.receive(from: 1, term: 1, append)
        let second = subject.receive(from: 1, term: 1, append)
        #expect(second.messages == first.messages)
        #expect(second.batches.isEmpty && second.committed.isEmpty)
        #expect(subject.node.lastIndex == index(2))
    }

    @Test("Figure 2, persistent state: an append is acknowledged when its entries and the term are durable")
    func durableAppend() throws {
        let subject = Subject(id: 2)
        let effects = subject.receive(
            from: 1, term: 3, .append(previous: .zero, entries: entries([3]), commit: .zero, readPosition: 0))
        let answer = try #require(effects.envelopes.first)
        let batch = try #require(effects.batches.last)
        #expect(answer.message.body == .appendAccepted(match: index(1), readPosition: 0))
        #expect(answer.gate == batch.number)
        #expect(effects.writtenEntries == entries([3]))
        #expect(effects.batches.compactMap(\.hardState) == [HardState(term: Term(3))])
    }

    @Test("§5.4.2: an entry of an older term is not committed by counting (figure 8)")
    func figure8() {
        let subject = Subject(
            voters: [1, 2, 3, 4, 5], log: entries([1, 2]), hardState: HardState(term: Term(3)))
        subject.becomeLeader(helpedBy: [2, 3])
        subject.persist()
        subject.accept(from: 2, match: 2)
        subject.accept(from: 3, match: 2)
        #expect(subject.node.commitIndex == .zero)
        subject.accept(from: 2, match: 3)
        let effects = subject.accept(from: 3, match: 3)
        #expect(effects.committed.map(\.index) == [index(1), index(2), index(3)])
    }

    @Test("§5.4.2, figure 8 (d): an older term's entry on a majority may still be replaced by a later leader")
    func figure8Replaced() {
        // S2 and S3 hold the entry of term 2; S5 wins term 5 with that of term 3.
        for voter in [2, 3] as [UInt64] {
            let subject = Subject(
                id: voter, voters: [1, 2, 3, 4, 5], log: entries([1, 2]), hardState: HardState(term: Term(4)))
            subject.advance(.milliseconds(500))
            let vote = subject.receive(from: 5, term: 5, .requestVote(last: position(2, 3), transfer: false))
            #expect(vote.messages.map(\.body) == [.voteResponse(granted: true)])
            subject.receive(
                from: 5, term: 5,
                .append(previous: position(1, 1), entries: [entry(2, 3)], commit: index(2), readPosition: 0))
            #expect(subject.node.commitIndex == index(2))
            #expect(subject.node.term(at: index(2)) == Term(3))
        }
    }

    @Test("§5.4.2, figure 8 (e): once an entry of the leader's own term is on a majority, nobody without it wins")
    func figure8Safe() {
        var votes = 1
        for voter in 1...4 as ClosedRange<UInt64> {
            let log = entries(voter < 4 ? [1, 2, 4] : [1])
            let subject = Subject(id: voter, voters: [1, 2, 3, 4, 5], log: log, hardState: HardState(term: Term(4)))
            subject.advance(.milliseconds(500))
            let vote = subject.receive(from: 5, term: 5, .requestVote(last: position(2, 3), transfer: false))
            if vote.messages.map(\.body) == [.voteResponse(granted: true)] { votes += 1 }
        }
        #expect(votes == 2)
    }

    @Test("§8: a new leader begins with an entry of its own")
    func noop() {
        let subject = Subject(log: entries([1, 1]), hardState: HardState(term: Term(1)))
        let effects = subject.becomeLeader()
        let noop = Entry(index: index(3), term: Term(2), kind: .noop, payload: [])
        #expect(effects.writtenEntries == [noop])
        #expect(effects.bodies(to: member(2)).compactMap(\.appendedEntries) == [[noop]])
    }

    @Test("Dissertation §10.2.1: a leader may commit before its own disk is done, if a majority of others is")
    func parallelWrite() {
        let subject = Subject(voters: [1, 2, 3])
        subject.becomeEstablishedLeader()
        subject.propose("x")
        #expect(subject.accept(from: 2).committed.isEmpty)
        #expect(subject.accept(from: 3).committed == [entry(2, 1, "x")])
        #expect(subject.node.durableIndex == index(1))
    }

    @Test("Dissertation §10.2.1: a leader's appends leave before its own write is done, and it counts only after")
    func ownWriteCounts() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let effects = subject.propose("x")
        #expect(effects.envelopes.map(\.gate) == [.none, .none])
        #expect(subject.accept(from: 2).committed.isEmpty)
        #expect(subject.persist().committed == [entry(2, 1, "x")])
    }
}
