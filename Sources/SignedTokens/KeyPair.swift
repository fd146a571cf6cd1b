import FoundationEssentials
import Primitives
import SwiftASN1

/// The files of a method's keys, on their way to be keys. Forms are those that Go reads: PKCS #8, PKCS #1 and SEC 1 for
/// private keys; SubjectPublicKeyInfo or a certificate for public ones; all in PEM.
struct KeyPair {
    private static let privateLabels = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]
    private static let publicLabels = ["PUBLIC KEY", "CERTIFICATE"]

    let method: SigningMethod
    let publicKey: KeyFile?
    let privateKey: KeyFile?

    /// The bytes of the private key's file as they are, an end of line included, as etcd takes them.
    func secret() throws(TokenKeyError) -> [UInt8] {
        guard let privateKey, !privateKey.bytes.isEmpty else { throw missing("priv-key") }
        return privateKey.bytes
    }

    /// - Returns: the key to verify with, and the one to sign with where it was given.
    func read<Private: PrivateTokenKey>(_: Private.Type) throws(TokenKeyError) -> (Private.Public, Private?) {
        guard let privateKey else {
            guard let publicKey else { throw missing("pub-key or priv-key") }
            return (try verifier(publicKey), nil)
        }
        let signer = try key(privateKey, "priv-key", KeyPair.privateLabels) {
            try Private(derRepresentation: $0.bytes)
        }
        guard let publicKey else { return (signer.publicKey, signer) }
        let verifier: Private.Public = try verifier(publicKey)
        guard verifier.derRepresentation == signer.publicKey.derRepresentation else {
            throw TokenKeyError(
                description: "pub-key \(publicKey.path) does not belong to priv-key \(privateKey.path)")
        }
        return (verifier, signer)
    }

    private func verifier<Public: PublicTokenKey>(_ file: KeyFile) throws(TokenKeyError) -> Public {
        try key(file, "pub-key", KeyPair.publicLabels) {
            try Public(derRepresentation: try KeyPair.subjectPublicKeyInfo($0))
        }
    }

    private func missing(_ option: String) -> TokenKeyError {
        TokenKeyError(description: "sign-method=\(method.rawValue) needs \(option)")
    }

    private func key<Key>(
        _ file: KeyFile, _ option: String, _ labels: [String], _ read: (PEMBlock) throws -> Key
    ) throws(TokenKeyError) -> Key {
        let block: PEMBlock?
        do throws(PEMBlock.Malformed) {
            block = try PEMBlock.read(file.bytes, labels: labels).first
        } catch {
            throw TokenKeyError(description: "\(option) \(file.path): \(error.text)")
        }
        guard let block else {
            throw TokenKeyError(
                description: "\(option) \(file.path): no block \(labels.joined(separator: " or ")) in PEM")
        }
        do {
            return try read(block)
        } catch {
            throw TokenKeyError(
                description: "\(option) \(file.path): not a key for sign-method=\(method.rawValue)\(method.keyNeeded)")
        }
    }

    /// `Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { version [0] OPTIONAL, serialNumber, signature, issuer,
    /// validity, subject, subjectPublicKeyInfo, ... }, ... }` (RFC 5280 §4.1). The certificate vouches for nothing here.
    private static func subjectPublicKeyInfo(_ block: PEMBlock) throws -> [UInt8] {
        guard block.label == "CERTIFICATE" else { return block.bytes }
        return try DER.sequence(try DER.parse(block.bytes), identifier: .sequence) { parts in
            guard let contents = parts.next() else { throw noKey }
            while parts.next() != nil {}
            return try DER.sequence(contents, identifier: .sequence) { fields in
                try DER.optionalExplicitlyTagged(&fields, tagNumber: 0, tagClass: .contextSpecific) { _ in }
                for _ in 0..<5 { _ = fields.next() }
                guard let info = fields.next() else { throw noKey }
                while fields.next() != nil {}
                return [UInt8](info.encodedBytes)
            }
        }
    }

    private static var noKey: ASN1Error { .invalidASN1Object(reason: "a certificate without a key") }
}

extension SigningMethod {
    /// In brackets.
    fileprivate var keyNeeded: String {
        switch self {
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: " (RSA, 2048 bits or more)"
        case .es256: " (on the curve P-256)"
        case .es384: " (on the curve P-384)"
        case .es512: " (on the curve P-521)"
        case .edDSA: " (Ed25519)"
        case .hs256, .hs384, .hs512: ""
        }
    }
}
