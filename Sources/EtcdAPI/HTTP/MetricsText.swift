import GRPC

/// What a member measures beside its front doors.
package protocol MetricsSource: AnyObject, Sendable {
    /// The member's own samples in Prometheus' text format 0.0.4, every family with HELP and TYPE, each line ended.
    ///
    /// Called on an event loop for every scrape: must not block. The families of `MetricsText` are added by the doors
    /// and must not be in it.
    func renderMetrics() -> String
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
        text.family("etcd_network_client_grpc_received_bytes_total", "counter", "Bytes of gRPC messages received.")
        text.sample("etcd_network_client_grpc_received_bytes_total", [], snapshot.receivedBytes)
        text.family("etcd_network_client_grpc_sent_bytes_total", "counter", "Bytes of gRPC messages sent.")
        text.sample("etcd_network_client_grpc_sent_bytes_total", [], snapshot.sentBytes)
        text.family("etcd_debugging_mvcc_watch_stream_total", "gauge", "Open watch streams.")
        text.sample("etcd_debugging_mvcc_watch_stream_total", [], UInt64(snapshot.watchStreams))
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
private struct PrometheusText {
    private(set) var text = ""

    mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: UInt64) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.0)=\(JSONText.string($0.1))" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }
}
