/// Why a configuration cannot be used; the text names the setting and what was wrong with it.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Names the setting and what was wrong with it.
    public var description: String

    /// An error with this text.
    public init(_ description: String) {
        self.description = description
    }
}

/// Everything one member is told at its start. The names, defaults and meanings are etcd's flags of the same name
/// unless a comment says otherwise.
public struct MemberConfiguration: Sendable {
    /// How long history is kept without anybody asking (etcd's `--auto-compaction-*`).
    public enum AutoCompaction: Hashable, Sendable {
        case off
        /// What is younger than this many seconds stays, and always the newest 10 000 revisions.
        case periodic(seconds: Int64)
        /// The newest revisions stay, this many.
        case revisions(Int64)
    }

    /// Whether a member without data founds the cluster or joins it.
    public enum ClusterState: String, Sendable {
        /// Founds it, together with the others of `initialCluster`.
        case new
        /// Joins it: the member must have been added to it, and is told the rest by one of the others.
        case existing
    }

    /// This member's name; must appear in `initialCluster`.
    public var name = "default"
    /// The directory that holds this member's log and state; created when it is not there.
    public var dataDirectory: String
    /// Where other members connect; `http://HOST:PORT`, or `https` with `peerSecurity`.
    public var listenPeerURLs = ["http://localhost:2380"]
    /// Where clients connect; `https` with `clientSecurity`. Empty for a member that is only used within its process.
    public var listenClientURLs = ["http://localhost:2379"]
    /// Listeners for what is not gRPC; when there are any, `listenClientURLs` serve gRPC only.
    public var listenClientHTTPURLs: [String] = []
    /// More listeners, for metrics, health and version only.
    public var listenMetricsURLs: [String] = []
    /// This member's own peer URLs; empty takes those of `initialCluster`. Must equal them when
    /// the member founds its cluster; counts for nothing else.
    public var initialAdvertisePeerURLs: [String] = []
    /// What clients are told by member lists.
    public var advertiseClientURLs = ["http://localhost:2379"]
    /// All members of the cluster with their peer addresses, this one included; a name may repeat. Ignored, as the other
    /// `initial` settings are, once the directory holds data.
    public var initialCluster: [(name: String, url: String)] = [("default", "http://localhost:2380")]
    /// Ignored once the directory holds data.
    public var initialClusterState = ClusterState.new
    /// Part of the cluster's identity: clusters with equal addresses and different tokens refuse each other.
    public var initialClusterToken = "etcd-cluster"
    /// Default 50 (etcd: 100).
    public var heartbeatMilliseconds: Int64 = 50
    /// Default 500 (etcd: 1000). At least five heartbeats.
    public var electionMilliseconds: Int64 = 500
    /// Linearizable reads on the leader without a round, at the price of early elections and of trust in clock rates.
    /// The same on all members.
    public var leaseReads = false
    /// Applied entries between two points at which the state is made durable and the log may be compacted.
    public var snapshotCount: Int64 = 10_000
    /// Default one hour (etcd: off).
    public var autoCompaction = AutoCompaction.periodic(seconds: 3_600)
    /// History beyond this many bytes is halved, however young it is; nil: no bound. A flag about compaction takes the
    /// bound away. (Ours, not etcd's.)
    public var historyBytesMax: Int64? = 1_073_741_824
    /// Default 2, independent of the election timeout.
    public var minLeaseTTLSeconds: Int64 = 2
    /// Operations in each list of a transaction.
    public var maxTxnOperations = 128
    /// Largest request.
    public var maxRequestBytes = 1_572_864
    /// Between two progress notices of an idle watch that asked for them.
    public var watchProgressNotifySeconds: Int64 = 600
    /// TLS at `https` client URLs.
    public var clientSecurity = Security()
    /// TLS at `https` peer URLs, and of this member towards other members.
    public var peerSecurity = Security()
    /// `TLS1.2` or `TLS1.3`.
    public var tlsMinimumVersion = "TLS1.2"
    /// `TLS1.2` or `TLS1.3`; nil is the newest.
    public var tlsMaximumVersion: String?
    /// Cipher suites of TLS 1.2 by their IANA names; empty takes those with forward secrecy and authenticated encryption.
    /// Those of TLS 1.3 may be named and are always on; without any other there is no TLS 1.2.
    public var cipherSuites: [String] = []
    /// Bytes kept free on the data directory's disk, given up when it is full so that the member can go on; 0 keeps
    /// none. nil: 5 % of what is free, at most 128 MiB. (Ours, not etcd's.)
    public var diskReserveBytes: Int64?
    /// Live data and history in bytes, from which on writes that add are refused; 0: 2 GiB, below 0: no quota. The same
    /// on all members: the leader's raises the alarm.
    public var quotaBackendBytes: Int64 = 0
    /// Entries kept behind the durable state, so that slow members need no snapshot.
    public var snapshotCatchupEntries = 5_000
    /// Whether a removal is refused that would leave no majority of members that are there. The leader's counts.
    public var strictReconfigCheck = true
    /// Learners that stay learners, at most. The leader's counts.
    public var maxLearners = 1
    /// Calls and streams open at once on one connection (etcd: no bound).
    public var maxConcurrentStreams: Int64 = 10_000
    /// Clients that ping more often than this are disconnected.
    public var keepaliveMinMilliseconds: Int64 = 5_000
    /// Silence after which a client is asked for a sign of life; 0: never.
    public var keepaliveIntervalMilliseconds: Int64 = 7_200_000
    /// How long that sign may take; 0: clients are not asked.
    public var keepaliveTimeoutMilliseconds: Int64 = 20_000
    /// Whether another process may listen on the client ports too.
    public var reusesPorts = false
    /// Whether the JSON gateway is served.
    public var isGatewayEnabled = true
    /// Origins whose scripts may read answers over HTTP; `*`: all.
    public var corsOrigins = ["*"]
    /// Host names that HTTP requests without TLS may ask for; `*`: all.
    public var hostWhitelist = ["*"]
    /// Whether metrics have histograms of every gRPC method.
    public var hasExtensiveMetrics = false
    /// `simple`: tokens that live in the members' memory. `jwt,sign-method=RS256,pub-key=FILE,priv-key=FILE,ttl=5m`:
    /// tokens that are signed, which every member with the same keys takes; the files are read at the start.
    public var authToken = "simple"
    /// Life of a simple token since its last use.
    public var authTokenTTLSeconds: Int64 = 300
    /// 4...31.
    public var bcryptCost = 10
    /// A step of the member's loop that takes longer is logged; 0: none is.
    public var warningApplyMilliseconds: Int64 = 100
    /// A call that takes longer is logged; 0: none is.
    public var warningUnaryMilliseconds: Int64 = 300
    /// Event loops for clients; 0 lets the member choose by the machine's cores.
    public var clientLoops = 0

    /// - Parameter dataDirectory: a path; relative ones start at the working directory.
    public init(dataDirectory: String) {
        self.dataDirectory = dataDirectory
    }

    /// Checks every setting alone and against the others.
    ///
    /// - Throws: `ConfigurationError` naming the setting, or both settings in conflict.
    public func validate() throws {
        guard !name.isEmpty else { throw ConfigurationError("--name is empty") }
        guard !dataDirectory.isEmpty else { throw ConfigurationError("--data-dir is empty") }
        guard heartbeatMilliseconds > 0 else {
            throw ConfigurationError("--heartbeat-interval \(heartbeatMilliseconds) must be above 0 (milliseconds)")
        }
        guard electionMilliseconds >= 5 * heartbeatMilliseconds else {
            throw ConfigurationError(
                "--election-timeout \(electionMilliseconds) must be at least five times --heartbeat-interval "
                    + "\(heartbeatMilliseconds)")
        }
        guard electionMilliseconds <= 50_000 else {
            throw ConfigurationError("--election-timeout \(electionMilliseconds) is above 50000 (milliseconds)")
        }
        guard snapshotCount > 0 else { throw ConfigurationError("--snapshot-count \(snapshotCount) must be above 0") }
        guard minLeaseTTLSeconds > 0 else {
            throw ConfigurationError("--min-lease-ttl \(minLeaseTTLSeconds) must be above 0 (seconds)")
        }
        guard maxRequestBytes > 0, maxRequestBytes <= 8 * 1024 * 1024 else {
            throw ConfigurationError("--max-request-bytes \(maxRequestBytes) must be in 1...8388608")
        }
        guard maxTxnOperations > 0 else {
            throw ConfigurationError("--max-txn-ops \(maxTxnOperations) must be above 0")
        }
        for url in listenPeerURLs { _ = try Endpoint(url: url, setting: "--listen-peer-urls") }
        for url in listenClientURLs { _ = try Endpoint(url: url, setting: "--listen-client-urls") }
        for url in listenClientHTTPURLs { _ = try Endpoint(url: url, setting: "--listen-client-http-urls") }
        for url in listenMetricsURLs { _ = try Endpoint(url: url, setting: "--listen-metrics-urls") }
        for url in advertiseClientURLs { _ = try Endpoint(url: url, setting: "--advertise-client-urls") }
        for url in initialAdvertisePeerURLs { _ = try Endpoint(url: url, setting: "--initial-advertise-peer-urls") }
        for (_, url) in initialCluster { _ = try Endpoint(url: url, setting: "--initial-cluster") }
        guard !listenPeerURLs.isEmpty || initialCluster.count == 1 else {
            throw ConfigurationError("--listen-peer-urls is empty, but --initial-cluster names other members")
        }
        try validateSecurity()
        _ = try TokenOptions(authToken)
        if let reserve = diskReserveBytes, reserve < 0 {
            throw ConfigurationError("--disk-reserve-bytes \(reserve) is below 0")
        }
        try validateLimits()
    }

    /// What flags cannot give, and an embedding program can.
    private func validateLimits() throws(ConfigurationError) {
        let bounds: [(name: String, value: Int64, range: ClosedRange<Int64>)] = [
            ("--snapshot-catchup-entries", Int64(snapshotCatchupEntries), 0...10_000_000),
            ("--max-learners", Int64(maxLearners), 1...1_000),
            ("--max-concurrent-streams", maxConcurrentStreams, 1...4_294_967_295),
            ("--grpc-keepalive-min-time", keepaliveMinMilliseconds, 0...MemberConfiguration.spanMax),
            ("--grpc-keepalive-interval", keepaliveIntervalMilliseconds, 0...MemberConfiguration.spanMax),
            ("--grpc-keepalive-timeout", keepaliveTimeoutMilliseconds, 0...MemberConfiguration.spanMax),
            ("--watch-progress-notify-interval", watchProgressNotifySeconds, 1...MemberConfiguration.spanMax / 1_000),
            ("--auth-token-ttl", authTokenTTLSeconds, 1...MemberConfiguration.spanMax / 1_000),
            ("--bcrypt-cost", Int64(bcryptCost), 4...31),
            ("--warning-apply-duration", warningApplyMilliseconds, 0...MemberConfiguration.spanMax),
            ("--warning-unary-request-duration", warningUnaryMilliseconds, 0...MemberConfiguration.spanMax),
        ]
        for (name, value, range) in bounds where !range.contains(value) {
            throw ConfigurationError("\(name) \(value) is not in \(range.lowerBound)...\(range.upperBound)")
        }
    }

    /// A hundred years of milliseconds: what every clock here can add.
    private static let spanMax: Int64 = 100 * 366 * 86_400_000

    /// nil: none.
    var quotaBytes: Int64? {
        if quotaBackendBytes < 0 { return nil }
        return quotaBackendBytes == 0 ? 2_147_483_648 : quotaBackendBytes
    }

    /// Checks what founding or joining a cluster needs beyond `validate`; a directory with data needs none of it.
    func validateCluster() throws(ConfigurationError) {
        let own = ownPeerURLs
        guard !own.isEmpty else { throw missingOwnName }
        // A member that joins has told its URLs already, when it was added.
        guard initialClusterState == .new, !initialAdvertisePeerURLs.isEmpty,
            initialAdvertisePeerURLs.sorted() != own.sorted()
        else { return }
        throw ConfigurationError(
            "--initial-cluster gives \(name) the peer URLs \(own.sorted().joined(separator: ",")), but "
                + "--initial-advertise-peer-urls says \(initialAdvertisePeerURLs.joined(separator: ","))")
    }

    /// As `initialCluster` has them.
    var ownPeerURLs: [String] { initialCluster.filter { $0.name == name }.map(\.url) }

    var missingOwnName: ConfigurationError {
        let names = initialCluster.map(\.name).joined(separator: ", ")
        return ConfigurationError(
            "couldn't find local name \"\(name)\" in the initial cluster configuration: --initial-cluster does not "
                + "contain --name \(name) (it names: \(names))")
    }
}

/// Host and port of a URL in a configuration.
struct Endpoint: Hashable, Sendable {
    var host: String
    var port: Int
    /// `https`.
    var isSecure: Bool

    /// - Throws: `ConfigurationError` naming `setting` and what is wrong with the URL.
    init(url: String, setting: String) throws(ConfigurationError) {
        guard let scheme = ["http://", "https://"].first(where: { url.hasPrefix($0) }) else {
            throw ConfigurationError("\(setting): \(url) is not of the form http://HOST:PORT or https://HOST:PORT")
        }
        isSecure = scheme == "https://"
        var rest = url.dropFirst(scheme.count)
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard let colon = rest.lastIndex(of: ":"), let port = Int(rest[rest.index(after: colon)...]),
            (0...65_535).contains(port)
        else { throw ConfigurationError("\(setting): \(url) has no valid port") }
        var host = String(rest[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty, !host.contains("/") else {
            throw ConfigurationError("\(setting): \(url) has no valid host")
        }
        self.host = host
        self.port = port
    }
}
