/// What etcd has and this member does not act on: with the reason, so that nobody looks for an effect.
extension MemberFlags {
    static let ignoredFlags: [Flag] =
        storageRemarks + checkRemarks + tracingRemarks + ignoredSecurityFlags + formerAPI + antiques

    private static let storageRemarks: [Flag] = [
        ignored("max-snapshots", count, "5", why: "snapshots are made for those who need one, and removed"),
        ignored("max-wals", count, "5", why: "the log keeps as many files as --snapshot-count asks for"),
        ignored(
            "backend-batch-interval", .time, nil, why: "each batch of entries is one transaction; nothing waits for it"),
        ignored(
            "backend-batch-limit", anyCount, "0", why: "each batch of entries is one transaction; nothing waits for it"),
        ignored(
            "backend-bbolt-freelist-type", .choice(["map", "array"]), "map", why: "the state is a SQLite database"),
        ignored(
            "bootstrap-defrag-threshold-megabytes", count, "0", .since("3.6"),
            why: "the database uses freed space again; there is nothing to defragment"),
        ignored(
            "compaction-batch-limit", anyCount, "1000", .since("3.6"),
            why: "compacted history is removed in small parts whenever there is nothing else to do"),
        ignored(
            "compaction-sleep-interval", .time, "10ms", .since("3.6"),
            why: "compacted history is removed in small parts whenever there is nothing else to do"),
        ignored(
            "memory-mlock", .toggle, "false", .since("3.6"), silentFor: falsehoods,
            why: "live keys are ordinary memory: let the unit file say MemorySwapMax=0"),
        ignored(
            "socket-reuse-address", .toggle, "false", .since("3.5"), silentFor: truths,
            why: "SO_REUSEADDR is always set: a member that restarts finds its port"),
        ignored(
            "initial-election-tick-advance", .toggle, "true", silentFor: truths,
            why: "a member alone campaigns at once, one that starts among others waits one election timeout"),
        ignored(
            "raft-read-timeout", .time, "5s", .since("3.5"), why: "members notice a dead link by missed heartbeats"),
        ignored(
            "raft-write-timeout", .time, "5s", .since("3.5"), why: "members notice a dead link by missed heartbeats"),
        ignored(
            "enable-pprof", .toggle, "false", silentFor: falsehoods,
            why: "pprof is Go's; use perf on this process, and /metrics"),
        ignored(
            "logger", .choice(["zap", "capnslog"]), "zap", silentFor: ["zap"],
            why: "--log-format decides what is written"),
        ignored(
            "disable-log-sampling", .toggle, "false", .since("3.7"), silentFor: truths + falsehoods,
            why: "log lines are never left out"),
        ignored(
            "log-rotation-config-json", .text("JSON"), nil, .since("3.5"), why: "see --enable-log-rotation"),
        ignored(
            "log-package-levels", .text("PACKAGE=LEVEL,..."), nil, .until("3.4"),
            why: "there is one level for the program: --log-level"),
    ]

    private static let checkRemarks: [Flag] = [
        ignored(
            "corrupt-check-time", .time, "0s", .since("3.6"),
            why: "members always compare the digests of their states, every ten seconds"),
        ignored(
            "compact-hash-check-time", .time, "1m", .since("3.6"),
            why: "members always compare the digests of their states, every ten seconds"),
        ignored(
            "experimental-compact-hash-check-enabled", .toggle, "false", .between("3.5", "3.6"),
            silentFor: falsehoods, why: "members always compare the digests of their states, every ten seconds"),
        ignored(
            "experimental-initial-corrupt-check", .toggle, "false", .until("3.6"), silentFor: falsehoods,
            why: "a member always checks its state before it serves, and compares it with the others'"),
        ignored(
            "experimental-enable-lease-checkpoint", .toggle, "false", .until("3.6"), silentFor: falsehoods,
            why: "a new leader always learns from the others how old leases are"),
        ignored(
            "experimental-enable-lease-checkpoint-persist", .toggle, "false", .until("3.6"), silentFor: falsehoods,
            why: "a new leader always learns from the others how old leases are"),
        ignored(
            "experimental-stop-grpc-service-on-defrag", .toggle, "false", .between("3.5", "3.6"),
            silentFor: falsehoods, why: "there is nothing to defragment"),
        ignored(
            "experimental-txn-mode-write-with-shared-buffer", .toggle, "true", .between("3.5", "3.6"),
            silentFor: truths + falsehoods, why: "reads never wait for a buffer of writes"),
        ignored(
            "experimental-set-member-localaddr", .toggle, "false", .between("3.5", "3.6"), silentFor: falsehoods,
            why: "the kernel chooses the address that members are dialed from"),
        ignored(
            "experimental-wait-cluster-ready-timeout", .time, "5s", .between("3.5", "3.6"),
            why: "the ports open at once; requests wait for a leader by themselves"),
        ignored(
            "wait-cluster-ready-timeout", .time, "5s", .since("3.6"),
            why: "the ports open at once; requests wait for a leader by themselves"),
        ignored(
            "downgrade-check-time", .time, "5s", .since("3.6"),
            why: "there is no downgrade under way that could be checked"),
    ]

    private static let tracingRemarks: [Flag] = [
        ignored(
            "distributed-tracing-address", .text("HOST:PORT"), "localhost:4317", .since("3.6"),
            why: "see --enable-distributed-tracing"),
        ignored(
            "distributed-tracing-service-name", .text("NAME"), "etcd", .since("3.6"),
            why: "see --enable-distributed-tracing"),
        ignored(
            "distributed-tracing-instance-id", .text("ID"), nil, .since("3.6"), why: "see --enable-distributed-tracing"),
        ignored(
            "distributed-tracing-sampling-rate", count, "0", .since("3.6"), why: "see --enable-distributed-tracing"),
    ]

    /// etcd's sample of a configuration file switches it on.
    private static let formerAPI = [
        ignored(
            "enable-v2", .toggle, "false", .until("3.5"), silentFor: falsehoods,
            why: "API v2 is not served, as by etcd since 3.6: use API v3")
    ]

    /// etcd has accepted and ignored them since 2015; the proxy's numbers since 3.6.
    private static let antiques: [Flag] =
        [
            "cluster-active-size", "cluster-remove-delay", "cluster-sync-interval", "config", "force",
            "max-result-buffer", "max-retry-attempts", "peer-heartbeat-interval", "peer-election-timeout",
            "retry-interval", "snapshot", "v", "vv",
        ].map { ignored($0, .anything, nil, .until("3.5"), why: "etcd itself has ignored it since version 2") }
        + [
            ("proxy-failure-wait", "5000"), ("proxy-refresh-interval", "30000"), ("proxy-dial-timeout", "1000"),
            ("proxy-write-timeout", "5000"), ("proxy-read-timeout", "0"),
        ].map { ignored($0.0, .number("MS", 0...Int64.max), $0.1, .until("3.5"), why: "there is no proxy of API v2") }

    static let refusedFlags: [Flag] =
        [
            refused(
                "force-new-cluster", .toggle, "false", except: falsehoods,
                why: "left in a unit file it would lose data at the next start: stop the member and run "
                    + "'registryctl storage force-new-cluster DIR' once"),
            refused(
                "unsafe-no-fsync", .toggle, "false", .since("3.5"), except: falsehoods,
                why: "a member that acknowledges what it may forget breaks the promises of the others"),
            refused(
                "wal-dir", .text("DIR"), nil,
                why: "log and state lie in one directory, which is replaced as a whole: put --data-dir on the fast disk"
            ),
            refused(
                "enable-log-rotation", .toggle, "false", .since("3.5"), except: falsehoods,
                why:
                    "files are appended to and never renamed: let logrotate do it (copytruncate), or log to the journal"
            ),
            refused(
                "enable-distributed-tracing", .toggle, "false", .since("3.6"), except: falsehoods,
                why: "no traces are sent; every write carries its origin and reason instead"),
            refused(
                "discovery", .text("URL"), nil, .until("3.5"),
                why: "the discovery service of API v2 is gone: name the members by --initial-cluster"),
            refused(
                "discovery-proxy", .text("URL"), nil, .until("3.5"), why: "the discovery service of API v2 is gone"),
            refused(
                "discovery-fallback", .choice(["exit", "proxy"]), "exit", .until("3.5"), except: ["exit", "proxy"],
                why: "the discovery service of API v2 is gone"),
            refused(
                "discovery-srv", .text("DOMAIN"), nil,
                why:
                    "members are not looked up in the DNS: name them by --initial-cluster; host names in it are resolved"
            ),
            refused("discovery-srv-name", .text("NAME"), nil, why: "see --discovery-srv"),
            refused(
                "experimental-enable-v2v3", .text("PREFIX"), nil, .until("3.5"),
                why: "API v2 is not served, as by etcd since 3.6: use API v3"),
            refused(
                "v2-deprecation", .choice(["not-yet", "write-only", "write-only-drop-data", "gone"]), "not-yet",
                .between("3.5", "3.6"), except: ["not-yet", "write-only", "write-only-drop-data", "gone"],
                why: "there is no store of API v2"),
            refused(
                "proxy", .choice(["off", "readonly", "on"]), "off", .until("3.5"), except: ["off"],
                why: "there is no proxy of API v2"),
        ] + discoveryService + refusedSecurityFlags

    private static let discoveryService: [Flag] =
        [
            ("discovery-endpoints", Flag.Form.list("HOSTS"), nil), ("discovery-token", .text("TOKEN"), nil),
            ("discovery-user", .text("NAME"), nil), ("discovery-password", .text("PASSWORD"), nil),
            ("discovery-cert", .text("FILE"), nil), ("discovery-key", .text("FILE"), nil),
            ("discovery-cacert", .text("FILE"), nil), ("discovery-dial-timeout", .time, "2s"),
            ("discovery-request-timeout", .time, "5s"), ("discovery-keepalive-time", .time, "2s"),
            ("discovery-keepalive-timeout", .time, "6s"), ("discovery-insecure-transport", .toggle, "true"),
            ("discovery-insecure-skip-tls-verify", .toggle, "false"),
        ].map { name, form, standard in
            refused(
                name, form, standard, .since("3.6"), except: [standard].compactMap(\.self),
                why: "members are not looked up in another cluster: name them by --initial-cluster")
        }

    // MARK: Shapes of rows

    static let count = Flag.Form.number("N", 0...Int64.max)
    private static let anyCount = Flag.Form.number("N", Int64.min...Int64.max)
    static let truths = ["true", "1", "t", "T", "TRUE", "True"]
    static let falsehoods = ["false", "0", "f", "F", "FALSE", "False"]

    static func ignored(
        _ name: String, _ form: Flag.Form, _ standard: String?, _ versions: Flag.Versions = .all,
        silentFor silent: [String] = [], why: String
    ) -> Flag {
        Flag(
            name, form, standard: standard, versions, help: "Ignored: \(why)",
            fate: .ignored(silentFor: silent, why: why))
    }

    static func refused(
        _ name: String, _ form: Flag.Form, _ standard: String?, _ versions: Flag.Versions = .all,
        except harmless: [String] = [], why: String
    ) -> Flag {
        Flag(
            name, form, standard: standard, versions, help: "Not taken: \(why)",
            fate: .refused(except: harmless, why: why))
    }
}

/// Names that flags had while etcd called them experimental, and older ones.
extension MemberFlags {
    static func formerNames(among flags: [Flag]) -> [Flag] {
        former.map { old in
            guard let target = flags.first(where: { $0.name == old.target }) else {
                preconditionFailure("--\(old.name) stands for --\(old.target), which does not exist")
            }
            return Flag(
                old.name, target.form, old.versions, help: "Former name of --\(old.target)",
                fate: .alias(of: old.target))
        }
    }

    private static let former: [(name: String, target: String, versions: Flag.Versions)] = [
        ("log-output", "log-outputs", .until("3.4")),
        (
            "experimental-peer-skip-client-san-verification", "peer-skip-client-san-verification", .until("3.6")
        ),
        ("experimental-backend-bbolt-freelist-type", "backend-bbolt-freelist-type", .until("3.4")),
        ("experimental-corrupt-check-time", "corrupt-check-time", .until("3.6")),
        ("experimental-compaction-batch-limit", "compaction-batch-limit", .until("3.6")),
        ("experimental-watch-progress-notify-interval", "watch-progress-notify-interval", .until("3.6")),
        ("experimental-warning-apply-duration", "warning-apply-duration", .until("3.6")),
        (
            "experimental-warning-unary-request-duration", "warning-unary-request-duration",
            .between("3.5", "3.6")
        ),
        ("experimental-compact-hash-check-time", "compact-hash-check-time", .between("3.5", "3.6")),
        ("experimental-compaction-sleep-interval", "compaction-sleep-interval", .between("3.5", "3.6")),
        ("experimental-downgrade-check-time", "downgrade-check-time", .between("3.5", "3.6")),
        ("experimental-memory-mlock", "memory-mlock", .between("3.5", "3.6")),
        ("experimental-max-learners", "max-learners", .between("3.5", "3.6")),
        ("experimental-snapshot-catchup-entries", "snapshot-catchup-entries", .between("3.5", "3.6")),
        (
            "experimental-bootstrap-defrag-threshold-megabytes", "bootstrap-defrag-threshold-megabytes",
            .between("3.5", "3.6")
        ),
        ("experimental-enable-distributed-tracing", "enable-distributed-tracing", .between("3.5", "3.6")),
        ("experimental-distributed-tracing-address", "distributed-tracing-address", .between("3.5", "3.6")),
        (
            "experimental-distributed-tracing-service-name", "distributed-tracing-service-name",
            .between("3.5", "3.6")
        ),
        ("experimental-distributed-tracing-instance-id", "distributed-tracing-instance-id", .between("3.5", "3.6")),
        (
            "experimental-distributed-tracing-sampling-rate", "distributed-tracing-sampling-rate",
            .between("3.5", "3.6")
        ),
    ]
}
