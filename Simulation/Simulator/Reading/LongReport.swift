package import Primitives

/// The report on a long run, as Markdown, and its verdict.
package struct LongReport: Sendable {
    private let totals: Totals
    private let firstSeed: UInt64
    private let real: TimeSpan
    private let jobs: Int
    private let commit: String
    private let world: String
    private let floor: Int

    /// - Parameters:
    ///   - firstSeed: the seeds follow it one by one.
    ///   - commit: what was run.
    ///   - world: what a command needs behind the seed to run the same, such as ` --members 3`.
    ///   - floor: a situation is wanted once in this many seeds.
    package init(
        _ totals: Totals, firstSeed: UInt64, real: TimeSpan, jobs: Int, commit: String, world: String = "",
        floor: Int = CoverageTally.floor
    ) {
        self.totals = totals
        self.firstSeed = firstSeed
        self.real = real
        self.jobs = jobs
        self.commit = commit
        self.world = world
        self.floor = floor
    }

    /// Why the run counts as failed; empty: it passed.
    package var failures: [String] {
        var failures: [String] = []
        if totals.seeds == 0 { failures.append("no seed ended in the time given") }
        if !totals.violations.isEmpty { failures.append("\(totals.violations.count) seeds violated an invariant") }
        if totals.isDiscardingTooMuch {
            failures.append(
                "\(totals.discarded) of \(totals.seeds) seeds discarded, more than \(Totals.discardedPercentMax) %")
        }
        if let missing = totals.coverage.failure(floor: floor) { failures.append(missing) }
        return failures
    }

    package var markdown: String {
        let lines = head + violations + faults + coverage
        return lines.map { $0 + "\n" }.joined()
    }

    private var head: [String] {
        let hours = totals.simulatedMilliseconds / 3_600
        let verdict = failures.isEmpty ? "**Passed.**" : "**Failed:** " + failures.joined(separator: "; ")
        return [
            "# Simulation report", "", verdict.markdownEscaped(keeping: ["*"]), "",
            "| figure | value |", "|---|---:|",
            "| commit | \(commit.markdownEscaped()) |",
            "| seeds | \(totals.seeds), from \(firstSeed) |",
            "| simulated time | \(hours.thousandths) h |",
            "| real time | \(real.milliseconds.thousandths) s with \(jobs) processes |",
            "| speed | \(totals.timesReal(real)) x real time |",
            "| events | \(totals.events) |",
            "| discarded seeds | \(totals.discarded) (\(share(totals.discarded)); at most "
                + "\(Totals.discardedPercentMax) %) |",
            "| violations | \(totals.violations.count) |", "",
        ]
    }

    private var violations: [String] {
        guard !totals.violations.isEmpty else { return [] }
        let rows = totals.violations.map { result in
            "| \(result.seed) | \((result.violation ?? "").markdownEscaped()) "
                + "| `simulate replay --seed \(result.seed)\(world) --explain` |"
        }
        return ["## Violations", "", "| seed | what did not hold | again with |", "|---:|---|---|"] + rows + [""]
    }

    private var faults: [String] {
        let rows = totals.faults.map { "| \($0.name.markdownEscaped()) | \($0.count) |" }
        return ["## Faults", "", "| class | count |", "|---|---:|"] + rows + [""]
    }

    private var coverage: [String] {
        let missing = totals.coverage.missing(floor: floor)
        let rows = Sometimes.allCases.map { name -> String in
            let count = totals.coverage.count(name)
            let verdict: String
            if missing.contains(name) {
                verdict = "**below**"
            } else if !name.isDemanded {
                verdict = "by scenarios and tests"
            } else {
                verdict = count == 0 ? "too few seeds to tell" : "yes"
            }
            return "| \(name.rawValue.markdownEscaped()) | \(count) | \(share(count)) | \(verdict) |"
        }
        return [
            "## Situations", "",
            "Each is wanted in one of \(floor) seeds. One is below when its count would be chance less than "
                + "once in a hundred thousand runs as long as this one.", "",
            "| situation | seeds | share | reached |", "|---|---:|---:|---|",
        ] + rows
    }

    /// Of the seeds, in percent with two decimals.
    private func share(_ count: Int) -> String {
        let hundredths = totals.seeds == 0 ? 0 : count * 10_000 / totals.seeds
        let fraction = String(hundredths % 100)
        return "\(hundredths / 100)." + String(repeating: "0", count: 2 - fraction.count) + fraction + " %"
    }
}

extension String {
    fileprivate func markdownEscaped(keeping kept: Set<Character> = []) -> String {
        String(
            flatMap { character -> [Character] in
                if character.isNewline { return [" "] }
                let isSpecial = "|<>*_`\\".contains(character) && !kept.contains(character)
                return isSpecial ? ["\\", character] : [character]
            })
    }
}
