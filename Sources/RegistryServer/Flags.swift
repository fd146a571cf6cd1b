/// The command line and environment of a member in etcd's terms: `--a-b`, `-a-b`, `--a-b=value`, `ETCD_A_B`.
///
/// A setting given both ways is refused, an unknown flag is refused by name, an unknown `ETCD_` variable is only
/// warned about.
public struct MemberFlags: Sendable {
    /// What the program is asked to do.
    public enum Mode: Hashable, Sendable {
        case member
        /// Three members in this process on loopback.
        case dev
        case help
        case version
    }

    /// What the program is asked to do.
    public var mode = Mode.member
    /// The member that the flags describe.
    public var configuration: MemberConfiguration
    /// `trace` to `critical`, as swift-log names them; etcd's `warn`, `dpanic`, `panic` and `fatal` are understood.
    public var logLevel = "info"
    /// Things the user should know, none of them fatal.
    public var warnings: [String] = []
    /// Whether a data directory was named.
    public var hasDataDirectory = false
    var hasCluster = false
    var compactionMode = "periodic"
    var compactionRetention: String?

    struct Flag: Sendable {
        var name: String
        /// nil for switches.
        var value: String?
        var help: String
        var apply: @Sendable (inout MemberFlags, String) throws(ConfigurationError) -> Void

        var variable: String {
            "ETCD_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
        }
    }

    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - environment: all variables; others than `ETCD_*` are ignored.
    /// - Throws: `ConfigurationError` naming the flag or variable.
    public init(arguments: [String], environment: [String: String]) throws {
        configuration = MemberConfiguration(dataDirectory: "")
        var given: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            let (flag, inline) = try MemberFlags.parse(argument)
            let value: String
            if let inline {
                value = inline
            } else if flag.value == nil {
                value = "true"
            } else if let next = rest.popFirst() {
                value = next
            } else {
                throw ConfigurationError("--\(flag.name) needs a value: \(flag.value ?? "")")
            }
            given.append(flag.name)
            try flag.apply(&self, value)
        }
        try applyEnvironment(environment, given: given)
        if !hasCluster {
            let own = configuration.initialAdvertisePeerURLs
            let urls = own.isEmpty ? ["http://localhost:2380"] : own
            configuration.initialCluster = urls.map { (configuration.name, $0) }
        }
        if !hasDataDirectory { configuration.dataDirectory = "\(configuration.name).etcd" }
        if given.contains("listen-client-urls") != given.contains("advertise-client-urls"),
            given.contains("listen-client-urls"), environment["ETCD_ADVERTISE_CLIENT_URLS"] == nil
        {
            throw ConfigurationError("--advertise-client-urls is required when --listen-client-urls is set")
        }
    }

    private mutating func applyEnvironment(_ environment: [String: String], given: [String]) throws {
        for variable in environment.keys.sorted() where variable.hasPrefix("ETCD_") {
            guard let flag = MemberFlags.all.first(where: { $0.variable == variable }) else {
                warnings.append("unrecognized environment variable \(variable) is ignored")
                continue
            }
            guard !given.contains(flag.name) else {
                throw ConfigurationError(
                    "conflicting environment variable \(variable) is shadowed by corresponding command-line flag "
                        + "--\(flag.name): unset one of them")
            }
            try flag.apply(&self, environment[variable] ?? "")
        }
    }

    private static func parse(_ argument: String) throws(ConfigurationError) -> (Flag, inline: String?) {
        if argument == "-h" { return try parse("--help") }
        guard argument.hasPrefix("-"), argument != "-", argument != "--" else {
            throw ConfigurationError("unexpected argument '\(argument)': settings are given as --NAME VALUE")
        }
        var body = argument.dropFirst(argument.hasPrefix("--") ? 2 : 1)
        var inline: String?
        if let equals = body.firstIndex(of: "=") {
            inline = String(body[body.index(after: equals)...])
            body = body[..<equals]
        }
        guard let flag = all.first(where: { $0.name == body }) else {
            throw ConfigurationError("unknown flag --\(body); see --help for the flags that are supported")
        }
        return (flag, inline)
    }

    /// The text of `--help`, made from the same table that parses.
    public static var help: String {
        var lines = [
            "registryd: a member of a Ganglion registry. Speaks the etcd v3 API.",
            "",
            "Flags are etcd's; each is also read from the environment as ETCD_<NAME>.",
            "",
        ]
        for flag in all {
            lines.append("  --\(flag.name)" + (flag.value.map { " \($0)" } ?? ""))
            lines.append("      \(flag.help)")
        }
        return lines.joined(separator: "\n")
    }
}
