import ArgumentParser
import Primitives
import Simulator

struct ScenarioCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scenario",
        abstract: "Run scenario files; exits with 1 when one violates an invariant or misses an expectation.",
        discussion: "docs/scenarios.md has the format, Simulation/Scenarios examples.")

    @Argument(help: "The files.")
    var files: [String]

    @Option(help: "Variations of each; otherwise what its 'seeds' line says.")
    var variations: Int?

    @Option(help: "Lines to show of a run that failed, the last ones; 0 shows all.")
    var last = 100

    @Flag(help: "Show the first variation even when it holds, with every message, operation and disk work.")
    var explain = false

    @Option(help: "Write a page of the first variation, or of the first that fails, to this file.")
    var html: String?

    func validate() throws {
        if last < 0 { throw ValidationError("--last must be 0 or more") }
        if let variations, variations < 1 { throw ValidationError("--variations must be at least 1") }
        if files.isEmpty { throw ValidationError("expected at least one file") }
        if html != nil, files.count > 1 { throw ValidationError("--html goes with one file") }
    }

    func run() throws {
        var hasFailed = false
        for path in files {
            let text = try read(path)
            let file: ScenarioFile
            do throws(ScenarioError) {
                file = try ScenarioFile.parse(text, path: path)
            } catch {
                throw fail("\(error)")
            }
            if try !run(file, path) { hasFailed = true }
        }
        if hasFailed { throw ExitCode.violated }
    }

    /// - Returns: whether every variation did what the file expects.
    private func run(_ file: ScenarioFile, _ path: String) throws -> Bool {
        let count = UInt64(variations ?? max(1, file.seeds))
        var failed: UInt64?
        for variation in 0..<count {
            let report = ScenarioRunner.run(file, variation: variation)
            let verdict = report.isGood ? "as expected" : "FAILED"
            say("\(path) \(variation): seed \(report.seed) hash \(report.hash.hexadecimalText) \(verdict)")
            if let violation = report.violation { say("  VIOLATED \(violation)") }
            for unmet in report.unmet { say("  \(unmet)") }
            if !report.isGood, failed == nil { failed = variation }
        }
        if let shown = failed ?? (explain || html != nil ? 0 : nil) { try show(file, path, shown) }
        return failed == nil
    }

    private func show(_ file: ScenarioFile, _ path: String, _ variation: UInt64) throws {
        let watch = Replay.Detail.last(.max / 4, isDetailed: true)
        let replay = Replay.run(ScenarioRunner.world(file, variation: variation, traceLines: watch.lines), watch)
        let title = "\(path), variation \(variation)"
        let command = "simulate scenario \(path)"
        let lines = explain ? replay : replay.withoutDetails
        let timeline = Timeline(lines, last: last == 0 ? nil : last, title: title, command: command)
        print(timeline.text, terminator: "")
        guard let html else { return }
        try write(Timeline(replay, last: 20_000, title: title, command: command).html, to: html)
        say("page: \(html)")
    }
}

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Tell what clients of a planned deployment would see; exits with 1 when a promise is broken.",
        discussion: "docs/scenarios.md has the format, docs/plans examples.")

    @Argument(help: "The file.")
    var file: String

    func run() throws {
        let text = try read(file)
        let plan: FailurePlan
        do throws(ScenarioError) {
            plan = try FailurePlan.parse(text, path: file)
        } catch {
            throw fail("\(error)")
        }
        let report = PlanRunner.run(plan)
        say(report.text)
        if report.violation != nil { throw ExitCode.violated }
    }
}
