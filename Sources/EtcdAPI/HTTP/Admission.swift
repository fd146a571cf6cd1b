import GRPC

/// Who may ask over plain HTTP, and whose scripts may read the answers (`--host-whitelist`, `--cors`).
struct Admission: Sendable {
    private let hosts: Set<String>
    private let origins: Set<String>

    init(_ options: EtcdDoorOptions) {
        hosts = Set(options.hostWhitelist)
        origins = Set(options.corsOrigins)
    }

    /// Why a request without TLS is not for this member; nil when it is. A page that a browser loaded from elsewhere
    /// can make its name point here (CVE-2018-5702): it asks under that name, which only the whitelist tells apart.
    func refusal(of request: HTTPRequest, isSecure: Bool) -> String? {
        guard !isSecure, !hosts.isEmpty, !hosts.contains("*") else { return nil }
        let host = Self.name(of: request.host)
        guard !hosts.contains(host) else { return nil }
        return """
            The request was received, but its Host header names a host that is not known here.

            Either serve clients with TLS, or add the name: --host-whitelist \(JSONText.string(host))

            """
    }

    /// The headers of every answer to a request.
    func headers(for request: HTTPRequest) -> Metadata {
        let origin: String
        if origins.isEmpty || origins.contains("*") {
            origin = "*"
        } else if let named = request.headers["origin"], origins.contains(named) {
            origin = named
        } else {
            return Metadata()
        }
        return Metadata([
            "access-control-allow-methods": "POST, GET, OPTIONS, PUT, DELETE",
            "access-control-allow-origin": origin,
            "access-control-allow-headers": "accept, content-type, authorization",
        ])
    }

    /// `Host` without its port and without the brackets of an IPv6 address.
    static func name(of host: String) -> String {
        if host.hasPrefix("[") {
            return String(host.dropFirst().prefix { $0 != "]" })
        }
        let parts = host.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 ? String(parts[0]) : host
    }
}
