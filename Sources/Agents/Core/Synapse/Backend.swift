/// One server that a service can be reached at.
package struct Backend: Equatable, Sendable {
    /// An address or a name, without blanks; an IPv6 address without brackets.
    package var host: String
    /// Digits.
    package var port: String
    /// The registering nerve's instance id; empty text when unknown.
    package var name: String
    package var weight: Int64?
    /// HAProxy options of this server alone.
    package var serverOptions: String?
    /// A number the registration asks for.
    package var serverID: Int?
    package var labels: JSONValue?
    /// Takes no new connections.
    package var isDraining: Bool
    /// When it was registered, in revisions; nil for servers that were not discovered.
    package var createRevision: Int64?

    package init(
        host: String, port: String, name: String = "", weight: Int64? = nil, serverOptions: String? = nil,
        serverID: Int? = nil, labels: JSONValue? = nil, isDraining: Bool = false, createRevision: Int64? = nil
    ) {
        self.host = host
        self.port = port
        self.name = name
        self.weight = weight
        self.serverOptions = serverOptions
        self.serverID = serverID
        self.labels = labels
        self.isDraining = isDraining
        self.createRevision = createRevision
    }

    /// Two backends with the same identity are one server.
    package func isSameServer(as other: Backend) -> Bool {
        host == other.host && port == other.port && name == other.name
    }

    /// The name of its server line: `HOST:PORT`, or `NAME_HOST:PORT`. Characters HAProxy forbids become `_`.
    package var serverName: String {
        let full = name.isEmpty ? "\(host):\(port)" : "\(name)_\(host):\(port)"
        return Backend.legalName(full)
    }

    /// As it stands in a configuration: `10.0.0.1:80`, `[::1]:80`.
    package var address: String { (host.contains(":") ? "[\(host)]" : host) + ":" + port }

    static func legalName(_ text: String) -> String {
        String(
            decoding: text.utf8.map { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: byte
                case UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "-"): byte
                default: UInt8(ascii: "_")
                }
            }, as: UTF8.self)
    }
}

/// Why a registration cannot be used as a backend.
package struct PayloadFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

extension Backend {
    /// Reads the value of a registration, ours or another nerve's. Unknown members are
    /// ignored, `name` may be missing, `port` may be a text.
    ///
    /// - Throws: when the value is no JSON object with a usable host and port.
    package static func decode(payload: [UInt8], createRevision: Int64?) throws(PayloadFailure) -> Backend {
        let value: JSONValue
        do {
            value = try JSONReader.read(payload, limits: .payload)
        } catch {
            throw PayloadFailure("not JSON: \(error)")
        }
        return try decode(value, createRevision: createRevision)
    }

    /// The same from a value already read.
    package static func decode(_ value: JSONValue, createRevision: Int64?) throws(PayloadFailure) -> Backend {
        guard value.members != nil else { throw PayloadFailure("not a JSON object") }
        guard let host = value["host"]?.text else { throw PayloadFailure("no host") }
        guard let port = value["port"]?.integer.map({ String($0) }) ?? value["port"]?.text else {
            throw PayloadFailure("no port")
        }
        var backend = try checked(host: host, port: port)
        backend.name = value["name"]?.text ?? ""
        // An integer only: a text is ignored, as readers always did.
        backend.weight = value["weight"]?.integer
        if let options = value["haproxy_server_options"]?.text {
            guard !Text.hasControlCharacter(options) else {
                throw PayloadFailure("haproxy_server_options holds a control character")
            }
            backend.serverOptions = options
        }
        backend.serverID = value["haproxy_server_id"]?.integer.flatMap { Int(exactly: $0) }
        backend.labels = value["labels"]
        backend.isDraining = value["drain"]?.bool ?? false
        backend.createRevision = createRevision
        return backend
    }

    /// A backend whose host and port can stand in a configuration line.
    static func checked(host: String, port: String) throws(PayloadFailure) -> Backend {
        var host = host
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let isLegal = host.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            case UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "%"): true
            default: false
            }
        }
        guard !host.isEmpty, host.utf8.count <= 255, isLegal else { throw PayloadFailure("\"\(host)\" is not a host") }
        let port = Text.trimmed(port)
        guard Text.isDigits(port), let number = Int(port), (1...65535).contains(number) else {
            throw PayloadFailure("\"\(port)\" is not a port")
        }
        return Backend(host: host, port: String(number))
    }

    /// The payload form, for the state file.
    package var json: JSONValue {
        var members = [JSONMember("host", .string(host)), JSONMember("port", .integer(Int64(port) ?? 0))]
        if !name.isEmpty { members.append(JSONMember("name", .string(name))) }
        if let weight { members.append(JSONMember("weight", .integer(weight))) }
        if let serverOptions { members.append(JSONMember("haproxy_server_options", .string(serverOptions))) }
        if let serverID { members.append(JSONMember("haproxy_server_id", .integer(Int64(serverID)))) }
        if let labels { members.append(JSONMember("labels", labels)) }
        if isDraining { members.append(JSONMember("drain", .bool(true))) }
        return .object(members)
    }

    /// Whether the host is a literal address, which HAProxy can take at run time; a name it would not resolve.
    package var hasLiteralAddress: Bool {
        if host.contains(":") { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in Text.isDigits(String(part)) && (Int(part) ?? 256) <= 255 }
    }
}
