import AgentCore
import Logging

/// Decisions as log lines: one each, with the stable reason code. Confined to the agent's loop.
final class DecisionReporter {
    private let logger: Logger
    /// The last failed check of each service that has not passed since.
    private var failures: [String: String] = [:]

    init(logger: Logger) {
        self.logger = logger
    }

    func report(_ decision: Decision) {
        logger.log(level: isRepetition(decision) ? .debug : decision.code.level, "\(decision)")
    }

    /// A service that stays down fails its check again and again for the same reason; once is enough to read.
    private func isRepetition(_ decision: Decision) -> Bool {
        switch decision.code {
        case .checkFailed:
            return failures.updateValue(decision.detail, forKey: decision.subject) == decision.detail
        case .serviceUp:
            failures[decision.subject] = nil
            return false
        default: return false
        }
    }
}

extension ReasonCode {
    /// How loud a decision is: what costs a service something is a warning, what needs a person is an error.
    fileprivate var level: Logger.Level {
        switch self {
        case .configurationRefused, .writeFailed, .reloadFailed, .stateFileUnusable, .leaseRefused: .error
        case .checkFailed, .checkOverdue, .serviceDown, .throttled, .throttledShadow, .leaseLost, .keepAliveFailed,
            .registrationFailed, .deregistrationFailed, .registrationsDiffer, .registryUnreachable, .backendKept,
            .payloadSkipped, .registryDark, .registryRestarted, .usingLastGood, .usingDefaultServers,
            .usingPreviousBackends, .leaderUnknown, .runtimeFailed:
            .warning
        case .staleAnswer, .snapshotStale, .runtimeRetry, .checkConfirming: .debug
        case .serviceUp, .leaseGranted, .registered, .deregistered, .payloadChanged, .registryReachable,
            .configurationChanged, .shutdown, .backendAdded, .backendChanged, .backendRemoved, .historyCompacted,
            .applied, .reloadNeeded, .reloadStarted, .reloadFinished, .configurationWritten, .serverLingers:
            .info
        }
    }
}
