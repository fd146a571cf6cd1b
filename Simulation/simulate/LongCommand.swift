import ArgumentParser
import Primitives
import Simulator

struct LongCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "long",
        abstract: "Run seeds for a time and report: what was simulated, which faults, which situations were reached.",
        discussion: """
            Exits with 1 when an invariant was violated, a situation was reached by fewer than one seed in 300 and \
            by so few that it cannot be chance (never: from 3,600 seeds on), or more than 2 % of the seeds had to be \
            discarded. A violation does not end the run.
            """)

    @Option(help: "Real minutes after which no further seed begins.")
    var minutes: Int

    @Option(help: "The first seed; otherwise a random one, which is printed.")
    var start: UInt64?

    @Option(help: "Processes that share the seeds, 1 to 64.")
    var jobs = 2

    @OptionGroup var world: WorldArguments

    @Option(help: "The report is written to this file, as Markdown.")
    var report = "simulation-report.md"

    @Option(help: "What is run, for the report: a commit.")
    var commit = "not given"

    func validate() throws {
        guard (1...100_000).contains(minutes) else { throw ValidationError("--minutes must be 1 to 100000") }
        guard (1...64).contains(jobs) else { throw ValidationError("--jobs must be 1 to 64") }
        if let start, start > .max / 2 { throw ValidationError("--start must be at most \(UInt64.max / 2)") }
    }

    func run() throws {
        let watch = Stopwatch()
        // Small enough to be typed.
        let first = start ?? UInt64.random(in: 1...1_000_000_000)
        say("seeds from \(first), \(minutes) minutes, \(jobs) processes")
        var seed = first
        var totals = Totals()
        var toldAt = TimeSpan.zero
        try WorkerPool(jobs: jobs, world: world).run {
            guard watch.elapsed < .seconds(Int64(minutes) * 60) else { return nil }
            defer { seed += 1 }
            return seed
        } ended: { result in
            totals.add(result)
            if let violation = result.violation {
                say("seed \(result.seed): VIOLATED \(violation)")
                say("see it with: simulate replay --seed \(result.seed)\(world.text) --explain")
            }
            if watch.elapsed - toldAt >= .seconds(60) {
                toldAt = watch.elapsed
                say(totals.summary(real: watch.elapsed)[0])
            }
        }
        let long = LongReport(
            totals, firstSeed: first, real: watch.elapsed, jobs: jobs, commit: commit, world: world.text)
        for line in totals.summary(real: watch.elapsed) { say(line) }
        try write(long.markdown, to: report)
        say("report: \(report)")
        for failure in long.failures { say("FAILED: \(failure)") }
        if !long.failures.isEmpty { throw ExitCode.violated }
    }
}
