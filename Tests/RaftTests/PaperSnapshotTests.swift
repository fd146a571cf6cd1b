import Primitives
import Raft
import Testing

/// Rules of the Raft paper (extended version, §7): compaction and snapshots.
@Suite("Paper: snapshots")
struct PaperSnapshotTests {
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

    @Test("§7: what the state machine holds durably may go; the log remembers its end, term and configuration")
    func compacted() {
        var limits = RaftLimits()
        limits.trailingEntries = 0
        let subject = Subject(limits: limits)
        subject.becomeEstablishedLeader()
        for _ in 0..<5 { subject.propose("x") }
        subject.persist()
        subject.accept(from: 2)
        subject.accept(from: 3)
        let effects = subject.step(.stateDurable(index(4)))
        let base = LogBase(position: position(4, 1), configuration: Configuration(voters: members(1, 2, 3)))
        #expect(effects.compactTo == base)
        #expect(subject.node.base == base)
        #expect(subject.node.entries(from: index(5), through: index(6)).count == 2)
    }

    @Test("§7: a follower whose next entry is gone gets a snapshot, and the log after it")
    func sent() {
        var limits = RaftLimits()
        limits.trailingEntries = 0
        let subject = Subject(limits: limits)
        subject.becomeLeader()
        subject.persist()
        subject.accept(from: 2)
        for _ in 0..<5 { subject.propose("x") }
        subject.persist()
        subject.accept(from: 2)
        _ = subject.step(.stateDurable(index(6)))
        let wanted = subject.receive(
            from: 3, term: 1, .appendRejected(rejected: .zero, hint: .zero, readPosition: 0))
        let nudged = subject.receive(from: 3, term: 1, .heartbeatResponse(readPosition: 0))
        #expect(wanted.snapshotsWanted + nudged.snapshotsWanted == members(3))
        subject.propose("y")
        let effects = subject.step(.snapshotSent(member(3), position(6, 1)))
        #expect(effects.bodies(to: member(3)).compactMap(\.appendPrevious) == [position(6, 1)])
        #expect(effects.bodies(to: member(3)).compactMap(\.appendedEntries) == [[entry(7, 1, "y")]])
    }
}
