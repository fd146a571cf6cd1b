import Primitives
import Raft
import Testing

/// One test for each rule of the Raft paper (extended version) and of the dissertation that this core relies on.
@Suite("Paper")
struct PaperTests {
    // MARK: - §5.1 Terms

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

    // MARK: - §5.2 Elections

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

    // MARK: - §5.3 Log replication

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

    // MARK: - §5.4 Safety

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

    // MARK: - §6 to §8

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

    @Test("§7: a snapshot replaces a log that does not contain it")
    func snapshotReplaces() {
        let subject = Subject(log: entries([1, 1]), hardState: HardState(term: Term(1)))
        let base = LogBase(position: position(10, 3), configuration: Configuration(voters: members(1, 2, 3)))
        subject.hearLeader(2, term: 3)
        let effects = subject.step(.snapshotInstalled(base))
        #expect(subject.node.base == base)
        #expect(subject.node.lastIndex == index(10))
        #expect(subject.node.commitIndex == index(10))
        #expect(effects.batches.map(\.resetTo) == [base])
        #expect(effects.bodies(to: member(2)) == [.appendAccepted(match: index(10), readPosition: 0)])
        #expect(effects.committed.isEmpty)
    }

    @Test("§7: a snapshot of a prefix leaves the rest of the log alone")
    func snapshotKeeps() {
        let subject = Subject(log: entries([1, 1, 1]), hardState: HardState(term: Term(1)))
        let base = LogBase(position: position(2, 1), configuration: Configuration(voters: members(1, 2, 3)))
        let effects = subject.step(.snapshotInstalled(base))
        #expect(subject.node.lastIndex == index(3))
        #expect(subject.node.commitIndex == index(2))
        #expect(effects.batches.isEmpty)
        #expect(effects.committed.isEmpty)
    }

    @Test("§8: a new leader begins with an entry of its own")
    func noop() {
        let subject = Subject(log: entries([1, 1]), hardState: HardState(term: Term(1)))
        let effects = subject.becomeLeader()
        let noop = Entry(index: index(3), term: Term(2), kind: .noop, payload: [])
        #expect(effects.writtenEntries == [noop])
        #expect(effects.bodies(to: member(2)).compactMap(\.appendedEntries) == [[noop]])
    }

    // MARK: - Dissertation

    @Test("Dissertation §3.10: a leader hands over to a caught-up target")
    func transfer() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (isStarted, effects) = subject.transfer(to: 3)
        #expect(isStarted)
        #expect(effects.messages.map(\.body) == [.timeoutNow])
        #expect(effects.messages.map(\.to) == members(3))
    }

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

    @Test("Dissertation §6.2: a leader without a majority steps down within an election timeout")
    func checkQuorum() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let start = subject.now
        while subject.node.role == .leader, subject.now - start < .seconds(5) { subject.fireDeadline() }
        #expect(subject.node.role == .follower)
        #expect(subject.now - start == .milliseconds(500))
        #expect(subject.node.term == Term(1))
    }

    @Test("Dissertation §6.4: a read waits for a round of heartbeats, not for the log")
    func readIndex() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (read, asked) = subject.read()
        #expect(asked.batches.isEmpty && asked.readsReady.isEmpty)
        #expect(asked.messages.compactMap(\.body.readPosition) == [1, 1])
        let effects = subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1))
        #expect(effects.readsReady == [ReadReady(id: read, index: index(1))])
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

    @Test("Dissertation §10.2.1: a leader may commit before its own disk is done, if a majority of others is")
    func parallelWrite() {
        let subject = Subject(voters: [1, 2, 3])
        subject.becomeEstablishedLeader()
        subject.propose("x")
        #expect(subject.accept(from: 2).committed.isEmpty)
        #expect(subject.accept(from: 3).committed == [entry(2, 1, "x")])
        #expect(subject.node.durableIndex == index(1))
    }
}
