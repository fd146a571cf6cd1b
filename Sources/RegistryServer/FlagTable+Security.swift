extension MemberFlags {
    static let securityFlags: [Flag] =
        [
            file("cert-file", "Certificate shown to clients at https URLs, PEM, with the chain behind it") {
                $0.clientSecurity.certificateFile = $1
            },
            file("key-file", "Private key of --cert-file, PEM") { $0.clientSecurity.keyFile = $1 },
            file("trusted-ca-file", "CAs whose certificates clients must show, PEM") {
                $0.clientSecurity.trustedCAFile = $1
            },
            toggle(
                "client-cert-auth",
                "Demand client certificates, and take their CommonName for the user. Needs --trusted-ca-file"
            ) { $0.clientSecurity.demandsCertificates = $1 },
            names("client-cert-allowed-hostname", "HOST,...", "Let in only client certificates for one of these hosts")
            {
                $0.clientSecurity.allowedHostnames = $1
            },
            file("client-crl-file", "Revocation list of client certificates, PEM or DER") {
                $0.clientSecurity.revocationListFile = $1
            },
            file("peer-cert-file", "Certificate shown to members, when dialing them too, PEM") {
                $0.peerSecurity.certificateFile = $1
            },
            file("peer-key-file", "Private key of --peer-cert-file, PEM") { $0.peerSecurity.keyFile = $1 },
            file("peer-trusted-ca-file", "CAs whose certificates members must show, PEM") {
                $0.peerSecurity.trustedCAFile = $1
            },
            toggle("peer-client-cert-auth", "Demand certificates of members. Needs --peer-trusted-ca-file") {
                $0.peerSecurity.demandsCertificates = $1
            },
            names("peer-cert-allowed-cn", "NAME,...", "Let in only members with one of these CommonNames") {
                $0.peerSecurity.allowedCommonNames = $1
            },
            names("peer-cert-allowed-hostname", "HOST,...", "Let in only members with a certificate for one of these") {
                $0.peerSecurity.allowedHostnames = $1
            },
            file("peer-crl-file", "Revocation list of members' certificates, PEM or DER") {
                $0.peerSecurity.revocationListFile = $1
            },
        ] + versionFlags

    private static let versionFlags: [Flag] = [
        Flag(name: "tls-min-version", value: "VERSION", help: "TLS1.2 or TLS1.3. Default: TLS1.2") {
            (flags, value) throws(ConfigurationError) in
            flags.configuration.tlsMinimumVersion = value.isEmpty ? nil : value
        },
        Flag(name: "tls-max-version", value: "VERSION", help: "TLS1.2 or TLS1.3. Default: the newest") {
            (flags, value) throws(ConfigurationError) in
            flags.configuration.tlsMaximumVersion = value.isEmpty ? nil : value
        },
        names(
            "cipher-suites", "NAME,...",
            "Cipher suites of TLS 1.2, by the names of IANA. Default: those with forward secrecy"
        ) { $0.cipherSuites = $1 },
        selfMade("auto-tls"),
        selfMade("peer-auto-tls"),
        Flag(
            name: "self-signed-cert-validity", value: "YEARS",
            help: "Without effect: certificates are made by 'registryctl certs --days'"
        ) { (flags, _) throws(ConfigurationError) in
            flags.warnings.append("--self-signed-cert-validity has no effect: this member makes no certificates")
        },
    ]

    private static func file(
        _ name: String, _ help: String, _ set: @escaping @Sendable (inout MemberConfiguration, String?) -> Void
    ) -> Flag {
        Flag(name: name, value: "FILE", help: help) { (flags, value) throws(ConfigurationError) in
            set(&flags.configuration, value.isEmpty ? nil : value)
        }
    }

    private static func names(
        _ name: String, _ value: String, _ help: String,
        _ set: @escaping @Sendable (inout MemberConfiguration, [String]) -> Void
    ) -> Flag {
        Flag(name: name, value: value, help: help) { (flags, value) throws(ConfigurationError) in
            set(&flags.configuration, list(value))
        }
    }

    private static func toggle(
        _ name: String, _ help: String, _ set: @escaping @Sendable (inout MemberConfiguration, Bool) -> Void
    ) -> Flag {
        Flag(name: name, value: nil, help: help) { (flags, value) throws(ConfigurationError) in
            set(&flags.configuration, try boolean(value, name))
        }
    }

    /// etcd's own certificates are checked by nobody: they keep no one out who can reach the port.
    private static func selfMade(_ name: String) -> Flag {
        Flag(
            name: name, value: nil,
            help: "Not taken: 'registryctl certs' makes certificates that can be checked"
        ) { (_, value) throws(ConfigurationError) in
            guard try boolean(value, name) else { return }
            throw ConfigurationError(
                "--\(name) is not supported: such certificates protect against nobody who answers in the member's "
                    + "place. Run 'registryctl certs DIR' and name its files")
        }
    }

    /// Go's notations.
    private static func boolean(_ value: String, _ name: String) throws(ConfigurationError) -> Bool {
        switch value {
        case "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False", "": return false
        default: throw ConfigurationError("--\(name) '\(value)' is neither true nor false")
        }
    }
}
