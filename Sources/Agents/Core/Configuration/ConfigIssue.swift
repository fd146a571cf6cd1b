/// Something a configuration file says that is wrong or has no effect.
package struct ConfigIssue: Equatable, Sendable, CustomStringConvertible {
    package enum Severity: String, Sendable {
        /// The option is understood and changes nothing here; the message says why.
        case warning
        /// The file, or the one service the path names, cannot be used.
        case error
    }

    package let severity: Severity
    /// For example `services.web.checks[0].riise`; empty for the whole file.
    package let path: String
    package let place: ConfigPlace?
    package let message: String

    package init(_ severity: Severity, path: String, place: ConfigPlace? = nil, message: String) {
        self.severity = severity
        self.path = path
        self.place = place
        self.message = message
    }

    /// `nerve.yaml:12: services.web.checks[0].riise: unknown key, did you mean rise?`
    package var description: String {
        [place?.description, path.isEmpty ? nil : path, message].compactMap { $0 }.joined(separator: ": ")
    }
}

/// What to make of keys that nobody knows.
package enum UnknownKeyRule: Sendable {
    /// They are errors: a misspelt option must not pass for a set one.
    case refuse
    /// They are warnings, as the Ruby programs ignore them.
    case warn
}

/// A decoded file: what of it can be used, and every complaint in file order.
package struct ConfigDecoding<Configuration: Sendable>: Sendable {
    /// Nil when the file as a whole is unusable. Services with errors are left out of it.
    package let configuration: Configuration?
    package let issues: [ConfigIssue]

    package var errors: [ConfigIssue] { issues.filter { $0.severity == .error } }
    package var warnings: [ConfigIssue] { issues.filter { $0.severity == .warning } }
    package var isValid: Bool { configuration != nil && errors.isEmpty }
}

/// What the caller adds to a file.
package struct DecodingOptions: Sendable {
    /// Wins over the file's `instance_id` when not empty (nerve's `-i`).
    package var instanceID: String?
    /// `--registry`: dialled instead of the hosts of every registry, zookeeper and etcd section, at the same paths.
    package var registryHosts: [String]
    package var unknownKeys: UnknownKeyRule

    package init(instanceID: String? = nil, registryHosts: [String] = [], unknownKeys: UnknownKeyRule = .refuse) {
        self.instanceID = instanceID
        self.registryHosts = registryHosts
        self.unknownKeys = unknownKeys
    }
}

/// One file of `service_conf_dir`: the service's name is the file's base name without extension.
package struct ServiceFile: Sendable {
    package let serviceName: String
    package let tree: ConfigValue

    package init(serviceName: String, tree: ConfigValue) {
        self.serviceName = serviceName
        self.tree = tree
    }
}

/// Complaints gathered while decoding.
struct DecodingContext {
    let options: DecodingOptions
    private(set) var issues: [ConfigIssue] = []

    init(_ options: DecodingOptions) {
        self.options = options
    }

    mutating func error(_ path: String, _ place: ConfigPlace?, _ message: String) {
        issues.append(ConfigIssue(.error, path: path, place: place, message: message))
    }

    mutating func warn(_ path: String, _ place: ConfigPlace?, _ message: String) {
        issues.append(ConfigIssue(.warning, path: path, place: place, message: message))
    }

    /// How many errors there are so far: a part whose decoding raised it is unusable.
    var errorCount: Int { issues.reduce(0) { $0 + ($1.severity == .error ? 1 : 0) } }
}
