import FoundationEssentials
import Primitives
import SwiftProtobuf

/// What a signed token says, its signature being right.
package struct TokenClaims: Hashable, Sendable {
    package var user: String
    /// Of the users and roles at the token's issue.
    package var authRevision: UInt64
    /// Seconds since 1970; nil: since ever.
    var notBefore: Double?
    /// Seconds since 1970, exclusive; nil: for ever.
    var expiry: Double?

    package func isValid(at now: Double) -> Bool {
        now >= notBefore ?? -.infinity && now < expiry ?? .infinity
    }
}

/// Issues and verifies tokens that say by themselves whose they are: JSON Web Tokens (RFC 7519) in compact form, with
/// the claims of etcd (`username`, `revision`, `exp`), so that no member has to remember them. Every member that
/// has the key takes them.
package struct TokenSigner: Sendable {
    private let method: SigningMethod
    private let key: TokenKey
    private let lifetimeSeconds: Int64
    private let clock: @Sendable () -> Double

    /// - Parameters:
    ///   - publicKey: ignored by methods with one secret.
    ///   - privateKey: nil: tokens are verified and none are issued.
    ///   - clock: seconds since 1970.
    /// - Throws: `TokenKeyError`.
    package init(
        _ method: SigningMethod, publicKey: KeyFile?, privateKey: KeyFile?, lifetimeSeconds: Int64,
        clock: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }
    ) throws(TokenKeyError) {
        self.method = method
        self.lifetimeSeconds = lifetimeSeconds
        self.clock = clock
        key = try TokenKey(method, publicKey: publicKey, privateKey: privateKey)
    }

    package var canSign: Bool { key.sign != nil }

    package var now: Double { clock() }

    /// A token that is valid from now on.
    ///
    /// - Precondition: `canSign`.
    package func issue(user: String, authRevision: UInt64) throws -> String {
        guard let sign = key.sign else { preconditionFailure("a token without a key to sign it with") }
        let name = try Google_Protobuf_StringValue(user).jsonString()
        let expiry = Int64(clock()) + lifetimeSeconds
        let header = #"{"alg":"\#(method.rawValue)","typ":"JWT"}"#
        let claims = #"{"exp":\#(expiry),"revision":\#(authRevision),"username":\#(name)}"#
        var token = Base64.encode(header.utf8, .url) + [UInt8(ascii: ".")] + Base64.encode(claims.utf8, .url)
        let signature = try sign(token)
        token.append(UInt8(ascii: "."))
        token += Base64.encode(signature, .url)
        return String(decoding: token, as: UTF8.self)
    }

    /// What a token says, at whatever time it is valid; nil for one that is malformed, of another method, signed with
    /// another key, or without what etcd puts into it.
    package func claims(of token: String) -> TokenClaims? {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, isOurs(header: parts[0]),
            let signature = Base64.decode(parts[2], .url, padding: .forbidden),
            key.isValid(signature, Array(token.utf8[..<parts[1].endIndex]))
        else { return nil }
        return TokenSigner.object(parts[1]).flatMap(TokenClaims.init)
    }

    /// The method is the member's, whatever the token says: a key is never used for another one. Fields that must be
    /// understood (RFC 7515 §4.1.11) are not.
    private func isOurs(header: Substring.UTF8View) -> Bool {
        guard let header = TokenSigner.object(header) else { return false }
        return header["alg"]?.kind == .stringValue(method.rawValue) && header["crit"] == nil
    }

    private static func object(_ part: Substring.UTF8View) -> [String: Google_Protobuf_Value]? {
        guard let json = Base64.decode(part, .url, padding: .forbidden) else { return nil }
        return try? Google_Protobuf_Struct(jsonUTF8Bytes: json).fields
    }
}

extension TokenClaims {
    fileprivate init?(_ object: [String: Google_Protobuf_Value]) {
        guard case .stringValue(let user)? = object["username"]?.kind,
            case .numberValue(let revision)? = object["revision"]?.kind, revision >= 0, revision < 0x1p63,
            let notBefore = TokenClaims.time(object["nbf"]), let expiry = TokenClaims.time(object["exp"])
        else { return nil }
        self.init(user: user, authRevision: UInt64(revision), notBefore: notBefore, expiry: expiry)
    }

    /// nil for what is no time; nil inside for none.
    private static func time(_ value: Google_Protobuf_Value?) -> Double?? {
        guard let value else { return .some(nil) }
        guard case .numberValue(let seconds)? = value.kind, seconds.isFinite else { return nil }
        return seconds
    }
}
