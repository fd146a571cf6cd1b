import Crypto
import FoundationEssentials
import Glibc
import SwiftASN1
import X509

/// What a certificate shall say.
struct CertificateRequest {
    enum Usage {
        case server
        case client
        case both
    }

    /// Without ending.
    var file: String
    var commonName: String
    /// Names and addresses it is for.
    var hosts: [String]
    var usage: Usage
}

/// A certificate and its private key, both PEM.
struct CertificatePair {
    var certificate: String
    var key: String
}

/// Signs certificates: P-256 throughout, valid at once and five minutes back for clocks that differ.
struct CertificateAuthority {
    let pair: CertificatePair
    private let certificate: Certificate
    private let key: Certificate.PrivateKey

    static func make(days: Int) throws -> CertificateAuthority {
        let key = P256.Signing.PrivateKey()
        let signing = Certificate.PrivateKey(key)
        let name = try DistinguishedName {
            OrganizationName("Ganglion")
            CommonName("registryctl certs")
        }
        let extensions = try Certificate.Extensions {
            Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
            Critical(KeyUsage(keyCertSign: true, cRLSign: true))
            SubjectKeyIdentifier(hash: signing.publicKey)
        }
        let (from, until) = validity(days)
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: signing.publicKey, notValidBefore: from,
            notValidAfter: until, issuer: name, subject: name, extensions: extensions, issuerPrivateKey: signing)
        let pair = CertificatePair(certificate: try pem(certificate), key: key.pemRepresentation + "\n")
        return CertificateAuthority(pair: pair, certificate: certificate, key: signing)
    }

    /// The CA that `ca.pem` and `ca.key` of a directory hold.
    ///
    /// - Throws: `.failed` naming the file that cannot be used.
    static func read(from files: CertificateFiles) throws -> CertificateAuthority {
        let pair = CertificatePair(certificate: try files.read("ca.pem"), key: try files.read("ca.key"))
        guard let certificate = try? Certificate(pemEncoded: pair.certificate) else {
            throw CtlError.failed("\(files.directory)/ca.pem holds no certificate in PEM form")
        }
        guard let key = try? Certificate.PrivateKey(pemEncoded: pair.key) else {
            throw CtlError.failed("\(files.directory)/ca.key holds no private key in PEM form")
        }
        guard key.publicKey == certificate.publicKey else {
            throw CtlError.failed("\(files.directory)/ca.key is not the key of ca.pem beside it")
        }
        return CertificateAuthority(pair: pair, certificate: certificate, key: key)
    }

    func issue(_ request: CertificateRequest, days: Int) throws -> CertificatePair {
        let key = P256.Signing.PrivateKey()
        let publicKey = Certificate.PrivateKey(key).publicKey
        let usages: [ExtendedKeyUsage.Usage] =
            switch request.usage {
            case .server: [.serverAuth]
            case .client: [.clientAuth]
            case .both: [.serverAuth, .clientAuth]
            }
        let names = request.hosts.map(Self.generalName)
        let usage = try ExtendedKeyUsage(usages)
        let signer =
            try certificate.extensions.subjectKeyIdentifier ?? SubjectKeyIdentifier(hash: certificate.publicKey)
        let extensions = try Certificate.Extensions {
            Critical(BasicConstraints.notCertificateAuthority)
            Critical(KeyUsage(digitalSignature: true))
            usage
            SubjectKeyIdentifier(hash: publicKey)
            AuthorityKeyIdentifier(keyIdentifier: signer.keyIdentifier)
            if !names.isEmpty { SubjectAlternativeNames(names) }
        }
        let subject = try DistinguishedName { CommonName(request.commonName) }
        // Nobody's certificate outlives its CA's.
        let (from, wanted) = Self.validity(days)
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey, notValidBefore: from,
            notValidAfter: min(wanted, self.certificate.notValidAfter), issuer: self.certificate.subject,
            subject: subject, extensions: extensions, issuerPrivateKey: self.key)
        return CertificatePair(certificate: try Self.pem(certificate), key: key.pemRepresentation + "\n")
    }

    private static func validity(_ days: Int) -> (from: Date, until: Date) {
        let now = Date()
        return (now.addingTimeInterval(-300), now.addingTimeInterval(Double(days) * 86_400))
    }

    private static func pem(_ certificate: Certificate) throws -> String {
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return PEMDocument(type: "CERTIFICATE", derBytes: serializer.serializedBytes).pemString + "\n"
    }

    private static func generalName(_ host: String) -> GeneralName {
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: four) { Array($0)[...] }))
        }
        var six = in6_addr()
        if inet_pton(AF_INET6, host, &six) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: six) { Array($0)[...] }))
        }
        return .dnsName(host)
    }
}
