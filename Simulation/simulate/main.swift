import ArgumentParser
import Glibc

/// `simulate`: whole clusters under faults, from seeds.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Run whole clusters with faults in one thread, from seeds.",
        discussion: """
            A seed decides everything: options, faults, what clients do. The same seed and the same program give the \
            same run, to the last bit.

            Exit codes: 0 everything held; 1 an invariant was violated, two runs of a seed differ, or a long run did \
            not see enough; 2 a file cannot be read or written, or a process cannot be started; 64 wrong arguments.
            """,
        subcommands: [
            RunCommand.self, ReplayCommand.self, ShrinkCommand.self, DeterminismCommand.self, LongCommand.self,
            ScenarioCommand.self, PlanCommand.self, WorkCommand.self,
        ])
}

// A worker that ends early is noticed by its answer, not by a signal to its parent.
signal(SIGPIPE, SIG_IGN)
Simulate.main()
