import ArgumentParser

@main struct Micro: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "microbench",
        abstract: "Runs one small piece of the server again and again, for who counts its instructions.",
        discussion: "bin/micro does the counting and knows how many instructions there should be.",
        subcommands: [ListCommand.self, RunCommand.self])
}

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "One benchmark a line: name, operations of a run, what an operation is; with tabs between them.")

    func run() {
        for benchmark in Benchmark.all { print(benchmark.name, benchmark.iterations, benchmark.about, separator: "\t") }
    }
}

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Sets a benchmark up, does its operations, and prints what they came to.")

    @Argument(help: "As `list` has it.")
    var name: String

    @Flag(help: "Twice as many operations: the difference to a run without is free of everything else.")
    var doubled = false

    @Option(help: "An empty directory, for benchmarks that write files.")
    var directory: String

    func validate() throws {
        guard Benchmark.named(name) != nil else { throw ValidationError("there is no benchmark '\(name)'") }
    }

    func run() throws {
        guard let benchmark = Benchmark.named(name) else { return }
        print(try benchmark.run(isDoubled: doubled, in: directory))
    }
}
