/// What a program logs, how and to where (etcd's `--log-*` flags).
public struct LogSettings: Hashable, Sendable {
    /// Where lines go.
    public enum Output: Hashable, Sendable {
        case standardError
        case standardOutput
        /// Appended to; made when it is not there.
        case file(String)
    }

    /// As swift-log names them, and etcd.
    static let levelNames = [
        "trace", "debug", "info", "notice", "warn", "warning", "error", "critical", "dpanic", "panic", "fatal",
    ]

    /// One of etcd's or swift-log's names.
    public var level = "info"
    /// One JSON object a line, with etcd's field names; else lines for people.
    public var isJSON = false
    /// Each line goes to all of them.
    public var outputs: [Output] = [.standardError]

    /// Lines for people on the standard error, from `info` on.
    public init() {}

    /// - Parameter list: `default`, `stderr`, `stdout`, `systemd/journal`, or paths.
    /// - Returns: each once.
    static func outputs(_ list: [String]) throws(ConfigurationError) -> [Output] {
        guard list.count < 2 || !list.contains("default") else {
            throw ConfigurationError("--log-outputs: default stands alone or not at all")
        }
        var outputs: [Output] = []
        for name in list {
            let output: Output =
                switch name {
                // What a unit writes to its standard error is the journal's.
                case "default", "stderr", "systemd/journal": .standardError
                case "stdout": .standardOutput
                default: .file(name)
                }
            if !outputs.contains(output) { outputs.append(output) }
        }
        return outputs.isEmpty ? [.standardError] : outputs
    }
}
