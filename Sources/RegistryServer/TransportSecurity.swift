import LinkSecurity
import Logging
import SignedTokens
import Transport

extension MemberConfiguration {
    /// TLS at a member's `https` addresses: those for clients, or those for other members. All files are PEM; they are
    /// read again when they change. Names and meanings are etcd's (`--cert-file`, `--peer-cert-file` and so on).
    public struct Security: Hashable, Sendable {
        /// The certificate that is shown, followed by those that lead to its CA.
        public var certificateFile: String?
        /// The private key of that certificate, without a passphrase.
        public var keyFile: String?
        /// With it the other side must show a certificate that one of these CAs has signed.
        public var trustedCAFile: String?
        /// Demand such certificates. Needs `trustedCAFile`, which alone demands them as well; on client addresses this
        /// also makes their CommonName the user when users are on.
        public var demandsCertificates = false
        /// Refuse certificates with another CommonName; empty allows all. For members only.
        public var allowedCommonNames: [String] = []
        /// Refuse certificates that are for none of these hosts; empty allows all.
        public var allowedHostnames: [String] = []
        /// Refuse certificates whose serial number is in this revocation list (PEM or DER).
        public var revocationListFile: String?

        /// No TLS.
        public init() {}
    }

    /// Checks the TLS settings by themselves and against the addresses; no file is read.
    func validateSecurity() throws(ConfigurationError) {
        try clientSecurity.validate(
            prefix: "",
            listeners: [
                ("--listen-client-urls", listenClientURLs), ("--listen-client-http-urls", listenClientHTTPURLs),
                ("--listen-metrics-urls", listenMetricsURLs),
            ])
        try peerSecurity.validate(prefix: "peer-", listeners: [("--listen-peer-urls", listenPeerURLs)])
        if TLSVersion(rawValue: tlsMinimumVersion) == nil { throw .version(tlsMinimumVersion) }
        if let text = tlsMaximumVersion, TLSVersion(rawValue: text) == nil { throw .version(text) }
        if tlsMinimumVersion == TLSVersion.tls13.rawValue {
            guard tlsMaximumVersion != TLSVersion.tls12.rawValue else {
                throw ConfigurationError("--tls-min-version TLS1.3 is greater than --tls-max-version TLS1.2")
            }
            guard cipherSuites.isEmpty else {
                throw ConfigurationError("--cipher-suites cannot be chosen with --tls-min-version TLS1.3")
            }
        }
        let unknown = CipherSuites.unknown(cipherSuites)
        guard unknown.isEmpty else {
            throw ConfigurationError("--cipher-suites: unexpected TLS cipher suite \"\(unknown[0])\"")
        }
        guard tlsMaximumVersion != TLSVersion.tls12.rawValue || !CipherSuites.excludeTLS12(cipherSuites) else {
            throw ConfigurationError("--cipher-suites names none for --tls-max-version TLS1.2")
        }
    }

    fileprivate func settings(_ security: Security, prefix: String, revocations: String) -> TLSSettings {
        func file(_ path: String?, _ flag: String) -> TLSFile? { path.map { TLSFile($0, setting: "--\(flag)") } }
        var settings = TLSSettings()
        settings.certificate = file(security.certificateFile, "\(prefix)cert-file")
        settings.key = file(security.keyFile, "\(prefix)key-file")
        settings.trustedCA = file(security.trustedCAFile, "\(prefix)trusted-ca-file")
        settings.revocations = file(security.revocationListFile, revocations)
        settings.allowedCommonNames = security.allowedCommonNames
        settings.allowedHostnames = security.allowedHostnames
        settings.minimumVersion = TLSVersion(rawValue: tlsMinimumVersion) ?? .tls12
        settings.maximumVersion = tlsMaximumVersion.flatMap { TLSVersion(rawValue: $0) }
        settings.cipherSuites = cipherSuites
        return settings
    }
}

extension MemberConfiguration {
    /// What a port without TLS lets in although certificates are demanded, as etcd does: told at the start.
    var securityWarnings: [String] {
        let ports = [
            ("--client-cert-auth", clientSecurity, "--listen-client-urls", listenClientURLs),
            ("--client-cert-auth", clientSecurity, "--listen-client-http-urls", listenClientHTTPURLs),
            ("--peer-client-cert-auth", peerSecurity, "--listen-peer-urls", listenPeerURLs),
        ]
        return ports.flatMap { demand, security, setting, urls in
            urls.filter { security.demandsCertificates && $0.hasPrefix("http://") }.map {
                "\(setting): \($0) asks nobody for a certificate, in spite of \(demand)"
            }
        }
    }
}

extension MemberConfiguration.Security {
    fileprivate func validate(
        prefix: String, listeners: [(setting: String, urls: [String])]
    ) throws(ConfigurationError) {
        let (certificate, key) = ("--\(prefix)cert-file", "--\(prefix)key-file")
        let addresses = listeners.flatMap { setting, urls in urls.map { (setting: setting, url: $0) } }
        let secure = addresses.first { $0.url.hasPrefix("https://") }
        switch (certificateFile, keyFile) {
        case (nil, nil):
            if let secure {
                throw ConfigurationError(
                    "\(secure.setting): \(secure.url) needs a certificate: \(certificate) and \(key)")
            }
        case (.some, nil): throw ConfigurationError("\(certificate) is set, but \(key) is not")
        case (nil, .some): throw ConfigurationError("\(key) is set, but \(certificate) is not")
        case (let file?, .some):
            guard secure != nil else {
                let shown = addresses.map(\.url).joined(separator: ",")
                throw ConfigurationError(
                    "\(certificate) \(file) would not be used: \(listeners[0].setting) names no https URL (\(shown))")
            }
        }
        let demand = "--\(prefix)client-cert-auth"
        guard !demandsCertificates || trustedCAFile != nil else {
            throw ConfigurationError("\(demand) needs --\(prefix)trusted-ca-file: whose certificates count?")
        }
        // etcd serves such a port without asking for certificates; that cannot be what was meant.
        guard !demandsCertificates || listeners[0].urls.contains(where: { $0.hasPrefix("https://") }) else {
            throw ConfigurationError("\(demand) would protect nothing: \(listeners[0].setting) names no https URL")
        }
        guard trustedCAFile == nil || certificateFile != nil else {
            throw ConfigurationError("--\(prefix)trusted-ca-file is set, but \(certificate) is not")
        }
        let rules = [
            ("--peer-cert-allowed-cn", !allowedCommonNames.isEmpty),
            ("--\(prefix.isEmpty ? "client-" : prefix)cert-allowed-hostname", !allowedHostnames.isEmpty),
            ("--\(prefix.isEmpty ? "client-" : prefix)crl-file", revocationListFile != nil),
        ].filter(\.1).map(\.0)
        guard rules.isEmpty || trustedCAFile != nil else {
            throw ConfigurationError(
                "\(rules[0]) needs --\(prefix)trusted-ca-file: no certificates are demanded without")
        }
        guard allowedCommonNames.isEmpty || allowedHostnames.isEmpty else {
            throw ConfigurationError("\(rules[0]) and \(rules[1]) exclude each other")
        }
    }
}

extension ConfigurationError {
    fileprivate static func version(_ text: String) -> ConfigurationError {
        ConfigurationError("unexpected TLS version \"\(text)\" (must be \"TLS1.2\" or \"TLS1.3\")")
    }
}

/// A member's certificates and the keys of its tokens, read once so that a member without usable ones does not start.
struct MemberCredentials: Sendable {
    /// nil without a certificate for clients.
    var clients: TLSCredentials?
    var links: LinkCredentials
    /// nil: tokens are not signed.
    var tokens: TokenSigner?

    /// - Throws: `ConfigurationError` naming the flag, the file and what was wrong.
    init(_ configuration: MemberConfiguration, clientProtocols: [String], logger: Logger) throws(ConfigurationError) {
        func notice(_ port: String) -> @Sendable (String) -> Void {
            { text in logger.warning("\(port) port: \(text)") }
        }
        var clientSettings = configuration.settings(
            configuration.clientSecurity, prefix: "", revocations: "--client-crl-file")
        clientSettings.applicationProtocols = clientProtocols
        clients = clientSettings.certificate.map { _ in .server(clientSettings, notice: notice("client")) }
        let peerSettings = configuration.settings(
            configuration.peerSecurity, prefix: "peer-", revocations: "--peer-crl-file")
        links = LinkCredentials(
            accepting: peerSettings.certificate.map { _ in .server(peerSettings, notice: notice("member")) },
            dialing: .client(peerSettings, notice: { text in logger.warning("dialing members: \(text)") }))
        do throws(TLSSetupError) {
            try clients?.load()
            try links.accepting?.load()
        } catch {
            throw ConfigurationError(error.description)
        }
        tokens = try TokenOptions(configuration.authToken).signed?.signer()
    }
}
