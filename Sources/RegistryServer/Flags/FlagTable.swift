extension MemberFlags {
    static let configFileFlag = "config-file"

    /// Every flag, in the order of `--help`: what is acted on, what is accepted, what is refused, former names.
    static let all: [Flag] = {
        let present = sections.flatMap(\.flags)
        return present + formerNames(among: present)
    }()

    /// Under the headings of `--help`.
    static let sections: [(title: String, flags: [Flag])] = [
        ("Member", memberFlags),
        ("Cluster", clusterFlags),
        ("History and limits", limitFlags),
        ("Clients", clientFlags),
        ("TLS", securityFlags),
        ("Authentication", authFlags),
        ("Monitoring and logging", monitoringFlags),
        ("Program", programFlags),
        ("Accepted, without effect", ignoredFlags),
        ("Refused", refusedFlags),
    ]

    static func flag(named name: String) -> Flag? {
        byName[name]
    }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    // MARK: Rows

    private static let memberFlags: [Flag] = [
        Flag(
            "name", .text("NAME"), standard: "default",
            help: "This member's name; must appear in --initial-cluster of a member without data"
        ) { $0.configuration.name = $1.text },
        Flag("data-dir", .text("DIR"), standard: "NAME.etcd", help: "Log and state of this member") {
            $0.configuration.dataDirectory = $1.text
            $0.hasDataDirectory = !$1.text.isEmpty
        },
        Flag(
            "listen-peer-urls", .list("URLS"), standard: "http://localhost:2380", help: "Where members connect"
        ) { $0.configuration.listenPeerURLs = $1.list },
        Flag(
            "listen-client-urls", .list("URLS"), standard: "http://localhost:2379",
            help: "Where clients connect: gRPC, and HTTP unless --listen-client-http-urls is given"
        ) { $0.configuration.listenClientURLs = $1.list },
        Flag(
            "listen-client-http-urls", .list("URLS"),
            help: "Listeners of their own for the JSON gateway, health and metrics; --listen-client-urls then serves "
                + "gRPC only"
        ) { $0.configuration.listenClientHTTPURLs = $1.list },
        Flag(
            "heartbeat-interval", .number("MS", 1...50_000), standard: "50", etcd: "100",
            help: "Milliseconds between heartbeats"
        ) { $0.configuration.heartbeatMilliseconds = $1.number },
        Flag(
            "election-timeout", .number("MS", 1...50_000), standard: "ten heartbeats, at least 500", etcd: "1000",
            help: "Milliseconds without a leader before an election; at least five heartbeats"
        ) { $0.configuration.electionMilliseconds = $1.number },
        Flag(
            "pre-vote", .toggle, standard: "true",
            help: "Members ask before they campaign, so that one that was cut off disturbs nobody; always on"
        ) { (_, value) throws(ConfigurationError) in
            guard value.isOn else {
                throw ConfigurationError(
                    "--pre-vote=false is not taken: a member that returns would depose a healthy leader; leave it on")
            }
        },
        Flag(
            "lease-reads", .toggle, standard: "false", .ours,
            help: "Let the leader answer linearizable reads without asking the others, for as long as they cannot have "
                + "elected another one if clock rates differ by less than 0.5 %. Switches fast elections after a "
                + "leader's death off. On all members or on none"
        ) { $0.configuration.leaseReads = $1.isOn },
        Flag(
            "socket-reuse-port", .toggle, standard: "false", .since("3.5"),
            help: "Set SO_REUSEPORT on client listeners, so that another process may listen on the same port"
        ) { $0.configuration.reusesPorts = $1.isOn },
        Flag(
            "disk-reserve-bytes", .number("BYTES", 0...Int64.max), standard: "5 % of what is free, at most 128 MiB",
            .ours, help: "Kept free for the moment when the disk is full; 0 keeps nothing"
        ) { $0.configuration.diskReserveBytes = $1.number },
    ]

    private static let clusterFlags: [Flag] = [
        Flag(
            "initial-advertise-peer-urls", .list("URLS"), standard: "those in --initial-cluster",
            etcd: "http://localhost:2380",
            help: "This member's peer URLs; must equal those in --initial-cluster when it founds the cluster"
        ) { $0.configuration.initialAdvertisePeerURLs = $1.list },
        Flag(
            "advertise-client-urls", .list("URLS"), standard: "http://localhost:2379",
            help: "What clients are told by member lists; required with --listen-client-urls"
        ) { $0.configuration.advertiseClientURLs = $1.list },
        Flag(
            "initial-cluster", .list("NAME=URL,..."), standard: "NAME=http://localhost:2380",
            help: "All members of the cluster, this one included; a name may repeat. Ignored once data exists"
        ) { (flags, value) throws(ConfigurationError) in
            guard !value.list.isEmpty else { return }
            flags.configuration.initialCluster = try members(value.list)
            flags.hasCluster = true
        },
        Flag(
            "initial-cluster-state", .choice(["new", "existing"]), standard: "new",
            help: "Found the cluster, or join it after 'registryctl member add'. Ignored once data exists"
        ) { (flags, value) throws(ConfigurationError) in
            guard let state = MemberConfiguration.ClusterState(rawValue: value.text) else {
                preconditionFailure("the form admits only the two states")
            }
            flags.configuration.initialClusterState = state
        },
        Flag(
            "initial-cluster-token", .text("TOKEN"), standard: "etcd-cluster",
            help: "Tells clusters with equal addresses apart"
        ) { $0.configuration.initialClusterToken = $1.text },
        Flag(
            "strict-reconfig-check", .toggle, standard: "true",
            help: "Refuse to remove a member when the others alone would be no majority of those that are there"
        ) { $0.configuration.strictReconfigCheck = $1.isOn },
        Flag(
            "max-learners", .number("N", 1...1_000), standard: "1", .since("3.6"),
            help: "Learners that stay learners, at most. The leader's counts"
        ) { $0.configuration.maxLearners = Int($1.number) },
    ]

    private static let limitFlags: [Flag] = [
        Flag(
            "auto-compaction-mode", .choice(["periodic", "revision"]), standard: "periodic",
            help: "How --auto-compaction-retention is read"
        ) { $0.compactionMode = $1.text },
        Flag(
            "auto-compaction-retention", .text("TIME|COUNT"), standard: "1h and 10000 revisions, at most 1 GiB",
            etcd: "0", help: "History kept: 30m, 10h, a bare number of hours, or of revisions; 0 keeps all"
        ) { $0.compactionRetention = $1.text },
        Flag(
            "quota-backend-bytes", .number("BYTES", Int64.min...Int64.max), standard: "0",
            help: "Live data and history, at most; then writes that add are refused and the alarm NOSPACE is up until "
                + "there is room again. 0: 2 GiB; below 0: no quota"
        ) { $0.configuration.quotaBackendBytes = $1.number },
        Flag(
            "snapshot-count", .number("N", 0...Int64.max), standard: "10000", etcd: "100000 until 3.5",
            help: "Applied entries between two points at which the log may be compacted; 0: the default"
        ) { if $1.number > 0 { $0.configuration.snapshotCount = $1.number } },
        Flag(
            "snapshot-catchup-entries", .number("N", 0...10_000_000), standard: "5000", .since("3.6"),
            help: "Entries kept behind such a point, at most 64 MiB, so that slow members need no snapshot"
        ) { $0.configuration.snapshotCatchupEntries = Int($1.number) },
        Flag(
            "max-request-bytes", .number("BYTES", 1...8_388_608), standard: "1572864",
            help: "Largest request, at most 8388608"
        ) { $0.configuration.maxRequestBytes = Int($1.number) },
        Flag(
            "max-txn-ops", .number("N", 1...1_000_000), standard: "128", help: "Operations in one transaction"
        ) { $0.configuration.maxTxnOperations = Int($1.number) },
        Flag(
            "min-lease-ttl", .number("SECONDS", 1...Int64.max / 1_000_000), standard: "2", .ours,
            help: "Shorter leases are raised to this"
        ) { $0.configuration.minLeaseTTLSeconds = $1.number },
        Flag(
            "watch-progress-notify-interval", .time, standard: "10m", .since("3.6"),
            help: "Between progress notices of idle watches"
        ) { $0.configuration.watchProgressNotifySeconds = ($1.milliseconds + 999) / 1_000 },
    ]

    private static let clientFlags: [Flag] = [
        Flag(
            "max-concurrent-streams", .number("N", 1...4_294_967_295), standard: "10000", etcd: "4294967295",
            help: "Calls and streams open at once on one connection"
        ) { $0.configuration.maxConcurrentStreams = $1.number },
        Flag(
            "grpc-keepalive-min-time", .time, standard: "5s",
            help: "Shortest interval at which clients may ping; those that do it more often are disconnected"
        ) { $0.configuration.keepaliveMinMilliseconds = $1.milliseconds },
        Flag(
            "grpc-keepalive-interval", .time, standard: "2h",
            help: "Silence after which a client is asked for a sign of life; 0: never"
        ) { $0.configuration.keepaliveIntervalMilliseconds = $1.milliseconds },
        Flag(
            "grpc-keepalive-timeout", .time, standard: "20s",
            help: "How long that sign may take before the connection is closed; 0: clients are not asked"
        ) { $0.configuration.keepaliveTimeoutMilliseconds = $1.milliseconds },
        Flag(
            "enable-grpc-gateway", .toggle, standard: "true", help: "Serve the JSON gateway below /v3"
        ) { $0.configuration.isGatewayEnabled = $1.isOn },
        Flag(
            "cors", .list("ORIGINS"), standard: "*",
            help: "Origins whose scripts may read answers over HTTP, http://HOST:PORT each; * or nothing: all"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.corsOrigins = try origins(value.list)
        },
        Flag(
            "host-whitelist", .list("HOSTS"), standard: "*",
            help: "Host names that HTTP requests without TLS may ask for; * or nothing: all"
        ) { $0.configuration.hostWhitelist = $1.list.isEmpty ? ["*"] : $1.list },
    ]

    private static let authFlags: [Flag] = [
        Flag(
            "auth-token", .text("KIND"), standard: "simple",
            help:
                "simple: tokens in the members' memory. jwt,sign-method=M,pub-key=FILE,priv-key=FILE,ttl=5m: signed ones; "
                + "without priv-key they are only verified. M: RS256, PS256, ES256 (384, 512), EdDSA, HS256 (384, 512)"
        ) { (flags, value) throws(ConfigurationError) in
            let text = value.text.isEmpty ? "simple" : value.text
            _ = try TokenOptions(text)
            flags.configuration.authToken = text
        },
        Flag(
            "auth-token-ttl", .number("SECONDS", 1...Int64.max / 1_000_000), standard: "300", .since("3.5"),
            help: "Life of a simple token since its last use"
        ) { $0.configuration.authTokenTTLSeconds = $1.number },
        Flag(
            "bcrypt-cost", .number("N", 4...31), standard: "10",
            help: "Work for one password: each step doubles it"
        ) { $0.configuration.bcryptCost = Int($1.number) },
    ]
}
