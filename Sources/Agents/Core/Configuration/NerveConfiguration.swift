package import Primitives

/// What `nerve` is told to do: the users' existing file, decoded.
///
/// Source: Airbnb's nerve. Options of our own: `lease_ttl`, `fast_confirmation`, `registry_hosts`, `registry_tls`,
/// `status_address`, and per service `drain`.
package struct NerveConfiguration: Equatable, Sendable {
    package var instanceID: String
    /// In file order, main file first; names are unique.
    package var services: [NerveService]
    /// Touched while the agent's loop makes progress.
    package var heartbeatPath: String?
    /// Time to live asked for each lease, in whole seconds (`lease_ttl`, default 10).
    package var leaseTTLSeconds: Int64
    /// Where the status endpoint listens, `host:port`; nil is off.
    package var statusAddress: String?

    package init(
        instanceID: String, services: [NerveService], heartbeatPath: String? = nil, leaseTTLSeconds: Int64 = 10,
        statusAddress: String? = nil
    ) {
        self.instanceID = instanceID
        self.services = services
        self.heartbeatPath = heartbeatPath
        self.leaseTTLSeconds = leaseTTLSeconds
        self.statusAddress = statusAddress
    }
}

/// Which registry, by the hosts to dial.
package struct RegistryEndpoints: Hashable, Comparable, Sendable {
    /// `host:port`, sorted, at least one.
    package let hosts: [String]
    /// nil: plaintext.
    package let tls: RegistryTLS?

    package init(_ hosts: [String], tls: RegistryTLS? = nil) {
        precondition(!hosts.isEmpty, "a registry without hosts")
        self.hosts = hosts.sorted()
        self.tls = tls
    }

    package static func < (left: RegistryEndpoints, right: RegistryEndpoints) -> Bool {
        guard left.hosts == right.hosts else { return left.hosts.lexicographicallyPrecedes(right.hosts) }
        switch (left.tls, right.tls) {
        case (let left?, let right?): return left.order.lexicographicallyPrecedes(right.order)
        case (nil, .some): return true
        case (.some, nil), (nil, nil): return false
        }
    }
}

/// How the registry's certificates are checked and which one the agent shows: `registry_tls` of a file. Files are PEM.
package struct RegistryTLS: Hashable, Sendable {
    /// `ca`; nil trusts the CAs of the host.
    package var trustedCAFile: String?
    /// `cert`
    package var certificateFile: String?
    /// `key`
    package var keyFile: String?
    /// `server_name`: what the registry's certificates are for, if not for the hosts that are dialed.
    package var serverName: String?
    /// `insecure_skip_verify`
    package var skipsVerification = false

    package init() {}

    fileprivate var order: [String] {
        [trustedCAFile, certificateFile, keyFile, serverName].map { $0 ?? "" } + [skipsVerification ? "1" : "0"]
    }
}

/// One service of the file.
package struct NerveService: Equatable, Sendable {
    package var name: String
    /// Advertised address.
    package var host: String
    /// Advertised port, in the type the file gave it: `8080` or `"8080"`.
    package var port: JSONValue
    package var registry: RegistryEndpoints
    /// Parent of the registration's key, without a slash at the end.
    package var path: String
    /// Pause between two rounds of checks.
    package var checkInterval: TimeSpan
    /// All must pass; none means always up.
    package var checks: [CheckConfiguration]
    /// No check is run and the service is always up.
    package var isMocked: Bool
    package var weight: Int64?
    package var haproxyServerOptions: JSONValue?
    package var labels: JSONValue?
    /// Registered, but to receive no new connections.
    package var isDraining: Bool
    package var rateLimit: RateLimit?
    /// After a first failure the checks run again this soon until they pass or the service is down; nil is off.
    package var fastConfirmation: TimeSpan?

    package init(
        name: String, host: String, port: JSONValue, registry: RegistryEndpoints, path: String,
        checkInterval: TimeSpan = .milliseconds(500), checks: [CheckConfiguration] = [], isMocked: Bool = false,
        weight: Int64? = nil, haproxyServerOptions: JSONValue? = nil, labels: JSONValue? = nil,
        isDraining: Bool = false, rateLimit: RateLimit? = nil, fastConfirmation: TimeSpan? = nil
    ) {
        self.name = name
        self.host = host
        self.port = port
        self.registry = registry
        self.path = path
        self.checkInterval = checkInterval
        self.checks = checks
        self.isMocked = isMocked
        self.weight = weight
        self.haproxyServerOptions = haproxyServerOptions
        self.labels = labels
        self.isDraining = isDraining
        self.rateLimit = rateLimit
        self.fastConfirmation = fastConfirmation
    }
}

/// `rate_limiting` of a service, as Airbnb's.
package struct RateLimit: Equatable, Sendable {
    /// Reports a second; nil is unlimited.
    package var averageRate: DecimalNumber?
    /// nil is unlimited.
    package var maxBurst: DecimalNumber?
    /// Count and tell, but never hold back.
    package var isShadow: Bool

    package init(averageRate: DecimalNumber?, maxBurst: DecimalNumber?, isShadow: Bool) {
        self.averageRate = averageRate
        self.maxBurst = maxBurst
        self.isShadow = isShadow
    }
}

/// One health check. `timeout` is the deadline of the whole probe.
package struct CheckConfiguration: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// Passes when a connection is accepted.
        case tcp
        /// Passes when a GET answers 200 to 399, with `expect` in the body when set.
        case http(HTTPCheck)
    }

    package var name: String
    package var kind: Kind
    package var host: String
    package var port: Int
    /// From the start of the probe to its end.
    package var timeout: TimeSpan
    package var rise: Int
    package var fall: Int

    package init(
        name: String, kind: Kind, host: String, port: Int, timeout: TimeSpan = .milliseconds(100), rise: Int = 1,
        fall: Int = 1
    ) {
        precondition(rise >= 1 && fall >= 1, "rise \(rise), fall \(fall)")
        self.name = name
        self.kind = kind
        self.host = host
        self.port = port
        self.timeout = timeout
        self.rise = rise
        self.fall = fall
    }
}

/// What an HTTP check sends and expects. Redirects are not followed; certificates are not verified.
package struct HTTPCheck: Equatable, Sendable {
    package struct Header: Equatable, Sendable {
        package let name: String
        package let value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Path and query, beginning with a slash.
    package var uri: String
    package var usesTLS: Bool
    /// In file order.
    package var headers: [Header]
    /// A text the body must contain.
    package var expect: String?
    /// Limits of the phases, each also bounded by the check's `timeout`.
    package var openTimeout: TimeSpan
    package var readTimeout: TimeSpan
    package var handshakeTimeout: TimeSpan

    package init(
        uri: String, usesTLS: Bool = false, headers: [Header] = [], expect: String? = nil,
        openTimeout: TimeSpan = .milliseconds(200), readTimeout: TimeSpan = .milliseconds(100),
        handshakeTimeout: TimeSpan = .milliseconds(200)
    ) {
        self.uri = uri
        self.usesTLS = usesTLS
        self.headers = headers
        self.expect = expect
        self.openTimeout = openTimeout
        self.readTimeout = readTimeout
        self.handshakeTimeout = handshakeTimeout
    }
}
