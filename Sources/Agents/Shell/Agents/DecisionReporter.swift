import AgentCore
import Logging

/// Decisions as log lines: one each, with the stable reason code.
struct DecisionReporter {
    let logger: Logger

    func report(_ decision: Decision) {
        logger.log(level: decision.code.level, "\(decision)")
    }
}

extension ReasonCode {
    /// How loud a decision is: what costs a service something is a warning, what needs a person is an error.
    fileprivate var level: Logger.Level {
        switch self {
        case .configurationRefused, .writeFailed, .reloadFailed, .stateFileUnusable, .leaseRefused: .error
        case .checkFailed, .checkOverdue, .serviceDown, .throttled, .throttledShadow, .leaseLost, .keepAliveFailed,
            .registrationFailed, .deregistrationFailed, .registryUnreachable, .backendKept, .payloadSkipped,
            .registryDark, .registryRestarted, .usingLastGood, .usingDefaultServers, .usingPreviousBackends,
            .leaderUnknown, .runtimeFailed:
            .warning
        case .staleAnswer, .snapshotStale, .runtimeRetry, .checkConfirming: .debug
        case .serviceUp, .leaseGranted, .registered, .deregistered, .payloadChanged, .registryReachable,
            .configurationChanged, .shutdown, .backendAdded, .backendChanged, .backendRemoved, .historyCompacted,
            .applied, .reloadNeeded, .reloadStarted, .reloadFinished, .configurationWritten, .serverLingers:
            .info
        }
    }
}
