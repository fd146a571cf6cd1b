package import Primitives

/// Why an agent did what it did. The raw value is the stable code shown by the status endpoint and in logs.
package enum ReasonCode: String, Sendable, CaseIterable {
    // nerve: checks
    case checkFailed = "check-failed"
    case checkConfirming = "check-confirming"
    case checkOverdue = "check-overdue"
    case serviceUp = "service-up"
    case serviceDown = "service-down"
    case throttled
    case throttledShadow = "throttled-shadow"
    // nerve: lease and registration
    case leaseGranted = "lease-granted"
    case leaseLost = "lease-lost"
    case leaseRefused = "lease-refused"
    case keepAliveFailed = "keep-alive-failed"
    case registered
    case registrationFailed = "registration-failed"
    case deregistered
    case deregistrationFailed = "deregistration-failed"
    case registrationsDiffer = "registrations-differ"
    case payloadChanged = "payload-changed"
    case registryReachable = "registry-reachable"
    case registryUnreachable = "registry-unreachable"
    case staleAnswer = "stale-answer"
    // both
    case configurationChanged = "configuration-changed"
    case shutdown
    // synapse: discovery
    case backendAdded = "backend-added"
    case backendChanged = "backend-changed"
    case backendRemoved = "backend-removed"
    case backendKept = "backend-kept"
    case payloadSkipped = "payload-skipped"
    case registryDark = "registry-dark"
    case registryRestarted = "registry-restarted"
    case historyCompacted = "history-compacted"
    case snapshotStale = "snapshot-stale"
    case usingLastGood = "using-last-good"
    case usingDefaultServers = "using-default-servers"
    case usingPreviousBackends = "using-previous-backends"
    case leaderUnknown = "leader-unknown"
    case stateFileUnusable = "state-file-unusable"
    // synapse: HAProxy
    case applied
    case runtimeRetry = "runtime-retry"
    case runtimeFailed = "runtime-failed"
    case reloadNeeded = "reload-needed"
    case reloadStarted = "reload-started"
    case reloadFinished = "reload-finished"
    case reloadFailed = "reload-failed"
    case configurationWritten = "configuration-written"
    case configurationRefused = "configuration-refused"
    case writeFailed = "write-failed"
    case serverLingers = "server-lingers"

    /// One sentence for people.
    package var text: String {
        switch self {
        case .checkFailed: "a health check failed"
        case .checkConfirming: "a first failure is being confirmed by quick re-checks"
        case .checkOverdue: "a health check did not answer in time"
        case .serviceUp: "every check of the service passes"
        case .serviceDown: "a check of the service is down"
        case .throttled: "rate limiting held back a status report"
        case .throttledShadow: "rate limiting would have held back a status report"
        case .leaseGranted: "the registry granted a lease"
        case .leaseLost: "the lease is gone; a new one is requested and everything registered again"
        case .leaseRefused: "the registry did not grant a lease"
        case .keepAliveFailed: "a lease renewal was not acknowledged"
        case .registered: "the registration was acknowledged"
        case .registrationFailed: "the registration was not acknowledged and is tried again"
        case .deregistered: "the removal was acknowledged"
        case .deregistrationFailed: "the removal was not acknowledged and is tried again"
        case .registrationsDiffer: "the registry does not hold what it acknowledged; all of it is written again"
        case .payloadChanged: "the registered payload changed"
        case .registryReachable: "the registry answers"
        case .registryUnreachable: "the registry does not answer; registrations stay as they are"
        case .staleAnswer: "an answer to a request given up earlier"
        case .configurationChanged: "the configuration changed"
        case .shutdown: "the agent stops"
        case .backendAdded: "a registration appeared"
        case .backendChanged: "a registration changed"
        case .backendRemoved: "a registration was deleted"
        case .backendKept: "a registration is missing without proof of deletion and is kept"
        case .payloadSkipped: "a registration cannot be used"
        case .registryDark: "the registry does not answer; the known backends stay"
        case .registryRestarted: "the registry lost its history; the known backends stay"
        case .historyCompacted: "the watch fell behind compaction and is read anew"
        case .snapshotStale: "a snapshot older than what is known was ignored"
        case .usingLastGood: "backends come from the saved last good set"
        case .usingDefaultServers: "backends come from default_servers"
        case .usingPreviousBackends: "discovery gives none; the previous backends stay"
        case .leaderUnknown: "no leader can be chosen, so no backend is used"
        case .stateFileUnusable: "the state file cannot be used"
        case .applied: "HAProxy runs what is wanted"
        case .runtimeRetry: "HAProxy differs from what is wanted; the commands are repeated"
        case .runtimeFailed: "the runtime socket did not do what it was asked"
        case .reloadNeeded: "the change cannot be made at run time"
        case .reloadStarted: "HAProxy is reloaded"
        case .reloadFinished: "the reload succeeded"
        case .reloadFailed: "the reload failed and is tried again"
        case .configurationWritten: "the configuration file was written"
        case .configurationRefused: "the configuration check refused the candidate; the old file stays"
        case .writeFailed: "a file could not be written"
        case .serverLingers: "a removed server still has connections and waits in maintenance"
        }
    }
}

/// One thing an agent decided, kept for the status endpoint.
package struct Decision: Equatable, Sendable, CustomStringConvertible {
    package let at: Instant
    /// The service, backend, check or registry it is about.
    package let subject: String
    package let code: ReasonCode
    package let detail: String

    package init(at: Instant, subject: String, code: ReasonCode, detail: String = "") {
        self.at = at
        self.subject = subject
        self.code = code
        self.detail = detail
    }

    package var description: String {
        "\(subject): \(code.rawValue): \(code.text)" + (detail.isEmpty ? "" : " (\(detail))")
    }
}

/// The most recent decisions, oldest first.
package struct DecisionLog: Sendable {
    package let capacity: Int
    /// Decisions made since the start, including those no longer kept.
    package private(set) var total: Int64 = 0
    private var ring: [Decision] = []
    private var next = 0

    package init(capacity: Int = 512) {
        precondition(capacity > 0, "a decision log of \(capacity)")
        self.capacity = capacity
    }

    package mutating func record(_ decision: Decision) {
        total += 1
        if ring.count < capacity {
            ring.append(decision)
        } else {
            ring[next] = decision
            next = (next + 1) % capacity
        }
    }

    package var decisions: [Decision] { Array(ring[next...] + ring[..<next]) }

    /// `[{"at_ms":…,"subject":…,"code":…,"text":…,"detail":…}]`, oldest first.
    package var json: JSONValue {
        .array(
            decisions.map { decision in
                .object([
                    JSONMember("at_ms", .integer(decision.at.nanoseconds / 1_000_000)),
                    JSONMember("subject", .string(decision.subject)),
                    JSONMember("code", .string(decision.code.rawValue)),
                    JSONMember("text", .string(decision.code.text)),
                    JSONMember("detail", .string(decision.detail)),
                ])
            })
    }
}
