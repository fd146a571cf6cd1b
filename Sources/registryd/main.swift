import Glibc
import Logging
import RegistryServer

/// Starts what the flags ask for, waits for a signal, stops gracefully.
func run(_ flags: MemberFlags, until signals: StopSignals) async -> Int32 {
    let logger = Logger(label: "registryd")
    for warning in flags.warnings { logger.warning("\(warning)") }
    // A member that cannot trust its disk must not linger: supervisors restart it, peers take over.
    let onFailure: @Sendable (String) -> Void = { [logger] reason in
        logger.critical("stopping: \(reason)")
        exit(1)
    }
    // Not a failure, and nothing that a restart could change.
    let onRemoval: @Sendable (String) -> Void = { [logger] reason in
        logger.critical("stopping: \(reason)")
        exit(ExitStatus.removed)
    }
    do {
        if flags.mode == .dev {
            let directory = try flags.hasDataDirectory ? flags.configuration.dataDirectory : temporaryDirectory()
            let cluster = try await DevCluster.start(
                directory: directory, template: flags.configuration, logger: logger, onFailure: onFailure)
            let addresses = cluster.members.flatMap(\.clientAddresses).joined(separator: ",")
            print("three members in \(directory), clients: \(addresses)")
            await signals.wait()
            await cluster.stop()
        } else {
            let member = try await RegistryMember.start(
                flags.configuration, logger: logger, onFailure: onFailure, onRemoval: onRemoval)
            notifySupervisor("READY=1")
            await signals.wait()
            notifySupervisor("STOPPING=1")
            await member.stop()
        }
        return 0
    } catch {
        logger.critical("cannot start: \(error)")
        return 1
    }
}

/// Does what the command line asks for; ends the process.
func launch(until signals: StopSignals) throws -> Never {
    let flags = try MemberFlags(
        arguments: Array(CommandLine.arguments.dropFirst()), environment: processEnvironment())
    switch flags.mode {
    case .help:
        print(MemberFlags.help)
    case .flagTable:
        print(MemberFlags.markdown, terminator: "")
    case .version:
        print(RegistryMember.versionText)
    case .member, .dev:
        let handlers = try flags.logging.handlers()
        LoggingSystem.bootstrap { label in handlers(label) }
        // Detached: the main thread belongs to the signals.
        Task.detached { exit(await run(flags, until: signals)) }
        signals.takeForever()
    }
    exit(0)
}

do {
    // Before any other thread exists, so that all of them inherit the mask.
    try launch(until: StopSignals())
} catch {
    complain("registryd: \(error)")
    exit(64)
}
