/// TLS on the ports of clients and members.
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
            Flag(
                "client-cert-auth", .toggle, standard: "false",
                help: "Demand client certificates, and take their CommonName for the user. Needs --trusted-ca-file"
            ) { $0.configuration.clientSecurity.demandsCertificates = $1.isOn },
            names("client-cert-allowed-hostname", "HOSTS", "Let in only client certificates for one of these hosts") {
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
            Flag(
                "peer-client-cert-auth", .toggle, standard: "false",
                help: "Demand certificates of members. Needs --peer-trusted-ca-file"
            ) { $0.configuration.peerSecurity.demandsCertificates = $1.isOn },
            names("peer-cert-allowed-cn", "NAMES", "Let in only members with one of these CommonNames") {
                $0.peerSecurity.allowedCommonNames = $1
            },
            names(
                "peer-cert-allowed-hostname", "HOSTS", "Let in only members with a certificate for one of these hosts"
            ) { $0.peerSecurity.allowedHostnames = $1 },
            file("peer-crl-file", "Revocation list of members' certificates, PEM or DER") {
                $0.peerSecurity.revocationListFile = $1
            },
        ] + versionFlags

    private static let versionFlags: [Flag] = [
        Flag(
            "tls-min-version", .text("VERSION"), standard: "TLS1.2", .since("3.5"), help: "TLS1.2 or TLS1.3"
        ) { $0.configuration.tlsMinimumVersion = $1.text.isEmpty ? "TLS1.2" : $1.text },
        Flag("tls-max-version", .text("VERSION"), .since("3.5"), help: "TLS1.2 or TLS1.3; nothing: the newest") {
            $0.configuration.tlsMaximumVersion = $1.text.isEmpty ? nil : $1.text
        },
        names(
            "cipher-suites", "NAMES",
            "Cipher suites of TLS 1.2 by IANA's names; nothing: those with forward secrecy. Those of TLS 1.3 are always on, "
                + "and alone leave no TLS 1.2"
        ) { $0.cipherSuites = $1 },
    ]

    /// Rows for the section of what has no effect.
    static let ignoredSecurityFlags: [Flag] = [
        ignored(
            "client-cert-file", .text("FILE"), nil, silentFor: [""], why: "no member is its own client"),
        ignored(
            "client-key-file", .text("FILE"), nil, silentFor: [""], why: "no member is its own client"),
        ignored(
            "peer-client-cert-file", .text("FILE"), nil, .since("3.5"), silentFor: [""],
            why: "members show --peer-cert-file when they dial, too"),
        ignored(
            "peer-client-key-file", .text("FILE"), nil, .since("3.5"), silentFor: [""],
            why: "members show --peer-cert-file when they dial, too"),
        ignored(
            "peer-skip-client-san-verification", .toggle, "false", .since("3.6"), silentFor: falsehoods,
            why: "a member's address is never compared with those in its certificate"),
        ignored(
            "self-signed-cert-validity", .number("YEARS", 0...Int64.max), "1", silentFor: ["1"],
            why: "certificates are made by 'registryctl certs --days'"),
    ]

    /// Rows for the section of what is refused. etcd's own certificates are checked by nobody: they keep no one out who
    /// can reach the port.
    static let refusedSecurityFlags: [Flag] = ["auto-tls", "peer-auto-tls"].map { name in
        refused(
            name, .toggle, "false", except: falsehoods,
            why: "such certificates protect against nobody who answers in the member's place: run 'registryctl certs "
                + "DIR' and name its files")
    }

    private static func file(
        _ name: String, _ help: String, _ set: @escaping @Sendable (inout MemberConfiguration, String?) -> Void
    ) -> Flag {
        Flag(name, .text("FILE"), help: help) { set(&$0.configuration, $1.text.isEmpty ? nil : $1.text) }
    }

    private static func names(
        _ name: String, _ word: String, _ help: String,
        _ set: @escaping @Sendable (inout MemberConfiguration, [String]) -> Void
    ) -> Flag {
        Flag(name, .list(word), help: help) { set(&$0.configuration, $1.list) }
    }
}
