import Primitives

extension NerveConfiguration {
    /// Decodes a nerve file.
    ///
    /// - Parameters:
    ///   - tree: the main file, with an overlay already merged over it when there is one.
    ///   - serviceFiles: the files of `service_conf_dir`, sorted by name; each replaces a service of the same name.
    ///   - options: command-line additions.
    /// - Returns: the configuration with every service that could be read, and all complaints. No configuration when
    ///   the file is not a map or has no instance id.
    package static func decode(
        _ tree: ConfigValue, serviceFiles: [ServiceFile] = [], options: DecodingOptions = DecodingOptions()
    ) -> ConfigDecoding<NerveConfiguration> {
        var context = DecodingContext(options)
        guard case .map(let entries) = tree else {
            context.error("", nil, tree == .null ? "the file is empty" : "expected a map, found \(tree.kind)")
            return ConfigDecoding(configuration: nil, issues: context.issues)
        }
        var top = MapReader(entries, path: "", place: nil)
        let before = context.errorCount
        let configured = top.text("instance_id", &context)
        let instanceID = options.instanceID.flatMap { $0.isEmpty ? nil : $0 } ?? configured ?? ""
        checkInstanceID(instanceID, &top, &context)
        let isUsable = context.errorCount == before
        _ = top.text("service_conf_dir", &context)
        var configuration = NerveConfiguration(
            instanceID: instanceID, services: [], heartbeatPath: top.text("heartbeat_path", &context),
            leaseTTLSeconds: top.integer("lease_ttl", in: 2...3600, &context) ?? 10,
            statusAddress: top.text("status_address", &context))
        let defaults = ServiceDefaults(
            registryHosts: top.lines("registry_hosts", &context) ?? [],
            registryTLS: RegistrySection.tls(&top, &context),
            fastConfirmation: fastConfirmation(&top, fallback: nil, &context))
        acceptTopLevel(&top, &context)
        let services = gatherServices(&top, serviceFiles, &context)
        top.finish(&context)
        for service in services {
            configuration.services += NerveService.decode(service, defaults: defaults, &context)
        }
        return ConfigDecoding(configuration: isUsable ? configuration : nil, issues: context.issues)
    }

    private static func checkInstanceID(
        _ instanceID: String, _ top: inout MapReader, _ context: inout DecodingContext
    ) {
        if instanceID.isEmpty {
            top.fail("instance_id", "is required, in the file or as -i", &context)
        } else if instanceID.contains("/") || Text.hasControlCharacter(instanceID) {
            top.fail(
                "instance_id", "\"\(instanceID)\" becomes part of a key and cannot hold a slash or a control character",
                &context)
        }
    }

    private static func acceptTopLevel(_ top: inout MapReader, _ context: inout DecodingContext) {
        top.accept(
            ["max_repeated_report_failures"], because: "a failing report is retried for ever, the watcher never stops",
            &context)
        top.accept(["statsd"], because: "metrics are read from the status endpoint", &context)
        top.accept(["prometheus"], because: "metrics are read from the status endpoint (status_address)", &context)
        top.accept(
            ["listen_port", "machine_check", "service_checks"], because: "nerve stopped using it in 0.2", &context)
    }

    static func fastConfirmation(
        _ map: inout MapReader, fallback: TimeSpan?, _ context: inout DecodingContext
    ) -> TimeSpan? {
        guard let entry = map.value("fast_confirmation") else { return fallback }
        switch entry.value {
        case .bool(true): return .milliseconds(100)
        case .bool(false): return nil
        default:
            let span = map.span("fast_confirmation", &context)
            if let span, span < .milliseconds(10) {
                map.fail("fast_confirmation", "re-checks cannot be closer than 0.01 s", &context)
                return nil
            }
            return span
        }
    }

    /// Main-file services first, then the directory's; a directory file takes the place of its namesake.
    private static func gatherServices(
        _ top: inout MapReader, _ files: [ServiceFile], _ context: inout DecodingContext
    ) -> [ServiceTree] {
        var services = ServiceTree.gather(&top, files, &context)
        services = services.flatMap { ServiceTree.expandLoadTest($0, &context) }
        return services
    }
}

/// What the top level gives to every service.
struct ServiceDefaults {
    var registryHosts: [String]
    var registryTLS: RegistryTLS?
    var fastConfirmation: TimeSpan?
}

/// One service's undecoded map.
struct ServiceTree {
    var name: String
    var path: String
    var place: ConfigPlace?
    var value: ConfigValue

    var reader: MapReader? {
        guard case .map(let entries) = value else { return nil }
        return MapReader(entries, path: path, place: place)
    }

    static func gather(
        _ top: inout MapReader, _ files: [ServiceFile], _ context: inout DecodingContext
    ) -> [ServiceTree] {
        var services: [ServiceTree] = []
        if var map = top.map("services", &context) {
            for entry in map.all() {
                services.append(
                    ServiceTree(name: entry.key, path: map.path(of: entry.key), place: entry.place, value: entry.value))
            }
        }
        for file in files {
            services.removeAll { $0.name == file.serviceName }
            services.append(
                ServiceTree(
                    name: file.serviceName, path: "services.\(file.serviceName)", place: nil, value: file.tree))
        }
        return services.filter { service in
            if case .map = service.value { return true }
            context.error(service.path, service.place, "expected a map, found \(service.value.kind)")
            return false
        }
    }

    /// `load_test_concurrency: N` replaces the service by N copies.
    static func expandLoadTest(_ service: ServiceTree, _ context: inout DecodingContext) -> [ServiceTree] {
        guard var reader = service.reader, reader.has("load_test_concurrency") else { return [service] }
        guard let count = reader.integer("load_test_concurrency", in: 1...10_000, &context) else { return [] }
        return (0..<count).map { number in
            var copy = service
            copy.name += "_\(number)"
            return copy
        }
    }
}
