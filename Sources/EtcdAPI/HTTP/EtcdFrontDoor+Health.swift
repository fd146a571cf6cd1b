import GRPC
import Primitives
import RegistryModel

/// `/health` as etcd answers it: alarms, then the leader, then a linearizable read. Between them comes what etcd does
/// not know: a state that differs from the other members'.
extension EtcdFrontDoor {
    func handleHealth(_ request: HTTPRequest, _ responder: HTTPResponder) {
        let query = HealthQuery(request.query)
        // The question is the member's own: users and roles have no say in it.
        let context = RequestContext(credential: .root, peer: responder.connection.peerText)
        submit(
            .status, context: context,
            waiting: .http { [self] reply in
                if let reason = unhealthyReason(reply, query) {
                    respond(responder, unhealthy: reason)
                } else if query.isSerializable {
                    respondHealthy(responder)
                } else {
                    confirm(responder, context)
                }
            })
    }

    /// A read barrier is what a linearizable read of one key would wait for.
    private func confirm(_ responder: HTTPResponder, _ context: RequestContext) {
        submit(
            .readBarrier, context: context,
            waiting: .http { [self] reply in
                switch reply.outcome {
                case .success: respondHealthy(responder)
                case .failure(let rejection):
                    respond(responder, unhealthy: "RANGE ERROR:\(ErrorTable.status(rejection).message)")
                }
            })
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

    private func respondHealthy(_ responder: HTTPResponder) {
        metrics.healthSuccesses += 1
        Self.respond(responder, status: 200, text: "{\"health\":\"true\",\"reason\":\"\"}")
    }

    private func respond(_ responder: HTTPResponder, unhealthy reason: String) {
        metrics.healthFailures += 1
        Self.respond(
            responder, status: 503, text: "{\"health\":\"false\",\"reason\":\(JSONText.string(reason))}\n")
    }
}

/// The query of a health request.
struct HealthQuery: Hashable {
    /// Alarms that do not count.
    var excluded: Set<String> = []
    var isSerializable = false

    init(_ query: String) {
        for item in query.split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? String(parts[1]) : ""
            switch parts[0] {
            case "exclude": excluded.insert(value)
            case "serializable": isSerializable = value == "true"
            default: break
            }
        }
    }

    /// Whether an alarm of this kind makes the member unhealthy.
    func counts(_ kind: AlarmKind) -> Bool {
        !excluded.contains(kind.name)
    }
}
