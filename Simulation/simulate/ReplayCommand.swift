import ArgumentParser
import Primitives
import Simulator

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Run one seed again and show what happened; exits with 1 when it violates an invariant.",
        discussion: """
            Prints the last lines of the run, a column for each member, and what did not hold. With --explain also \
            every message, operation and disk work. A run that ends the process leaves no table: see it with --live.
            """)

    @Option(help: "The seed.")
    var seed: UInt64

    @OptionGroup var world: WorldArguments

    @Option(help: "Show nothing after this event; its number is in every line.")
    var until: UInt64?

    @Option(help: "Lines to show, the last ones; 0 shows all.")
    var last = 200

    @Flag(help: "Also every message, operation and disk work.")
    var explain = false

    @Flag(help: "Print every line at once, before the table.")
    var live = false

    @Option(help: "Write a page for the browser to this file; it needs no network.")
    var html: String?

    @Option(help: "Write the faults of the run to this file, as a scenario.")
    var script: String?

    func validate() throws {
        if last < 0 { throw ValidationError("--last must be 0 or more") }
        if until == 0 { throw ValidationError("--until: events are counted from 1") }
    }

    func run() throws {
        let options = world.options(seed: seed)
        say("seed \(seed): \(options)")
        var watch = Replay.Detail.last(.max / 4, isDetailed: explain || html != nil)
        if let until { watch.through = until }
        if live { watch.live = { line in say("\(line)") } }
        let replay = Replay.run(options, watch)
        let lines = explain ? replay : replay.withoutDetails
        let title = "Seed \(seed), \(options.members) members"
        let command = "simulate replay --seed \(seed)\(world.text)\(explain ? " --explain" : "")"
        let timeline = Timeline(lines, last: last == 0 ? nil : last, title: title, command: command)
        print(timeline.text, terminator: "")
        if let html {
            // A page is for looking around: all of it, up to what a browser scrolls well.
            let page = Timeline(replay, last: max(last, 20_000), title: title, command: command)
            try write(page.html, to: html)
            say("page: \(html)")
        }
        if let script {
            try record(replay, to: script)
        }
        if replay.violation != nil { throw ExitCode.violated }
    }

    /// Writes the run as a scenario, and runs that to see whether it does the same.
    private func record(_ replay: Replay, to path: String) throws {
        // What the seed drew stays drawn; only the faults come from the file.
        let text = ScenarioFile(replay.options, script: replay.script).text
        try write(text, to: path)
        let again: Replay
        do throws(ScenarioError) {
            again = Replay.run(ScenarioRunner.world(try ScenarioFile.parse(text, path: path)), Replay.Detail())
        } catch {
            throw fail("\(error)")
        }
        guard again.hash == replay.hash else {
            throw fail(
                "\(path) does not do the same: hash \(again.hash.hexadecimalText), the seed \(replay.hash.hexadecimalText)"
            )
        }
        say("scenario: \(path), hash \(again.hash.hexadecimalText)")
    }
}
