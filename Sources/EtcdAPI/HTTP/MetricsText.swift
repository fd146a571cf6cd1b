import GRPC
package import NIOCore

/// What a member measures beside its front doors.
package protocol MetricsSource: AnyObject, Sendable {
    /// The member's own samples in Prometheus' text format 0.0.4, every family with HELP and TYPE, each line ended.
    ///
    /// Called on an event loop for every scrape, and to be fulfilled on it: must not block. The families of `MetricsText` are added by the doors
    /// and must not be in it.
    func renderMetrics(on eventLoop: any EventLoop) -> EventLoopFuture<String>
}

/// The families that front doors know: gRPC calls, traffic, identity.
enum MetricsText {
    static func render(_ snapshot: DoorSnapshot, identity: EtcdIdentity, memberID: UInt64) -> String {
        var text = PrometheusText()
        text.family("etcd_server_version", "gauge", "The version the member shows to clients.")
        text.sample("etcd_server_version", [("server_version", identity.serverVersion)], 1)
        text.family("etcd_cluster_version", "gauge", "The cluster version shown to clients.")
        text.sample("etcd_cluster_version", [("cluster_version", minorVersion(identity.clusterVersion))], 1)
        text.family("etcd_server_id", "gauge", "The member's id in hexadecimal.")
        text.sample("etcd_server_id", [("server_id", String(memberID, radix: 16))], 1)
        text.family("etcd_server_quota_backend_bytes", "gauge", "Storage quota in bytes.")
        text.sample("etcd_server_quota_backend_bytes", [], UInt64(max(identity.quotaBytes, 0)))
        text.family("etcd_server_health_success", "counter", "Health requests answered with healthy.")
        text.sample("etcd_server_health_success", [], snapshot.healthSuccesses)
        text.family("etcd_server_health_failures", "counter", "Health requests answered with unhealthy.")
        text.sample("etcd_server_health_failures", [], snapshot.healthFailures)
        renderChecks(snapshot.healthChecks, into: &text)
        text.family("etcd_network_client_grpc_received_bytes_total", "counter", "Bytes of gRPC messages received.")
        text.sample("etcd_network_client_grpc_received_bytes_total", [], snapshot.receivedBytes)
        text.family("etcd_network_client_grpc_sent_bytes_total", "counter", "Bytes of gRPC messages sent.")
        text.sample("etcd_network_client_grpc_sent_bytes_total", [], snapshot.sentBytes)
        text.family("etcd_debugging_mvcc_watch_stream_total", "gauge", "Open watch streams.")
        text.sample("etcd_debugging_mvcc_watch_stream_total", [], UInt64(snapshot.watchStreams))
        text.family("etcd_debugging_mvcc_events_total", "counter", "Events sent to watches.")
        text.sample("etcd_debugging_mvcc_events_total", [], snapshot.events)
        renderClients(snapshot.clients, into: &text)
        renderPromotions(snapshot.promotions, into: &text)
        renderCalls(snapshot, into: &text)
        return text.text
    }

    private static func renderCalls(_ snapshot: DoorSnapshot, into text: inout PrometheusText) {
        text.family("grpc_server_started_total", "counter", "Calls begun.")
        for method in snapshot.methods {
            text.sample("grpc_server_started_total", labels(method), method.started)
        }
        text.family("grpc_server_handled_total", "counter", "Calls ended, by code.")
        for method in snapshot.methods {
            for (code, count) in zip(GRPCStatus.Code.allCases, method.handled) {
                text.sample(
                    "grpc_server_handled_total", [("grpc_code", codeName(code))] + labels(method), count)
            }
        }
        text.family("grpc_server_msg_received_total", "counter", "Messages received.")
        for method in snapshot.methods {
            text.sample("grpc_server_msg_received_total", labels(method), method.received)
        }
        text.family("grpc_server_msg_sent_total", "counter", "Messages sent.")
        for method in snapshot.methods {
            text.sample("grpc_server_msg_sent_total", labels(method), method.sent)
        }
        renderDurations(snapshot, into: &text)
    }

    private static func renderClients(_ clients: ClientVersions, into text: inout PrometheusText) {
        guard !clients.entries.isEmpty else { return }
        let name = "etcd_server_client_requests_total"
        text.family(name, "counter", "Calls begun, by the API version the client names.")
        for entry in clients.entries {
            for (type, count) in [("unary", entry.unary), ("stream", entry.streams)] where count > 0 {
                text.sample(name, [("type", type), ("client_api_version", entry.version)], count)
            }
        }
    }

    private static func renderPromotions(_ promotions: Promotions, into text: inout PrometheusText) {
        text.family(
            "etcd_server_learner_promote_successes", "counter", "Learners made voters for clients of this member.")
        text.sample("etcd_server_learner_promote_successes", [], promotions.successes)
        guard !promotions.failures.isEmpty else { return }
        let name = "etcd_server_learner_promote_failures"
        text.family(name, "counter", "Learners that stayed learners, by reason.")
        for failure in promotions.failures { text.sample(name, [("Reason", failure.reason)], failure.count) }
    }

    private static func renderChecks(_ checks: HealthCheckCounters, into text: inout PrometheusText) {
        func labels(_ entry: HealthCheckCounters.Entry) -> [(String, String)] {
            [("type", entry.kind.rawValue), ("name", entry.check.rawValue)]
        }
        let used = checks.entries.filter { $0.last != nil }
        guard !used.isEmpty else { return }
        text.family("etcd_server_healthcheck", "gauge", "How each check of a probe came out last: 1 is healthy.")
        for entry in used {
            text.sample("etcd_server_healthcheck", labels(entry), entry.last?.isHealthy == true ? 1 : 0)
        }
        text.family("etcd_server_healthchecks_total", "counter", "Checks of probes, by how they came out.")
        for entry in used {
            for (status, count) in [("success", entry.successes), ("error", entry.failures)] where count > 0 {
                text.sample("etcd_server_healthchecks_total", labels(entry) + [("status", status)], count)
            }
        }
    }

    private static func renderDurations(_ snapshot: DoorSnapshot, into text: inout PrometheusText) {
        guard snapshot.methods.contains(where: { $0.handling != nil }) else { return }
        let name = "grpc_server_handling_seconds"
        text.family(name, "histogram", "How long calls took until they ended.")
        for method in snapshot.methods {
            guard let histogram = method.handling else { continue }
            var total: UInt64 = 0
            let bounds = DurationHistogram.bounds.map { seconds($0 * 1_000_000) } + ["+Inf"]
            for (bound, count) in zip(bounds, histogram.counts) {
                total += count
                text.sample("\(name)_bucket", labels(method) + [("le", bound)], total)
            }
            text.sample("\(name)_sum", labels(method), text: seconds(histogram.nanoseconds))
            text.sample("\(name)_count", labels(method), total)
        }
    }

    /// Nanoseconds as seconds, with as many digits as they need.
    static func seconds(_ nanoseconds: Int64) -> String {
        let fraction = String(nanoseconds % 1_000_000_000)
        var digits = String(repeating: "0", count: 9 - fraction.count) + fraction
        while digits.last == "0" { digits.removeLast() }
        return "\(nanoseconds / 1_000_000_000)" + (digits.isEmpty ? "" : ".\(digits)")
    }

    private static func labels(_ method: DoorSnapshot.Method) -> [(String, String)] {
        [
            ("grpc_method", method.method.name), ("grpc_service", method.method.service),
            ("grpc_type", method.method.kind.rawValue),
        ]
    }

    /// `3.6.0` as `3.6`.
    private static func minorVersion(_ version: String) -> String {
        version.split(separator: ".").prefix(2).joined(separator: ".")
    }

    /// The names grpc-go gives the codes.
    static func codeName(_ code: GRPCStatus.Code) -> String {
        switch code {
        case .ok: "OK"
        case .cancelled: "Canceled"
        case .unknown: "Unknown"
        case .invalidArgument: "InvalidArgument"
        case .deadlineExceeded: "DeadlineExceeded"
        case .notFound: "NotFound"
        case .alreadyExists: "AlreadyExists"
        case .permissionDenied: "PermissionDenied"
        case .resourceExhausted: "ResourceExhausted"
        case .failedPrecondition: "FailedPrecondition"
        case .aborted: "Aborted"
        case .outOfRange: "OutOfRange"
        case .unimplemented: "Unimplemented"
        case .internal: "Internal"
        case .unavailable: "Unavailable"
        case .dataLoss: "DataLoss"
        case .unauthenticated: "Unauthenticated"
        }
    }
}

/// Lines of Prometheus' text format.
struct PrometheusText {
    private(set) var text = ""

    mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: UInt64) {
        sample(name, labels, text: String(value))
    }

    /// - Parameter value: a number.
    mutating func sample(_ name: String, _ labels: [(String, String)], text value: String) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.0)=\(JSONText.string($0.1))" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }
}
