/// The settings of a member in etcd's terms: `--a-b`, `-a-b`, `--a-b=value`, `ETCD_A_B`, or a file.
///
/// As in etcd a file replaces command line and environment; a setting given by flag and variable is refused; an unknown
/// flag is refused by name, an unknown variable only warned about.
public struct MemberFlags: Sendable {
    /// What the program is asked to do.
    public enum Mode: Hashable, Sendable {
        case member
        /// Three members in this process on loopback.
        case dev
        case help
        /// Print the table of flags, as `docs/flags.md` has it.
        case flagTable
        case version
    }

    /// What the program is asked to do.
    public var mode = Mode.member
    /// The member that the flags describe.
    public var configuration: MemberConfiguration
    /// What is logged, how and to where.
    public var logging = LogSettings()
    /// Things the user should know, none of them fatal.
    public var warnings: [String] = []
    /// Whether a data directory was named.
    public internal(set) var hasDataDirectory = false
    var hasCluster = false
    var configFile: String?
    var compactionMode = "periodic"
    var compactionRetention: String?

    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - environment: all variables; others than `ETCD_*` are ignored.
    /// - Throws: `ConfigurationError` naming the flag, variable or file.
    public init(arguments: [String], environment: [String: String]) throws {
        configuration = MemberConfiguration(dataDirectory: "")
        var settings = try FlagSetting.settings(from: arguments)
        for setting in settings where !setting.flag.hasVariable {
            try apply(setting)
            if mode == .help || mode == .version || mode == .flagTable { return }
        }
        settings.removeAll { !$0.flag.hasVariable }
        let variables = settingsFromVariables(environment)
        if let file = try chosenFile(settings, variables) {
            settings = try settingsFromFile(file, besides: settings + variables)
        } else {
            try FlagSetting.checkConflicts(settings, variables)
            settings += variables
        }
        try applyAll(FlagSetting.renamed(settings, noting: &warnings))
        try finish(settings)
    }

    private mutating func applyAll(_ settings: [FlagSetting]) throws(ConfigurationError) {
        for setting in settings { try apply(setting) }
    }

    private mutating func apply(_ setting: FlagSetting) throws(ConfigurationError) {
        do throws(ConfigurationError) {
            let flag = setting.flag
            switch flag.fate {
            case .honoured(let act):
                try act(&self, try flag.form.parse(setting.text, flag: flag.name))
            case .ignored(let silent, let why):
                // A wrong value is a mistake even where the right one means nothing.
                if !setting.text.isEmpty { _ = try flag.form.parse(setting.text, flag: flag.name) }
                if !silent.contains(setting.text) { warnings.append("--\(flag.name) is ignored: \(why)") }
            case .refused(let harmless, let why):
                guard harmless.contains(setting.text) || setting.text.isEmpty else {
                    throw ConfigurationError("--\(flag.name) \(setting.text) is not taken: \(why)")
                }
            case .alias:
                preconditionFailure("--\(flag.name) was to be replaced by the flag it stands for")
            }
        } catch {
            throw setting.located(error)
        }
    }

    // MARK: Sources

    private mutating func settingsFromVariables(_ environment: [String: String]) -> [FlagSetting] {
        var settings: [FlagSetting] = []
        for variable in environment.keys.sorted() where variable.hasPrefix("ETCD_") {
            // An empty one counts as none, as in etcd.
            guard let text = environment[variable], !text.isEmpty else { continue }
            if let flag = MemberFlags.all.first(where: { $0.variable == variable && $0.hasVariable }) {
                settings.append(FlagSetting(flag: flag, text: text, source: .variable))
            } else {
                warnings.append("unrecognized environment variable \(variable) is ignored")
            }
        }
        return settings
    }

    private mutating func chosenFile(
        _ settings: [FlagSetting], _ variables: [FlagSetting]
    ) throws(ConfigurationError) -> String? {
        let isChoice = { (setting: FlagSetting) in setting.flag.name == MemberFlags.configFileFlag }
        return (settings.last(where: isChoice) ?? variables.last(where: isChoice)).map(\.text)
    }

    private mutating func settingsFromFile(
        _ file: String, besides others: [FlagSetting]
    ) throws(ConfigurationError) -> [FlagSetting] {
        let ignored = others.filter { $0.flag.name != MemberFlags.configFileFlag }.map(\.nameAsGiven)
        if !ignored.isEmpty {
            warnings.append(
                "--config-file \(file) replaces command line and environment: \(ignored.joined(separator: ", ")) "
                    + (ignored.count == 1 ? "is ignored" : "are ignored"))
        }
        return try FlagFile.settings(in: file)
    }

    // MARK: What follows from the rest

    private mutating func finish(_ settings: [FlagSetting]) throws(ConfigurationError) {
        if !hasCluster {
            let own = configuration.initialAdvertisePeerURLs
            let urls = own.isEmpty ? ["http://localhost:2380"] : own
            configuration.initialCluster = urls.map { (configuration.name, $0) }
        }
        do throws(ConfigurationError) {
            try resolveCompaction()
        } catch {
            throw settings.last { $0.flag.name == "auto-compaction-retention" }?.located(error) ?? error
        }
        if !settings.contains(where: { $0.flag.name == "election-timeout" }) {
            // The default ratio. Ours needs five heartbeats, so that etcd's other default would not do for slow ones.
            configuration.electionMilliseconds = min(50_000, max(500, 10 * configuration.heartbeatMilliseconds))
        }
        if !hasDataDirectory { configuration.dataDirectory = "\(configuration.name).etcd" }
        warnings += configuration.securityWarnings
        let listen = settings.first { $0.flag.name == "listen-client-urls" }
        guard let listen, !settings.contains(where: { $0.flag.name == "advertise-client-urls" }) else { return }
        let missing = "--advertise-client-urls is required when --listen-client-urls is set"
        // etcd does not ask for it in a file.
        guard case .file = listen.source else { throw ConfigurationError(missing) }
        warnings.append("\(missing); clients are told \(configuration.advertiseClientURLs.joined(separator: ","))")
    }
}

/// A flag as it was given, not yet read.
struct FlagSetting: Sendable {
    enum Source: Hashable, Sendable {
        case commandLine
        case variable
        /// With the line.
        case file(String)
    }

    var flag: Flag
    var text: String
    var source: Source

    /// As the user wrote it.
    var nameAsGiven: String {
        switch source {
        case .commandLine: "--\(flag.name)"
        case .variable: flag.variable
        case .file: flag.name
        }
    }

    /// An error about the setting, with the place where the user gave it.
    func located(_ error: ConfigurationError) -> ConfigurationError {
        switch source {
        case .commandLine: error
        case .variable: ConfigurationError("\(flag.variable): \(error)")
        case .file(let place): ConfigurationError("\(place): \(error)")
        }
    }

    static func settings(from arguments: [String]) throws(ConfigurationError) -> [FlagSetting] {
        var settings: [FlagSetting] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            let (flag, inline) = try parse(argument, after: settings.last?.flag)
            let text: String
            if let inline {
                text = inline
            } else if flag.standsAlone {
                text = "true"
            } else if let next = rest.popFirst() {
                text = next
            } else {
                throw ConfigurationError("--\(flag.name) needs a value: \(flag.placeholder ?? "")")
            }
            settings.append(FlagSetting(flag: flag, text: text, source: .commandLine))
        }
        return settings
    }

    private static func parse(
        _ argument: String, after previous: Flag?
    ) throws(ConfigurationError) -> (Flag, inline: String?) {
        if argument == "-h" { return try parse("--help", after: previous) }
        guard argument.hasPrefix("-"), argument != "-", argument != "--" else {
            if let previous, previous.form == .toggle, Flag.Form.truth(of: argument) != nil {
                throw ConfigurationError(
                    "unexpected argument '\(argument)': write --\(previous.name)=\(argument)")
            }
            throw ConfigurationError("unexpected argument '\(argument)': settings are given as --NAME VALUE")
        }
        var body = argument.dropFirst(argument.hasPrefix("--") ? 2 : 1)
        var inline: String?
        if let equals = body.firstIndex(of: "=") {
            inline = String(body[body.index(after: equals)...])
            body = body[..<equals]
        }
        guard let flag = MemberFlags.flag(named: String(body)) else {
            throw ConfigurationError("unknown flag --\(body); see --help for the flags that are supported")
        }
        return (flag, inline)
    }

    static func checkConflicts(
        _ settings: [FlagSetting], _ variables: [FlagSetting]
    ) throws(ConfigurationError) {
        for variable in variables where settings.contains(where: { $0.flag.name == variable.flag.name }) {
            throw ConfigurationError(
                "conflicting environment variable \(variable.flag.variable) is shadowed by corresponding command-line "
                    + "flag --\(variable.flag.name): unset one of them")
        }
    }

    /// Former names become the present ones.
    ///
    /// - Throws: when both are given and differ.
    static func renamed(
        _ settings: [FlagSetting], noting warnings: inout [String]
    ) throws(ConfigurationError) -> [FlagSetting] {
        var result: [FlagSetting] = []
        for setting in settings {
            guard case .alias(let name) = setting.flag.fate else {
                result.append(setting)
                continue
            }
            guard let target = MemberFlags.flag(named: name) else {
                preconditionFailure("--\(setting.flag.name) stands for --\(name), which does not exist")
            }
            if let other = settings.first(where: { $0.flag.name == name }), other.text != setting.text {
                throw ConfigurationError(
                    "\(setting.nameAsGiven) '\(setting.text)' is a former name of \(other.nameAsGiven), which says "
                        + "'\(other.text)': give one of them")
            }
            warnings.append("\(setting.nameAsGiven) is a former name: use --\(name)")
            result.append(FlagSetting(flag: target, text: setting.text, source: setting.source))
        }
        return result
    }
}
