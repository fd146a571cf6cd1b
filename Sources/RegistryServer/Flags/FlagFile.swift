import Glibc
import YAML

/// etcd's configuration file: YAML or JSON, flag names as keys, TLS settings in blocks of their own.
enum FlagFile {
    /// - Throws: `ConfigurationError` with file and line: what cannot be read, what is no YAML, unknown names.
    static func settings(in path: String) throws(ConfigurationError) -> [FlagSetting] {
        try settings(try contents(of: path), path: path)
    }

    static func settings(_ text: [UInt8], path: String) throws(ConfigurationError) -> [FlagSetting] {
        var reader = Reader(parser: YAMLParser(text), path: path)
        var settings: [FlagSetting] = []
        for entry in try reader.document() {
            if let names = block(entry.key) {
                settings += try self.settings(inBlock: entry, names: names, path: path)
            } else {
                let place = "\(path):\(entry.line)"
                guard let flag = MemberFlags.flag(named: flagName(entry.key)), flag.isForFiles else {
                    throw ConfigurationError("\(place): unknown setting '\(entry.key)'")
                }
                settings += try setting(flag, entry.value, place).map { [$0] } ?? []
            }
        }
        return settings
    }

    /// etcd's files have another name than its command line has.
    private static func flagName(_ key: String) -> String {
        key == "experimental-snapshot-catch-up-entries" ? "experimental-snapshot-catchup-entries" : key
    }

    // MARK: Blocks

    /// The flags behind the keys of a block.
    private static func block(_ key: String) -> [String: String]? {
        switch key {
        case "client-transport-security":
            [
                "cert-file": "cert-file", "key-file": "key-file", "client-cert-file": "client-cert-file",
                "client-key-file": "client-key-file", "client-cert-auth": "client-cert-auth",
                "peer-client-cert-auth": "client-cert-auth",
                "trusted-ca-file": "trusted-ca-file", "crl-file": "client-crl-file", "auto-tls": "auto-tls",
                "allowed-hostname": "client-cert-allowed-hostname",
            ]
        case "peer-transport-security":
            [
                "cert-file": "peer-cert-file", "key-file": "peer-key-file",
                "client-cert-file": "peer-client-cert-file", "client-key-file": "peer-client-key-file",
                "client-cert-auth": "peer-client-cert-auth", "peer-client-cert-auth": "peer-client-cert-auth",
                "trusted-ca-file": "peer-trusted-ca-file",
                "crl-file": "peer-crl-file", "auto-tls": "peer-auto-tls", "allowed-cn": "peer-cert-allowed-cn",
                "allowed-hostname": "peer-cert-allowed-hostname",
                "skip-client-san-verification": "peer-skip-client-san-verification",
            ]
        case "socket-options":
            ["reuse-port": "socket-reuse-port", "reuse-address": "socket-reuse-address"]
        default: nil
        }
    }

    private static func settings(
        inBlock block: Entry, names: [String: String], path: String
    ) throws(ConfigurationError) -> [FlagSetting] {
        if block.value.isEmpty { return [] }
        guard case .map(let entries) = block.value else {
            throw ConfigurationError("\(path):\(block.line): '\(block.key)' holds no settings")
        }
        var settings: [FlagSetting] = []
        for entry in entries {
            let place = "\(path):\(entry.line)"
            guard let flag = names[entry.key].flatMap(MemberFlags.flag(named:)) else {
                // Samples of earlier versions list keys that are gone, without a value.
                if entry.value.isEmpty { continue }
                throw ConfigurationError("\(place): unknown setting '\(entry.key)' in '\(block.key)'")
            }
            guard let setting = try setting(flag, entry.value, place) else { continue }
            if let other = settings.first(where: { $0.flag.name == flag.name }), other.text != setting.text {
                throw ConfigurationError(
                    "\(place): '\(entry.key)' says '\(setting.text)', another name of it '\(other.text)': give one of them"
                )
            }
            settings.append(setting)
        }
        return settings
    }

    // MARK: Values

    /// nil for a key without a value, which leaves the default.
    private static func setting(
        _ flag: Flag, _ value: Value, _ place: String
    ) throws(ConfigurationError) -> FlagSetting? {
        let text: String
        switch value {
        case .scalar(let scalar, let isPlain):
            if value.isEmpty { return nil }
            text = isPlain ? plain(scalar, for: flag.form) : scalar
        case .list(let elements): text = elements.joined(separator: ",")
        case .map: throw ConfigurationError("\(place): '\(flag.name)' is not a block of settings")
        }
        return FlagSetting(flag: flag, text: text, source: .file(place))
    }

    /// YAML's words for true and false; times are nanoseconds, as Go's decoder has them.
    private static func plain(_ text: String, for form: Flag.Form) -> String {
        switch form {
        case .toggle:
            switch text.lowercased() {
            case "yes", "on": "true"
            case "no", "off": "false"
            default: text
            }
        case .time: Int64(text) == nil ? text : text + "ns"
        default: text
        }
    }

    private static func contents(of path: String) throws(ConfigurationError) -> [UInt8] {
        guard let file = fopen(path, "rb") else {
            throw ConfigurationError("--config-file \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
            contents += chunk[..<count]
            guard contents.count <= sizeMax else {
                throw ConfigurationError("--config-file \(path): larger than \(sizeMax) bytes")
            }
        }
        guard ferror(file) == 0 else {
            throw ConfigurationError("--config-file \(path): \(String(cString: strerror(errno)))")
        }
        return contents
    }

    private static let sizeMax = 1024 * 1024
}

extension FlagFile {
    enum Value {
        case scalar(String, isPlain: Bool)
        case list([String])
        case map([Entry])

        var isEmpty: Bool {
            switch self {
            case .scalar(let text, let isPlain): text.isEmpty || isPlain && (text == "~" || text == "null")
            case .list(let elements): elements.isEmpty
            case .map(let entries): entries.isEmpty
            }
        }
    }

    struct Entry {
        var key: String
        /// From 1.
        var line: Int
        var value: Value
    }

    /// Two levels of settings, and lists of texts.
    private struct Reader {
        let parser: YAMLParser
        let path: String

        mutating func document() throws(ConfigurationError) -> [Entry] {
            guard try next().event == .documentStart else { return [] }
            let (event, mark) = try next()
            switch event {
            case .mappingStart: break
            case .scalar("", isPlain: true, _, _): return []
            default: throw failure(mark, "settings are given as NAME: VALUE")
            }
            let entries = try self.entries(depth: 0)
            _ = try next()
            let (end, rest) = try next()
            guard end == .streamEnd else { throw failure(rest, "a second document begins here; only one is read") }
            return entries
        }

        private mutating func entries(depth: Int) throws(ConfigurationError) -> [Entry] {
            var entries: [Entry] = []
            while true {
                let (event, mark) = try next()
                if event == .mappingEnd { return entries }
                guard case .scalar(let key, _, _, _) = event else { throw failure(mark, "a name must be a text") }
                guard !entries.contains(where: { $0.key == key }) else {
                    throw failure(mark, "'\(key)' is given twice")
                }
                entries.append(Entry(key: key, line: mark.line, value: try value(of: key, depth: depth)))
            }
        }

        private mutating func value(of key: String, depth: Int) throws(ConfigurationError) -> Value {
            let (event, mark) = try next()
            switch event {
            case .scalar(let text, let isPlain, _, _): return .scalar(text, isPlain: isPlain)
            case .sequenceStart:
                var elements: [String] = []
                while true {
                    let (event, mark) = try next()
                    if event == .sequenceEnd { return .list(elements) }
                    guard case .scalar(let text, _, _, _) = event else {
                        throw failure(mark, "the elements of '\(key)' must be texts")
                    }
                    elements.append(text)
                }
            case .mappingStart where depth == 0: return .map(try entries(depth: 1))
            default: throw failure(mark, "'\(key)' has a value that no setting takes")
            }
        }

        private func next() throws(ConfigurationError) -> (event: YAMLEvent, mark: YAMLParser.Mark) {
            do throws(YAMLFailure) {
                return try parser.next()
            } catch {
                throw failure(error.mark, error.message)
            }
        }

        private func failure(_ mark: YAMLParser.Mark, _ message: String) -> ConfigurationError {
            ConfigurationError("\(path):\(mark.line):\(mark.column): \(message)")
        }
    }
}

extension Flag {
    /// What is asked of the program cannot be asked by a file, nor can another file.
    var isForFiles: Bool { hasVariable && name != MemberFlags.configFileFlag }
}
