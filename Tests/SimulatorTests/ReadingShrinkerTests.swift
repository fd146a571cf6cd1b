import Primitives
import Testing

@testable import Simulator

@Suite("Delta debugging")
struct DeltaDebuggingTests {
    @Test(
        "Of a hundred elements the two that matter are found, wherever they are",
        arguments: [1, 2, 3, 4, 5] as [UInt64])
    func pair(seed: UInt64) {
        var draws = SeededGenerator(seed: seed)
        let wanted = [Int(draws.below(100)), Int(draws.below(100))]
        var asked = 0
        let found = DeltaDebugging.minimize(Array(0..<100)) { part in
            asked += 1
            return wanted.allSatisfy(part.contains)
        }
        #expect(found == Array(Set(wanted)).sorted())
        #expect(asked < 200)
    }

    @Test("The result keeps the order, and nothing in it can be left out")
    func minimal() {
        // At least three odd numbers, one of them above 50.
        func fails(_ part: [Int]) -> Bool {
            let odd = part.filter { !$0.isMultiple(of: 2) }
            return odd.count >= 3 && odd.contains { $0 > 50 }
        }
        let found = DeltaDebugging.minimize(Array(0..<80), while: fails)
        #expect(found.count == 3)
        #expect(found == found.sorted())
        for place in found.indices {
            var less = found
            less.remove(at: place)
            #expect(!fails(less))
        }
    }

    @Test("Nothing is needed, everything is needed, nothing is there")
    func edges() {
        #expect(DeltaDebugging.minimize([1, 2, 3]) { _ in true } == [])
        #expect(DeltaDebugging.minimize([1, 2, 3]) { $0.count == 3 } == [1, 2, 3])
        #expect(DeltaDebugging.minimize([Int]()) { _ in true } == [])
    }

    @Test("When time is up the best so far comes back")
    func timeUp() {
        var asked = 0
        let found = DeltaDebugging.minimize(Array(0..<64)) { part in
            asked += 1
            return asked < 4 && part.contains(5)
        }
        #expect(found.contains(5))
        #expect(found.count < 64)
    }
}

@Suite("Shrinking")
struct ReadingShrinkerTests {
    @Test("A fabricated failure: the two faults it takes are left, in plain numbers, and nothing else")
    func fabricated() throws {
        var options = SimulationOptions(seed: 3, members: 5)
        options.loss = 70
        options.clients = 6
        var script: [ScriptedFault] = []
        for second in 1...12 as ClosedRange<Int64> {
            let at = TimeSpan.milliseconds(second * 1_000 + 33)
            script.append(ScriptedFault(at: at, .crash(.member(MemberID(2)), powerLoss: true, restart: .seconds(1))))
            script.append(ScriptedFault(at: at + .milliseconds(400), .heal))
            script.append(
                ScriptedFault(
                    at: at + .milliseconds(500),
                    .cut(
                        [
                            FaultLink(.member(MemberID(1)), .member(MemberID(2))),
                            FaultLink(.member(MemberID(2)), .member(MemberID(1))),
                        ], .milliseconds(1_234))))
        }
        // Fails five seconds in, when m2 was down after a cut from m1 to m2, with at least two members.
        func run(_ options: SimulationOptions) -> Shrinker.Failure? {
            let faults = (options.script ?? []).map(\.fault)
            let cut = faults.firstIndex {
                if case .cut(let links, _) = $0 { links.contains { $0.from == .member(MemberID(1)) } } else { false }
            }
            let crash = faults.lastIndex { if case .crash = $0 { true } else { false } }
            guard let cut, let crash, cut < crash, options.members >= 2 else { return nil }
            return Shrinker.Failure(.logMatching, at: .zero + .milliseconds(5_010))
        }
        let result = Shrinker.shrink(
            options, script: script, failure: Shrinker.Failure(.logMatching, at: .zero + .milliseconds(5_010)),
            hasTime: { true }, run: run)
        let left = try #require(result.options.script)
        #expect(left.count == 2)
        #expect(left.allSatisfy { $0.at.nanoseconds.isMultiple(of: 100_000_000) })
        #expect(
            left.first?.fault == .cut([FaultLink(.member(MemberID(1)), .member(MemberID(2)))], .milliseconds(1_200)))
        #expect(left.last?.fault == .crash(.member(MemberID(2)), powerLoss: false, restart: .seconds(1)))
        #expect(result.options.members == 2)
        #expect(result.options.clients == 1)
        #expect(result.options.loss == 0)
        #expect(result.options.duration == .milliseconds(5_100))
        #expect(result.runs < 300)
    }

    @Test("Another invariant is another failure: what leads to it is not kept")
    func sameInvariant() {
        var options = SimulationOptions(seed: 3, members: 3)
        options.loss = 50
        let result = Shrinker.shrink(
            options, script: [], failure: Shrinker.Failure(.logMatching, at: .zero + .seconds(1)), hasTime: { true },
            run: { candidate in
                Shrinker.Failure(candidate.loss > 0 ? .logMatching : .liveness, at: .zero + .seconds(1))
            })
        #expect(result.options.loss == 50)
        #expect(result.options.clients == 1)
        #expect(result.failure.invariant == .logMatching)
    }

    @Test("A world with lying disks fails alike with a handful of faults, written down in at most twenty lines")
    func plantedLie() throws {
        func run(_ options: SimulationOptions) -> Replay { Replay.run(options) { $0.loseSyncs() } }
        func failure(_ replay: Replay) -> Shrinker.Failure? {
            replay.violation.map { Shrinker.Failure($0.invariant, at: $0.at) }
        }
        var found: (replay: Replay, failure: Shrinker.Failure)?
        for seed in 1...40 as ClosedRange<UInt64> where found == nil {
            var options = SimulationOptions(seed: seed, members: 3)
            options.duration = .seconds(8)
            options.crashEvery = .milliseconds(700)
            options.powerLoss = 256
            options.midWrite = 0
            options.massCrashes = true
            let replay = run(options)
            if let failure = failure(replay) { found = (replay, failure) }
        }
        let (replay, first) = try #require(found)
        var left = 200
        let result = Shrinker.shrink(
            replay.options, script: replay.script, failure: first,
            hasTime: {
                left -= 1
                return left >= 0
            }, run: { failure(run($0)) })
        let script = try #require(result.options.script)
        #expect(script.count <= 10)
        #expect(script.count < replay.script.count)
        #expect(result.failure.invariant == first.invariant)
        let again = try #require(run(result.options).violation)
        #expect(again.invariant == first.invariant)
        #expect(again.at == result.failure.at)
        // As a file it is short, and does the same when it is read again.
        let text = ScenarioFile(result.options, script: script).text
        #expect(text.split(separator: "\n").count <= 20, "\(text)")
        let world = ScenarioRunner.world(try ScenarioFile.parse(text, path: "shrunk"), traceLines: 0)
        world.loseSyncs()
        let fromFile = Replay.run(world, Replay.Detail())
        #expect(fromFile.violation?.invariant == first.invariant)
        #expect(fromFile.hash == run(result.options).hash)
    }

    @Test("Without time nothing is tried")
    func noTime() {
        let options = SimulationOptions(seed: 3, members: 3)
        let result = Shrinker.shrink(
            options, script: [ScriptedFault(at: .zero, .heal)],
            failure: Shrinker.Failure(.logMatching, at: .zero + .seconds(1)), hasTime: { false },
            run: { _ in Shrinker.Failure(.logMatching, at: .zero) })
        #expect(result.runs == 0)
        #expect(result.options.isSame(as: options))
    }
}
