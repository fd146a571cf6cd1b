import Crypto
import CryptoExtras
import FoundationEssentials

/// What a method and its keys can do to the bytes that are signed. Signatures have the form of RFC 7518 §3.
struct TokenKey: Sendable {
    typealias Sign = @Sendable (_ message: [UInt8]) throws -> [UInt8]
    typealias Verify = @Sendable (_ signature: [UInt8], _ message: [UInt8]) -> Bool

    /// nil: there is only a public key.
    let sign: Sign?
    let isValid: Verify

    /// - Throws: `TokenKeyError` for keys that are missing, unreadable, of another kind than the method's, too short, or
    ///   that do not belong together.
    init(_ method: SigningMethod, publicKey: KeyFile?, privateKey: KeyFile?) throws(TokenKeyError) {
        let pair = KeyPair(method: method, publicKey: publicKey, privateKey: privateKey)
        switch method {
        case .rs256: self = try .rsa(pair, SHA256.self, .insecurePKCS1v1_5)
        case .rs384: self = try .rsa(pair, SHA384.self, .insecurePKCS1v1_5)
        case .rs512: self = try .rsa(pair, SHA512.self, .insecurePKCS1v1_5)
        case .ps256: self = try .rsa(pair, SHA256.self, .PSS)
        case .ps384: self = try .rsa(pair, SHA384.self, .PSS)
        case .ps512: self = try .rsa(pair, SHA512.self, .PSS)
        case .es256: self = try .curve(pair, P256.Signing.PrivateKey.self)
        case .es384: self = try .curve(pair, P384.Signing.PrivateKey.self)
        case .es512: self = try .curve(pair, P521.Signing.PrivateKey.self)
        case .edDSA: self = try .curve(pair, Curve25519.Signing.PrivateKey.self)
        case .hs256: self = .hmac(try pair.secret(), SHA256.self)
        case .hs384: self = .hmac(try pair.secret(), SHA384.self)
        case .hs512: self = .hmac(try pair.secret(), SHA512.self)
        }
    }

    private init(sign: Sign?, isValid: @escaping Verify) {
        self.sign = sign
        self.isValid = isValid
    }

    private static func rsa<Hash: HashFunction & SendableMetatype>(
        _ pair: KeyPair, _: Hash.Type, _ padding: _RSA.Signing.Padding
    ) throws(TokenKeyError) -> TokenKey {
        let (publicKey, privateKey) = try pair.read(_RSA.Signing.PrivateKey.self)
        let verify: Verify = { signature, message in
            publicKey.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: signature), for: Hash.hash(data: message),
                padding: padding)
        }
        guard let privateKey else { return TokenKey(sign: nil, isValid: verify) }
        return TokenKey(
            sign: { message in
                let digest = Hash.hash(data: message)
                return [UInt8](try privateKey.signature(for: digest, padding: padding).rawRepresentation)
            }, isValid: verify)
    }

    private static func curve<Private: CurveKey>(
        _ pair: KeyPair, _: Private.Type
    ) throws(TokenKeyError) -> TokenKey where Private.Public: CurvePublicKey {
        let (publicKey, privateKey) = try pair.read(Private.self)
        let verify: Verify = { publicKey.accepts($0, for: $1) }
        guard let privateKey else { return TokenKey(sign: nil, isValid: verify) }
        return TokenKey(sign: { try privateKey.sign($0) }, isValid: verify)
    }

    private static func hmac<Hash: HashFunction & SendableMetatype>(_ secret: [UInt8], _: Hash.Type) -> TokenKey {
        let key = SymmetricKey(data: secret)
        return TokenKey(
            sign: { [UInt8](HMAC<Hash>.authenticationCode(for: $0, using: key)) },
            isValid: { HMAC<Hash>.isValidAuthenticationCode($0, authenticating: $1, using: key) })
    }
}

/// The public half of a pair.
protocol PublicTokenKey: Sendable {
    /// From a SubjectPublicKeyInfo.
    init(derRepresentation: [UInt8]) throws
    var derRepresentation: Data { get }
}

/// The private half of a pair.
protocol PrivateTokenKey: Sendable {
    associatedtype Public: PublicTokenKey
    /// From PKCS #8, and from the older form of its kind.
    init(derRepresentation: [UInt8]) throws
    var publicKey: Public { get }
}

/// Keys whose hash function comes with the curve.
private protocol CurvePublicKey: PublicTokenKey {
    func accepts(_ signature: [UInt8], for message: [UInt8]) -> Bool
}

private protocol CurveKey: PrivateTokenKey, SendableMetatype {
    func sign(_ message: [UInt8]) throws -> [UInt8]
}

extension _RSA.Signing.PublicKey: PublicTokenKey {}
extension _RSA.Signing.PrivateKey: PrivateTokenKey {}

extension P256.Signing.PublicKey: CurvePublicKey {
    fileprivate func accepts(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
        return isValidSignature(signature, for: message)
    }
}

extension P256.Signing.PrivateKey: CurveKey {
    fileprivate func sign(_ message: [UInt8]) throws -> [UInt8] {
        [UInt8](try signature(for: message).rawRepresentation)
    }
}

extension P384.Signing.PublicKey: CurvePublicKey {
    fileprivate func accepts(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
        return isValidSignature(signature, for: message)
    }
}

extension P384.Signing.PrivateKey: CurveKey {
    fileprivate func sign(_ message: [UInt8]) throws -> [UInt8] {
        [UInt8](try signature(for: message).rawRepresentation)
    }
}

extension P521.Signing.PublicKey: CurvePublicKey {
    fileprivate func accepts(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        guard let signature = try? P521.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
        return isValidSignature(signature, for: message)
    }
}

extension P521.Signing.PrivateKey: CurveKey {
    fileprivate func sign(_ message: [UInt8]) throws -> [UInt8] {
        [UInt8](try signature(for: message).rawRepresentation)
    }
}

extension Curve25519.Signing.PublicKey: CurvePublicKey {
    fileprivate func accepts(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        isValidSignature(signature, for: message)
    }
}

extension Curve25519.Signing.PrivateKey: CurveKey {
    fileprivate func sign(_ message: [UInt8]) throws -> [UInt8] {
        [UInt8](try signature(for: message))
    }
}
