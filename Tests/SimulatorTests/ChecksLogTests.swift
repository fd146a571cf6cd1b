import KVStore
import Primitives
import RegistryModel
import Replica
import Testing

@testable import Raft
@testable import Simulator

private typealias Fixture = ChecksFixture

@Suite("Checks of logs and commits see what does not hold")
struct ChecksLogTests {
    private let one = Fixture.one
    private let two = Fixture.two
    private let three = Fixture.three

    @Test("R2: a leader that cuts its log, or writes over an entry")
    func leaderAppendOnly() throws {
        var fixture = try Fixture.established()
        let cut = fixture.batch(truncateFrom: LogIndex(3))
        #expect(violated { () throws(Violation) in try fixture.step(one, write: cut) } == .leaderAppendOnly)
        fixture = try Fixture.established()
        let over = fixture.batch([Fixture.entry(2, 2)])
        #expect(violated { () throws(Violation) in try fixture.step(one, write: over) } == .leaderAppendOnly)
    }

    @Test("R3: another entry at the same index and term, written or sent")
    func logMatching() throws {
        var fixture = try Fixture.established()
        try fixture.step(one, write: fixture.batch([Fixture.entry(3, 2, [1])]))
        let other = fixture.batch([Fixture.entry(3, 2, [2])])
        #expect(violated { () throws(Violation) in try fixture.step(two, write: other) } == .logMatching)
        let forged = Fixture.raft(
            one, two, 2,
            .append(
                previous: Fixture.position(2, 2), entries: [Fixture.entry(3, 2, [9])], commit: LogIndex(2),
                readPosition: 0))
        #expect(violated { () throws(Violation) in try fixture.step(one, sends: [forged]) } == .logMatching)
    }

    @Test("R3: the same entry after another predecessor")
    func predecessor() throws {
        var fixture = try Fixture.established()
        try fixture.step(one, write: fixture.batch([Fixture.entry(3, 2, [1])]))
        let alien = fixture.batch([Fixture.entry(2, 1)])
        let behind = fixture.batch([Fixture.entry(3, 2, [1])])
        #expect(
            violated { () throws(Violation) in
                try fixture.step(three, write: alien)
                try fixture.step(three, write: behind)
            } == .logMatching)
    }

    @Test("R4: an entry of an older term committed by counting copies")
    func committedByCounting() throws {
        var fixture = try Fixture()
        try fixture.elect(one, with: two, term: 2)
        try fixture.follow(two, one, [Fixture.entry(2, 2)])
        try fixture.elect(two, with: one, term: 3)
        #expect(violated { () throws(Violation) in try fixture.commit(two, through: 2) } == .leaderCompleteness)
    }

    @Test("R5: another entry committed or applied than the one that was")
    func stateMachineSafety() throws {
        var fixture = try Fixture.established()
        try fixture.step(three, write: fixture.batch([Fixture.entry(2, 1)]))
        #expect(violated { () throws(Violation) in try fixture.commit(three, through: 2) } == .stateMachineSafety)
        fixture = try Fixture.established()
        #expect(
            violated { () throws(Violation) in
                try fixture.step(one, states: [Fixture.header(Fixture.position(2, 1))])
            } == .stateMachineSafety)
        fixture = try Fixture.established()
        #expect(
            violated { () throws(Violation) in
                try fixture.step(two, states: [Fixture.header(Fixture.position(2, 2))])
            } == .stateMachineSafety)
    }

    @Test("R6: a commit that one disk holds, and one that nobody decided")
    func committedIsDurable() throws {
        var fixture = try Fixture.established()
        try fixture.step(one, write: fixture.batch([Fixture.entry(3, 2, [1])]))
        #expect(violated { () throws(Violation) in try fixture.commit(one) } == .committedIsDurable)
        fixture = try Fixture.established()
        try fixture.replicate([Fixture.entry(3, 2, [1])], from: one, to: two, commits: false)
        #expect(violated { () throws(Violation) in try fixture.commit(two, through: 3) } == .committedIsDurable)
    }

    @Test("R6: a restart without an entry that was durable; R11: without one that was acknowledged")
    func lostAtRestart() throws {
        let hardState = HardState(term: Term(2), votedFor: Fixture.one)
        var fixture = try Fixture.established()
        #expect(
            violated { () throws(Violation) in
                try fixture.restart(one, entries: [], hardState: hardState)
            } == .committedIsDurable)
        fixture = try Fixture.established()
        #expect(
            violated { () throws(Violation) in
                try fixture.restart(two, entries: [], hardState: hardState, isDamaged: true)
            } == .nothingCommittedTruncated)
        // Saying so is no lie.
        fixture = try Fixture.established()
        #expect(
            violated { () throws(Violation) in
                try fixture.restart(two, entries: [], hardState: hardState, recovery: Recovery(claimed: nil))
            } == nil)
    }

    @Test("R6: two damaged members are more than three can bear")
    func lostQuorum() throws {
        let hardState = HardState(term: Term(2), votedFor: Fixture.one)
        var fixture = try Fixture.established()
        fixture.checks.facts[0].isDamaged = true
        fixture.checks.facts[0].acknowledged = .zero
        try fixture.restart(one, entries: [], hardState: hardState, isDamaged: true)
        #expect(
            violated { () throws(Violation) in
                try fixture.restart(two, entries: [], hardState: hardState, recovery: Recovery(claimed: nil))
            } == .committedIsDurable)
    }

    @Test("R8: a commit index that goes back, passes the log, or is invented at a restart")
    func commitMonotone() throws {
        var fixture = try Fixture.established()
        #expect(violated { () throws(Violation) in try fixture.commit(one, through: 1) } == .commitMonotone)
        fixture = try Fixture.established()
        #expect(violated { () throws(Violation) in try fixture.commit(one, through: 9) } == .commitMonotone)
        fixture = try Fixture.established()
        let entries = [Fixture.entry(2, 2), Fixture.entry(3, 2)]
        #expect(
            violated { () throws(Violation) in
                try fixture.restart(
                    two, entries: entries, hardState: HardState(term: Term(2), votedFor: one), commit: LogIndex(3))
            } == .commitMonotone)
    }

    @Test("R11: a cut at the commit index, a cut of what others committed, a log begun anew below it")
    func nothingCommittedTruncated() throws {
        var fixture = try Fixture.established()
        try fixture.commit(two, through: 2)
        let own = fixture.batch(truncateFrom: LogIndex(2))
        #expect(violated { () throws(Violation) in try fixture.step(two, write: own) } == .nothingCommittedTruncated)
        fixture = try Fixture.established()
        let others = fixture.batch(truncateFrom: LogIndex(2))
        #expect(
            violated { () throws(Violation) in try fixture.step(two, write: others) } == .nothingCommittedTruncated)
        fixture = try Fixture.established()
        try fixture.commit(two, through: 2)
        let base = LogBase(position: Fixture.founding, configuration: Fixture.founders)
        let reset = fixture.batch(resetTo: base)
        #expect(violated { () throws(Violation) in try fixture.step(two, write: reset) } == .nothingCommittedTruncated)
    }

    @Test("R11: a member that is shown to have lost entries, though its disk is whole")
    func lossWithoutDamage() throws {
        var fixture = try Fixture.established()
        #expect(
            violated { () throws(Violation) in try fixture.checks.lost(two, at: .zero) } == .nothingCommittedTruncated)
        fixture.checks.facts[1].isDamaged = true
        #expect(violated { () throws(Violation) in try fixture.checks.lost(two, at: .zero) } == nil)
    }

    @Test("R10: votes, campaigns, acknowledgements and snapshots that are not durable")
    func honesty() throws {
        var fixture = try Fixture()
        let order = fixture.batch(hardState: HardState(term: Term(2), votedFor: one))
        try fixture.step(two, Glance(term: Term(2), commit: LogIndex(1)), write: order, durably: false)
        let vote = Fixture.raft(two, one, 2, .voteResponse(granted: true))
        #expect(violated { () throws(Violation) in try fixture.step(two, sends: [vote]) } == .honesty)

        fixture = try Fixture()
        let own = fixture.batch(hardState: HardState(term: Term(2), votedFor: one))
        try fixture.step(
            one, Glance(term: Term(2), role: .candidate, commit: LogIndex(1)), write: own, durably: false)
        let request = Fixture.raft(one, two, 2, .requestVote(last: Fixture.founding, transfer: false))
        #expect(violated { () throws(Violation) in try fixture.step(one, sends: [request]) } == .honesty)

        fixture = try Fixture.established()
        try fixture.step(one, write: fixture.batch([Fixture.entry(3, 2, [1])]))
        try fixture.step(two, write: fixture.batch([Fixture.entry(3, 2, [1])]), durably: false)
        let accepted = Fixture.raft(two, one, 2, .appendAccepted(match: LogIndex(3), readPosition: 0))
        #expect(violated { () throws(Violation) in try fixture.step(two, sends: [accepted]) } == .honesty)

        let identity = SnapshotIdentity(position: Fixture.position(3, 2), digest: Digest128(), bytes: 1)
        let installed = PeerSend(to: one, message: .snapshotInstalled(identity))
        #expect(violated { () throws(Violation) in try fixture.step(two, sends: [installed]) } == .honesty)
    }

    @Test("R10: leaders that are none, commits that are none, and losses that are not told")
    func honestWords() throws {
        var fixture = try Fixture.established()
        let false1 = Fixture.raft(three, two, 2, .heartbeat(commit: .zero, readPosition: 0))
        #expect(violated { () throws(Violation) in try fixture.step(three, sends: [false1]) } == .honesty)
        let false2 = Fixture.raft(one, two, 2, .heartbeat(commit: LogIndex(3), readPosition: 0))
        #expect(violated { () throws(Violation) in try fixture.step(one, sends: [false2]) } == .honesty)
        fixture.checks.facts[1].isRecovering = true
        let unmarked = Fixture.raft(two, one, 2, .heartbeatResponse(readPosition: 1))
        #expect(violated { () throws(Violation) in try fixture.step(two, sends: [unmarked]) } == .honesty)
        let marked = Fixture.raft(two, one, 2, .heartbeatResponse(readPosition: 1), isRecovering: true)
        #expect(violated { () throws(Violation) in try fixture.step(two, sends: [marked]) } == nil)
    }

    @Test("R14: a leader that counts on entries, tells commits or hands over to a member without them")
    func matches() throws {
        var fixture = try Fixture.established()
        let told = Fixture.raft(one, three, 2, .heartbeat(commit: LogIndex(2), readPosition: 0))
        #expect(violated { () throws(Violation) in try fixture.step(one, sends: [told]) } == .matches)
        let order = Fixture.raft(one, three, 2, .timeoutNow)
        #expect(violated { () throws(Violation) in try fixture.step(one, sends: [order]) } == .matches)
        var peer = Progress(id: three, logEnd: LogIndex(2), now: .zero)
        peer.match = LogIndex(2)
        #expect(
            violated { () throws(Violation) in try fixture.checks.peersSeen(by: one, [peer], at: .zero) } == .matches)
        var held = Progress(id: two, logEnd: LogIndex(2), now: .zero)
        held.match = LogIndex(2)
        #expect(violated { () throws(Violation) in try fixture.checks.peersSeen(by: one, [held], at: .zero) } == nil)
    }

    @Test("R17: appends, windows and tails beyond their bounds")
    func bounds() throws {
        var fixture = try Fixture.established()
        let large = [UInt8](repeating: 1, count: 5_000)
        let entries = [Fixture.entry(3, 2, large), Fixture.entry(4, 2, large)]
        try fixture.step(one, write: fixture.batch(entries))
        let append = Fixture.raft(
            one, two, 2,
            .append(previous: Fixture.position(2, 2), entries: entries, commit: LogIndex(2), readPosition: 0))
        #expect(violated { () throws(Violation) in try fixture.step(one, sends: [append]) } == .bounds)
        var peer = Progress(id: two, logEnd: LogIndex(2), now: .zero)
        for index in 3...400 as ClosedRange<UInt64> { peer.window.add(through: LogIndex(index), bytes: 1) }
        #expect(
            violated { () throws(Violation) in try fixture.checks.peersSeen(by: one, [peer], at: .zero) } == .bounds)
        #expect(
            violated { () throws(Violation) in
                try fixture.checks.checkTail(of: one, durable: LogIndex(36), at: .zero)
            } == .bounds)
        #expect(
            violated { () throws(Violation) in
                try fixture.checks.checkTail(of: one, durable: LogIndex(35), at: .zero)
            } == nil)
    }
}
