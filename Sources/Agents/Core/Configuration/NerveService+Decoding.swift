import Primitives

extension NerveService {
    /// One service, or none with the reasons in `context`.
    static func decode(
        _ tree: ServiceTree, defaults: ServiceDefaults, _ context: inout DecodingContext
    ) -> [NerveService] {
        guard var map = tree.reader else { return [] }
        let before = context.errorCount
        let host = map.requiredText("host", &context)
        let port = decodePort(&map, &context)
        let reporter = decodeReporter(&map, defaults, &context)
        let checkInterval = map.span("check_interval", &context) ?? .milliseconds(500)
        if checkInterval < .milliseconds(10) {
            map.fail("check_interval", "checks cannot be closer than 0.01 s", &context)
        }
        var service = NerveService(
            name: tree.name, host: host, port: port ?? .null,
            registry: reporter?.endpoints ?? RegistryEndpoints(["-"]), path: reporter?.path ?? "",
            checkInterval: checkInterval)
        service.isMocked = map.bool("check_mocked", default: false, &context)
        service.weight = decodeWeight(&map, &context)
        service.haproxyServerOptions = map.entry("haproxy_server_options")?.value.json
        service.labels = map.entry("labels")?.value.json
        service.isDraining = map.bool("drain", default: false, &context)
        service.rateLimit = decodeRateLimit(&map, &context)
        service.fastConfirmation = NerveConfiguration.fastConfirmation(
            &map, fallback: defaults.fastConfirmation, &context)
        let portNumber = port.flatMap(portNumber)
        for var check in map.maps("checks", &context) {
            if let decoded = CheckConfiguration.decode(&check, service: service, servicePort: portNumber, &context) {
                service.checks.append(decoded)
            }
        }
        acceptLeftovers(&map, &context)
        map.finish(&context)
        return context.errorCount == before ? [service] : []
    }

    private static func acceptLeftovers(_ map: inout MapReader, _ context: inout DecodingContext) {
        _ = map.entry("load_test_concurrency")
        map.accept(
            ["max_repeated_report_failures"], because: "a failing report is retried for ever, the watcher never stops",
            &context)
        map.accept(["ports", "zk_cluster_name", "name", "instance_id"], because: "nerve does not use it", &context)
        map.accept(
            ["use_path_encoding"], because: "the payload is the value of the key, readers get it with the key", &context
        )
        map.accept(["node_type"], because: "every registration is bound to the agent's lease", &context)
        map.accept(["ttl_seconds"], because: "the lease decides how long a registration lives (lease_ttl)", &context)
    }

    /// A number or a text of digits, kept in its type because the payload shows it.
    private static func decodePort(_ map: inout MapReader, _ context: inout DecodingContext) -> JSONValue? {
        guard let entry = map.value("port") else {
            map.fail("port", "is required", &context)
            return nil
        }
        guard let number = MapReader.wholeNumber(entry.value), (0...65535).contains(number) else {
            map.fail("port", "expected a port number, found \(entry.value.kind)", &context)
            return nil
        }
        return entry.value.json
    }

    static func portNumber(_ value: JSONValue) -> Int? {
        (value.integer ?? value.text.flatMap { Int64(Text.trimmed($0)) }).map { Int($0) }
    }

    /// Digits only, at least zero, as Airbnb's.
    private static func decodeWeight(_ map: inout MapReader, _ context: inout DecodingContext) -> Int64? {
        guard let entry = map.value("weight") else { return nil }
        guard let text = MapReader.scalarText(entry.value), Text.isDigits(text), let weight = Int64(text) else {
            map.fail("weight", "expected a whole number of at least 0, found \(entry.value.kind)", &context)
            return nil
        }
        return weight
    }

    private static func decodeRateLimit(_ map: inout MapReader, _ context: inout DecodingContext) -> RateLimit? {
        guard var limits = map.map("rate_limiting", &context) else { return nil }
        let limit = RateLimit(
            averageRate: limits.decimal("average_rate", &context), maxBurst: limits.decimal("max_burst", &context),
            isShadow: limits.bool("shadow_mode", default: true, &context))
        if let rate = limit.averageRate, rate.billionths < 0 {
            limits.fail("average_rate", "cannot be negative", &context)
        }
        if let burst = limit.maxBurst, burst.billionths < 1_000_000_000 {
            limits.fail("max_burst", "must be at least 1", &context)
        }
        limits.finish(&context)
        return limit
    }
}

// MARK: - Reporter

extension NerveService {
    private struct Reporter {
        let endpoints: RegistryEndpoints
        let path: String
    }

    private static func decodeReporter(
        _ map: inout MapReader, _ defaults: ServiceDefaults, _ context: inout DecodingContext
    ) -> Reporter? {
        let kind = map.text("reporter_type", &context)?.lowercased() ?? "zookeeper"
        let before = context.errorCount
        // A key of another reporter left in the section is not used, so that one file can serve during a move.
        let zkHosts = map.lines("zk_hosts", &context)
        let zkPath = map.text("zk_path", &context)
        let etcdHost = map.text("etcd_host", &context)
        let etcdHosts = map.lines("etcd_hosts", &context)
        let etcdPort = map.integer("etcd_port", in: 1...65535, &context) ?? 4003
        let etcdPath = map.text("etcd_path", &context)
        let registryHosts = map.lines("registry_hosts", &context)
        let registryPath = map.text("registry_path", &context)
        let tls = RegistrySection.tls(&map, &context) ?? defaults.registryTLS
        let hosts: [String]?
        let path: String?
        let keys: (hosts: String, path: String)
        switch kind {
        case "zookeeper":
            (hosts, path, keys) = (zkHosts, zkPath, ("zk_hosts", "zk_path"))
            if context.options.registryHosts.isEmpty, zkHosts != nil {
                map.warn("zk_hosts", RegistrySection.zookeeperNotice, &context)
            }
        case "etcd":
            let listed = etcdHosts ?? etcdHost.map { [$0] }
            hosts = listed?.map { RegistrySection.withPort($0, etcdPort) }
            (path, keys) = (etcdPath ?? "/", ("etcd_host", "etcd_path"))
        case "registry":
            hosts = registryHosts ?? (defaults.registryHosts.isEmpty ? nil : defaults.registryHosts)
            (path, keys) = (registryPath, ("registry_hosts", "registry_path"))
        default:
            map.fail(
                "reporter_type", RegistrySection.unknown(kind, known: ["registry", "zookeeper", "etcd"]), &context)
            return nil
        }
        let dialled = context.options.registryHosts.isEmpty ? hosts ?? [] : context.options.registryHosts
        if dialled.isEmpty { map.fail(keys.hosts, "is required for reporter_type \(kind)", &context) }
        for host in dialled where !RegistrySection.isAddress(host) {
            map.fail(keys.hosts, "\"\(host)\" is not host:port", &context)
        }
        let trimmed = path.flatMap { RegistrySection.normalized($0) }
        if trimmed == nil {
            map.fail(
                keys.path, path == nil ? "is required for reporter_type \(kind)" : "must begin with a slash", &context)
        }
        guard context.errorCount == before, let trimmed else { return nil }
        return Reporter(endpoints: RegistryEndpoints(dialled, tls: tls), path: trimmed)
    }
}

/// What registry sections of both programs have in common.
enum RegistrySection {
    static let zookeeperNotice =
        "these hosts are dialled with the etcd v3 protocol, which a ZooKeeper server does not speak; "
        + "use --registry HOSTS to keep the paths and dial the registry"

    static func unknown(_ kind: String, known: [String]) -> String {
        let guess = Text.suggestion(for: kind, among: known).map { ", did you mean \($0)?" } ?? ""
        return "\"\(kind)\" is not supported\(guess) (known: \(known.joined(separator: ", ")))"
    }

    /// `registry_tls`: a map, also an empty one, switches TLS on.
    static func tls(_ map: inout MapReader, _ context: inout DecodingContext) -> RegistryTLS? {
        guard var section = map.map("registry_tls", &context) else { return nil }
        var tls = RegistryTLS()
        tls.trustedCAFile = section.text("ca", &context)
        tls.certificateFile = section.text("cert", &context)
        tls.keyFile = section.text("key", &context)
        tls.serverName = section.text("server_name", &context)
        tls.skipsVerification = section.bool("insecure_skip_verify", default: false, &context)
        if (tls.certificateFile == nil) != (tls.keyFile == nil) {
            let (given, absent) = tls.keyFile == nil ? ("cert", "key") : ("key", "cert")
            section.fail(given, "is of no use without \(absent)", &context)
        }
        if tls.skipsVerification {
            section.warn("insecure_skip_verify", "anybody can answer in the registry's place", &context)
        }
        section.finish(&context)
        return tls
    }

    static func withPort(_ host: String, _ port: Int64) -> String {
        isAddress(host) ? host : "\(host):\(port)"
    }

    /// `host:port` or `[v6]:port`.
    static func isAddress(_ text: String) -> Bool {
        guard let colon = text.lastIndex(of: ":") else { return false }
        let port = String(text[text.index(after: colon)...])
        let host = text[..<colon]
        guard Text.isDigits(port), let number = Int(port), (1...65535).contains(number), !host.isEmpty else {
            return false
        }
        return !host.contains(":") || (host.hasPrefix("[") && host.hasSuffix("]"))
    }

    /// The path without slashes at its end; nil when it does not begin with one.
    static func normalized(_ path: String) -> String? {
        guard path.hasPrefix("/"), !Text.hasControlCharacter(path) else { return nil }
        var path = path
        while path.hasSuffix("/") { path.removeLast() }
        return path
    }
}
