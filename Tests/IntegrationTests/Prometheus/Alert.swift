/// An alert that is in use for etcd.
///
/// Source: etcd `contrib/mixin/alerts/alerts.libsonnet`, with its default job selector.
struct Alert: Sendable {
    let name: String
    /// True when it fires.
    let expression: String
    /// What has to have a value all the time for the expression to say anything.
    let data: [String]

    /// - Parameters:
    ///   - value: what is compared.
    ///   - condition: with what.
    init(_ name: String, _ value: String, _ condition: String) {
        self.init(name, "\(value) \(condition)", data: [value])
    }

    init(_ name: String, _ expression: String, data: [String]) {
        self.name = name
        self.expression = expression
        self.data = data
    }

    private static let job = #"job=~".*etcd.*""#

    private static func quantile(_ family: String) -> String {
        "histogram_quantile(0.99, rate(\(family)_bucket{\(job)}[5m]))"
    }

    private static func last(_ family: String) -> String { "last_over_time(\(family){\(job)}[5m])" }

    static let all = members + calls + state

    private static let state = [
        Alert("etcdMemberCommunicationSlow", quantile("etcd_network_peer_round_trip_time_seconds"), "> 0.15"),
        Alert("etcdHighNumberOfFailedProposals", "rate(etcd_server_proposals_failed_total{\(job)}[15m])", "> 5"),
        Alert("etcdHighFsyncDurations", quantile("etcd_disk_wal_fsync_duration_seconds"), "> 0.5"),
        Alert("etcdHighCommitDurations", quantile("etcd_disk_backend_commit_duration_seconds"), "> 0.25"),
        Alert(
            "etcdDatabaseQuotaLowSpace",
            "(\(last("etcd_mvcc_db_total_size_in_bytes")) / \(last("etcd_server_quota_backend_bytes")))*100", "> 95"),
        Alert(
            "etcdExcessiveDatabaseGrowth",
            "predict_linear(etcd_mvcc_db_total_size_in_bytes{\(job)}[4h], 4*60*60) "
                + "> etcd_server_quota_backend_bytes{\(job)}",
            data: [
                "predict_linear(etcd_mvcc_db_total_size_in_bytes{\(job)}[4h], 4*60*60)",
                "etcd_server_quota_backend_bytes{\(job)}",
            ]),
        Alert(
            "etcdDatabaseHighFragmentationRatio",
            "(\(last("etcd_mvcc_db_total_size_in_use_in_bytes")) / \(last("etcd_mvcc_db_total_size_in_bytes"))) < 0.5 "
                + "and etcd_mvcc_db_total_size_in_use_in_bytes{\(job)} > 104857600",
            data: ["\(last("etcd_mvcc_db_total_size_in_use_in_bytes")) / \(last("etcd_mvcc_db_total_size_in_bytes"))"]),
    ]

    static let membersDown = "etcdMembersDown"
    static let insufficientMembers = "etcdInsufficientMembers"

    private static let members = [
        Alert(
            membersDown,
            "max without (endpoint) (sum without (instance) (up{\(job)} == bool 0) or count without (To) ("
                + "sum without (instance) (rate(etcd_network_peer_sent_failures_total{\(job)}[120s])) > 0.01)) > 0",
            data: [
                "sum without (instance) (up{\(job)} == bool 0)",
                "sum without (instance) (rate(etcd_network_peer_sent_failures_total{\(job)}[120s]))",
            ]),
        Alert(
            insufficientMembers,
            "sum(up{\(job)} == bool 1) without (instance) < ((count(up{\(job)}) without (instance) + 1) / 2)",
            data: ["sum(up{\(job)} == bool 1) without (instance)"]),
        Alert("etcdNoLeader", "etcd_server_has_leader{\(job)}", "== 0"),
        Alert(
            "etcdHighNumberOfLeaderChanges",
            "increase((max without (instance) (etcd_server_leader_changes_seen_total{\(job)}) "
                + "or 0*absent(etcd_server_leader_changes_seen_total{\(job)}))[15m:1m]) >= 4",
            // Its own steps of a minute take minutes to have two values.
            data: ["increase((max without (instance) (etcd_server_leader_changes_seen_total{\(job)}))[15m:1s])"]),
    ]

    private static let calls = [
        Alert(
            "etcdHighNumberOfFailedGRPCRequests",
            "100 * sum(rate(grpc_server_handled_total{\(job), grpc_code=~\"Unknown|FailedPrecondition|"
                + "ResourceExhausted|Internal|Unavailable|DataLoss|DeadlineExceeded\"}[5m])) "
                + "without (grpc_type, grpc_code) / sum(rate(grpc_server_handled_total{\(job)}[5m])) "
                + "without (grpc_type, grpc_code)", "> 5"),
        Alert(
            "etcdGRPCRequestsSlow",
            "histogram_quantile(0.99, sum(rate(grpc_server_handling_seconds_bucket{\(job), "
                + "grpc_method!=\"Defragment\", grpc_type=\"unary\"}[5m])) without(grpc_type))", "> 0.15"),
    ]
}
