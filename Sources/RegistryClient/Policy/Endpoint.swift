/// Where one member takes clients.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address; an IPv6 address without brackets.
    public var host: String
    /// A TCP port, 1...65535.
    public var port: Int
    /// How it is to be spoken to.
    public var scheme = Scheme.unspecified
    /// As it was written, for messages and tables.
    public var description: String

    /// Whether connections are encrypted.
    public enum Scheme: Hashable, Sendable {
        /// They are when `Registry.Configuration.tls` is set.
        case unspecified
        /// Never.
        case http
        /// Always.
        case https
    }

    /// The port of etcd's client address, used when none is given.
    public static let defaultPort = 2379

    /// An endpoint on that host and port.
    public init(host: String, port: Int = Endpoint.defaultPort) {
        self.host = host
        self.port = port
        description = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Reads `host`, `host:port`, `[address]:port`, each with or without `http://` or `https://` before and a
    /// slash after.
    ///
    /// - Throws: `.invalidArgument`, saying what is wrong with which text.
    public init(_ text: String) throws(RegistryError) {
        var rest = Substring(text)
        if let scheme = rest.firstRange(of: "://") {
            let name = rest[..<scheme.lowerBound]
            guard name == "http" || name == "https" else {
                throw Self.refusal(text, "scheme \"\(name)\" is not supported, only http and https are")
            }
            self.scheme = name == "https" ? .https : .http
            rest = rest[scheme.upperBound...]
        }
        if rest.hasSuffix("/") {
            rest = rest.dropLast()
        }
        let (host, port) = try Self.split(rest, of: text)
        guard !host.isEmpty else { throw Self.refusal(text, "the host is missing") }
        guard !host.contains("/"), !host.contains(" "), !host.contains("@") else {
            throw Self.refusal(text, "only a host and a port may be given")
        }
        self.host = String(host)
        self.port = try Self.number(port, of: text)
        description = text
    }

    private static func split(_ rest: Substring, of text: String) throws(RegistryError) -> (Substring, Substring?) {
        if rest.hasPrefix("[") {
            guard let close = rest.firstIndex(of: "]") else { throw refusal(text, "the bracket is not closed") }
            let host = rest[rest.index(after: rest.startIndex)..<close]
            let after = rest[rest.index(after: close)...]
            if after.isEmpty { return (host, nil) }
            guard after.hasPrefix(":") else { throw refusal(text, "a colon must follow the bracket") }
            return (host, after.dropFirst())
        }
        guard let colon = rest.firstIndex(of: ":") else { return (rest, nil) }
        guard rest[rest.index(after: colon)...].firstIndex(of: ":") == nil else {
            throw refusal(text, "an IPv6 address needs brackets")
        }
        return (rest[..<colon], rest[rest.index(after: colon)...])
    }

    private static func number(_ port: Substring?, of text: String) throws(RegistryError) -> Int {
        guard let port else { return defaultPort }
        guard let number = Int(port), (1...65535).contains(number) else {
            throw refusal(text, "\"\(port)\" is not a port")
        }
        return number
    }

    private static func refusal(_ text: String, _ reason: String) -> RegistryError {
        RegistryError(.invalidArgument, "endpoint \"\(text)\": \(reason)", statusCode: 3)
    }

    func isSecure(with tls: Registry.Configuration.TLS?) -> Bool {
        scheme == .https || (scheme == .unspecified && tls != nil)
    }

    /// By host and port.
    public static func == (left: Endpoint, right: Endpoint) -> Bool {
        left.host == right.host && left.port == right.port
    }

    /// By host and port.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(host)
        hasher.combine(port)
    }
}

extension Substring {
    /// Where `text` stands first. (The standard library's own search needs regular expressions.)
    fileprivate func firstRange(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) {
                return start..<index(start, offsetBy: text.count)
            }
            start = index(after: start)
        }
        return nil
    }
}
