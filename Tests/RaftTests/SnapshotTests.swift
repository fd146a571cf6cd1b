import Primitives
import Raft
import Testing

@Suite("Snapshots and compaction")
struct SnapshotTests {
    private let three = Configuration(voters: members(1, 2, 3))

    private func small() -> RaftLimits {
        var limits = RaftLimits()
        limits.trailingEntries = 4
        return limits
    }

    /// A leader whose peers 2 and 3 hold everything, `count` entries in all, all applied.
    private func leader(count: Int, limits: RaftLimits) -> Subject {
        let subject = Subject(limits: limits)
        subject.becomeEstablishedLeader()
        while subject.node.lastIndex.number < UInt64(count) { subject.propose("x") }
        subject.persist()
        subject.accept(from: 2)
        subject.accept(from: 3)
        return subject
    }

    @Test("The log is cut behind the durable state, less a tail, and the base is recorded")
    func compaction() {
        let subject = leader(count: 20, limits: small())
        let effects = subject.step(.stateDurable(index(18)))
        #expect(effects.compactTo == LogBase(position: position(14, 1), configuration: three))
        #expect(subject.node.base.position == position(14, 1))
        #expect(subject.node.term(at: index(13)) == nil)
        #expect(subject.step(.stateDurable(index(18))).isEmpty)
        #expect(subject.node.entries(from: index(15), through: index(20)).count == 6)
    }

    @Test("A tail of large entries is cut by size")
    func compactionBySize() {
        var limits = RaftLimits()
        limits.trailingBytesMax = 10
        let subject = leader(count: 31, limits: limits)
        let effects = subject.step(.stateDurable(index(31)))
        #expect(effects.compactTo?.position == position(21, 1))
    }

    @Test("What a served peer still needs is kept, within reason")
    func laggingPeer() {
        let subject = leader(count: 10, limits: small())
        for _ in 0..<10 { subject.propose("x") }
        subject.persist()
        subject.accept(from: 2)
        #expect(subject.step(.stateDurable(index(20))).compactTo?.position == position(10, 1))
        for _ in 0..<20 { subject.propose("x") }
        subject.persist()
        subject.accept(from: 2)
        #expect(subject.step(.stateDurable(index(40))).compactTo?.position == position(24, 1))
    }

    @Test("The base carries the configuration as of its index, not the latest")
    func baseConfiguration() {
        let grown = Configuration(voters: members(1, 2, 3, 4))
        let change = Entry(
            index: index(3), term: Term(1), kind: .configuration,
            payload: ConfigurationEntry(configuration: grown).encoded())
        var limits = RaftLimits()
        limits.trailingEntries = 0
        let subject = Subject(
            log: [entry(1, 1), entry(2, 1), change, entry(4, 1)], hardState: HardState(term: Term(1), commit: index(4)),
            limits: limits)
        _ = subject.step(.timer)
        #expect(subject.step(.stateDurable(index(2))).compactTo?.configuration == three)
        #expect(subject.node.configuration == grown)
        #expect(subject.step(.stateDurable(index(4))).compactTo?.configuration == grown)
    }

    @Test("A peer behind the log's base gets a snapshot, and nothing else until it has it")
    func snapshotWanted() {
        let subject = Subject.behindBase(limits: small())
        #expect(subject.node.progress[1].state == .probe)
        subject.advance(.milliseconds(60))
        let wanted = subject.receive(
            from: 3, term: 2, .appendRejected(rejected: index(20), hint: position(3, 1), readPosition: 0))
        #expect(wanted.snapshotsWanted == members(3))
        #expect(wanted.bodies(to: member(3)).isEmpty)
        #expect(subject.node.progress[1].state == .snapshot(pending: index(16)))
        subject.advance(.milliseconds(60))
        #expect(subject.receive(from: 3, term: 2, .heartbeatResponse(readPosition: 0)).isEmpty)
        #expect(subject.propose("y").bodies(to: member(3)).isEmpty)

        let sent = subject.step(.snapshotSent(member(3), position(20, 1)))
        #expect(subject.node.match(of: member(3)) == index(20))
        #expect(sent.bodies(to: member(3)).compactMap(\.appendPrevious) == [position(20, 1)])
        subject.accept(from: 3)
        #expect(subject.node.progress[1].state == .replicate)
    }

    @Test("The peer's own acknowledgement ends the snapshot state as well, wherever it then stands")
    func snapshotAcknowledged() {
        let subject = Subject.behindBase(limits: small())
        subject.receive(
            from: 3, term: 2, .appendRejected(rejected: index(20), hint: position(3, 1), readPosition: 0))
        subject.accept(from: 3, match: 10)
        #expect(subject.node.progress[1].state == .snapshot(pending: index(16)))
        let effects = subject.accept(from: 3, match: 18)
        #expect(subject.node.progress[1].state == .replicate)
        #expect(effects.bodies(to: member(3)).compactMap(\.appendPrevious) == [position(18, 1)])
    }

    @Test("A failed snapshot is tried again after the peer is heard, not at once")
    func snapshotFailed() {
        let subject = Subject.behindBase(limits: small())
        let rejection = Message.Body.appendRejected(rejected: index(20), hint: position(3, 1), readPosition: 0)
        subject.receive(from: 3, term: 2, rejection)
        #expect(subject.step(.snapshotFailed(member(3))).isEmpty)
        #expect(subject.receive(from: 3, term: 2, .heartbeatResponse(readPosition: 0)).snapshotsWanted.isEmpty)
        subject.advance(.milliseconds(60))
        let again = subject.receive(from: 3, term: 2, .heartbeatResponse(readPosition: 0))
        #expect(again.snapshotsWanted == members(3))
    }

    @Test("The log behind a snapshot under way is kept for a minute")
    func pinned() {
        let subject = Subject.behindBase(limits: small())
        subject.receive(
            from: 3, term: 2, .appendRejected(rejected: index(20), hint: position(3, 1), readPosition: 0))
        func grow(to end: UInt64) -> RaftEffects {
            while subject.node.lastIndex.number < end { subject.propose("x") }
            subject.persist()
            subject.accept(from: 2)
            return subject.step(.stateDurable(index(end)))
        }
        #expect(grow(to: 30).compactTo == nil)
        subject.advance(.seconds(61))
        #expect(grow(to: 31).compactTo?.position == position(27, 2))
    }

    @Test("A snapshot that is no news changes nothing but is acknowledged")
    func oldSnapshot() {
        let subject = Subject(
            id: 2, log: entries([1, 1, 1]), hardState: HardState(term: Term(1), commit: index(3)))
        subject.hearLeader(1, term: 1)
        let effects = subject.step(.snapshotInstalled(LogBase(position: position(2, 1), configuration: three)))
        #expect(effects.batches.isEmpty)
        #expect(subject.node.lastIndex == index(3))
        #expect(effects.messages.map(\.body) == [.appendAccepted(match: index(2), readPosition: 0)])
    }

    @Test("Entries follow an installed snapshot")
    func afterInstall() {
        let subject = Subject(id: 2)
        subject.hearLeader(1, term: 3)
        _ = subject.step(.snapshotInstalled(LogBase(position: position(10, 2), configuration: three)))
        let body = Message.Body.append(
            previous: position(10, 2), entries: [entry(11, 3)], commit: index(11), readPosition: 0)
        let effects = subject.receive(from: 1, term: 3, body)
        #expect(effects.committed == [entry(11, 3)])
        #expect(effects.envelopes.map(\.gate) == effects.batches.map(\.number))
    }
}

extension Subject {
    /// A leader of term 2 with entries 17...21 after base 16; peer 2 is in step, peer 3 was never heard.
    static func behindBase(limits: RaftLimits) -> Subject {
        let subject = Subject(
            log: entries(Array(repeating: 1, count: 20)), hardState: HardState(term: Term(1)),
            applied: position(20, 1), limits: limits)
        _ = subject.step(.stateDurable(index(20)))
        subject.becomeLeader()
        subject.persist()
        subject.accept(from: 2)
        return subject
    }
}

@Suite("Restart")
struct RestartTests {
    private let three = Configuration(voters: members(1, 2, 3))

    @Test("Entries known to be committed are applied again from where the state machine stands")
    func replay() {
        let subject = Subject(
            log: entries([1, 1, 1, 1]), hardState: HardState(term: Term(1), commit: index(3)), applied: position(1, 1))
        #expect(subject.step(.timer).committed.map(\.index) == [index(2), index(3)])
        #expect(subject.step(.timer).committed.isEmpty)
        #expect(subject.node.durableIndex == index(4))
    }

    @Test("A state machine ahead of the log replaces it")
    func ahead() {
        let subject = Subject(log: entries([1, 1]), hardState: HardState(term: Term(2)), applied: position(5, 2))
        let effects = subject.step(.timer)
        #expect(effects.batches.map(\.resetTo) == [LogBase(position: position(5, 2), configuration: three)])
        #expect(effects.committed.isEmpty)
        #expect(subject.node.lastPosition == position(5, 2))
        #expect(subject.node.commitIndex == index(5))
    }

    @Test("So does one that the log contradicts")
    func contradicted() {
        let subject = Subject(
            log: entries([1, 1, 1, 1]), hardState: HardState(term: Term(2), commit: index(1)), applied: position(3, 2))
        #expect(subject.step(.timer).batches.map(\.resetTo?.position) == [position(3, 2)])
        #expect(subject.node.lastPosition == position(3, 2))
    }

    @Test("A commit hint beyond the log counts only to its end")
    func hint() {
        let subject = Subject(log: entries([1]), hardState: HardState(term: Term(1), commit: index(9)))
        #expect(subject.node.commitIndex == index(1))
    }

    @Test("The hint that is written covers only entries that were durable before")
    func hintWritten() {
        let subject = Subject(id: 2)
        let body = Message.Body.append(
            previous: .zero, entries: [entry(1, 1), entry(2, 1)], commit: index(2), readPosition: 0)
        #expect(subject.receive(from: 1, term: 1, body).batches.last?.hardState?.commit == .zero)
        subject.advance(.milliseconds(600))
        let vote = subject.receive(from: 3, term: 2, .requestVote(last: position(9, 1), transfer: false))
        #expect(vote.batches.last?.hardState?.commit == .zero)
        subject.persist()
        subject.advance(.milliseconds(600))
        let later = subject.receive(from: 3, term: 3, .requestVote(last: position(9, 1), transfer: false))
        #expect(later.batches.last?.hardState?.commit == index(2))
    }

    @Test("Entries that outlived their batch's hard state raise the term, without a vote in it")
    func tornBatch() {
        let subject = Subject(
            log: entries([1, 4]), hardState: HardState(term: Term(3), votedFor: member(2)))
        #expect(subject.node.term == Term(4))
        #expect(subject.step(.timer).batches.map(\.hardState) == [HardState(term: Term(4))])
    }

    @Test("A vote survives the restart")
    func vote() {
        let subject = Subject(hardState: HardState(term: Term(3), votedFor: member(2)))
        subject.advance(.milliseconds(600))
        #expect(
            subject.receive(from: 3, term: 3, .requestVote(last: position(9, 2), transfer: false)).messages.map(\.body)
                == [.voteResponse(granted: false)])
        #expect(
            subject.receive(from: 2, term: 3, .requestVote(last: position(9, 2), transfer: false)).messages.map(\.body)
                == [.voteResponse(granted: true)])
    }

    @Test("A log that cannot be read is refused by name")
    func unreadable() {
        let base = LogBase(position: .zero, configuration: three)
        let junk = Entry(index: index(1), term: Term(1), kind: .configuration, payload: [77])
        let restored = RestoredLog(base: base, entries: [junk], hardState: HardState(term: Term(1)))
        #expect(throws: RestoreFailure.unreadableConfiguration(index(1))) { try restored.validate(applied: base) }
        let backwards = RestoredLog(
            base: base, entries: [entry(1, 2), entry(2, 1)], hardState: HardState(term: Term(2)))
        #expect(throws: RestoreFailure.disordered(index(2))) { try backwards.validate(applied: base) }
    }
}
