import ArgumentParser
import Primitives
import Simulator

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run seeds; print options, result and trace hash of each; stop with 1 at the first violation.")

    @Option(help: "One seed, or a range A...B.")
    var seeds: SeedRange

    @OptionGroup var world: WorldArguments
    @OptionGroup var processes: JobArguments

    @Option(help: "Begin no further seed after so many seconds of real time.")
    var seconds: Int?

    @Flag(help: "Print one line a seed instead of three.")
    var brief = false

    @Flag(help: "Go on after a violation; exit with 1 at the end.")
    var keepGoing = false

    func validate() throws {
        if let seconds, seconds < 1 { throw ValidationError("--seconds must be at least 1") }
    }

    func run() throws {
        let watch = Stopwatch()
        var totals = Totals()
        var isStopping = false
        var upcoming: UInt64? = seeds.seeds.lowerBound
        func next() -> UInt64? {
            let isLate = seconds.map { watch.elapsed >= .seconds(Int64($0)) } ?? false
            guard !isStopping, !isLate, let seed = upcoming else { return nil }
            upcoming = seed < seeds.seeds.upperBound ? seed + 1 : nil
            return seed
        }
        func ended(_ result: SeedResult) throws {
            totals.add(result)
            if result.violation != nil, !keepGoing { isStopping = true }
        }
        if processes.jobs == 1 {
            while let seed = next() {
                if !brief { say("seed \(seed): \(world.options(seed: seed))") }
                let result = SeedResult(Runner.run(seed: seed, members: world.members, traceLines: 0))
                try ended(result)
                try tell(result)
            }
        } else {
            try runInParallel(next: next, ended: ended)
        }
        if let last = upcoming, !isStopping { say("stopped by --seconds before seed \(last)") }
        for line in totals.summary(real: watch.elapsed) { say(line) }
        if !totals.violations.isEmpty { throw ExitCode.violated }
    }

    /// Results come in any order and are told in that of the seeds.
    private func runInParallel(next: () -> UInt64?, ended: (SeedResult) throws -> Void) throws {
        var waiting: [UInt64: SeedResult] = [:]
        var told = seeds.seeds.lowerBound
        var isOver = false
        try WorkerPool(jobs: processes.jobs, world: world).run(next: next) { result in
            waiting[result.seed] = result
            try ended(result)
            while !isOver, let following = waiting.removeValue(forKey: told) {
                told += 1
                if !brief { say("seed \(following.seed): \(world.options(seed: following.seed))") }
                try tell(following)
                isOver = following.violation != nil && !keepGoing
            }
        }
    }

    private func tell(_ result: SeedResult) throws {
        let (seed, hash) = (result.seed, result.hash.hexadecimalText)
        say("seed \(seed): hash \(hash) events \(result.events) \(result.simulatedMilliseconds / 1_000) s")
        if !brief, !result.statistics.isEmpty { say("seed \(seed): \(result.statistics)") }
        guard let violation = result.violation else { return }
        say("seed \(seed): options \(world.options(seed: seed))")
        say("seed \(seed): VIOLATED \(violation)")
        say("see it with: simulate replay --seed \(seed)\(world.text) --explain")
    }
}
