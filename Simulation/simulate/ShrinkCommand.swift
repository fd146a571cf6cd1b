import ArgumentParser
import Primitives
import Simulator

struct ShrinkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shrink",
        abstract: "Make a failing seed small and write it as a scenario that fails by the same invariant.")

    @Option(help: "The seed; it must violate an invariant.")
    var seed: UInt64

    @OptionGroup var world: WorldArguments

    @Option(help: "Stop looking for something smaller after so many minutes.")
    var minutes = 5

    @Option(help: "The scenario file to write.")
    var output: String

    func validate() throws {
        guard (1...10_000).contains(minutes) else { throw ValidationError("--minutes must be 1 to 10000") }
    }

    func run() throws {
        let watch = Stopwatch()
        let options = world.options(seed: seed)
        let replay = Replay.run(options)
        guard let violation = replay.violation else {
            throw fail("seed \(seed)\(world.text) holds everything: there is nothing to shrink")
        }
        say("seed \(seed): \(violation)")
        let limit = TimeSpan.seconds(Int64(minutes) * 60)
        let result = Shrinker.shrink(
            options, script: replay.script, failure: Shrinker.Failure(violation.invariant, at: violation.at),
            hasTime: { watch.elapsed < limit },
            run: { candidate in
                Replay.run(candidate).violation.map { Shrinker.Failure($0.invariant, at: $0.at) }
            },
            report: { say("  \($0)") })
        say("\(result.runs) runs in \(watch.elapsed.milliseconds.thousandths) s")
        guard let script = result.options.script else {
            say("smallest options: \(result.options)")
            throw fail(
                "its faults, done again from a list, do not fail alike: there is no scenario to write", .violated)
        }
        let scenario = ScenarioFile(result.options, script: script)
        let text = "# Found by seed \(seed)\(world.text):\n# \(violation)\n" + scenario.text
        try write(text, to: output)
        print(text, terminator: "")
        say("written to \(output); run it with: simulate scenario \(output)")
    }
}
