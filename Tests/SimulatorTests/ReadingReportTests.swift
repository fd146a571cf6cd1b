import Primitives
import Testing

@testable import Simulator

@Suite("Results of many seeds")
struct ReadingReportTests {
    private func result(_ seed: UInt64, violation: String? = nil) -> SeedResult {
        var result = SeedResult(seed: seed, crash: "")
        result.violation = violation
        result.events = 1_000
        result.simulatedMilliseconds = 36_000
        result.faults = [FaultCount("partition", 2), FaultCount("kill", 1)]
        return result
    }

    @Test("A result goes through a line and comes back, whatever its texts contain")
    func line() {
        var one = result(17, violation: "R4: a\tb\nc, d \\ e = é")
        one.hash = 0x0123_4567_89AB_CDEF
        one.options = "members=3 loss=1/1000"
        one.statistics = ""
        one.faults = [FaultCount("a,b=c", 3), FaultCount("d", 0)]
        one.coverage = ["election won", "x, \\y\t"]
        one.isDiscarded = true
        #expect(!one.line.contains("\n"))
        #expect(SeedResult(line: one.line) == one)
        let none = result(1)
        #expect(SeedResult(line: none.line) == none)
        #expect(SeedResult(line: none.line)?.violation == nil)
        // An empty text is a violation all the same.
        #expect(SeedResult(line: result(1, violation: "").line)?.violation == "")
    }

    @Test("Other lines are no results", arguments: ["", "seed", "1\t2", "a\tb\tc\td\te\tf\tg\th\ti\tj"])
    func noResult(line: String) {
        #expect(SeedResult(line: line) == nil)
        let good = result(1).line
        #expect(SeedResult(line: good + "\tmore") == nil)
        #expect(SeedResult(line: "x" + good) == nil)
    }

    @Test("Totals add up")
    func totals() {
        var totals = Totals()
        for seed in 1...10 as ClosedRange<UInt64> { totals.add(result(seed)) }
        totals.add(result(11, violation: "R3"))
        #expect(totals.seeds == 11)
        #expect(totals.events == 11_000)
        #expect(totals.faults == [FaultCount("kill", 11), FaultCount("partition", 22)])
        #expect(totals.timesReal(.seconds(2)) == 198)
        let summary = totals.summary(real: .seconds(2))
        #expect(summary[0] == "11 seeds, 396 simulated seconds, 11000 events in 2.000 s: 198 x real time")
        #expect(summary[1] == "faults: kill 11, partition 22")
        #expect(summary.last == "VIOLATED by 1 of 11 seeds")
    }

    private func report(_ totals: Totals) -> LongReport {
        LongReport(totals, firstSeed: 5, real: .seconds(60), jobs: 2, commit: "1.0 | x", world: " --members 3")
    }

    private func passing(_ seeds: UInt64) -> Totals {
        var totals = Totals()
        for seed in 1...seeds {
            var one = result(seed)
            one.coverage = Sometimes.allCases.map(\.rawValue)
            totals.add(one)
        }
        return totals
    }

    @Test("A long run passes when all held, situations were reached and few seeds were discarded")
    func passed() {
        let report = report(passing(1_000))
        #expect(report.failures == [])
        #expect(report.markdown.contains("**Passed.**"))
        #expect(report.markdown.contains("| simulated time | 10.000 h |"))
        #expect(report.markdown.contains("| seeds | 1000, from 5 |"))
        #expect(report.markdown.contains("| commit | 1.0 \\| x |"))
        #expect(report.markdown.contains("| partition | 2000 |"))
        #expect(report.markdown.contains("| election won | 1000 | 100.00 % | yes |"))
    }

    @Test("A violation, a situation below its floor, too many discards, no seeds: each fails it")
    func failed() {
        var violated = passing(10)
        violated.add(result(11, violation: "R3 a|b"))
        #expect(report(violated).failures == ["1 seeds violated an invariant"])
        let again = "`simulate replay --seed 11 --members 3 --explain`"
        #expect(report(violated).markdown.contains("| 11 | R3 a\\|b | \(again) |"))

        var blind = Totals()
        for seed in 1...4_000 as ClosedRange<UInt64> { blind.add(result(seed)) }
        #expect(report(blind).failures.count == 1)
        #expect(report(blind).markdown.contains("| election won | 0 | 0.00 % | **below** |"))
        let excused = "| \(Sometimes.lossProvedByLeader.rawValue) | 0 | 0.00 % | by scenarios and tests |"
        #expect(report(blind).markdown.contains(excused))

        var discarding = passing(97)
        for seed in 98...100 as ClosedRange<UInt64> {
            var one = result(seed)
            one.isDiscarded = true
            discarding.add(one)
        }
        #expect(report(discarding).failures == ["3 of 100 seeds discarded, more than 2 %"])
        #expect(report(Totals()).failures == ["no seed ended in the time given"])
    }
}
