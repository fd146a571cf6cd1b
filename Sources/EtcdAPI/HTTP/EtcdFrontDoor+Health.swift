import GRPC
import Primitives
import RegistryModel

/// `/health` as etcd answers it: alarms, then the leader, then a linearizable read. Between them comes what etcd does
/// not know: a state that differs from the other members'.
extension EtcdFrontDoor {
    func handleHealth(_ exchange: PlainExchange) {
        let query = HealthQuery(exchange.request.query)
        submit(
            .status, context: healthContext(exchange),
            waiting: .http { [self] reply in
                if let reason = unhealthyReason(reply, query) {
                    respond(exchange, unhealthy: reason)
                } else if query.isSerializable {
                    respondHealthy(exchange)
                } else {
                    confirm(exchange)
                }
            })
    }

    /// A read barrier is what a linearizable read of one key would wait for.
    private func confirm(_ exchange: PlainExchange) {
        submit(
            .readBarrier, context: healthContext(exchange),
            waiting: .http { [self] reply in
                switch reply.outcome {
                case .success: respondHealthy(exchange)
                case .failure(let rejection):
                    respond(exchange, unhealthy: "RANGE ERROR:\(ErrorTable.status(rejection).message)")
                }
            })
    }

    /// The question is the member's own: users and roles have no say in it.
    private func healthContext(_ exchange: PlainExchange) -> RequestContext {
        RequestContext(credential: .root, peer: exchange.responder.connection.peerText)
    }

    private func unhealthyReason(_ reply: Reply, _ query: HealthQuery) -> String? {
        switch reply.outcome {
        case .failure(let rejection):
            return "RANGE ERROR:\(ErrorTable.status(rejection).message)"
        case .success(.status(let status)):
            if let alarm = status.alarms.first(where: { query.counts($0.kind) }) {
                return "ALARM \(alarm.kind.name)"
            }
            if let index = status.divergedAt { return "STATE DIVERGED AT INDEX \(index.number)" }
            return status.leader == nil && !query.isSerializable ? "RAFT NO LEADER" : nil
        case .success(let body):
            preconditionFailure("status was answered with \(body)")
        }
    }

    private func respondHealthy(_ exchange: PlainExchange) {
        metrics.healthSuccesses += 1
        exchange.respond(status: 200, text: "{\"health\":\"true\",\"reason\":\"\"}")
    }

    private func respond(_ exchange: PlainExchange, unhealthy reason: String) {
        metrics.healthFailures += 1
        exchange.respond(status: 503, text: "{\"health\":\"false\",\"reason\":\(JSONText.string(reason))}\n")
    }

    // MARK: /livez and /readyz

    func handleProbe(_ probe: HealthProbe, _ exchange: PlainExchange) {
        let query = HealthQuery(exchange.request.query)
        // One check asked for by name is never left out.
        let checks = probe.check.map { [$0] } ?? probe.kind.checks.filter { !query.excluded.contains($0.rawValue) }
        submit(
            .status, context: healthContext(exchange),
            waiting: .http { [self] status in
                guard checks.contains(.linearizableRead) else {
                    report(probe.kind, checks, query, exchange, status: status, read: nil)
                    return
                }
                submit(
                    .readBarrier, context: healthContext(exchange),
                    waiting: .http { [self] read in
                        report(probe.kind, checks, query, exchange, status: status, read: read)
                    })
            })
    }

    private func report(
        _ kind: HealthProbe.Kind, _ checks: [HealthProbe.Check], _ query: HealthQuery, _ exchange: PlainExchange,
        status: Reply, read: Reply?
    ) {
        var lines = ""
        var isHealthy = true
        for check in checks {
            let failure = Self.failure(of: check, status: status, read: read)
            metrics.checked(kind, check, isHealthy: failure == nil)
            lines += failure.map { "[-]\(check.rawValue) failed: \($0)\n" } ?? "[+]\(check.rawValue) ok\n"
            if failure != nil { isHealthy = false }
        }
        if isHealthy {
            exchange.respond(status: 200, text: (query.isVerbose ? lines : "") + "ok\n")
        } else {
            exchange.respond(status: 503, text: lines + "\n")
        }
    }

    /// nil when the check passed.
    private static func failure(of check: HealthProbe.Check, status: Reply, read: Reply?) -> String? {
        switch status.outcome {
        case .failure(let rejection):
            return ErrorTable.status(rejection).message
        case .success(.status(let status)):
            switch check {
            case .serializableRead: return nil
            case .linearizableRead:
                guard case .failure(let rejection)? = read?.outcome else { return nil }
                return ErrorTable.status(rejection).message
            case .dataCorruption:
                if let index = status.divergedAt { return "state diverged at index \(index.number)" }
                return status.alarms.contains { $0.kind == .corrupt } ? "alarm activated: CORRUPT" : nil
            case .nonLearner:
                return status.isLearner ? "not supported for learner" : nil
            }
        case .success(let body):
            preconditionFailure("status was answered with \(body)")
        }
    }
}

/// What `/livez` or `/readyz`, or one check below it, asks for.
struct HealthProbe: Hashable {
    enum Kind: String, CaseIterable {
        case livez, readyz

        var checks: [Check] {
            switch self {
            case .livez: [.serializableRead]
            case .readyz: [.dataCorruption, .serializableRead, .linearizableRead, .nonLearner]
            }
        }
    }

    enum Check: String, CaseIterable {
        case dataCorruption = "data_corruption"
        case serializableRead = "serializable_read"
        case linearizableRead = "linearizable_read"
        case nonLearner = "non_learner"
    }

    var kind: Kind
    /// nil: all of the kind.
    var check: Check?

    /// nil when the path is of no probe, or of a check that the probe does not have.
    init?(path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), let kind = Kind(rawValue: String(parts[1])) else { return nil }
        self.kind = kind
        guard parts.count == 3 else { return }
        guard let check = Check(rawValue: String(parts[2])), kind.checks.contains(check) else { return nil }
        self.check = check
    }
}

/// The query of a health request.
struct HealthQuery: Hashable {
    /// Alarms, or checks, that do not count.
    var excluded: Set<String> = []
    var isSerializable = false
    var isVerbose = false

    init(_ query: String) {
        for item in query.split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? String(parts[1]) : ""
            switch parts[0] {
            case "exclude": excluded.insert(value)
            case "serializable": isSerializable = value == "true"
            case "verbose": isVerbose = true
            default: break
            }
        }
    }

    /// Whether an alarm of this kind makes the member unhealthy.
    func counts(_ kind: AlarmKind) -> Bool {
        !excluded.contains(kind.name)
    }
}
