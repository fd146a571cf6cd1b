import AgentCore
import Glibc
package import Logging

extension Logger {
    /// One complaint about a configuration.
    func log(_ issue: ConfigIssue) {
        log(level: issue.severity == .error ? .error : .warning, "\(issue)")
    }
}

/// What the two programs have in common: from a configuration to an exit status.
package enum AgentProgram {
    /// An agent, as far as signals reach it.
    package struct Controls: Sendable {
        let start: @Sendable () -> Void
        let reload: @Sendable () -> Void
        let shutdown: @Sendable () -> Void
    }

    /// The exit status of a clean end, and of a valid configuration.
    package static let success: Int32 = 0
    /// The exit status of a configuration that cannot be used.
    package static let unusable: Int32 = 1

    /// Says what is wrong with a configuration of nerve, on standard error; nothing runs.
    ///
    /// - Returns: the exit status: 0 when it has no errors.
    package static func checkNerve(_ source: ConfigurationSource) -> Int32 {
        check(source.loadNerve(unknownKeys: .refuse))
    }

    /// Says what is wrong with a configuration of synapse, as `checkNerve` does.
    package static func checkSynapse(_ source: ConfigurationSource) -> Int32 {
        check(source.loadSynapse(unknownKeys: .refuse))
    }

    private static func check<Configuration>(_ loaded: LoadedConfiguration<Configuration>) -> Int32 {
        for issue in loaded.issues { complain("\(issue.severity.rawValue): \(issue)") }
        return loaded.isValid ? success : unusable
    }

    /// Runs nerve until SIGTERM or SIGINT; SIGHUP reads the configuration again. To be called on the main thread before
    /// there is any other.
    ///
    /// - Returns: the exit status: 1 when there is no usable configuration.
    package static func runNerve(_ source: ConfigurationSource, logger: Logger) -> Int32 {
        run(source.loadNerve(), logger: logger) { configuration, foundation, onFinished in
            let agent = NerveAgent(
                configuration, source: source, foundation: foundation, logger: logger, onFinished: onFinished)
            return Controls(start: agent.start, reload: agent.reload, shutdown: agent.shutdown)
        }
    }

    /// Runs synapse, as `runNerve` does nerve.
    package static func runSynapse(_ source: ConfigurationSource, logger: Logger) -> Int32 {
        run(source.loadSynapse(), logger: logger) { configuration, foundation, onFinished in
            let agent = SynapseAgent(
                configuration, source: source, foundation: foundation, logger: logger, onFinished: onFinished)
            return Controls(start: agent.start, reload: agent.reload, shutdown: agent.shutdown)
        }
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

    private static func complain(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
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
