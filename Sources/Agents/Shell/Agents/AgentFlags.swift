import Glibc
import Logging
import RegistryClient

/// A flag, or the variable in its place, that makes no sense.
struct FlagFailure: Error, Equatable, CustomStringConvertible {
    let description: String
}

/// One of the two programs.
package enum AgentName: String, Sendable {
    case nerve
    case synapse
}

/// What a program was asked to do. Parsed by hand: a library for it would cost each agent one to two megabytes of
/// resident memory (ARCHITECTURE.md, "Linking").
struct AgentFlags: Equatable {
    enum Mode: Equatable {
        case help
        case version
        /// Say what is wrong with the configuration and start nothing.
        case check
        case run
    }

    var mode = Mode.run
    var source = ConfigurationSource(path: "")
    var logLevel = Logger.Level.info

    /// - Parameters:
    ///   - arguments: without the program's own name.
    ///   - environment: the value of a variable, nil when it is not set.
    init(
        _ name: AgentName, arguments: [String], environment: (String) -> String? = AgentFlags.processVariable
    ) throws(FlagFailure) {
        let prefix = name.rawValue.uppercased()
        func variable(_ suffix: String) -> String? {
            environment("\(prefix)_\(suffix)").flatMap { $0.isEmpty ? nil : $0 }
        }
        source.path = variable("CONFIG") ?? ""
        if environment("\(prefix)_CHECK_CONFIG") != nil { mode = .check }
        if environment("DEBUG") != nil { logLevel = .debug }
        if name == .nerve {
            source.instanceID = variable("INSTANCE_ID")
            source.overlayPath = variable("CONFIG_OVERLAY")
        }
        var rest = arguments[...]
        while let word = rest.popFirst() {
            let (flag, attached) = try Self.find(word, of: name)
            if flag.value == nil, attached != nil { throw FlagFailure(description: "\(flag.long) takes no value") }
            var value = ""
            if flag.value != nil {
                guard let given = attached ?? rest.popFirst() else {
                    throw FlagFailure(description: "\(flag.long) needs a value")
                }
                value = given
            }
            try take(flag, value)
        }
        if mode == .check || mode == .run, source.path.isEmpty {
            throw FlagFailure(description: "a configuration is required: -c FILE")
        }
    }

    private mutating func take(_ flag: Flag, _ value: String) throws(FlagFailure) {
        switch flag.meaning {
        case .config: source.path = value
        case .instanceID: source.instanceID = value
        case .overlay: source.overlayPath = value
        case .registry: source.registryHosts = try Self.hosts(value)
        case .logLevel:
            guard let level = Logger.Level(rawValue: value) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw FlagFailure(description: "--log-level: \"\(value)\" is none of \(known)")
            }
            logLevel = level
        case .check: if mode == .run { mode = .check }
        case .version: mode = .version
        case .help: mode = .help
        }
    }

    /// The elements of `a:1,b:2`.
    private static func hosts(_ list: String) throws(FlagFailure) -> [String] {
        let hosts = list.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
        guard !hosts.isEmpty else { throw FlagFailure(description: "--registry: no hosts are given") }
        for host in hosts {
            do {
                _ = try Endpoint(host)
            } catch {
                throw FlagFailure(description: "--registry: \(error)")
            }
        }
        return hosts
    }

    private static func find(
        _ word: String, of program: AgentName
    ) throws(FlagFailure) -> (flag: Flag, attached: String?) {
        var name = word
        var attached: String?
        if word.hasPrefix("--"), let equals = word.firstIndex(of: "=") {
            name = String(word[..<equals])
            attached = String(word[word.index(after: equals)...])
        }
        let flag = Flag.all.first { $0.names.contains(name) && ($0.program ?? program) == program }
        guard let flag else { throw FlagFailure(description: "unknown argument \"\(word)\"; see \(program) --help") }
        return (flag, attached)
    }

    static func processVariable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}

/// One flag, as it is parsed and as the help shows it.
private struct Flag {
    enum Meaning {
        case config
        case instanceID
        case overlay
        case registry
        case logLevel
        case check
        case version
        case help
    }

    let meaning: Meaning
    /// The first is the one shown in messages.
    let names: [String]
    /// What stands for the value in the help; nil for a switch.
    var value: String?
    let help: String
    /// Nil when both programs have it.
    var program: AgentName?

    var long: String { names[0] }

    static let all = [
        Flag(
            meaning: .config, names: ["--config", "-c"], value: "FILE",
            help: "the configuration, YAML or JSON (environment: %_CONFIG)"),
        Flag(
            meaning: .check, names: ["--check-config", "-k"],
            help: "say what is wrong with the configuration and start nothing (%_CHECK_CONFIG)"),
        Flag(
            meaning: .instanceID, names: ["--instance-id", "--instance_id", "-i"], value: "ID",
            help: "wins over the file's instance_id (%_INSTANCE_ID)", program: .nerve),
        Flag(
            meaning: .overlay, names: ["--config-overlay", "-o"], value: "FILE",
            help: "a second file, merged over the first and read again when it changes (%_CONFIG_OVERLAY)",
            program: .nerve),
        Flag(
            meaning: .registry, names: ["--registry"], value: "HOST:PORT,...",
            help: "dial these members instead of the hosts of every registry, zookeeper and etcd section"),
        Flag(
            meaning: .logLevel, names: ["--log-level"], value: "LEVEL",
            help: "trace, debug, info, notice, warning, error or critical (default info; debug when DEBUG is set)"),
        Flag(meaning: .version, names: ["--version"], help: "say the version"),
        Flag(meaning: .help, names: ["--help", "-h"], help: "say this"),
    ]
}

extension AgentFlags {
    /// What `--help` prints.
    static func help(_ name: AgentName) -> String {
        var text =
            switch name {
            case .nerve:
                """
                nerve checks the services of this host and keeps the healthy ones registered. It reads the files of
                Airbnb's nerve. SIGTERM removes every registration and ends; SIGHUP reads the configuration again.
                """
            case .synapse:
                """
                synapse discovers services and keeps this host's HAProxy pointed at them. It reads the files of Airbnb's
                synapse. SIGTERM saves the state and ends, HAProxy goes on; SIGHUP reads the configuration again.
                """
            }
        text += "\n\nusage: \(name) -c FILE [flags]\n\n"
        for flag in Flag.all where (flag.program ?? name) == name {
            let names = flag.names.sorted { $0.utf8.count < $1.utf8.count }.joined(separator: ", ")
            let explanation = flag.help.split(separator: "%", omittingEmptySubsequences: false)
                .joined(separator: name.rawValue.uppercased())
            text += "  \(names)\(flag.value.map { " " + $0 } ?? "")\n        \(explanation)\n"
        }
        return text + """

            Exit status: 0 after a clean stop or for a valid configuration, 1 for a configuration that cannot be used,
            64 for wrong flags.

            """
    }
}
