extension MemberFlags {
    /// Every flag that is supported, in the order of `--help`.
    static let all: [Flag] = identityFlags + securityFlags + timingFlags + limitFlags + programFlags

    private static let identityFlags: [Flag] = [
        Flag(
            name: "name", value: "NAME",
            help: "This member's name; must appear in --initial-cluster of a member without data. Default: default"
        ) {
            (flags, value) throws(ConfigurationError) in
            flags.configuration.name = value
        },
        Flag(name: "data-dir", value: "DIR", help: "Log and state of this member. Default: NAME.etcd") {
            (flags, value) throws(ConfigurationError) in
            flags.configuration.dataDirectory = value
            flags.hasDataDirectory = true
        },
        Flag(
            name: "listen-peer-urls", value: "URLS", help: "Where members connect. Default: http://localhost:2380"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.listenPeerURLs = list(value)
        },
        Flag(
            name: "listen-client-urls", value: "URLS", help: "Where clients connect. Default: http://localhost:2379"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.listenClientURLs = list(value)
        },
        Flag(
            name: "initial-advertise-peer-urls", value: "URLS",
            help: "This member's peer URLs; must equal those in --initial-cluster. Default: taken from there"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.initialAdvertisePeerURLs = list(value)
        },
        Flag(
            name: "advertise-client-urls", value: "URLS",
            help: "What clients are told by member lists. Default: http://localhost:2379"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.advertiseClientURLs = list(value)
        },
        Flag(
            name: "initial-cluster", value: "NAME=URL,...",
            help:
                "All members of the cluster, this one included; ignored once data exists. Default: NAME=URLS of this one"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.initialCluster = try members(value)
            flags.hasCluster = true
        },
        Flag(
            name: "initial-cluster-state", value: "new|existing",
            help: "Found the cluster, or join it after 'registryctl member add'; ignored once data exists. Default: new"
        ) { (flags, value) throws(ConfigurationError) in
            guard let state = MemberConfiguration.ClusterState(rawValue: value) else {
                throw ConfigurationError("--initial-cluster-state '\(value)' is neither new nor existing")
            }
            flags.configuration.initialClusterState = state
        },
        Flag(
            name: "initial-cluster-token", value: "TOKEN",
            help: "Tells clusters with equal addresses apart. Default: etcd-cluster"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.initialClusterToken = value
        },
        Flag(
            name: "force-new-cluster", value: nil,
            help: "Not taken: the loss of a quorum is repaired by 'registryctl storage force-new-cluster DIR'"
        ) { (_, _) throws(ConfigurationError) in
            throw ConfigurationError(
                "--force-new-cluster is not taken at a start, where it would be left in a unit file and lose data at "
                    + "the next one: stop the member and run 'registryctl storage force-new-cluster DIR' once")
        },
    ]

    private static let timingFlags: [Flag] = [
        Flag(name: "heartbeat-interval", value: "MS", help: "Milliseconds between heartbeats. Default: 50") {
            (flags, value) throws(ConfigurationError) in
            flags.configuration.heartbeatMilliseconds = try number(value, "heartbeat-interval")
        },
        Flag(
            name: "election-timeout", value: "MS",
            help: "Milliseconds without a leader before an election. Default: 500"
        ) {
            (flags, value) throws(ConfigurationError) in
            flags.configuration.electionMilliseconds = try number(value, "election-timeout")
        },
        Flag(
            name: "lease-reads", value: nil,
            help: "Let the leader answer linearizable reads without asking the others, for as long as they cannot have "
                + "elected another one if clock rates differ by less than 0.5 %. Switches fast elections after a "
                + "leader's death off. On all members or on none (ours, not etcd's)"
        ) { (flags, _) throws(ConfigurationError) in
            flags.configuration.leaseReads = true
        },
        Flag(
            name: "auto-compaction-mode", value: "periodic|revision",
            help: "How --auto-compaction-retention is read. Default: periodic"
        ) { (flags, value) throws(ConfigurationError) in
            guard value == "periodic" || value == "revision" else {
                throw ConfigurationError("--auto-compaction-mode '\(value)' is neither periodic nor revision")
            }
            flags.compactionMode = value
            try flags.resolveCompaction()
        },
        Flag(
            name: "auto-compaction-retention", value: "TIME|COUNT",
            help: "History kept: 30m, 10h, a bare number of hours, or of revisions; 0 keeps all. Default: 1h"
        ) { (flags, value) throws(ConfigurationError) in
            flags.compactionRetention = value
            try flags.resolveCompaction()
        },
        Flag(
            name: "snapshot-count", value: "N",
            help: "Applied entries between two points at which the log may be compacted. Default: 10000"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.snapshotCount = try number(value, "snapshot-count")
        },
        Flag(
            name: "watch-progress-notify-interval", value: "TIME",
            help: "Between progress notices of idle watches. Default: 10m"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.watchProgressNotifySeconds = try seconds(value, "watch-progress-notify-interval")
        },
        Flag(
            name: "min-lease-ttl", value: "SECONDS",
            help: "Shorter leases are raised to this (ours, not etcd's). Default: 2"
        ) {
            (flags, value) throws(ConfigurationError) in
            flags.configuration.minLeaseTTLSeconds = try number(value, "min-lease-ttl")
        },
    ]

    private static let limitFlags: [Flag] = [
        Flag(name: "max-request-bytes", value: "BYTES", help: "Largest request. Default: 1572864") {
            (flags, value) throws(ConfigurationError) in
            flags.configuration.maxRequestBytes = Int(try number(value, "max-request-bytes"))
        },
        Flag(name: "max-txn-ops", value: "N", help: "Operations in one transaction. Default: 128") {
            (flags, value) throws(ConfigurationError) in
            flags.configuration.maxTxnOperations = Int(try number(value, "max-txn-ops"))
        },
        Flag(
            name: "disk-reserve-bytes", value: "BYTES",
            help: "Kept free for the moment when the disk is full; 0: nothing (ours, not etcd's). Default: 5 % of what "
                + "is free, at most 128 MiB"
        ) { (flags, value) throws(ConfigurationError) in
            flags.configuration.diskReserveBytes = try number(value, "disk-reserve-bytes")
        },
    ]

    private static let programFlags: [Flag] = [
        Flag(
            name: "dev", value: nil,
            help: "Run three members in this process on loopback, in --data-dir or a temporary directory"
        ) {
            (flags, _) throws(ConfigurationError) in
            flags.mode = .dev
        },
        Flag(name: "log-level", value: "LEVEL", help: "debug, info, warn, error. Default: info") {
            (flags, value) throws(ConfigurationError) in
            let known = [
                "trace", "debug", "info", "notice", "warn", "warning", "error", "critical", "dpanic", "panic", "fatal",
            ]
            guard known.contains(value) else { throw ConfigurationError("--log-level '\(value)' is not a level") }
            flags.logLevel = value
        },
        Flag(name: "version", value: nil, help: "Print the version and exit") { (flags, _) throws(ConfigurationError) in
            flags.mode = .version
        },
        Flag(name: "help", value: nil, help: "Print this text and exit") { (flags, _) throws(ConfigurationError) in
            flags.mode = .help
        },
    ]

    private mutating func resolveCompaction() throws(ConfigurationError) {
        guard let retention = compactionRetention else { return }
        if compactionMode == "revision" {
            let count = try MemberFlags.number(retention, "auto-compaction-retention")
            configuration.autoCompaction = count == 0 ? .off : .revisions(count)
        } else if let hours = Int64(retention) {
            guard hours >= 0, hours < 1_000_000 else {
                throw ConfigurationError("--auto-compaction-retention '\(retention)' is out of range")
            }
            configuration.autoCompaction = hours == 0 ? .off : .periodic(seconds: hours * 3_600)
        } else {
            let span = try MemberFlags.seconds(retention, "auto-compaction-retention")
            configuration.autoCompaction = span == 0 ? .off : .periodic(seconds: span)
        }
    }

    static func list(_ value: String) -> [String] {
        value.split(separator: ",").map { String($0.trimmed) }
    }

    private static func members(_ value: String) throws(ConfigurationError) -> [(name: String, url: String)] {
        var members: [(name: String, url: String)] = []
        for part in list(value) {
            guard let equals = part.firstIndex(of: "="), equals != part.startIndex else {
                throw ConfigurationError("--initial-cluster: '\(part)' is not NAME=URL")
            }
            members.append((String(part[..<equals]), String(part[part.index(after: equals)...])))
        }
        return members
    }

    private static func number(_ value: String, _ name: String) throws(ConfigurationError) -> Int64 {
        guard let number = Int64(value), number >= 0 else {
            throw ConfigurationError("--\(name) '\(value)' is not a number of 0 or more")
        }
        return number
    }

    /// A span in Go's notation, `1h30m`, `90s`, `500ms`, in whole seconds, at least one unless it is zero.
    private static func seconds(_ value: String, _ name: String) throws(ConfigurationError) -> Int64 {
        let units: [(String, Int64)] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        var rest = Substring(value)
        var milliseconds: Int64 = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let count = Int64(digits), count < 1_000_000_000 else {
                throw ConfigurationError("--\(name) '\(value)' is not a time like 90s, 30m or 10h")
            }
            rest = rest.dropFirst(digits.count)
            guard let unit = units.first(where: { rest.hasPrefix($0.0) }) else {
                throw ConfigurationError("--\(name) '\(value)' is not a time like 90s, 30m or 10h")
            }
            rest = rest.dropFirst(unit.0.count)
            milliseconds += count * unit.1
        }
        return milliseconds == 0 ? 0 : max(1, milliseconds / 1_000)
    }
}

extension StringProtocol {
    fileprivate var trimmed: SubSequence {
        var view = self[...]
        while view.first == " " { view = view.dropFirst() }
        while view.last == " " { view = view.dropLast() }
        return view
    }
}
