import LinkSecurity

extension Registry.Configuration {
    /// How members are told from others, and this client from other clients. All files are PEM; they are read on
    /// connecting, and again when they have changed.
    public struct TLS: Hashable, Sendable {
        /// The CAs that may have signed a member's certificate; nil trusts those of this host.
        public var trustedCAFile: String?
        /// This client's own certificate, followed by those that lead to its CA; needs `keyFile`.
        public var certificateFile: String?
        /// The private key of that certificate, without a passphrase.
        public var keyFile: String?
        /// The name that a member's certificate must be for; nil is the host of its endpoint.
        public var serverName: String?
        /// Takes any certificate: the connection is encrypted, with whomever.
        public var skipsVerification = false
        /// What messages call the three files: whatever the user wrote.
        package var labels = (trustedCA: "trustedCAFile", certificate: "certificateFile", key: "keyFile")

        /// TLS with the CAs of this host and without a certificate of our own.
        public init() {}

        /// Reads the files, and lets go of them: what would fail at every connection can be said at once.
        ///
        /// - Throws: `.invalidArgument` naming the setting, the file and what was wrong.
        public func check() throws(RegistryError) {
            do throws(TLSSetupError) {
                try TLSCredentials.client(try settings()).load()
            } catch {
                throw RegistryError(.invalidArgument, error.description, statusCode: 3)
            }
        }

        func settings() throws(TLSSetupError) -> TLSSettings {
            guard (certificateFile == nil) == (keyFile == nil) else {
                throw TLSSetupError(
                    "\(labels.key) and \(labels.certificate) must both be present "
                        + "[key: \(keyFile ?? ""), cert: \(certificateFile ?? "")]")
            }
            var settings = TLSSettings()
            settings.trustedCA = trustedCAFile.map { TLSFile($0, setting: labels.trustedCA) }
            settings.certificate = certificateFile.map { TLSFile($0, setting: labels.certificate) }
            settings.key = keyFile.map { TLSFile($0, setting: labels.key) }
            settings.serverName = serverName
            settings.skipsVerification = skipsVerification
            return settings
        }

        /// The labels do not tell two settings apart.
        public static func == (left: TLS, right: TLS) -> Bool {
            left.trustedCAFile == right.trustedCAFile && left.certificateFile == right.certificateFile
                && left.keyFile == right.keyFile && left.serverName == right.serverName
                && left.skipsVerification == right.skipsVerification
        }

        /// As compared.
        public func hash(into hasher: inout Hasher) {
            for text in [trustedCAFile, certificateFile, keyFile, serverName] { hasher.combine(text) }
            hasher.combine(skipsVerification)
        }
    }
}
