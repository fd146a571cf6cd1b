import ArgumentParser
import Primitives
import Simulator

struct ShrinkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shrink",
        abstract: "Make a failing run small and write it as a scenario that fails by the same invariant.")

    @Option(help: "The seed; it must violate an invariant.")
    var seed: UInt64?

    @Option(help: "A scenario that violates one, such as an earlier result, in place of a seed.")
    var scenario: String?

    @OptionGroup var world: WorldArguments

    @Option(help: "Stop looking for something smaller after so many minutes.")
    var minutes = 5

    @Option(help: "The scenario file to write.")
    var output: String

    func validate() throws {
        guard (1...10_000).contains(minutes) else { throw ValidationError("--minutes must be 1 to 10000") }
        guard (seed == nil) != (scenario == nil) else { throw ValidationError("expected --seed or --scenario") }
        if scenario != nil, world.members != nil { throw ValidationError("--members goes with --seed") }
    }

    func run() throws {
        let watch = Stopwatch()
        let (options, origin) = try start()
        let replay = Replay.run(options)
        guard let violation = replay.violation else {
            throw fail("\(origin) holds everything: there is nothing to shrink")
        }
        say("\(origin): \(violation)")
        let limit = TimeSpan.seconds(Int64(minutes) * 60)
        // What was violated while faults went on is looked for there; healing takes most of a run that holds.
        var detail = Replay.Detail()
        detail.isWithoutEnd = violation.at - .zero < options.duration
        let result = Shrinker.shrink(
            options, script: replay.script, failure: Shrinker.Failure(violation.invariant, at: violation.at),
            hasTime: { watch.elapsed < limit },
            run: { [detail] candidate in
                Replay.run(candidate, detail).violation.map { Shrinker.Failure($0.invariant, at: $0.at) }
            },
            report: { say("  \($0)") })
        say("\(result.runs) runs in \(watch.elapsed.milliseconds.thousandths) s")
        guard let script = result.options.script else {
            say("smallest options: \(result.options)")
            throw fail(
                "its faults, done again from a list, do not fail alike: there is no scenario to write", .violated)
        }
        let text = "# Found by \(origin):\n# \(violation)\n" + ScenarioFile(result.options, script: script).text
        try write(text, to: output)
        print(text, terminator: "")
        let left = "\(replay.script.count) faults before, \(script.count) now"
        say("\(left); written to \(output), run it with: simulate scenario \(output)")
    }

    private func start() throws -> (SimulationOptions, origin: String) {
        if let seed { return (world.options(seed: seed), "seed \(seed)\(world.text)") }
        let path = scenario ?? ""
        let text = try read(path)
        let file: ScenarioFile
        do throws(ScenarioError) {
            file = try ScenarioFile.parse(text, path: path)
        } catch {
            throw fail("\(error)")
        }
        // Probes and other clients of its own would have to stay.
        guard file.acts.isEmpty, file.probe == nil else {
            throw fail("\(path): only a scenario without probes and acts can be shrunk")
        }
        return (file.options(), path)
    }
}
