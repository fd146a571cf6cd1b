import AgentCore
import Glibc
import Logging

extension Logger {
    /// One complaint about a configuration.
    func log(_ issue: ConfigIssue) {
        log(level: issue.severity == .error ? .error : .warning, "\(issue)")
    }
}

/// What the two programs have in common: from a configuration to an exit status.
package enum AgentProgram {
    /// An agent, as far as signals reach it.
    private struct Controls: Sendable {
        let start: @Sendable () -> Void
        let reload: @Sendable () -> Void
        let shutdown: @Sendable () -> Void
    }

    /// Exit statuses: a clean end or a valid configuration, a configuration that cannot be used, wrong flags.
    private static let success: Int32 = 0
    private static let unusable: Int32 = 1
    private static let wrongUsage: Int32 = 64

    /// Does what the flags ask for; an agent runs until SIGTERM or SIGINT, and reads its configuration again on
    /// SIGHUP. To be called on the main thread before there is any other.
    ///
    /// - Parameter arguments: without the program's own name.
    /// - Returns: the exit status.
    package static func run(_ name: AgentName, arguments: [String]) -> Int32 {
        let flags: AgentFlags
        do {
            flags = try AgentFlags(name, arguments: arguments)
        } catch {
            write("\(name): \(error)", to: STDERR_FILENO)
            return wrongUsage
        }
        switch (flags.mode, name) {
        case (.help, _):
            write(AgentFlags.help(name), to: STDOUT_FILENO)
            return success
        case (.version, _):
            write("\(name) \(AgentVersion.text)", to: STDOUT_FILENO)
            return success
        case (.check, .nerve): return check(flags.source.loadNerve(unknownKeys: .refuse))
        case (.check, .synapse): return check(flags.source.loadSynapse(unknownKeys: .refuse))
        case (.run, .nerve): return runNerve(flags)
        case (.run, .synapse): return runSynapse(flags)
        }
    }

    /// Says what is wrong with a configuration; nothing runs.
    private static func check<Configuration>(_ loaded: LoadedConfiguration<Configuration>) -> Int32 {
        for issue in loaded.issues { write("\(issue.severity.rawValue): \(issue)", to: STDERR_FILENO) }
        return loaded.isValid ? success : unusable
    }

    private static func runNerve(_ flags: AgentFlags) -> Int32 {
        let logger = logger(.nerve, flags)
        return run(flags.source.loadNerve(), logger: logger) { configuration, foundation, onFinished in
            let agent = NerveAgent(
                configuration, source: flags.source, foundation: foundation, logger: logger, onFinished: onFinished)
            return Controls(start: agent.start, reload: agent.reload, shutdown: agent.shutdown)
        }
    }

    private static func runSynapse(_ flags: AgentFlags) -> Int32 {
        let logger = logger(.synapse, flags)
        return run(flags.source.loadSynapse(), logger: logger) { configuration, foundation, onFinished in
            let agent = SynapseAgent(
                configuration, source: flags.source, foundation: foundation, logger: logger, onFinished: onFinished)
            return Controls(start: agent.start, reload: agent.reload, shutdown: agent.shutdown)
        }
    }

    /// Logs to standard error, one line an event.
    private static func logger(_ name: AgentName, _ flags: AgentFlags) -> Logger {
        var logger = Logger(label: name.rawValue) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = flags.logLevel
        return logger
    }

    /// Services with errors are left out, loudly; the others must not suffer for them.
    private static func run<Configuration: Sendable>(
        _ loaded: LoadedConfiguration<Configuration>, logger: Logger,
        _ make: (Configuration, AgentFoundation, _ onFinished: @escaping @Sendable () -> Void) -> Controls
    ) -> Int32 {
        for issue in loaded.issues { logger.log(issue) }
        guard let configuration = loaded.configuration else {
            logger.critical("the configuration cannot be used")
            return unusable
        }
        // Before the threads start, which inherit the mask.
        let signals = SignalQueue()
        let agent = make(configuration, AgentFoundation(), { SignalQueue.endWait() })
        agent.start()
        while true {
            switch signals.next() {
            case SIGHUP:
                logger.info("SIGHUP: reading the configuration again")
                agent.reload()
            case SignalQueue.finished: return success
            case let signal:
                logger.info("\(signal == SIGINT ? "SIGINT" : "SIGTERM"): stopping")
                agent.shutdown()
            }
        }
    }

    private static func write(_ text: String, to descriptor: Int32) {
        let line = Array((text + "\n").utf8)
        _ = line.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }
}

/// Signals taken one by one instead of interrupting.
private final class SignalQueue {
    /// Sent to this process by itself when the agent has finished.
    static let finished = SIGUSR1
    private var set = sigset_t()

    /// Blocks the signals in this thread and those started by it from now on.
    init() {
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGHUP, SignalQueue.finished] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Waits for the next one.
    func next() -> Int32 {
        var number: Int32 = 0
        while sigwait(&set, &number) != 0 {}
        return number
    }

    static func endWait() {
        kill(getpid(), finished)
    }
}
