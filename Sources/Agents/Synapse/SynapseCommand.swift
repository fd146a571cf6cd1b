import AgentShell
import ArgumentParser
import Glibc
import Logging

/// The program: flags and their environment variables; everything else is in AgentShell.
@main
struct SynapseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "synapse",
        abstract: "Discovers services and keeps this host's HAProxy pointed at them.",
        discussion: """
            Reads the files of Airbnb's synapse. SIGTERM saves the state and ends, HAProxy goes on with what it has; \
            SIGHUP reads the configuration again. Exit status: 0 after a clean stop or for a valid configuration, 1 for \
            a configuration that cannot be used, 64 for wrong flags.
            """,
        version: "synapse \(AgentVersion.text)")

    @Option(
        name: .shortAndLong, help: "The configuration, YAML or JSON with ERB's ENV tags (environment: SYNAPSE_CONFIG).")
    var config: String?

    @Option(
        help: ArgumentHelp(
            "Registry members to dial, instead of the hosts of every registry, zookeeper and etcd section.",
            valueName: "host:port,..."))
    var registry: String?

    @Flag(
        name: [.customLong("check-config"), .customShort("k")],
        help: "Say what is wrong with the configuration, and start nothing (SYNAPSE_CHECK_CONFIG).")
    var checksConfiguration = false

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: String = getenv("DEBUG") == nil ? "info" : "debug"

    func validate() throws {
        do throws(FlagFailure) {
            try AgentFlags.validate(config: path, registry: registry, logLevel: logLevel)
        } catch {
            throw ValidationError(error.description)
        }
    }

    func run() throws {
        let source = ConfigurationSource(path: path ?? "", registryHosts: AgentFlags.hosts(registry))
        if checksConfiguration || getenv("SYNAPSE_CHECK_CONFIG") != nil {
            throw ExitCode(AgentProgram.checkSynapse(source))
        }
        throw ExitCode(AgentProgram.runSynapse(source, logger: AgentFlags.logger("synapse", level: logLevel)))
    }

    private var path: String? { config ?? AgentFlags.environment("SYNAPSE_CONFIG") }
}
