import Glibc
public import Logging
import Synchronization

/// Writes each message as one line, for people or as JSON, to all outputs of the settings.
struct LineLogHandler: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let isJSON: Bool
    private let lines: LogLines

    init(label: String, isJSON: Bool, lines: LogLines) {
        self.label = label
        self.isJSON = isJSON
        self.lines = lines
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        if let error = event.error { all["error"] = "\(error)" }
        let pairs = all.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
        let time = LogTime.text(of: LogTime.now())
        lines.write(
            isJSON
                ? LogText.json(event, label: label, time: time, pairs: pairs)
                : LogText.plain(event, label: label, time: time, pairs: pairs))
    }
}

extension LogSettings {
    /// A maker of handlers, for `LoggingSystem.bootstrap`.
    ///
    /// - Throws: `ConfigurationError` naming the file that cannot be written to.
    public func handlers() throws(ConfigurationError) -> @Sendable (String) -> any LogHandler {
        let lines = try LogLines(outputs)
        return { [self] label in
            var handler = LineLogHandler(label: label, isJSON: isJSON, lines: lines)
            handler.logLevel = loggingLevel
            return handler
        }
    }

    /// The level in swift-log's terms.
    public var loggingLevel: Logger.Level {
        switch level {
        case "warn": .warning
        case "dpanic", "panic", "fatal": .critical
        default: Logger.Level(rawValue: level) ?? .info
        }
    }
}

/// The open outputs. A line is written whole, one at a time.
final class LogLines: Sendable {
    private let descriptors: [Int32]
    private let turn = Mutex(())

    init(_ outputs: [LogSettings.Output]) throws(ConfigurationError) {
        var descriptors: [Int32] = []
        for output in outputs {
            switch output {
            case .standardError: descriptors.append(STDERR_FILENO)
            case .standardOutput: descriptors.append(STDOUT_FILENO)
            case .file(let path):
                let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
                guard descriptor >= 0 else {
                    throw ConfigurationError("--log-outputs \(path): \(String(cString: strerror(errno)))")
                }
                descriptors.append(descriptor)
            }
        }
        self.descriptors = descriptors
    }

    deinit {
        for descriptor in descriptors where descriptor > STDERR_FILENO { close(descriptor) }
    }

    /// What an output does not take is lost: a full disk must not stop the member.
    func write(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        turn.withLock { _ in
            for descriptor in descriptors {
                var rest = bytes[...]
                while !rest.isEmpty {
                    let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { break }
                    rest = rest.dropFirst(count)
                }
            }
        }
    }
}

/// How a message looks.
enum LogText {
    static func plain(_ event: LogEvent, label: String, time: String, pairs: [(String, String)]) -> String {
        let fields = pairs.map { "\($0)=\(oneLine($1))" }.joined(separator: " ")
        let rest = fields.isEmpty ? "" : " \(fields)"
        return "\(time) \(event.level.rawValue) \(label): \(oneLine("\(event.message)"))\(rest)"
    }

    /// etcd's fields: level, ts, caller, msg, then what the message carries.
    static func json(_ event: LogEvent, label: String, time: String, pairs: [(String, String)]) -> String {
        let file = event.file.split(separator: "/").suffix(2).joined(separator: "/")
        var fields = [
            ("level", level(event.level)), ("ts", time), ("logger", label), ("caller", "\(file):\(event.line)"),
            ("msg", "\(event.message)"),
        ]
        let taken = fields.map(\.0)
        fields += pairs.map { (taken.contains($0) ? "field.\($0)" : $0, $1) }
        return "{" + fields.map { "\(quoted($0)):\(quoted($1))" }.joined(separator: ",") + "}"
    }

    /// zap's names.
    private static func level(_ level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "debug"
        case .info, .notice: "info"
        case .warning: "warn"
        case .error: "error"
        case .critical: "fatal"
        }
    }

    /// Text from elsewhere must not begin a line of its own.
    private static func oneLine(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.value < 32:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// Wall-clock time in RFC 3339's form, UTC, with microseconds.
enum LogTime {
    static func now() -> (seconds: Int, microseconds: Int) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return (time.tv_sec, time.tv_nsec / 1_000)
    }

    static func text(of time: (seconds: Int, microseconds: Int)) -> String {
        var seconds = time.seconds
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = [
            padded(Int(parts.tm_year) + 1900, 4), padded(Int(parts.tm_mon) + 1, 2), padded(Int(parts.tm_mday), 2),
        ]
        let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { padded(Int($0), 2) }
        return date.joined(separator: "-") + "T" + clock.joined(separator: ":") + "." + padded(time.microseconds, 6)
            + "Z"
    }
}
