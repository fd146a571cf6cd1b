import KVStore
import Primitives
import Raft
import RegistryModel
import Replica
import Testing

@testable import Simulator

private typealias Fixture = ChecksFixture

@Suite("Checks of states, snapshots and reads see what does not hold")
struct ChecksStateTests {
    private let one = Fixture.one
    private let two = Fixture.two
    private let three = Fixture.three

    /// Entries 2 to 6 are committed, applied by member 1, and held by member 2.
    private func applied() throws(Violation) -> ChecksFixture {
        var fixture = try Fixture.established()
        let entries = (3...6).map { Fixture.entry($0, 2, [UInt8($0)]) }
        try fixture.replicate(entries, from: one, to: two)
        try fixture.step(one, states: [Fixture.header(Fixture.position(6, 2), digest: 6)])
        return fixture
    }

    private func install(
        _ fixture: inout ChecksFixture, _ header: StateHeader, base: LogBase? = nil
    ) throws(Violation) {
        let identity = SnapshotIdentity(position: header.applied, digest: Digest128(), bytes: 1)
        let state = RestoredState(header: header, live: [], leases: [], members: [])
        let base = base ?? LogBase(position: header.applied, configuration: Fixture.founders)
        let reset = fixture.batch(resetTo: base)
        try fixture.step(
            three, Glance(term: Term(1), commit: header.applied.index),
            events: [.snapshotInstalled(identity, state, base, sender: one)], write: reset)
    }

    @Test("R9: entries applied twice, and a state that is not what its index says")
    func applyOnce() throws {
        var fixture = try applied()
        #expect(
            violated { () throws(Violation) in
                try fixture.step(one, states: [Fixture.header(Fixture.position(5, 2))])
            } == .applyOnce)
        fixture = try applied()
        let entries = (2...6).map { Fixture.entry($0, 2, $0 == 2 ? [] : [UInt8($0)]) }
        let hardState = HardState(term: Term(2), votedFor: one)
        let wrong = Fixture.header(Fixture.position(6, 2), digest: 7)
        #expect(
            violated { () throws(Violation) in
                try fixture.restart(
                    two, entries: entries, hardState: hardState, commit: LogIndex(6), state: wrong)
            } == .applyOnce)
    }

    @Test("R9: a state that restarts before what was durable")
    func stateLost() throws {
        var fixture = try applied()
        fixture.checks.facts[0].durable.stateDurable(LogIndex(6))
        let entries = (2...6).map { Fixture.entry($0, 2, $0 == 2 ? [] : [UInt8($0)]) }
        #expect(
            violated { () throws(Violation) in
                try fixture.restart(one, entries: entries, hardState: HardState(term: Term(2), votedFor: one))
            } == .applyOnce)
    }

    @Test("R19: two states at one index")
    func equalStates() throws {
        var fixture = try applied()
        try fixture.commit(two, through: 6)
        #expect(
            violated { () throws(Violation) in
                try fixture.step(two, states: [Fixture.header(Fixture.position(6, 2), digest: 7)])
            } == .equalStates)
        let told = PeerSend(to: one, message: .digest(index: LogIndex(6), Digest128(low: 1)))
        #expect(violated { () throws(Violation) in try fixture.step(two, sends: [told]) } == .equalStates)
    }

    @Test("R13: a snapshot that is another state than the one at its entry")
    func snapshotContent() throws {
        var fixture = try applied()
        #expect(
            violated { () throws(Violation) in
                try install(&fixture, Fixture.header(Fixture.position(6, 2), digest: 6))
            } == nil)
        fixture = try applied()
        #expect(
            violated { () throws(Violation) in
                try install(&fixture, Fixture.header(Fixture.position(6, 2), digest: 7))
            } == .snapshots)
    }

    @Test("R13: a snapshot or a state with another configuration than the committed one")
    func snapshotConfiguration() throws {
        let later = Configuration(voters: [one, two])
        var fixture = try applied()
        #expect(
            violated { () throws(Violation) in
                try install(
                    &fixture, Fixture.header(Fixture.position(6, 2), digest: 6),
                    base: LogBase(position: Fixture.position(6, 2), configuration: later))
            } == .snapshots)
        fixture = try applied()
        #expect(
            violated { () throws(Violation) in
                try install(
                    &fixture, Fixture.header(Fixture.position(6, 2), digest: 6, configuration: later))
            } != nil)
        fixture = try applied()
        try fixture.commit(two, through: 6)
        var header = Fixture.header(Fixture.position(6, 2), digest: 6)
        header.configuration = later.encoded()
        #expect(
            violated { () throws(Violation) in
                try fixture.checks.checkConfiguration(header, of: two, at: .zero)
            } == .snapshots)
    }

    @Test("R13: a snapshot of what is not committed, a log forgotten before the state is durable, a gap at a restart")
    func gaps() throws {
        var fixture = try applied()
        let identity = SnapshotIdentity(position: Fixture.position(7, 2), digest: Digest128(), bytes: 1)
        let chunk = PeerSend(to: three, message: .snapshotChunk(identity, offset: 0, bytes: [1]))
        #expect(violated { () throws(Violation) in try fixture.step(one, sends: [chunk]) } == .snapshots)

        let base = LogBase(position: Fixture.position(4, 2), configuration: Fixture.founders)
        #expect(violated { () throws(Violation) in try fixture.step(one, compact: base) } == .snapshots)
        fixture.checks.facts[0].durable.stateDurable(LogIndex(4))
        #expect(violated { () throws(Violation) in try fixture.step(one, compact: base) } == nil)

        #expect(
            violated { () throws(Violation) in
                try fixture.restart(
                    two, base: Fixture.position(4, 2), entries: (5...6).map { Fixture.entry($0, 2, [UInt8($0)]) },
                    hardState: HardState(term: Term(2), votedFor: one), commit: LogIndex(4),
                    state: Fixture.header(Fixture.position(2, 2)))
            } == .snapshots)
    }

    @Test("R15: a forwarded read answered before what was committed when it was asked")
    func forwardedReads() throws {
        var fixture = try applied()
        try fixture.step(two, sends: [Fixture.raft(two, one, 2, .readIndex(id: 77))])
        let good = Fixture.raft(one, two, 2, .readIndexResponse(id: 77, index: LogIndex(6)))
        #expect(violated { () throws(Violation) in try fixture.step(one, sends: [good]) } == nil)
        let stale = Fixture.raft(one, two, 2, .readIndexResponse(id: 77, index: LogIndex(5)))
        #expect(violated { () throws(Violation) in try fixture.step(one, sends: [stale]) } == .readIndexes)
    }

    @Test("R15: a client's read answered by a member that has not applied what was committed when it began")
    func localReads() throws {
        let token = RequestToken(sink: Clients.sink, serial: 9)
        let range = RangeRequest(range: .key(Key("k")))
        let reply = Reply(outcome: .success(.barrier), revision: Revision(1), term: Term(2))
        func answer(_ request: Request, from id: MemberID) throws -> Invariant? {
            var fixture = try applied()
            try fixture.step(id, events: [.request(request, token, RequestContext())])
            return violated { () throws(Violation) in
                try fixture.checks.delivered(.reply(serial: 9, reply), sink: Clients.sink, by: id, at: .zero)
            }
        }
        #expect(try answer(.range(range), from: two) == .readIndexes)
        #expect(try answer(.range(range), from: one) == nil)
        var serializable = range
        serializable.serializable = true
        #expect(try answer(.range(serializable), from: two) == nil)
    }

    @Test("R16: a message for another member, forged or of an earlier life moves nobody; a proper one is seen to")
    func strangers() throws {
        let world = World(SimulationOptions(seed: 3, members: 3))
        defer { world.end() }
        world.calmFrom = Instant.zero + .seconds(3)
        try world.run()
        for member in world.members {
            guard let process = member.process else { continue }
            let moment = world.moment(of: member)
            var control = process.replica
            let unmoved = Strangers.outcome(of: &control, [], at: moment)
            let sender = member.id == one ? two : one
            let message = PeerMessage.raft(
                Message(
                    from: sender, to: member.id, term: Term(control.raft.term.number + 3),
                    body: .append(previous: .zero, entries: [], commit: .zero, readPosition: 0)))
            let alterations = Strangers.alterations(of: message, from: sender, to: process.replica)
            #expect(alterations.count >= 3)
            for (what, from, altered) in alterations {
                var twin = process.replica
                #expect(Strangers.outcome(of: &twin, [.peer(from, altered)], at: moment) == unmoved, "\(what)")
            }
            var twin = process.replica
            #expect(Strangers.outcome(of: &twin, [.peer(sender, message)], at: moment) != unmoved)
        }
    }
}

@Suite("Situations that runs must have been in")
struct CoverageTests {
    @Test("Each name has a place of its own")
    func places() {
        for name in Sometimes.allCases {
            var coverage = Coverage()
            coverage.hit(name)
            #expect(coverage.names == [name])
        }
        var coverage = Coverage()
        for name in Sometimes.allCases { coverage.hit(name) }
        #expect(coverage.names == Sometimes.allCases)
        #expect(Coverage().names.isEmpty)
    }

    @Test("A long run that never saw a situation fails, a short one does not yet")
    func floor() {
        var tally = CoverageTally()
        for _ in 0..<1_200 { tally.add([.voteSplit]) }
        #expect(tally.failure(floor: 100) == nil)
        tally.add([.voteSplit])
        let text = tally.failure(floor: 100)
        #expect(text?.contains(Sometimes.electionLost.rawValue) ?? false)
        #expect(text?.contains(Sometimes.voteSplit.rawValue) == false)
        let demanded = Sometimes.allCases.filter(\.isDemanded)
        #expect(demanded.count > 80 && !demanded.contains(.lossProvedByLeader))
        #expect(tally.missing(floor: 100) == demanded.filter { $0 != .voteSplit })
    }

    @Test("Runs of any length that see a situation as often as wanted pass, those that hardly ever do fail")
    func chance() {
        for runs in [50, 500, 5_000, 50_000] {
            var draws = SeededGenerator(seed: UInt64(runs))
            var tally = CoverageTally()
            for _ in 0..<runs {
                // Everything once in a hundred runs; one name ten times less often.
                tally.add(Sometimes.allCases.filter { draws.chance(1, in: $0 == .voteSplit ? 1_000 : 100) })
            }
            #expect(tally.missing(floor: 100) == (runs < 5_000 ? [] : [.voteSplit]), "\(runs) runs")
        }
    }

    @Test("Runs report what they saw")
    func reported() {
        let report = Runner.run(seed: 1, members: 3)
        #expect(report.coverage.contains(.electionWon))
        #expect(report.coverage.contains(.readConfirmed))
    }
}
