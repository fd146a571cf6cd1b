import Primitives
import Raft
import Testing

/// Mistakes that others have shipped, each as the shortest history that shows it. The numbers are those of the
/// simulator's list of planted bugs.
@Suite("Mistakes others shipped")
struct MistakesTests {
    private func append(
        _ previous: LogPosition, _ entries: [Entry], commit: UInt64 = 0, readPosition: UInt64 = 0
    ) -> Message.Body {
        .append(previous: previous, entries: entries, commit: index(commit), readPosition: readPosition)
    }

    @Test("B01: an older term's entry on a majority is not committed by the count (LogCabin 44)")
    func oldTermCommit() {
        let subject = Subject(voters: [1, 2, 3, 4, 5], log: entries([1, 2]), hardState: HardState(term: Term(3)))
        subject.becomeLeader(helpedBy: [2, 3])
        subject.persist()
        for peer in [2, 3, 4, 5] as [UInt64] { subject.accept(from: peer, match: 2) }
        #expect(subject.node.commitIndex == .zero)
    }

    @Test("B02: a vote leaves only after term and vote are durable (canonical/raft 386)")
    func voteBeforeDurable() {
        let subject = Subject()
        subject.advance(.milliseconds(500))
        let effects = subject.receive(from: 2, term: 5, .requestVote(last: .zero, transfer: false))
        #expect(effects.batches.map(\.hardState) == [HardState(term: Term(5), votedFor: member(2))])
        #expect(effects.envelopes.map(\.gate) == effects.batches.map(\.number))
        // Asked again before the write is done, the answer waits for the same write.
        let again = subject.receive(from: 2, term: 5, .requestVote(last: .zero, transfer: false))
        #expect(again.envelopes.map(\.gate) == effects.batches.map(\.number))
        subject.persist()
        let late = subject.receive(from: 2, term: 5, .requestVote(last: .zero, transfer: false))
        #expect(late.envelopes.map(\.gate) == [.none])
    }

    @Test("B03: an append is acknowledged only after its entries are durable (etcd 14143)")
    func acknowledgedBeforeDurable() {
        let subject = Subject(id: 2)
        let first = subject.receive(from: 1, term: 1, append(.zero, [entry(1, 1)]))
        #expect(first.envelopes.map(\.gate) == first.batches.map(\.number))
        // A duplicate adds no batch, but its answer promises the same entry.
        let again = subject.receive(from: 1, term: 1, append(.zero, [entry(1, 1)]))
        #expect(again.batches.isEmpty)
        #expect(again.envelopes.map(\.gate) == first.batches.map(\.number))
        // So does the answer to old news once it is committed.
        subject.receive(from: 1, term: 1, append(position(1, 1), [], commit: 1))
        let old = subject.receive(from: 1, term: 1, append(.zero, []))
        #expect(old.envelopes.map(\.gate) == first.batches.map(\.number))
        subject.persist()
        #expect(subject.receive(from: 1, term: 1, append(.zero, [entry(1, 1)])).envelopes.map(\.gate) == [.none])
    }

    @Test("B04: a single voter commits only what its own disk confirmed (etcd 14370)")
    func singleVoter() {
        let subject = Subject(voters: [1])
        #expect(subject.node.nextDeadline == subject.now)
        let campaign = subject.fireDeadline()
        #expect(subject.node.role == .candidate)
        #expect(campaign.envelopes.isEmpty)
        let elected = subject.persist()
        #expect(subject.node.role == .leader)
        #expect(elected.committed.isEmpty)
        #expect(subject.persist().committed.map(\.kind) == [.noop])
        #expect(subject.propose("x").committed.isEmpty)
        #expect(subject.persist().committed == [entry(2, 1, "x")])
        let (read, effects) = subject.read()
        #expect(effects.readsReady == [ReadReady(id: read, index: index(2))])
        #expect(subject.node.nextDeadline == .distantFuture)
    }

    @Test("B09: an entry before the commit index is never taken for a conflict (openraft 511)")
    func purgedPrevious() {
        let subject = Subject(
            id: 2, log: entries([2, 2], after: 10), hardState: HardState(term: Term(2), commit: index(12)),
            base: position(10, 2))
        let effects = subject.receive(from: 1, term: 3, append(position(5, 1), [entry(6, 2), entry(7, 2)]))
        #expect(effects.messages.map(\.body) == [.appendAccepted(match: index(12), readPosition: 0)])
        #expect(subject.node.lastIndex == index(12))
        let further = subject.receive(
            from: 1, term: 3,
            append(position(9, 2), [entry(10, 2), entry(11, 2), entry(12, 2), entry(13, 3)], commit: 13))
        #expect(subject.node.lastIndex == index(13))
        #expect(further.committed.map(\.index) == [index(13)])
    }

    @Test("B10: an old, short or overtaken append cuts nothing (paper, figure 2 step 3)")
    func staleAppend() {
        let subject = Subject(id: 2)
        subject.receive(from: 1, term: 1, append(.zero, [entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 1)]))
        let effects = subject.receive(from: 1, term: 1, append(position(1, 1), [entry(2, 1)]))
        #expect(subject.node.lastIndex == index(4))
        #expect(effects.batches.isEmpty)
        #expect(effects.messages.map(\.body) == [.appendAccepted(match: index(2), readPosition: 0)])
        subject.receive(from: 1, term: 1, append(position(2, 1), []))
        #expect(subject.node.lastIndex == index(4))
    }

    @Test("B11: a follower commits what was verified, not what it happens to hold (rabbitmq/ra 508)")
    func verifiedPrefix() {
        let subject = Subject(id: 2, log: entries([1, 1, 1, 1]), hardState: HardState(term: Term(1)))
        subject.receive(from: 1, term: 2, append(position(2, 1), [], commit: 4))
        #expect(subject.node.commitIndex == index(2))
    }

    @Test("B12: a heartbeat tells a peer no more than it is known to hold")
    func heartbeatCommit() {
        let subject = Subject()
        subject.becomeLeader()
        subject.persist()
        subject.accept(from: 2)
        #expect(subject.node.commitIndex == index(1))
        let effects = subject.fireDeadline()
        #expect(effects.bodies(to: member(2)).compactMap(\.commit) == [index(1)])
        #expect(effects.bodies(to: member(3)).compactMap(\.commit) == [.zero])
    }

    @Test("B14: a late notice about an overwritten version does not make the new one durable (etcd-io/raft)")
    func overwrittenVersion() {
        let subject = Subject(id: 2)
        let old = subject.receive(from: 1, term: 1, append(.zero, [entry(1, 1, "old")]))
        let new = subject.receive(from: 3, term: 2, append(.zero, [entry(1, 2, "new")]))
        let newBatch = new.batches.map(\.number)
        #expect(new.envelopes.map(\.gate) == newBatch)
        _ = subject.step(.persisted(old.batches[0].number))
        #expect(subject.node.durableIndex == .zero)
        let again = subject.receive(from: 3, term: 2, append(.zero, [entry(1, 2, "new")]))
        #expect(again.envelopes.map(\.gate) == newBatch)
        subject.persist()
        #expect(subject.node.durableIndex == index(1))
    }

    @Test("B15: an append from the log's beginning does not grow a compacted log from there (willemt 118)")
    func beginningAfterCompaction() {
        let subject = Subject(id: 2, log: [], hardState: HardState(term: Term(2)), base: position(5, 2))
        let effects = subject.receive(from: 1, term: 2, append(.zero, [entry(1, 1), entry(2, 1)]))
        #expect(subject.node.lastIndex == index(5))
        #expect(effects.messages.map(\.body) == [.appendAccepted(match: index(5), readPosition: 0)])
    }

    @Test("B16: installing a snapshot keeps no conflicting suffix (willemt 118)")
    func conflictingSuffix() {
        let subject = Subject(id: 2, log: entries(Array(repeating: 2, count: 20)), hardState: HardState(term: Term(2)))
        let base = LogBase(position: position(15, 3), configuration: Configuration(voters: members(1, 2, 3)))
        let effects = subject.step(.snapshotInstalled(base))
        #expect(subject.node.lastPosition == position(15, 3))
        #expect(effects.batches.map(\.resetTo) == [base])
    }

    @Test("B17: a gap between the state machine and the log is found at the start (redisraft 43)")
    func gap() {
        let configuration = Configuration(voters: members(1, 2, 3))
        let base = LogBase(position: position(9, 2), configuration: configuration)
        let applied = LogBase(position: position(8, 2), configuration: configuration)
        let restored = RestoredLog(base: base, entries: [], hardState: HardState(term: Term(2)))
        #expect(throws: RestoreFailure.gap(applied: index(8), base: index(9))) {
            try restored.validate(applied: applied)
        }
        let holed = RestoredLog(base: base, entries: [entry(11, 2)], hardState: HardState(term: Term(2)))
        #expect(throws: RestoreFailure.disordered(index(11))) { try holed.validate(applied: base) }
    }

    @Test("B20: a new leader answers no read before its no-op is committed (etcd 7331)")
    func readBeforeNoop() {
        let subject = Subject(log: entries([1, 1]), hardState: HardState(term: Term(1)))
        subject.becomeLeader()
        subject.persist()
        let (read, asked) = subject.read()
        #expect(asked.messages.isEmpty)
        subject.fireDeadline()
        #expect(subject.receive(from: 2, term: 2, .heartbeatResponse(readPosition: 0)).readsReady.isEmpty)
        let committed = subject.accept(from: 2)
        #expect(committed.committed.map(\.index) == [index(1), index(2), index(3)])
        #expect(committed.readsReady.isEmpty)
        let effects = subject.receive(from: 2, term: 2, .heartbeatResponse(readPosition: 1))
        #expect(effects.readsReady == [ReadReady(id: read, index: index(3))])
    }

    @Test("B21: acknowledgements of an earlier round confirm no later read (etcd 20418)")
    func oldAcknowledgement() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        let (first, _) = subject.read()
        let (second, _) = subject.read()
        let one = subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 1))
        #expect(one.readsReady.map(\.id) == [first])
        #expect(one.messages.compactMap(\.body.readPosition) == [2, 2])
        #expect(subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 1)).readsReady.isEmpty)
        let two = subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 2))
        #expect(two.readsReady.map(\.id) == [second])
        // Leadership moves away and back: positions go on, and the old round's answers are of an old term.
        let (lost, _) = subject.read()
        #expect(subject.hearLeader(2, term: 2).readsAborted == [lost])
        subject.becomeLeader()
        subject.persist()
        subject.accept(from: 2)
        let (retried, asked) = subject.read()
        #expect(asked.messages.compactMap(\.body.readPosition) == [4, 4])
        #expect(subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 4)).readsReady.isEmpty)
        #expect(subject.receive(from: 2, term: 3, .heartbeatResponse(readPosition: 3)).readsReady.isEmpty)
        #expect(subject.receive(from: 2, term: 3, .heartbeatResponse(readPosition: 99)).readsReady.isEmpty)
        let answered = subject.receive(from: 2, term: 3, .heartbeatResponse(readPosition: 4))
        #expect(answered.readsReady.map(\.id) == [retried])
    }

    @Test("B22: a follower drops a read answer that crossed a change of leader or term (etcd 21375)")
    func answerAcrossElection() throws {
        let subject = Subject(id: 2)
        subject.hearLeader(1, term: 1)
        let (read, asked) = subject.read()
        guard case .readIndex(let request) = asked.messages.first?.body else {
            Issue.record("no request to the leader")
            return
        }
        #expect(subject.hearLeader(3, term: 2).readsAborted == [read])
        #expect(subject.receive(from: 1, term: 1, .readIndexResponse(id: request, index: index(9))).isEmpty)
        #expect(subject.receive(from: 3, term: 2, .readIndexResponse(id: request, index: index(9))).isEmpty)
        // The same leader in a later term is another one too.
        let (second, next) = subject.read()
        guard case .readIndex(let fresh) = next.messages.first?.body else {
            Issue.record("no request to the leader")
            return
        }
        #expect(fresh != request)
        #expect(subject.hearLeader(3, term: 3).readsAborted == [second])
        #expect(subject.receive(from: 3, term: 3, .readIndexResponse(id: fresh, index: index(9))).isEmpty)
    }

    @Test("B27: a member that lost the leader alone disturbs nobody (Cloudflare, November 2020)")
    func cloudflareTriangle() {
        var cluster = Cluster(members: 3, seed: 4)
        cluster.run(for: .seconds(2))
        guard let leader = cluster.leaders.first else {
            Issue.record("no leader")
            return
        }
        let term = cluster.hosts[leader].node?.term
        let lonely = (leader + 1) % 3
        cluster.cuts[leader][lonely] = true
        cluster.cuts[lonely][leader] = true
        let before = cluster.checks.committed
        cluster.run(for: .seconds(20))
        #expect(cluster.leaders == [leader])
        #expect(cluster.hosts[leader].node?.term == term)
        #expect(cluster.checks.committed - before > 100)
        #expect(cluster.checks.findings.isEmpty)
    }

    @Test("B28: a pre-candidate forgets its leader and its last tally (raft-rs 83, 84)")
    func staleTally() {
        let subject = Subject(voters: [1, 2, 3, 4, 5])
        subject.hearLeader(2, term: 1)
        subject.persist()
        subject.fireDeadline()
        #expect(subject.node.role == .preCandidate)
        #expect(subject.node.leader == nil)
        subject.receive(from: 3, term: 2, .preVoteResponse(granted: true))
        subject.fireDeadline()
        subject.receive(from: 4, term: 2, .preVoteResponse(granted: true))
        #expect(subject.node.role == .preCandidate)
        subject.receive(from: 5, term: 2, .preVoteResponse(granted: true))
        #expect(subject.node.role == .candidate)
    }

    @Test("B28: a pre-vote of a lower term is answered with ours, so that the asker moves on (raft-rs 42)")
    func lowerTermPreVote() {
        let subject = Subject(hardState: HardState(term: Term(7)))
        let effects = subject.receive(from: 3, term: 4, .preVote(last: position(99, 3)))
        #expect(effects.messages.map(\.body) == [.preVoteResponse(granted: false)])
        #expect(effects.messages.map(\.term) == [Term(7)])
        let asker = Subject(id: 3, hardState: HardState(term: Term(3)))
        asker.fireDeadline()
        asker.receive(from: 1, term: 7, .preVoteResponse(granted: false))
        #expect(asker.node.term == Term(7))
        #expect(asker.node.role == .follower)
    }

    @Test("B30: a leader whose disk hangs hands over, and resigns when that fails (etcd 15247)")
    func hangingDisk() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.propose("x")
        let start = subject.now
        var ordered: [MemberID] = []
        while subject.now - start < .seconds(3), subject.node.role == .leader {
            let effects = subject.fireDeadline()
            ordered += effects.messages.filter { $0.body == .timeoutNow }.map(\.to)
            for peer in [2, 3] as [UInt64] {
                ordered += subject.accept(from: peer, match: 2).messages.filter { $0.body == .timeoutNow }.map(\.to)
            }
        }
        #expect(ordered.count == 1)
        #expect(subject.node.role == .follower)
        #expect(subject.now - start == .milliseconds(1000))
        // It does not come back by itself while the write is still out.
        for _ in 0..<5 { #expect(subject.fireDeadline().messages.isEmpty) }
    }

    @Test("B30: an order to hand over to somebody else gives a leader with a hanging disk no more time")
    func hangingDiskAndOrders() {
        let subject = Subject(timings: RaftTimings(heartbeat: .milliseconds(50), election: .milliseconds(500)))
        subject.becomeEstablishedLeader()
        subject.propose("x")
        let start = subject.now
        var target: UInt64 = 2
        while subject.now - start < .seconds(5), subject.node.role == .leader {
            subject.advance(.milliseconds(100))
            _ = subject.step(.timer)
            for peer in [2, 3] as [UInt64] {
                subject.receive(from: peer, term: 1, .heartbeatResponse(readPosition: 0))
            }
            _ = subject.transfer(to: target)
            target = 5 - target
        }
        #expect(subject.node.role == .follower)
        #expect(subject.now - start <= .milliseconds(1_500))
    }

    @Test("B30: without anybody to hand over to, it resigns at once")
    func hangingDiskAlone() {
        let subject = Subject(timings: RaftTimings(heartbeat: .milliseconds(50), election: .milliseconds(500)))
        subject.becomeEstablishedLeader()
        subject.advance(.milliseconds(300))
        subject.propose("x")
        subject.receive(from: 2, term: 1, .heartbeatResponse(readPosition: 0))
        subject.advance(.milliseconds(499))
        _ = subject.step(.timer)
        #expect(subject.node.role == .leader)
        subject.advance(.milliseconds(1))
        _ = subject.step(.timer)
        #expect(subject.node.role == .follower)
    }

    @Test("B31: a higher term deposes a leader whatever message brings it (hashicorp/raft)")
    func termInHeartbeatResponse() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        subject.receive(from: 3, term: 5, .heartbeatResponse(readPosition: 0))
        #expect(subject.node.role == .follower)
        #expect(subject.node.term == Term(5))
        #expect(subject.node.leader == nil)
    }

    @Test("B32: a request for votes leaves only after term, own vote and the claimed log are durable")
    func requestBeforeDurable() {
        let subject = Subject(id: 2)
        subject.receive(from: 1, term: 1, append(.zero, [entry(1, 1)]))
        subject.fireDeadline()
        #expect(subject.node.role == .follower, "a member with a hanging disk does not campaign")
        subject.persist()
        subject.receive(from: 1, term: 1, append(position(1, 1), [entry(2, 1)]))
        let asked = subject.receive(from: 1, term: 1, .timeoutNow)
        #expect(subject.node.role == .candidate)
        let batch = asked.batches.last?.number ?? .none
        #expect(asked.batches.last?.hardState == HardState(term: Term(2), votedFor: member(2)))
        #expect(asked.envelopes.map(\.gate) == [batch, batch])
        // Votes that come early do not count the own one, which is not durable.
        subject.receive(from: 3, term: 2, .voteResponse(granted: false))
        subject.receive(from: 1, term: 2, .voteResponse(granted: true))
        #expect(subject.node.role == .candidate)
        subject.persist()
        #expect(subject.node.role == .leader)
    }

    @Test("B33: a full window whose content was lost is reopened (etcd 14633)")
    func lostWindow() {
        var limits = RaftLimits()
        limits.windowMessagesMax = 3
        let subject = Subject(limits: limits)
        subject.becomeEstablishedLeader()
        for _ in 0..<5 { subject.propose("x") }
        subject.persist()
        subject.accept(from: 2)
        #expect(subject.node.progress[1].window.count == 3)
        #expect(subject.propose("y").bodies(to: member(3)).isEmpty)
        subject.advance(.milliseconds(60))
        let nudge = subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 0))
        #expect(
            nudge.bodies(to: member(3)) == [
                .append(previous: position(4, 1), entries: [], commit: index(6), readPosition: 0)
            ])
        let resent = subject.receive(
            from: 3, term: 1, .appendRejected(rejected: index(4), hint: position(1, 1), readPosition: 0))
        #expect(resent.bodies(to: member(3)).compactMap(\.appendedEntries).first?.first?.index == index(2))
        subject.accept(from: 3)
        #expect(subject.node.match(of: member(3)) == subject.node.lastIndex)
    }

    @Test("B33: a caught-up peer does not stay in probe (etcd-io/raft 31)")
    func caughtUpInProbe() {
        let subject = Subject()
        subject.becomeEstablishedLeader()
        _ = subject.step(.unreachable(member(3)))
        #expect(subject.node.progress[1].state == .probe)
        subject.advance(.milliseconds(60))
        let effects = subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 0))
        #expect(effects.bodies(to: member(3)).count == 1)
        subject.accept(from: 3)
        #expect(subject.node.progress[1].state == .replicate)
    }
}
