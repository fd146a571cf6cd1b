/// Verifies the tokens of one thread's requests: a signature that was found right is not computed again.
package struct TokenVerifier {
    /// Whoever brings more than this many within a token's life pays for the signature again.
    private static let knownMax = 512

    private let signer: TokenSigner
    private var known: [String: TokenClaims] = [:]

    package init(_ signer: TokenSigner) {
        self.signer = signer
    }

    /// What a token says that is valid now; nil for every other.
    package mutating func claims(of token: String) -> TokenClaims? {
        let now = signer.now
        if let claims = known[token] {
            if claims.isValid(at: now) { return claims }
            known[token] = nil
            return nil
        }
        guard let claims = signer.claims(of: token), claims.isValid(at: now) else { return nil }
        if known.count >= TokenVerifier.knownMax { known.removeAll(keepingCapacity: true) }
        known[token] = claims
        return claims
    }
}
