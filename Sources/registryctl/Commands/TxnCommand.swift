import ArgumentParser
import RegistryClient

struct TxnCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "txn", abstract: "Runs a transaction, read from standard input.",
        discussion: """
            Comparisons, operations for success and operations for failure, one a line, each list ended by an empty line:

              value("key1") = "old"
              mod("key2") > "0"

              put key1 "new"
              get key1

              get key1 key2

            Targets: ver(sion), c(reate), m(od), val(ue), lease. Operators: = != < >. Operations: get, put, del.
            """)
    @Flag(name: [.short, .long], help: "Say what is expected next.")
    var interactive = false
    @Argument(help: .hidden)
    var superfluous: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        guard superfluous.isEmpty else { throw CtlError.arguments("txn command does not accept argument") }
        let printer = try globals.printer()
        let request = try TxnScript.read(
            nextLine: Terminal.readFullLine, prompt: { if interactive { Terminal.output($0 + "\n") } },
            input: Terminal.readAll)
        Terminal.output(printer.txn(try await globals.withRegistry { try await $0.txn(request) }))
    }
}
