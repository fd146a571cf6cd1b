import Primitives
import Raft
import Testing

/// Members that lost entries they had acknowledged, and what they are still good for.
@Suite("Recovering members")
struct RecoveryTests {
    private func append(_ previous: LogPosition, _ entries: [Entry], commit: UInt64 = 0) -> Message.Body {
        .append(previous: previous, entries: entries, commit: index(commit), readPosition: 0)
    }

    /// The request for a read index among these messages.
    private func question(in effects: RaftEffects) -> UInt64? {
        for message in effects.messages {
            if case .readIndex(let id) = message.body { return id }
        }
        return nil
    }

    @Test("It never campaigns, neither in time, nor told to, nor when the leader is gone")
    func campaigns() {
        let subject = Subject(id: 2, log: entries([1, 1]), recovery: Recovery(claimed: position(5, 1)))
        #expect(subject.node.isRecovering)
        for _ in 0..<3 { #expect(subject.fireDeadline().messages.isEmpty) }
        subject.hearLeader(1, term: 1)
        subject.persist()
        #expect(subject.receive(from: 1, term: 1, .timeoutNow).isEmpty)
        _ = subject.step(.linkClosed(member(1)))
        #expect(subject.fireDeadline().messages.isEmpty)
        #expect(subject.node.role == .follower)
    }

    @Test("It votes only for logs that reach what it claimed, and for nobody when its end is uncertain")
    func votes() {
        func granted(_ recovery: Recovery?, _ last: LogPosition) -> Bool {
            let subject = Subject(id: 2, log: entries([1, 1]), hardState: HardState(term: Term(2)), recovery: recovery)
            subject.advance(.milliseconds(500))
            let asked = subject.receive(from: 3, term: 3, .preVote(last: last)).messages.map(\.body)
            let voted = subject.receive(from: 3, term: 3, .requestVote(last: last, transfer: false)).messages.map(
                \.body)
            let isGranted = voted == [.voteResponse(granted: true)]
            #expect((asked == [.preVoteResponse(granted: true)]) == isGranted)
            return isGranted
        }
        #expect(granted(nil, position(2, 1)))
        #expect(!granted(Recovery(claimed: position(5, 1)), position(4, 1)))
        #expect(granted(Recovery(claimed: position(5, 1)), position(5, 1)))
        #expect(!granted(Recovery(claimed: position(1, 1)), position(1, 1)), "its own log still counts")
        #expect(!granted(Recovery(claimed: nil), position(99, 2)))
    }

    @Test("It gives its vote of the term to the leader it hears, durably, before it says anything about its log")
    func voteBelongsToLeader() {
        let subject = Subject(id: 2, recovery: Recovery(claimed: .zero))
        subject.advance(.milliseconds(500))
        let heard = subject.receive(from: 1, term: 4, append(.zero, [entry(1, 4)]))
        #expect(heard.batches.map(\.hardState) == [HardState(term: Term(4), votedFor: member(1))])
        #expect(
            heard.envelopes.filter { $0.message.body == .appendAccepted(match: index(1), readPosition: 0) }.map(\.gate)
                == heard.batches.map(\.number))
        // A vote it remembers stays.
        let voter = Subject(
            id: 2, hardState: HardState(term: Term(4), votedFor: member(3)), recovery: Recovery(claimed: .zero))
        #expect(voter.receive(from: 1, term: 4, append(.zero, [])).batches.isEmpty)
    }

    @Test("It is whole again once it holds, verified and durable, all up to an index asked after the start")
    func exit() throws {
        let subject = Subject(id: 2, log: entries([1]), recovery: Recovery(claimed: position(3, 1)))
        let heard = subject.hearLeader(1, term: 1)
        #expect(heard.messages.allSatisfy { $0.isRecovering })
        let request = try #require(question(in: heard))
        subject.persist()
        subject.receive(from: 1, term: 1, append(position(1, 1), [entry(2, 1)], commit: 2))
        subject.persist()
        let answered = subject.receive(from: 1, term: 1, .readIndexResponse(id: request, index: index(4)))
        #expect(answered.readsReady.isEmpty, "nobody else's read")
        #expect(!answered.hasRecovered)
        let stored = subject.receive(from: 1, term: 1, append(position(2, 1), [entry(3, 1), entry(4, 1)], commit: 3))
        #expect(!stored.hasRecovered, "not durable yet")
        #expect(stored.messages.map(\.isRecovering) == [true])
        #expect(subject.persist().hasRecovered)
        #expect(!subject.node.isRecovering)
        #expect(subject.hearLeader(1, term: 1).messages.map(\.isRecovering) == [false])
        #expect(!subject.persist().hasRecovered)
        subject.receive(from: 1, term: 1, .timeoutNow)
        #expect(subject.node.role == .candidate)
    }

    @Test("Entries of its own that no leader confirmed are no recovery, nor is what an earlier leader confirmed")
    func verified() throws {
        let subject = Subject(id: 2, log: entries([1, 1, 1, 1]), recovery: Recovery(claimed: position(4, 1)))
        let request = try #require(question(in: subject.hearLeader(1, term: 1)))
        subject.persist()
        #expect(!subject.receive(from: 1, term: 1, .readIndexResponse(id: request, index: index(4))).hasRecovered)
        #expect(!subject.receive(from: 1, term: 1, append(position(3, 1), [])).hasRecovered)
        subject.hearLeader(3, term: 2)
        subject.persist()
        #expect(!subject.receive(from: 3, term: 2, append(position(3, 1), [])).hasRecovered)
        #expect(subject.receive(from: 3, term: 2, append(position(4, 1), [])).hasRecovered)
    }

    @Test("A question that died with its leader is asked of the next one, and nobody else hears of it")
    func asksAgain() throws {
        let subject = Subject(id: 2, recovery: Recovery(claimed: nil))
        let first = try #require(question(in: subject.hearLeader(1, term: 1)))
        let moved = subject.hearLeader(3, term: 2)
        #expect(moved.readsAborted.isEmpty)
        let second = try #require(question(in: moved))
        #expect(first != second)
        #expect(!subject.receive(from: 1, term: 1, .readIndexResponse(id: first, index: .zero)).hasRecovered)
        #expect(subject.receive(from: 3, term: 2, .readIndexRefused(id: second)).readsAborted.isEmpty)
        #expect(question(in: subject.hearLeader(3, term: 2)) != nil)
    }

    @Test("Of a loss and a recovery in one drain only the later is told")
    func laterTold() throws {
        let subject = Subject(id: 2, voters: [], recovery: Recovery(claimed: nil))
        let request = try #require(question(in: subject.hearLeader(1, term: 3)))
        subject.persist()
        var effects = RaftEffects()
        for body in [
            .readIndexResponse(id: request, index: .zero), .heartbeat(commit: index(7), readPosition: 0),
        ] as [Message.Body] {
            let message = Message(from: member(1), to: member(2), term: Term(3), body: body)
            subject.node.step(.received(message), at: subject.now, into: &effects)
            #expect(effects.hasRecovered != effects.lostEntries)
        }
        #expect(effects.lostEntries)
    }

    @Test("A snapshot brings everything back at once")
    func bySnapshot() throws {
        let subject = Subject(id: 2, voters: [], recovery: Recovery(claimed: nil))
        let request = try #require(question(in: subject.hearLeader(1, term: 3)))
        subject.receive(from: 1, term: 3, .readIndexResponse(id: request, index: index(8)))
        subject.persist()
        let three = Configuration(voters: members(1, 2, 3))
        let installed = subject.step(.snapshotInstalled(LogBase(position: position(8, 3), configuration: three)))
        #expect(installed.hasRecovered)
        #expect(subject.node.configuration == three)
    }

    @Test(
        "A leader told of a commit beyond our log proves a loss: no trap, no vote, no candidacy, until it is made good")
    func evidence() throws {
        let subject = Subject(id: 2, log: entries([1, 1]), hardState: HardState(term: Term(1)))
        let heard = subject.hearLeader(1, term: 1, commit: 3)
        #expect(heard.lostEntries)
        #expect(subject.node.isRecovering)
        #expect(subject.node.commitIndex == .zero)
        #expect(heard.messages.allSatisfy { $0.isRecovering })
        #expect(!subject.hearLeader(1, term: 1, commit: 3).lostEntries, "said once")
        let request = try #require(question(in: heard))
        subject.persist()
        subject.advance(.seconds(2))
        #expect(
            subject.receive(from: 3, term: 5, .requestVote(last: position(9, 4), transfer: true)).messages.map(\.body)
                == [.voteResponse(granted: false)])
        let again = try #require(question(in: subject.hearLeader(1, term: 6)))
        #expect(again != request)
        subject.receive(from: 1, term: 6, .readIndexResponse(id: again, index: index(3)))
        subject.receive(from: 1, term: 6, append(position(2, 1), [entry(3, 6)], commit: 3))
        #expect(subject.persist().hasRecovered)
    }
}

@Suite("Leading recovering members")
struct RecoveringPeerTests {
    @Test("What a peer holds never goes back, unless it says that it lost entries")
    func regress() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        subject.propose("y")
        subject.accept(from: 2)
        subject.accept(from: 2, match: 1)
        subject.receive(from: 2, term: 1, .appendRejected(rejected: index(2), hint: position(1, 1), readPosition: 0))
        #expect(subject.node.match(of: member(2)) == index(3))
        let told = subject.receive(
            from: 2, term: 1, .appendRejected(rejected: index(3), hint: position(1, 1), readPosition: 0),
            isRecovering: true)
        #expect(subject.node.match(of: member(2)) == .zero)
        #expect(told.bodies(to: member(2)).compactMap(\.appendPrevious) == [position(1, 1)])
    }

    @Test("Its marked answers move its next entry and count for nothing: commit, read, quorum, transfer")
    func countsNothing() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        subject.persist()
        let told = subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 0), isRecovering: true)
        #expect(told.bodies(to: member(2)).count == 1)
        #expect(subject.node.progress[0].isRecovering)
        subject.accept(from: 2, isRecovering: true)
        #expect(subject.node.commitIndex == index(1))
        #expect(subject.node.progress[0].state == .replicate)
        #expect(subject.propose("y").bodies(to: member(2)).count == 1)
        let (_, asked) = subject.read()
        #expect(asked.messages.map(\.to) == members(2, 3))
        let silent = subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1), isRecovering: true)
        #expect(silent.readsReady.isEmpty)
        #expect(!subject.transfer(to: 2).isStarted)
        #expect(!subject.node.isRecentlyActive(member(2), at: subject.now))
        subject.advance(.milliseconds(500))
        subject.accept(from: 2, isRecovering: true)
        _ = subject.step(.timer)
        #expect(subject.node.role == .follower, "only itself is left to count on")
    }

    @Test("An unmarked answer makes it like any other, from what it says then")
    func normalAgain() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        subject.persist()
        subject.accept(from: 2, isRecovering: true)
        let back = subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 0))
        #expect(subject.node.commitIndex == index(1), "it has not said yet what it holds")
        #expect(back.bodies(to: member(2)).compactMap(\.appendPrevious) == [position(2, 1)])
        subject.accept(from: 2)
        #expect(subject.node.commitIndex == index(2))
    }

    @Test("Its question alone is a mark: what it had acknowledged before commits nothing after the answer")
    func markedQuestion() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        subject.accept(from: 2)
        #expect(subject.node.commitIndex == index(1), "not durable here")
        subject.receive(from: 2, term: 1, .readIndex(id: 77), isRecovering: true)
        let answered = subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 1))
        #expect(answered.bodies(to: member(2)) == [.readIndexResponse(id: 77, index: index(1))])
        subject.persist()
        #expect(subject.node.commitIndex == index(1))
        subject.accept(from: 3)
        #expect(subject.node.commitIndex == index(2))
    }

    @Test("One that loses still more while it recovers is taken at its word again")
    func losesMore() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        for _ in 0..<5 { subject.propose("x") }
        subject.accept(from: 2, match: 5, isRecovering: true)
        let told = subject.receive(
            from: 2, term: 1, .appendRejected(rejected: index(5), hint: position(3, 1), readPosition: 0),
            isRecovering: true)
        #expect(subject.node.progress[0].match <= index(3))
        let probes = told.bodies(to: member(2)).compactMap(\.appendPrevious)
        #expect(probes == [position(3, 1)])
        subject.accept(from: 2, isRecovering: true)
        #expect(subject.node.progress[0].match == index(6))
    }

    @Test(
        "In a whole cluster a member that lost its disk is back within a few heartbeats",
        arguments: 0..<10 as Range<UInt64>)
    func wholeCluster(seed: UInt64) {
        var cluster = Cluster(members: 3, seed: seed)
        cluster.run(for: .seconds(2))
        guard let leader = cluster.leaders.first else {
            Issue.record("no leader")
            return
        }
        let victim = (leader + 1) % 3
        cluster.lose(on: victim)
        cluster.run(for: .milliseconds(50))
        cluster.start(victim)
        cluster.run(for: .milliseconds(500))
        #expect(cluster.hosts[victim].recovery == nil)
        #expect(cluster.recoveries == 1)
        #expect(cluster.leaders == [leader])
        #expect(cluster.checks.findings.isEmpty)
    }

    @Test("A leader that comes back without entries follows another first", arguments: 0..<10 as Range<UInt64>)
    func leaderLoses(seed: UInt64) throws {
        var cluster = Cluster(members: 3, seed: seed)
        cluster.run(for: .seconds(2))
        let leader = try #require(cluster.leaders.first)
        cluster.lose(on: leader)
        cluster.start(leader)
        cluster.run(for: .seconds(2))
        #expect(cluster.leaders.count == 1)
        #expect(cluster.leaders.first != leader)
        #expect(cluster.recoveries == 1)
        #expect(cluster.checks.findings.isEmpty)
    }
}
