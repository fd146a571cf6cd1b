/// How tokens are signed, by the names of RFC 7518 §3.1 and RFC 8037 §3.1, which are those of etcd's `sign-method`.
package enum SigningMethod: String, CaseIterable, Sendable {
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"
    case hs256 = "HS256"
    case hs384 = "HS384"
    case hs512 = "HS512"
    case edDSA = "EdDSA"

    /// Whether one secret both signs and verifies.
    package var isSymmetric: Bool { self == .hs256 || self == .hs384 || self == .hs512 }
}

/// A file with key material.
package struct KeyFile: Hashable, Sendable {
    /// For errors.
    package var path: String
    package var bytes: [UInt8]

    package init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
    }
}

/// Why keys cannot be used; the text names the option and the file.
package struct TokenKeyError: Error, Hashable, CustomStringConvertible {
    package var description: String
}
