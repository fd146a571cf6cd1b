import Primitives
import Testing

@testable import Simulator

/// A run's faults, written down, read again, and done again.
@Suite("A script does again what its seed did")
struct ReadingScriptReplayTests {
    /// Short runs with much going wrong, half of them with hosts.
    private static func options(seed: UInt64) -> SimulationOptions {
        var options = SimulationOptions(seed: seed, members: 3)
        options.duration = .seconds(8)
        options.crashEvery = options.crashEvery ?? .seconds(2)
        options.failedSyncEvery = .seconds(3)
        options.membershipEvery = .seconds(2)
        options.rot = 200
        options.aimed = 150
        return options
    }

    private static func again(_ text: String) throws -> Replay {
        Replay.run(ScenarioRunner.world(try ScenarioFile.parse(text, path: "script"), traceLines: 0), Replay.Detail())
    }

    @Test("By way of a file every seed ends with the same hash", arguments: 1...8 as ClosedRange<UInt64>)
    func sameRun(seed: UInt64) throws {
        let first = Replay.run(Self.options(seed: seed))
        let again = try Self.again(ScenarioFile(first.options, script: first.script).text)
        #expect(first.script.count > 3)
        #expect(again.script == first.script)
        #expect(again.events == first.events)
        #expect(again.hash == first.hash)
    }

    @Test("Among them is everything that does not come first in its instant, or is drawn beside the swarm")
    func sorts() {
        var names: Set<String> = []
        for seed in 1...8 as ClosedRange<UInt64> {
            for line in Replay.run(Self.options(seed: seed)).script {
                names.insert(line.fault.name)
                switch line.place {
                case .events(0): break
                case .events: names.insert("in the middle of an instant")
                case .death: names.insert("at a death")
                }
            }
        }
        for name in [
            "in the middle of an instant", "at a death", "revival", "rot", "power-loss-within-write", "add-member",
            "instance-death", "agent-crash", "host-cut", "registry-replaced",
        ] {
            #expect(names.contains(name), "no run had: \(name)")
        }
    }

    @Test("A script that lacks a fault, or whose places are gone, is another run, not an error")
    func other() throws {
        let first = Replay.run(Self.options(seed: 3))
        var fewer = first.script
        fewer.removeFirst()
        let without = try Self.again(ScenarioFile(first.options, script: fewer).text)
        #expect(without.hash != first.hash)
        let unplaced = first.script.map { ScriptedFault(at: $0.at, $0.fault) }
        #expect(unplaced != first.script)
        let moved = try Self.again(ScenarioFile(first.options, script: unplaced).text)
        #expect(moved.hash != first.hash)
    }

    @Test("Places in an instant are kept in order; behind more events than there are is behind all")
    func places() {
        func pause(_ id: UInt64, _ place: ScriptedFault.Place) -> ScriptedFault {
            ScriptedFault(at: .seconds(1), place: place, .pause(.member(MemberID(id)), .milliseconds(1)))
        }
        var options = SimulationOptions.quiet(seed: 1, members: 3)
        let now = Instant.zero + .seconds(1)
        options.script = [pause(1, .events(7)), pause(2, .events(1)), pause(3, .events(0)), pause(1, .events(1))]
        var plot = Plot(options)
        #expect(plot.instants.map(\.lines) == [0..<4])
        plot.begin(at: now)
        plot.fallDue(0..<4)
        #expect(plot.takeDue(at: now, isOver: false).map(\.place) == [.events(0)])
        #expect(plot.takeDue(at: now, isOver: false).isEmpty)
        plot.begin(at: now)
        #expect(plot.place(at: now) == .events(0))
        #expect(plot.takeDue(at: now, isOver: false).map(\.place) == [.events(1), .events(1)])
        plot.begin(at: now)
        #expect(plot.place(at: now) == .events(1))
        #expect(plot.takeDue(at: now, isOver: false).isEmpty)
        #expect(plot.takeDue(at: now, isOver: true).map(\.place) == [.events(7)])
        #expect(plot.due.isEmpty)
    }

    @Test("Rot that waits for a death strikes its member only, and never without one")
    func deaths() {
        func rot(_ id: UInt64) -> ScriptedFault {
            let fault = Fault.rot(.member(MemberID(id)), file: "member/state", offset: 3, mask: 1)
            return ScriptedFault(at: .seconds(1), place: .death, fault)
        }
        var options = SimulationOptions.quiet(seed: 1, members: 3)
        let now = Instant.zero + .seconds(1)
        options.script = [rot(1), rot(2), rot(1), ScriptedFault(at: .seconds(1), .heal)]
        var plot = Plot(options)
        plot.begin(at: now)
        plot.fallDue(0..<4)
        #expect(plot.takeDue(atDeathOf: MemberID(3)).isEmpty)
        // What strikes at the end of the instant may be what brings a death.
        #expect(plot.takeDue(at: now, isOver: true).map(\.fault) == [.heal])
        #expect(plot.takeDue(at: now, isOver: false).isEmpty)
        #expect(plot.takeDue(atDeathOf: MemberID(1)) == [rot(1).fault, rot(1).fault])
        #expect(plot.takeDue(at: now, isOver: true).isEmpty)
        #expect(plot.takeDue(atDeathOf: MemberID(2)).isEmpty)
    }

    @Test("Who ends by itself stays down for as long as the script says, at that instant and for that member")
    func revivals() {
        var options = SimulationOptions.quiet(seed: 1, members: 3)
        let (one, now) = (MemberID(1), Instant.zero + .seconds(1))
        options.script = [ScriptedFault(at: .seconds(1), .revive(.member(one), after: .seconds(77)))]
        var plot = Plot(options)
        #expect(plot.instants.isEmpty)
        #expect(plot.revival(of: one, at: now + .milliseconds(1), within: .seconds(2)) <= .seconds(2))
        #expect(plot.revival(of: MemberID(2), at: now, within: .seconds(2)) <= .seconds(2))
        #expect(plot.revival(of: one, at: now, within: .seconds(2)) == .seconds(77))
        #expect(plot.revival(of: one, at: now, within: .seconds(2)) <= .seconds(2))
    }

    @Test("Places and the new lines read back as they were written")
    func text() throws {
        var options = SimulationOptions.quiet(seed: 5, members: 3)
        options.informedOperators = false
        let m2 = FaultTarget.member(MemberID(2))
        let script = [
            ScriptedFault(at: .milliseconds(1_500), place: .events(4), .crash(m2, powerLoss: true, restart: nil)),
            ScriptedFault(
                at: .milliseconds(1_500), place: .death, .rot(m2, file: "member/log/1.segment", offset: 9, mask: 8)),
            ScriptedFault(at: .seconds(2), .replaceRegistry(.seconds(3))),
            ScriptedFault(at: .seconds(2), .replaceRegistry(nil)),
            ScriptedFault(at: .seconds(3), .revive(m2, after: .milliseconds(70))),
        ]
        let text = ScenarioFile(options, script: script).text
        #expect(text.contains("at 1500ms after 4 events crash m2 power\n"))
        #expect(text.contains("at 1500ms at-death rot m2 member/log/1.segment at 9 mask 8\n"))
        #expect(text.contains("at 3s revive m2 after 70ms\n"))
        #expect(text.contains("option informed-operators off\n"))
        #expect(try ScenarioFile.parse(text, path: "s").script == script)
        #expect(throws: ScenarioError.self) { try ScenarioFile.parse("at 1s after 4 crash m1", path: "s") }
    }

    @Test("A shrunk script names nobody who was never there")
    func strangers() {
        var options = SimulationOptions.quiet(seed: 1, members: 2)
        func link(_ from: UInt64, _ to: UInt64) -> FaultLink {
            FaultLink(.member(MemberID(from)), .member(MemberID(to)))
        }
        options.script = [
            ScriptedFault(at: .seconds(1), .cut([link(1, 2), link(1, 4)], nil)),
            ScriptedFault(at: .seconds(1), .cut([link(1, 4)], nil)),
            ScriptedFault(at: .seconds(1), .pause(.member(MemberID(3)), .seconds(1))),
            ScriptedFault(at: .seconds(1), .pause(.member(MemberID(4)), .seconds(1))),
            ScriptedFault(at: .seconds(1), .pause(.leader, .seconds(1))),
            ScriptedFault(at: .seconds(2), .addMember(learner: false)),
        ]
        let left = options.withoutStrangers.script?.map(\.fault)
        #expect(
            left == [
                .cut([link(1, 2)], nil), .pause(.member(MemberID(3)), .seconds(1)), .pause(.leader, .seconds(1)),
                .addMember(learner: false),
            ])
    }
}
