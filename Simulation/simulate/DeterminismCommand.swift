import ArgumentParser
import Primitives
import Simulator

struct DeterminismCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-determinism",
        abstract: "Run each seed in two processes and compare; exits with 1 at the first difference.",
        discussion: """
            Each process has its own random hash seed, so that any dependence on the order of a dictionary shows. Of \
            two runs that differ the first differing event is searched for. With --other the second process is one of \
            another build: what a debug build does, a release build does.
            """)

    @Option(help: "One seed, or a range A...B.")
    var seeds: SeedRange

    @Option(help: "The program of the second process, of the same sources.")
    var other: String?

    @OptionGroup var world: WorldArguments

    func run() throws {
        let watch = Stopwatch()
        let workers = (try Worker(), try other.map { try Worker(program: $0) } ?? Worker())
        var totals = Totals()
        for seed in seeds.seeds {
            let request = "seed \(seed)\(world.text)"
            let (one, two) = try both(workers, request, seed)
            guard one == two else {
                say("seed \(seed): two processes differ")
                say("seed \(seed): \(Self.difference(one, two))")
                try explain(seed, workers)
                throw ExitCode.violated
            }
            guard let result = SeedResult(line: one) else { throw fail("a process answered '\(one.prefix(200))'") }
            say("seed \(seed): hash \(result.hash.hexadecimalText) events \(result.events), twice the same")
            totals.add(result)
        }
        say("\(totals.seeds) seeds, \(totals.events) events: equal in both processes")
        say("took \(watch.elapsed.milliseconds.thousandths) s")
    }

    /// Both work at once.
    private func both(_ workers: (Worker, Worker), _ request: String, _ seed: UInt64) throws -> (String, String) {
        workers.0.send(request)
        workers.1.send(request)
        return (try answer(workers.0, seed), try answer(workers.1, seed))
    }

    private func answer(_ worker: Worker, _ seed: UInt64) throws -> String {
        while true {
            switch worker.read() {
            case .line(let line): return line
            case .died(let reason): throw fail("seed \(seed): \(reason)", .violated)
            case nil: continue
            }
        }
    }

    private static func difference(_ one: String, _ two: String) -> String {
        guard let one = SeedResult(line: one), let two = SeedResult(line: two) else { return "unreadable answers" }
        return "hash \(one.hash.hexadecimalText) after \(one.events) events, "
            + "and \(two.hash.hexadecimalText) after \(two.events) events"
    }

    /// Looks for the first event that is not the same, first by blocks, then within the block.
    private func explain(_ seed: UInt64, _ workers: (Worker, Worker)) throws {
        let (one, two) = try both(workers, "blocks \(seed)\(world.text)", seed)
        let blocks = (one.split(separator: " "), two.split(separator: " "))
        let common = zip(blocks.0, blocks.1).prefix { $0 == $1 }.count
        guard common > 0 else { throw fail("seed \(seed): the runs differ before their first event", .violated) }
        let size = TraceRecording.blockEvents
        let first = UInt64(common - 1) * size + 1
        // One further event: only it tells the hash after the last of the block.
        let window = "events \(seed) \(first) \(first + size)\(world.text)"
        let (left, right) = try both(workers, window, seed)
        let events = (left.split(separator: "\t"), right.split(separator: "\t"))
        let same = zip(events.0, events.1).prefix { $0 == $1 }.count
        guard same < max(events.0.count, events.1.count) else {
            say("seed \(seed): the repetition in the same processes shows no difference; it does not happen every time")
            return
        }
        if same > 0 { say("seed \(seed): the last event in common: \(events.0[same - 1])") }
        say("seed \(seed): the first difference:")
        say("  one: \(same < events.0.count ? String(events.0[same]) : "nothing more")")
        say("  two: \(same < events.1.count ? String(events.1[same]) : "nothing more")")
        say(
            "look around it with: simulate replay --seed \(seed)\(world.text) --until \(first + UInt64(same)) --explain"
        )
    }
}
