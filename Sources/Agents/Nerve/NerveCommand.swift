import AgentShell
import ArgumentParser
import Glibc
import Logging

/// The program: flags and their environment variables; everything else is in AgentShell.
@main
struct NerveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nerve",
        abstract: "Checks the services of this host and keeps the healthy ones registered.",
        discussion: """
            Reads the files of Airbnb's nerve. SIGTERM removes every registration and ends; SIGHUP reads the \
            configuration again. Exit status: 0 after a clean stop or for a valid configuration, 1 for a configuration \
            that cannot be used, 64 for wrong flags.
            """,
        version: "nerve \(AgentVersion.text)")

    @Option(name: .shortAndLong, help: "The configuration, YAML or JSON (environment: NERVE_CONFIG).")
    var config: String?

    @Option(
        name: [.customLong("instance-id"), .customLong("instance_id"), .customShort("i")],
        help: "Wins over the file's instance_id (NERVE_INSTANCE_ID).")
    var instanceID: String?

    @Option(
        name: [.customLong("config-overlay"), .customShort("o")],
        help: "A second file, merged over the first; a change of it is noticed (NERVE_CONFIG_OVERLAY).")
    var overlay: String?

    @Option(
        help: ArgumentHelp(
            "Registry members to dial, instead of the hosts of every registry, zookeeper and etcd section.",
            valueName: "host:port,..."))
    var registry: String?

    @Flag(
        name: [.customLong("check-config"), .customShort("k")],
        help: "Say what is wrong with the configuration, and start nothing (NERVE_CHECK_CONFIG).")
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
        let source = ConfigurationSource(
            path: path ?? "", overlayPath: overlay ?? AgentFlags.environment("NERVE_CONFIG_OVERLAY"),
            instanceID: instanceID ?? AgentFlags.environment("NERVE_INSTANCE_ID"),
            registryHosts: AgentFlags.hosts(registry))
        if checksConfiguration || getenv("NERVE_CHECK_CONFIG") != nil {
            throw ExitCode(AgentProgram.checkNerve(source))
        }
        throw ExitCode(AgentProgram.runNerve(source, logger: AgentFlags.logger("nerve", level: logLevel)))
    }

    private var path: String? { config ?? AgentFlags.environment("NERVE_CONFIG") }
}
