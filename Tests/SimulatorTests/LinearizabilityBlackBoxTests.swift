import Linearizability
import Primitives
import RegistryModel
import Testing

@testable import Simulator

@Suite("Black-box linearizability of runs")
struct LinearizabilityBlackBoxTests {
    private func at(_ time: Int64) -> Instant { Instant(nanoseconds: time) }

    @Test("Sampled runs are judged, none is left unknown, and other runs are not recorded")
    func runs() {
        for seed in [16, 17, 32] as [UInt64] {
            let world = World(SimulationOptions(seed: seed, members: 3))
            #expect(throws: Never.self) { try world.run() }
            #expect((world.statistics.keysJudged > 0) == (seed % 16 == 0))
            #expect(world.statistics.keysUnknown == 0)
            world.end()
        }
    }

    @Test("A stale read is a violation of K2 that names key and operations")
    func staleRead() {
        var box = BlackBox(seed: 0)
        box.began(.put([65]), key: Key("k"), serial: 1, client: 0, at: at(1))
        box.ended(1, .done, at: at(2))
        box.began(.put([66]), key: Key("k"), serial: 2, client: 1, at: at(3))
        box.ended(2, .done, at: at(4))
        box.began(.get, key: Key("other"), serial: 3, client: 2, at: at(5))
        box.ended(3, .value(nil), at: at(6))
        #expect(throws: Never.self) { try box.judge(at: at(9)) }
        box.began(.get, key: Key("k"), serial: 4, client: 2, at: at(7))
        box.ended(4, .value([65]), at: at(8))
        do throws(Violation) {
            _ = try box.judge(at: at(9))
            Issue.record("a stale read was accepted")
        } catch {
            #expect(error.invariant == .linearizableReads)
            #expect(error.text.contains("k has no order"))
            #expect(error.text.contains("client 2 [7, 8] get: found A"))
        }
    }

    @Test("A refused write must not be seen, one of unknown outcome may")
    func refusedAndLost() {
        for isRefused in [true, false] {
            var box = BlackBox(seed: 0)
            box.began(.put([65]), key: Key("k"), serial: 1, client: 0, at: at(1))
            if isRefused { box.refused(1) } else { box.lost(1) }
            box.began(.get, key: Key("k"), serial: 2, client: 1, at: at(3))
            box.ended(2, .value([65]), at: at(4))
            if isRefused {
                #expect(throws: Violation.self) { try box.judge(at: at(9)) }
            } else {
                #expect(throws: Never.self) { try box.judge(at: at(9)) }
            }
        }
    }

    @Test("A long history is cut where nothing that was left out can be seen")
    func longHistory() throws {
        var box = BlackBox(seed: 0)
        box.began(.get, key: Key("k"), serial: 0, client: 9, at: at(0))
        for number in 1...2_000 as ClosedRange<UInt64> {
            let time = Int64(number) * 10
            box.began(.put(Array("\(number)".utf8)), key: Key("k"), serial: number, client: 0, at: at(time))
            box.ended(number, .done, at: at(time + 1))
        }
        box.ended(0, .value(Array("2000".utf8)), at: at(30_000))
        let judged = try box.judge(at: at(30_001))
        #expect(judged.keys == 1)
        #expect(judged.unknown == 0)
    }
}
