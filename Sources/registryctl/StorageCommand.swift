import ArgumentParser
import Primitives
import Raft
import Storage

/// `registryctl storage`: the files of a member that does not run.
struct StorageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "storage", abstract: "Commands about the data directory of a stopped member.",
        subcommands: [StorageCheck.self, StorageDump.self, StorageRepair.self, StorageForceNewCluster.self])

    /// Runs `body` with the directory, which nobody else can open meanwhile.
    static func inspect<Result>(
        _ words: [String], _ command: String, _ body: (StorageInspector) throws(StorageError) -> Result
    ) throws -> Result {
        guard words.count == 1 else {
            throw CtlError.arguments("storage \(command) expects one argument, the data directory of a stopped member")
        }
        do throws(StorageError) {
            let inspector = try StorageInspector(words[0], on: PosixFileSystem())
            defer { inspector.close() }
            return try body(inspector)
        } catch {
            throw CtlError.failed("\(error)")
        }
    }
}

struct StorageCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Reads everything and says what is damaged; exit code 1 when anything is.",
        usage: "registryctl storage check DIR")
    @Argument(help: .hidden)
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        let findings = try StorageCommand.inspect(words, "check") { (inspector) throws(StorageError) in
            try inspector.check()
        }
        for finding in findings {
            Terminal.output("\(finding.isHarmless ? "harmless" : "damaged"): \(finding)\n")
        }
        let damaged = findings.filter { !$0.isHarmless }.count
        guard damaged == 0 else {
            throw CtlError.failed("\(damaged) damaged; `registryctl storage repair` says what can be done")
        }
        Terminal.output("\(words[0]) is healthy\n")
    }
}

struct StorageDump: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump", abstract: "Prints identity, hard state, configuration, state header and log entries.",
        usage: "registryctl storage dump DIR [--from INDEX] [--limit COUNT] [--payload-bytes COUNT]")
    @Option(help: "The first entry; without it the last ones.")
    var from: UInt64?
    @Option(help: "At most this many entries.")
    var limit = 20
    @Option(help: "At most this many bytes of an entry's payload.")
    var payloadBytes = 32
    @Argument(help: .hidden)
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        guard limit >= 0, payloadBytes >= 0 else {
            throw CtlError.arguments("--limit and --payload-bytes count up from 0")
        }
        try StorageCommand.inspect(words, "dump") { (inspector) throws(StorageError) in
            for line in try inspector.describe() { Terminal.output(line + "\n") }
            for dumped in try inspector.entries(from: from.map { LogIndex($0) }, limit: limit) {
                Terminal.output(text(dumped))
            }
        }
    }

    private func text(_ dumped: StorageInspector.DumpedEntry) -> String {
        let entry = dumped.entry
        let digits = Array("0123456789abcdef")
        let shown = entry.payload.prefix(payloadBytes).map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined()
        let more = entry.payload.count > payloadBytes ? "…" : ""
        return "entry \(entry.index.number) term \(entry.term.number) \(entry.kind) \(entry.payload.count) bytes, "
            + "segment \(dumped.segment) offset \(dumped.offset): \(shown)\(more)\n"
    }
}

struct StorageRepair: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Writes again what a second copy makes good, and says what else can be done.",
        usage: "registryctl storage repair DIR [--accept-loss]",
        discussion: """
            With --accept-loss, the only voter of a cluster gives up every entry from the first damaged one on, for \
            good. What could still be read of them is kept in a file in the directory.
            """)
    @Flag(help: "Give up what nothing makes good: acknowledged writes are lost.")
    var acceptLoss = false
    @Argument(help: .hidden)
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        let lines = try StorageCommand.inspect(words, "repair") { (inspector) throws(StorageError) in
            try inspector.repair(acceptingLoss: acceptLoss)
        }
        for line in lines { Terminal.output(line + "\n") }
    }
}
