import ArgumentParser
import Glibc
import RegistryClient

/// What the program `registryctl` runs; everything else is in here, so that tests can link it.
package enum CtlProgram {
    /// Carries out the command line; ends the process when that failed.
    package static func run() async {
        await RegistryCtl.main()
    }
}

/// `registryctl`: etcdctl's commands, flags, outputs and exit codes, over `RegistryClient`.
struct RegistryCtl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registryctl",
        abstract: "A command line client for the registry, and for any etcd v3.",
        subcommands: [
            GetCommand.self, PutCommand.self, DelCommand.self, TxnCommand.self, WatchCommand.self, LeaseCommand.self,
            MemberCommand.self, EndpointCommand.self, AlarmCommand.self, CompactionCommand.self, SnapshotCommand.self,
            StorageCommand.self, CertsCommand.self, HistoryCommand.self, BrakeCommand.self, VersionCommand.self,
        ])

    static func main() async {
        // A pipe closed by the reader is no reason to die without a word.
        signal(SIGPIPE, SIG_IGN)
        let arguments = ArgumentOrder.normalized(Array(CommandLine.arguments.dropFirst()))
        do {
            var command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            Glibc.exit(report(error))
        }
    }

    /// Says what went wrong; the exit code.
    static func report(_ error: any Error) -> Int32 {
        switch error {
        case let error as CtlError:
            if !error.message.isEmpty { Terminal.error("Error: \(error.message)") }
            return error.exitCode
        case let error as RegistryError:
            Terminal.error("Error: \(error)")
            return CtlError.failed("").exitCode
        default:
            if exitCode(for: error) == .success {
                Terminal.output(fullMessage(for: error) + "\n")
                return 0
            }
            if let text = wrapped(error) {
                Terminal.error("Error: \(text)")
                return CtlError.failed("").exitCode
            }
            Terminal.error(fullMessage(for: error))
            return CtlError.failed("").exitCode
        }
    }

    /// What a command's own error says, when the parser has put it into its wrapping.
    private static func wrapped(_ error: any Error) -> String? {
        error is CleanExit || error is ExitCode ? "\(error)" : nil
    }
}
