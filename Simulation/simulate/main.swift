import ArgumentParser
import Simulator

/// `simulate`: whole clusters under faults, from seeds.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Run whole clusters with faults in one thread, from seeds.",
        subcommands: [Run.self])
}

struct SeedRange: ExpressibleByArgument {
    var seeds: ClosedRange<UInt64>

    /// `7` or `1...100`.
    init?(argument: String) {
        if let one = UInt64(argument) {
            seeds = one...one
            return
        }
        guard let dots = argument.firstRange(of: "..."), let first = UInt64(argument[..<dots.lowerBound]),
            let last = UInt64(argument[dots.upperBound...]), first <= last
        else { return nil }
        seeds = first...last
    }
}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run seeds; print options, result and trace hash of each; stop with 1 at the first violation.")

    @Option(help: "One seed, or a range A...B.")
    var seeds: SeedRange

    @Option(help: "Members of the cluster; otherwise each seed draws.")
    var members: Int?

    @Flag(help: "Print one line a seed instead of three.")
    var brief = false

    func validate() throws {
        if let members, !(1...9).contains(members) { throw ValidationError("--members must be 1 to 9") }
    }

    func run() throws {
        var simulated: Int64 = 0
        var events: UInt64 = 0
        for seed in seeds.seeds {
            let report = Runner.run(seed: seed, members: members)
            simulated += report.simulatedSeconds
            events += report.events
            if !brief { print("seed \(seed): \(report.options)") }
            print("seed \(seed): hash \(report.hashText) events \(report.events) \(report.simulatedSeconds) s")
            if !brief { print("seed \(seed): \(report.statistics)") }
            guard let violation = report.violation else { continue }
            for line in report.trace { print("  \(line)") }
            print("seed \(seed): options \(report.options)")
            print("seed \(seed): VIOLATED \(violation)")
            let fixed = members.map { " --members \($0)" } ?? ""
            print("repeat with: simulate run --seeds \(seed)\(fixed)")
            throw ExitCode(1)
        }
        print("\(seeds.seeds.count) seeds, \(simulated) simulated seconds, \(events) events: everything held")
    }
}

Simulate.main()
