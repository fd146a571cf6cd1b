import NIOCore
import NIOSSL

/// What new connections use: the files as they were read at one moment.
struct TLSMaterial: Sendable {
    enum Role: Sendable {
        case server
        case client
    }

    let context: NIOSSLContext
    let rules: AdmissionRules

    /// Reads all files. Blocks: for a start, or on a thread that may wait.
    ///
    /// - Throws: `TLSSetupError` naming the setting, the file and what was wrong.
    init(_ settings: TLSSettings, _ role: Role) throws(TLSSetupError) {
        let chain = try TLSMaterial.chain(settings)
        let key = try TLSMaterial.privateKey(settings)
        var configuration =
            switch role {
            case .server: try TLSMaterial.server(settings, chain, key)
            case .client: try TLSMaterial.client(settings, chain, key)
            }
        let isTLS13Only = settings.minimumVersion == .tls13 || CipherSuites.excludeTLS12(settings.cipherSuites)
        configuration.minimumTLSVersion = isTLS13Only ? .tlsv13 : .tlsv12
        configuration.maximumTLSVersion = settings.maximumVersion.map { $0 == .tls13 ? .tlsv13 : .tlsv12 }
        configuration.cipherSuites = CipherSuites.chosen(settings.cipherSuites)
        configuration.applicationProtocols = settings.applicationProtocols
        configuration.shutdownTimeout = .seconds(1)
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch NIOSSLError.failedToLoadPrivateKey {
            // Both files were read: they do not belong together.
            guard let key = settings.key, let certificate = settings.certificate else {
                throw TLSSetupError("TLS: the private key cannot be used")
            }
            throw key.complaint("is not the key of the certificate in \(certificate.setting) \(certificate.path)")
        } catch {
            throw TLSSetupError("TLS cannot be set up: \(TLSFailure.text(error))")
        }
        rules = AdmissionRules(
            commonNames: settings.allowedCommonNames, hostnames: settings.allowedHostnames,
            revoked: try TLSMaterial.revocations(settings))
    }

    private static func server(
        _ settings: TLSSettings, _ chain: [NIOSSLCertificate], _ key: NIOSSLPrivateKey?
    ) throws(TLSSetupError) -> TLSConfiguration {
        guard let key, !chain.isEmpty else { throw TLSSetupError("TLS: a server needs a certificate and its key") }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        if let file = settings.trustedCA {
            configuration.trustRoots = .certificates(try certificates(file))
            configuration.certificateVerification = .noHostnameVerification
            configuration.sendCANameList = true
        }
        return configuration
    }

    private static func client(
        _ settings: TLSSettings, _ chain: [NIOSSLCertificate], _ key: NIOSSLPrivateKey?
    ) throws(TLSSetupError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = key.map { .privateKey($0) }
        if settings.skipsVerification {
            configuration.certificateVerification = .none
            return configuration
        }
        // Whose certificate it is, is HostCheck's business: no channel of a client may be without one or the other.
        configuration.certificateVerification = .noHostnameVerification
        if let file = settings.trustedCA { configuration.trustRoots = .certificates(try certificates(file)) }
        return configuration
    }

    static func chain(_ settings: TLSSettings) throws(TLSSetupError) -> [NIOSSLCertificate] {
        guard let file = settings.certificate else { return [] }
        return try certificates(file)
    }

    private static func certificates(_ file: TLSFile) throws(TLSSetupError) -> [NIOSSLCertificate] {
        let bytes = try file.read()
        do {
            return try NIOSSLCertificate.fromPEMBytes(bytes)
        } catch {
            throw file.complaint("holds no certificate in PEM form")
        }
    }

    private static func privateKey(_ settings: TLSSettings) throws(TLSSetupError) -> NIOSSLPrivateKey? {
        guard let file = settings.key else { return nil }
        let bytes = try file.read()
        do {
            return try NIOSSLPrivateKey(bytes: bytes, format: .pem)
        } catch {
            throw file.complaint("holds no private key in PEM form without a passphrase")
        }
    }

    private static func revocations(_ settings: TLSSettings) throws(TLSSetupError) -> RevocationList? {
        guard let file = settings.revocations else { return nil }
        let bytes = try file.read()
        do {
            return try RevocationList(bytes)
        } catch {
            throw file.complaint("is no certificate revocation list: \(error.text)")
        }
    }
}
