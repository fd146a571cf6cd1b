import Primitives
import Testing

@testable import Simulator

@Suite("Whole clusters under faults")
struct SimulationTests {
    @Test("Seeds hold every invariant", arguments: [1, 2, 5, 6, 9, 12] as [UInt64])
    func seeds(seed: UInt64) {
        let report = Runner.run(seed: seed, members: nil)
        #expect(report.violation == nil, "\(report.options)\n\(report.trace.suffix(40).joined(separator: "\n"))")
        #expect(report.events > 1_000)
    }

    @Test("The same seed gives the same trace, another seed another one")
    func determinism() {
        let first = Runner.run(seed: 3, members: 3)
        let second = Runner.run(seed: 3, members: 3, traceLines: 0)
        let other = Runner.run(seed: 4, members: 3)
        #expect(first.hash == second.hash)
        #expect(first.events == second.events)
        #expect(first.hash != other.hash)
    }

    @Test("With disks that lie about syncing, a lost acknowledged write or a broken promise is found")
    func syncingSwitchedOff() {
        var found = false
        for seed in 1...40 as ClosedRange<UInt64> where !found {
            var options = SimulationOptions(seed: seed, members: 3)
            options.crashEvery = .milliseconds(700)
            options.powerLoss = 256
            options.midWrite = 0
            options.massCrashes = true
            let world = World(options)
            world.loseSyncs()
            do throws(Violation) {
                try world.run()
            } catch {
                found = true
            }
            world.end()
        }
        #expect(found, "forty clusters on disks that never sync kept every promise: the checks are blind")
    }

    @Test("Power losses without lies are survived", arguments: 1...6 as ClosedRange<UInt64>)
    func powerLosses(seed: UInt64) {
        var options = SimulationOptions(seed: seed, members: 3)
        options.crashEvery = .milliseconds(700)
        options.powerLoss = 256
        options.massCrashes = true
        let world = World(options)
        #expect(throws: Never.self) { try world.run() }
        #expect(world.statistics.powerLosses > 3)
        world.end()
    }

    @Test("Options follow from the seed alone")
    func options() {
        #expect(SimulationOptions(seed: 11).description == SimulationOptions(seed: 11).description)
        #expect(SimulationOptions(seed: 11).description != SimulationOptions(seed: 12).description)
        #expect(SimulationOptions(seed: 11, members: 5).members == 5)
    }
}

@Suite("Parts of the world")
struct WorldPartTests {
    @Test("The queue gives events by time, and in order of addition at equal times")
    func queue() {
        var queue = EventQueue<Int>()
        var draws = SeededGenerator(seed: 1)
        var expected: [(Int64, Int)] = []
        for number in 0..<500 {
            let at = Int64(draws.below(50))
            queue.add(number, at: Instant(nanoseconds: at))
            expected.append((at, number))
        }
        expected.sort { ($0.0, $0.1) < ($1.0, $1.1) }
        for (at, number) in expected {
            let next = queue.pop()
            #expect(next?.at.nanoseconds == at)
            #expect(next?.event == number)
        }
        #expect(queue.pop() == nil)
    }

    @Test("A member's clock never runs back, and alarms are never early")
    func clocks() {
        var options = SimulationOptions(seed: 8)
        options.clockDriftMax = 20_000
        for id in 1...5 as ClosedRange<UInt64> {
            let member = SimulatedMember(id: MemberID(id), options: options)
            var last = member.local(.zero)
            for step in 1...1_000 as ClosedRange<Int64> {
                let local = member.local(Instant(nanoseconds: step * 777_777))
                #expect(local >= last)
                last = local
                let deadline = local + .microseconds(step)
                #expect(member.local(member.world(deadline)) >= deadline)
            }
        }
    }
}
