/// Makes etcdctl's freedom in writing flags understandable to the argument parser: global flags may stand anywhere before
/// `--`, and a switch may be written `--prefix=true`.
enum ArgumentOrder {
    /// Global flags with a value, by every name.
    static let globalOptions: Set<String> = [
        "--endpoints", "--dial-timeout", "--command-timeout", "--keepalive-time", "--keepalive-timeout", "--write-out",
        "-w", "-o", "--user", "--password", "--cacert", "--cert", "--key", "--discovery-srv", "-d",
        "--discovery-srv-name",
    ]
    /// Switches, of all commands.
    static let switches: Set<String> = [
        "--hex", "--debug", "--insecure-transport", "--insecure-skip-tls-verify", "--insecure-discovery", "--prefix",
        "--from-key", "--keys-only", "--count-only", "--print-value-only", "--prev-kv", "--ignore-value",
        "--ignore-lease", "--interactive", "-i", "--progress-notify", "--once", "--keys", "--physical", "--cluster",
        "--force", "--mark-compacted", "--skip-hash-check", "--yes-lose-unreplicated-writes",
        "--accept-loss", "--learner",
    ]
    /// Switches that are on unless they are said to be off, which then has a name of its own.
    private static let standardOn = ["--mark-compacted": "--no-mark-compacted"]
    private static let globalSwitches: Set<String> = [
        "--hex", "--debug", "--insecure-transport", "--insecure-skip-tls-verify", "--insecure-discovery",
    ]
    /// Commands that have commands of their own.
    private static let groups: Set<String> = ["lease", "member", "endpoint", "alarm", "snapshot", "storage", "brake"]

    /// Command words first, then global flags, then the rest.
    static func normalized(_ arguments: [String]) -> [String] {
        var words: [String] = []
        var globals: [String] = []
        var rest: [String] = []
        var wordsWanted = 1
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            if argument == "--" {
                rest += arguments[(index - 1)...]
                break
            }
            let (name, value) = split(argument)
            if globalOptions.contains(name) {
                var value = value
                if value == nil, index < arguments.count {
                    value = arguments[index]
                    index += 1
                }
                globals += value.map { ["\(long(name))=\($0)"] } ?? [long(name)]
            } else if switches.contains(name) {
                guard let kept = kept(name, value, written: argument) else { continue }
                if globalSwitches.contains(name) { globals.append(kept) } else { rest.append(kept) }
            } else if words.count < wordsWanted, !argument.hasPrefix("-") {
                words.append(argument)
                if groups.contains(argument), words.count == 1 { wordsWanted = 2 }
            } else {
                rest.append(argument)
            }
        }
        return words + globals + rest
    }

    /// The same for the arguments of one command, as inside a transaction.
    static func switchesOnly(_ arguments: [String]) -> [String] {
        arguments.compactMap { argument in
            let (name, value) = split(argument)
            return switches.contains(name) ? kept(name, value, written: argument) : argument
        }
    }

    /// A switch that is off disappears; a value that is neither on nor off stays, for the parser to refuse.
    private static func kept(_ name: String, _ value: String?, written: String) -> String? {
        switch value {
        case nil, "true", "1", "t", "T", "TRUE", "True": name
        case "false", "0", "f", "F", "FALSE", "False": standardOn[name]
        default: written
        }
    }

    /// `--name=value`, `-w=json` and `-wjson`.
    private static func split(_ argument: String) -> (name: String, value: String?) {
        guard argument.hasPrefix("-") else { return (argument, nil) }
        if let equals = argument.firstIndex(of: "=") {
            return (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
        }
        if !argument.hasPrefix("--"), argument.count > 2, globalOptions.contains(String(argument.prefix(2))) {
            return (String(argument.prefix(2)), String(argument.dropFirst(2)))
        }
        return (argument, nil)
    }

    private static func long(_ name: String) -> String {
        switch name {
        case "-w", "-o": "--write-out"
        case "-d": "--discovery-srv"
        default: name
        }
    }
}
