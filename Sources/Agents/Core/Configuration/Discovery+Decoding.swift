import Primitives

/// What a synapse file says about the registry for all its services.
struct RegistryDefaults {
    var hosts: [String]
    var tls: RegistryTLS?
}

extension SynapseService {
    private static let known = ["registry", "zookeeper", "zookeeper_poll", "etcd", "static", "base"]
    private static let otherMethods = [
        "dns", "docker", "ec2tag", "marathon", "multi", "zookeeper_dns", "zookeeper_dns_poll", "serf", "consul",
        "kubernetes",
    ]

    static func decodeDiscovery(
        _ service: inout MapReader, into result: inout SynapseService, _ defaults: RegistryDefaults,
        _ context: inout DecodingContext
    ) {
        let before = context.errorCount
        guard var map = service.map("discovery", &context) else {
            if context.errorCount == before { service.fail("discovery", "is required", &context) }
            return
        }
        let method = map.requiredText("method", &context).lowercased()
        guard !method.isEmpty else { return }
        if otherMethods.contains(method) {
            return map.fail("method", "discovery method \(method) is not supported yet", &context)
        }
        guard known.contains(method) else {
            return map.fail(
                "method", "unknown discovery method: " + RegistrySection.unknown(method, known: known), &context)
        }
        result.labelFilters = decodeFilters(&map, &context)
        if method == "static" || method == "base" {
            map.accept(["hosts", "path"], because: "method \(method) only uses default_servers", &context)
        } else {
            result.discovery = decodeRegistry(method, &map, defaults, &context) ?? .fixed
        }
        map.finish(&context)
    }

    private static func decodeRegistry(
        _ method: String, _ map: inout MapReader, _ defaults: RegistryDefaults, _ context: inout DecodingContext
    ) -> Discovery? {
        let before = context.errorCount
        var hosts = map.lines("hosts", &context)
        let ownHosts = map.lines("registry_hosts", &context)
        let tls = RegistrySection.tls(&map, &context) ?? defaults.tls
        let host = map.text("host", &context)
        let port = map.integer("port", in: 1...65535, &context) ?? 4003
        switch method {
        case "etcd": hosts = (hosts ?? host.map { [$0] })?.map { RegistrySection.withPort($0, port) }
        case "registry": hosts = ownHosts ?? hosts ?? (defaults.hosts.isEmpty ? nil : defaults.hosts)
        default:
            if context.options.registryHosts.isEmpty, hosts != nil {
                map.warn("hosts", RegistrySection.zookeeperNotice, &context)
            }
        }
        let dialled = context.options.registryHosts.isEmpty ? hosts ?? [] : context.options.registryHosts
        if dialled.isEmpty { map.fail("hosts", "is required for method \(method)", &context) }
        for host in dialled where !RegistrySection.isAddress(host) {
            map.fail("hosts", "\"\(host)\" is not host:port", &context)
        }
        let path = map.text("path", &context).map { RegistrySection.normalized($0) }
        if path == nil { map.fail("path", "is required for method \(method)", &context) }
        if path == .some(nil) { map.fail("path", "must begin with a slash", &context) }
        decodeFormat(&map, &context)
        map.accept(
            ["retry_policy", "discovery_jitter", "polling_interval_sec"],
            because: "changes arrive as a stream that is resumed, with back-off and jitter of its own", &context)
        if let config = map.text("generator_config_path", &context), config != "disabled" {
            map.warn("generator_config_path", "has no effect: the haproxy section comes from this file alone", &context)
        }
        guard context.errorCount == before, case .some(.some(let path)) = path else { return nil }
        return .registry(RegistryEndpoints(dialled, tls: tls), path: path, isRecursive: method == "etcd")
    }

    private static func decodeFormat(_ map: inout MapReader, _ context: inout DecodingContext) {
        guard var format = map.map("decode", &context) else { return }
        let method = format.text("method", &context) ?? "nerve"
        if method != "nerve" {
            format.fail("method", "decoding as \(method) is not supported yet, only nerve is", &context)
        }
        format.accept(["endpoint_name"], because: "it belongs to method serverset", &context)
        format.finish(&context)
    }

    private static func decodeFilters(_ map: inout MapReader, _ context: inout DecodingContext) -> [LabelFilter] {
        var readers: [MapReader] = []
        if let single = map.map("label_filter", &context) { readers.append(single) }
        readers += map.maps("label_filters", &context)
        return readers.map { reader in
            var reader = reader
            let label = reader.requiredText("label", &context)
            let value = reader.entry("value")?.value.json ?? .null
            let word = reader.text("condition", &context)
            let condition: LabelFilter.Condition
            switch word {
            case "equals": condition = .equals
            case "not-equals": condition = .notEquals
            default:
                condition = .never
                reader.warn(
                    "condition",
                    "\(word.map { "\"\($0)\"" } ?? "nothing") is neither equals nor not-equals and matches no server",
                    &context)
            }
            reader.finish(&context)
            return LabelFilter(label: label, value: value, condition: condition)
        }
    }
}
