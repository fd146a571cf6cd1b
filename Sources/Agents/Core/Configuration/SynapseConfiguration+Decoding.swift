import Primitives

extension SynapseConfiguration {
    /// Decodes a synapse file.
    ///
    /// - Parameters:
    ///   - tree: the main file, its template tags already replaced (`ErbTemplate`).
    ///   - serviceFiles: the files of `service_conf_dir`, sorted by name; each replaces a service of the same name.
    ///   - options: command-line additions.
    /// - Returns: the configuration with every service that could be read, and all complaints. No configuration when
    ///   the file is not a map or its `haproxy` section cannot be used.
    package static func decode(
        _ tree: ConfigValue, serviceFiles: [ServiceFile] = [], options: DecodingOptions = DecodingOptions()
    ) -> ConfigDecoding<SynapseConfiguration> {
        var context = DecodingContext(options)
        guard case .map(let entries) = tree else {
            context.error("", nil, tree == .null ? "the file is empty" : "expected a map, found \(tree.kind)")
            return ConfigDecoding(configuration: nil, issues: context.issues)
        }
        var top = MapReader(entries, path: "", place: nil)
        let before = context.errorCount
        var haproxy = HAProxyConfiguration()
        if var section = top.map("haproxy", &context) {
            haproxy = HAProxyConfiguration.decode(&section, &context)
        } else if context.errorCount == before {
            top.fail("haproxy", "is required: nothing would be generated", &context)
        }
        let isUsable = context.errorCount == before
        _ = top.text("service_conf_dir", &context)
        var configuration = SynapseConfiguration(
            services: [], haproxy: haproxy, statusAddress: top.text("status_address", &context))
        configuration.firstAnswerTimeout =
            top.span("first_answer_timeout", &context) ?? configuration.firstAnswerTimeout
        let defaults = RegistryDefaults(
            hosts: top.lines("registry_hosts", &context) ?? [], tls: RegistrySection.tls(&top, &context))
        top.accept(["statsd"], because: "metrics are read from the status endpoint", &context)
        top.refuse(["file_output", "nginx"], because: "this generator is not supported yet, only haproxy is", &context)
        let trees = ServiceTree.gather(&top, serviceFiles, &context)
        top.finish(&context)
        for tree in trees.flatMap({ ServiceTree.expandLoadTest($0, &context) }) {
            if let service = SynapseService.decode(tree, defaults, &context) {
                configuration.services.append(service)
            }
        }
        checkBackendNames(configuration, &context)
        return ConfigDecoding(configuration: isUsable ? configuration : nil, issues: context.issues)
    }

    /// Two services that write the same section would fight over its servers.
    private static func checkBackendNames(_ configuration: SynapseConfiguration, _ context: inout DecodingContext) {
        let named = configuration.services.filter { !$0.haproxy.isDisabled }
        for (place, service) in named.enumerated() {
            if let other = named[..<place].first(where: { $0.backendName == service.backendName }) {
                context.error(
                    "services.\(service.name).haproxy.backend_name", nil,
                    "\"\(service.backendName)\" is already the backend of \(other.name)")
            }
        }
    }
}

extension SynapseService {
    /// The name of the backend section.
    package var backendName: String { haproxy.backendName ?? name }

    static func decode(
        _ tree: ServiceTree, _ defaults: RegistryDefaults, _ context: inout DecodingContext
    ) -> SynapseService? {
        guard var map = tree.reader else { return nil }
        let before = context.errorCount
        var service = SynapseService(name: tree.name, discovery: .fixed)
        decodeDiscovery(&map, into: &service, defaults, &context)
        service.defaultServers = decodeDefaultServers(&map, &context)
        service.keepDefaultServers = map.bool("keep_default_servers", default: false, &context)
        service.usePreviousBackends = map.bool("use_previous_backends", default: true, &context)
        service.electsLeader = map.bool("leader_election", default: false, &context)
        service.backendPortOverride = decodePortOverride("backend_port_override", &map, &context)
        if var section = map.map("haproxy", &context) {
            service.backendPortOverride =
                service.backendPortOverride ?? decodePortOverride("server_port_override", &section, &context)
            service.haproxy = HAProxyService.decode(&section, &context)
        }
        if !service.haproxy.isDisabled {
            for name in [service.name, service.backendName] where Backend.legalName(name) != name {
                map.fail(
                    "haproxy", "\"\(name)\" becomes a section name, which holds only letters, digits and _ . : -",
                    &context)
            }
        }
        if service.discovery == .fixed, service.defaultServers.isEmpty {
            map.warn("default_servers", "the service has neither discovery nor default servers", &context)
        }
        acceptLeftovers(&map, &context)
        map.finish(&context)
        return context.errorCount == before ? service : nil
    }

    private static func acceptLeftovers(_ map: inout MapReader, _ context: inout DecodingContext) {
        _ = map.entry("load_test_concurrency")
        map.accept(["file_output", "nginx"], because: "only the haproxy generator is supported", &context)
        map.refuse(["discovery_multi"], because: "discovery from several sources is not supported yet", &context)
        for key in ["server_options", "listen"] where map.has(key) {
            map.refuse([key], because: "belongs into the service's haproxy section", &context)
        }
        map.refuse(["local_port"], because: "is now haproxy.port", &context)
    }

    private static func decodePortOverride(
        _ key: String, _ map: inout MapReader, _ context: inout DecodingContext
    ) -> String? {
        guard let text = map.text(key, &context) else { return nil }
        guard Text.isDigits(text), let port = Int(text), (1...65535).contains(port) else {
            map.fail(key, "\"\(text)\" is not a port", &context)
            return nil
        }
        return String(port)
    }

    private static func decodeDefaultServers(_ map: inout MapReader, _ context: inout DecodingContext) -> [Backend] {
        var servers: [Backend] = []
        for var server in map.maps("default_servers", &context) {
            let host = server.requiredText("host", &context)
            let port = server.requiredText("port", &context)
            guard !host.isEmpty, !port.isEmpty else { continue }
            let value = JSONValue.object(
                [JSONMember("host", .string(host)), JSONMember("port", .string(port))]
                    + ["name", "weight", "haproxy_server_options", "haproxy_server_id", "labels"].compactMap { key in
                        server.value(key).map { JSONMember(key, key == "name" ? nameText($0.value) : $0.value.json) }
                    })
            do {
                servers.append(try Backend.decode(value, createRevision: nil))
            } catch {
                context.error(server.path, server.place, error.description)
            }
            server.accept(["id"], because: "only discovered servers take part in leader election", &context)
            server.finish(&context)
        }
        return servers
    }

    private static func nameText(_ value: ConfigValue) -> JSONValue {
        MapReader.scalarText(value).map { .string($0) } ?? .null
    }
}
