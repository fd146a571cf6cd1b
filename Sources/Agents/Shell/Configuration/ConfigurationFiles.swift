package import AgentCore
import Glibc

/// A configuration as its files gave it: what can be used, and every complaint.
package struct LoadedConfiguration<Configuration: Sendable>: Sendable {
    /// Nil when the files as a whole cannot be used. Services with errors are left out of it.
    package var configuration: Configuration?
    package var issues: [ConfigIssue]

    package var isValid: Bool { configuration != nil && !issues.contains { $0.severity == .error } }

    init(_ decoding: ConfigDecoding<Configuration>) {
        configuration = decoding.configuration
        issues = decoding.issues
    }

    /// Nothing could be read at all.
    init(_ failure: String) {
        configuration = nil
        issues = [ConfigIssue(.error, path: "", message: failure)]
    }
}

/// Where a program's configuration comes from.
package struct ConfigurationSource: Equatable, Sendable {
    package var path: String
    /// nerve's second file, merged over the first.
    package var overlayPath: String?
    /// Wins over the file's `instance_id` when not empty.
    package var instanceID: String?
    /// Dialled instead of every registry, zookeeper and etcd section's own hosts.
    package var registryHosts: [String]

    package init(
        path: String, overlayPath: String? = nil, instanceID: String? = nil, registryHosts: [String] = []
    ) {
        self.path = path
        self.overlayPath = overlayPath
        self.instanceID = instanceID
        self.registryHosts = registryHosts
    }

    private func options(_ unknownKeys: UnknownKeyRule) -> DecodingOptions {
        DecodingOptions(instanceID: instanceID, registryHosts: registryHosts, unknownKeys: unknownKeys)
    }

    /// nerve's files. Waits for the disk.
    ///
    /// - Parameter unknownKeys: a check refuses them; an agent that runs must not leave a service out for one, and
    ///   warns.
    package func loadNerve(unknownKeys: UnknownKeyRule = .warn) -> LoadedConfiguration<NerveConfiguration> {
        do {
            var tree = try readTree(path)
            var files = try serviceFiles(of: tree)
            let (overlay, warning) = readOverlay()
            if let overlay {
                tree = tree.merged(with: overlay)
                // A file in the directory replaces its namesake, so the overlay has to reach it there, too.
                files = files.map { file in
                    guard let upper = overlay["services"]?[file.serviceName] else { return file }
                    return ServiceFile(serviceName: file.serviceName, tree: file.tree.merged(with: upper))
                }
            }
            var loaded = LoadedConfiguration(
                NerveConfiguration.decode(tree, serviceFiles: files, options: options(unknownKeys)))
            if let warning { loaded.issues.append(warning) }
            loaded.refuseChecksOverTLS()
            return loaded
        } catch {
            return LoadedConfiguration(error.description)
        }
    }

    /// synapse's files, template tags replaced. Waits for the disk.
    ///
    /// - Parameter unknownKeys: as for nerve.
    package func loadSynapse(unknownKeys: UnknownKeyRule = .warn) -> LoadedConfiguration<SynapseConfiguration> {
        do {
            let tree = try readTree(path, expandsTemplate: true)
            let files = try serviceFiles(of: tree, expandsTemplate: true)
            return LoadedConfiguration(
                SynapseConfiguration.decode(tree, serviceFiles: files, options: options(unknownKeys)))
        } catch {
            return LoadedConfiguration(error.description)
        }
    }

    // MARK: Reading

    private func readTree(_ path: String, expandsTemplate: Bool = false) throws(ConfigFileFailure) -> ConfigValue {
        var bytes: [UInt8]
        do {
            bytes = try FileAccess.read(path)
        } catch {
            throw ConfigFileFailure(file: path, message: "\(error.action): \(error.reason)")
        }
        if expandsTemplate { bytes = try expand(bytes, path) }
        return try YAMLReader.read(bytes, file: path)
    }

    private func expand(_ bytes: [UInt8], _ path: String) throws(ConfigFileFailure) -> [UInt8] {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigFileFailure(file: path, message: "is not UTF-8")
        }
        do {
            return Array(try ErbTemplate.expand(text) { name in getenv(name).map { String(cString: $0) } }.utf8)
        } catch {
            throw ConfigFileFailure(file: path, message: error.description)
        }
    }

    /// The files of `service_conf_dir`: `NAME.json` and `NAME.yaml`, not below it, sorted by name.
    private func serviceFiles(
        of tree: ConfigValue, expandsTemplate: Bool = false
    ) throws(ConfigFileFailure) -> [ServiceFile] {
        guard case .string(let directory)? = tree["service_conf_dir"] else { return [] }
        let names: [String]
        do {
            names = try FileAccess.names(in: directory)
        } catch {
            throw ConfigFileFailure(file: path, message: "service_conf_dir: \(error)")
        }
        var files: [ServiceFile] = []
        for name in names where !name.hasPrefix(".") {
            guard name.hasSuffix(".json") || name.hasSuffix(".yaml") else { continue }
            let tree = try readTree("\(directory)/\(name)", expandsTemplate: expandsTemplate)
            files.append(ServiceFile(serviceName: String(name.dropLast(5)), tree: tree))
        }
        return files
    }

    /// An overlay that is missing or cannot be read changes nothing; an empty one neither.
    private func readOverlay() -> (tree: ConfigValue?, warning: ConfigIssue?) {
        guard let overlayPath else { return (nil, nil) }
        do {
            let tree = try readTree(overlayPath)
            return (tree == .null ? nil : tree, nil)
        } catch {
            return (nil, ConfigIssue(.warning, path: "", message: "the overlay is left out: \(error)"))
        }
    }
}

extension LoadedConfiguration<NerveConfiguration> {
    /// A service whose check can never pass would never be registered; better to say so at the start.
    fileprivate mutating func refuseChecksOverTLS() {
        guard var configuration else { return }
        configuration.services.removeAll { service in
            let place = service.checks.firstIndex { check in
                if case .http(let http) = check.kind { return http.usesTLS }
                return false
            }
            guard let place else { return false }
            issues.append(
                ConfigIssue(
                    .error, path: "services.\(service.name).checks[\(place)].ssl",
                    message: "checks over TLS are not supported"))
            return true
        }
        self.configuration = configuration
    }
}
