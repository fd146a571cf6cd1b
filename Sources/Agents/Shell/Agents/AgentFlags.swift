import Glibc
package import Logging
import RegistryClient

/// A flag, or the variable in its place, that makes no sense.
package struct FlagFailure: Error, CustomStringConvertible {
    package let description: String
}

/// What the two programs' flags have in common.
package enum AgentFlags {
    /// - Throws: `FlagFailure` for a missing configuration, hosts that cannot be dialled, and unknown levels.
    package static func validate(config: String?, registry: String?, logLevel: String) throws(FlagFailure) {
        guard let config, !config.isEmpty else {
            throw FlagFailure(description: "a configuration is required: -c FILE")
        }
        guard Logger.Level(rawValue: logLevel) != nil else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw FlagFailure(description: "--log-level: \"\(logLevel)\" is none of \(known)")
        }
        guard let registry else { return }
        let hosts = hosts(registry)
        guard !hosts.isEmpty else { throw FlagFailure(description: "--registry: no hosts are given") }
        for host in hosts {
            do {
                _ = try Endpoint(host)
            } catch {
                throw FlagFailure(description: "--registry: \(error)")
            }
        }
    }

    /// The elements of `a:1,b:2`.
    package static func hosts(_ list: String?) -> [String] {
        (list ?? "").split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    }

    /// A variable that is set and not empty.
    package static func environment(_ name: String) -> String? {
        guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
        return value
    }

    /// Logs to standard error, one line an event.
    package static func logger(_ label: String, level: String) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: level) ?? .info
        return logger
    }
}
