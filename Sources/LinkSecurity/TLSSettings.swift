/// A file and the setting that named it, so that every complaint can name both.
package struct TLSFile: Hashable, Sendable {
    package var path: String
    /// As the user wrote it: `--cert-file`, `cert` of a configuration file.
    package var setting: String

    package init(_ path: String, setting: String) {
        self.path = path
        self.setting = setting
    }
}

/// The versions of TLS that may be chosen, named as etcd's flags name them.
package enum TLSVersion: String, Sendable, CaseIterable {
    case tls12 = "TLS1.2"
    case tls13 = "TLS1.3"
}

/// What one side of a TLS connection shows and demands. All files are PEM.
package struct TLSSettings: Hashable, Sendable {
    /// The own certificate, followed by those that lead to its CA. A server needs one.
    package var certificate: TLSFile?
    package var key: TLSFile?
    /// A server that has one demands certificates of its clients, signed by one of these CAs. A client without one
    /// trusts the CAs of its host.
    package var trustedCA: TLSFile?
    /// A certificate whose serial number is listed is refused. Only a server looks.
    package var revocations: TLSFile?
    /// A server refuses client certificates with another CommonName; empty allows all.
    package var allowedCommonNames: [String] = []
    /// A server refuses client certificates that are for none of these hosts; empty allows all.
    package var allowedHostnames: [String] = []
    package var minimumVersion = TLSVersion.tls12
    package var maximumVersion: TLSVersion?
    /// Names of the IANA registry; empty takes the safe ones. Without any for TLS 1.2 there is no TLS 1.2. See
    /// `CipherSuites`.
    package var cipherSuites: [String] = []
    /// A client takes any certificate.
    package var skipsVerification = false
    /// The name that a client expects in the certificate instead of the host that it dials.
    package var serverName: String?
    /// Offered and accepted by ALPN, the dearest first.
    package var applicationProtocols: [String] = []

    package init() {}

    /// The files that are read, in the order of the declarations above.
    var files: [TLSFile] { [certificate, key, trustedCA, revocations].compactMap { $0 } }
}

/// Why TLS cannot be set up; the text names the setting, the file and what was wrong.
package struct TLSSetupError: Error, Hashable, CustomStringConvertible, Sendable {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}
