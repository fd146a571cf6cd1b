extension MemberFlags {
    static let monitoringFlags: [Flag] = [
        Flag(
            "metrics", .choice(["basic", "extensive"]), standard: "basic",
            help: "Whether /metrics has histograms of every gRPC method"
        ) { $0.configuration.hasExtensiveMetrics = $1.text == "extensive" },
        Flag(
            "listen-metrics-urls", .list("URLS"),
            help: "More listeners that serve only /metrics, /health, /livez, /readyz and /version"
        ) { $0.configuration.listenMetricsURLs = $1.list },
        Flag(
            "warning-apply-duration", .time, standard: "100ms", .since("3.6"),
            help: "A step of the member's loop that takes longer is logged; 0: none is"
        ) { $0.configuration.warningApplyMilliseconds = $1.milliseconds },
        Flag(
            "warning-unary-request-duration", .time, standard: "300ms", .since("3.6"),
            help: "A call that takes longer is logged; 0: none is"
        ) { $0.configuration.warningUnaryMilliseconds = $1.milliseconds },
        Flag(
            "log-level", .choice(LogSettings.levelNames, anyCase: true), standard: "info",
            help: "The least that is logged"
        ) { $0.logging.level = $1.text },
        Flag(
            "log-format", .choice(["console", "json"]), standard: "console", etcd: "json", .since("3.5"),
            help: "Lines for people, or JSON objects with etcd's field names"
        ) { $0.logging.isJSON = $1.text == "json" },
        Flag(
            "log-outputs", .list("OUTPUTS"), standard: "default",
            help: "default, stderr, stdout, systemd/journal (stderr, which the journal takes), or files to append to"
        ) { (flags, value) throws(ConfigurationError) in
            flags.logging.outputs = try LogSettings.outputs(value.list)
        },
        Flag("debug", .toggle, standard: "false", .until("3.4"), help: "As --log-level=debug") {
            if $1.isOn { $0.logging.level = "debug" }
        },
    ]

    static let programFlags: [Flag] = [
        Flag(
            configFileFlag, .text("FILE"),
            help: "YAML or JSON with flag names as keys; replaces command line and environment"
        ) { $0.configFile = $1.text },
        Flag(
            "feature-gates", .text("NAME=BOOL,..."), .since("3.6"),
            help: "etcd's feature gates; which of them mean something is told at the start"
        ) { (flags, value) throws(ConfigurationError) in
            flags.warnings += try FeatureGate.remarks(on: value.text)
        },
        program(
            "dev", .ours, help: "Run three members in this process on loopback, in --data-dir or a temporary directory"
        ) { $0.mode = .dev },
        program("version", help: "Print the version and exit") { $0.mode = .version },
        program("help", help: "Print this text and exit") { $0.mode = .help },
        program("help-markdown", .ours, help: "Print the table of all flags in Markdown and exit") {
            $0.mode = .flagTable
        },
    ]

    private static func program(
        _ name: String, _ versions: Flag.Versions = .all, help: String,
        _ act: @escaping @Sendable (inout MemberFlags) -> Void
    ) -> Flag {
        var flag = Flag(name, .toggle, standard: "false", versions, help: help) { if $1.isOn { act(&$0) } }
        flag.hasVariable = false
        return flag
    }

    // MARK: Values of several parts

    /// Once both flags are known, in whichever order they came.
    mutating func resolveCompaction() throws(ConfigurationError) {
        guard let retention = compactionRetention, !retention.isEmpty else { return }
        configuration.historyBytesMax = nil
        let flag = "auto-compaction-retention"
        if compactionMode == "revision" {
            let count = try Flag.Form.number("", 0...Int64.max).parse(retention, flag: flag).number
            configuration.autoCompaction = count == 0 ? .off : .revisions(count)
        } else if let hours = Int64(retention) {
            guard hours >= 0, hours < 1_000_000 else {
                throw ConfigurationError("--\(flag) '\(retention)' is out of range")
            }
            configuration.autoCompaction = hours == 0 ? .off : .periodic(seconds: hours * 3_600)
        } else {
            let span = try Flag.Form.time.parse(retention, flag: flag).milliseconds
            configuration.autoCompaction = span == 0 ? .off : .periodic(seconds: max(1, span / 1_000))
        }
    }

    static func members(_ list: [String]) throws(ConfigurationError) -> [(name: String, url: String)] {
        var members: [(name: String, url: String)] = []
        for part in list {
            guard let equals = part.firstIndex(of: "="), equals != part.startIndex else {
                throw ConfigurationError("--initial-cluster: '\(part)' is not NAME=URL")
            }
            members.append((String(part[..<equals]), String(part[part.index(after: equals)...])))
        }
        return members
    }

    /// etcd takes only URLs with a port: an origin is compared as a whole.
    static func origins(_ list: [String]) throws(ConfigurationError) -> [String] {
        guard !list.isEmpty, !list.contains("*") else { return ["*"] }
        for origin in list {
            let scheme = ["http://", "https://"].first { origin.hasPrefix($0) }
            let rest = scheme.map { origin.dropFirst($0.count) }
            guard let rest, let colon = rest.lastIndex(of: ":"), colon != rest.startIndex, !rest.contains("/"),
                let port = UInt16(rest[rest.index(after: colon)...]), port > 0
            else { throw ConfigurationError("--cors '\(origin)' is not an origin like http://HOST:PORT") }
        }
        return list
    }
}
