import Primitives
import Synchronization
import Testing

@testable import SignedTokens

@Suite struct TokenSignerTests {
    private static let claims = TokenClaims(user: "al", authRevision: 7, notBefore: nil, expiry: 4_102_444_800)
    private static let noon = 1_800_000_000.0

    private static func keys(_ method: SigningMethod) -> (public: String?, private: String) {
        switch method {
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: (Vectors.rsaPublic, Vectors.rsa)
        case .es256: (Vectors.p256Public, Vectors.p256)
        case .es384: (Vectors.p384Public, Vectors.p384)
        case .es512: (Vectors.p521Public, Vectors.p521)
        case .edDSA: (Vectors.ed25519Public, Vectors.ed25519)
        case .hs256, .hs384, .hs512: (nil, String(decoding: Vectors.secret, as: UTF8.self))
        }
    }

    private static func signer(
        _ method: SigningMethod, public publicKey: String? = nil, private privateKey: String?,
        now: @escaping @Sendable () -> Double = { noon }
    ) throws(TokenKeyError) -> TokenSigner {
        try TokenSigner(
            method, publicKey: publicKey.map { KeyFile(path: "a.pub", bytes: Array($0.utf8)) },
            privateKey: privateKey.map { KeyFile(path: "a.key", bytes: Array($0.utf8)) }, lifetimeSeconds: 60,
            clock: now)
    }

    private func token(_ header: String, _ claims: String, _ signer: TokenSigner) throws -> String {
        // The signature is of the member's method whatever the header says.
        let message = Base64.encode(header.utf8, .url) + [UInt8(ascii: ".")] + Base64.encode(claims.utf8, .url)
        let key = try TokenKey(
            .hs256, publicKey: nil, privateKey: KeyFile(path: "", bytes: Vectors.secret))
        let sign = try #require(key.sign)
        let signature = try sign(message)
        return String(decoding: message + [UInt8(ascii: ".")] + Base64.encode(signature, .url), as: UTF8.self)
    }

    @Test("Tokens that another program signed are taken with the public key alone, by every method")
    func foreignTokens() throws {
        for method in SigningMethod.allCases {
            let keys = Self.keys(method)
            let signer = try Self.signer(method, public: keys.public, private: method.isSymmetric ? keys.private : nil)
            let token = try #require(Vectors.tokens[method.rawValue])
            #expect(signer.canSign == method.isSymmetric)
            #expect(signer.claims(of: token) == Self.claims, "\(method)")
            for other in SigningMethod.allCases where other != method {
                #expect(signer.claims(of: try #require(Vectors.tokens[other.rawValue])) == nil, "\(method) \(other)")
            }
        }
    }

    @Test("What is issued is taken by whoever has the public key, until it expires", arguments: SigningMethod.allCases)
    func roundTrip(method: SigningMethod) throws {
        let keys = Self.keys(method)
        let issuer = try Self.signer(method, private: keys.private)
        let token = try issuer.issue(user: "ann \"\\ é\n", authRevision: 41)
        let verifier = try Self.signer(method, public: keys.public, private: method.isSymmetric ? keys.private : nil)
        let claims = try #require(verifier.claims(of: token))
        #expect(claims.user == "ann \"\\ é\n")
        #expect(claims.authRevision == 41)
        #expect(claims.isValid(at: Self.noon))
        #expect(claims.isValid(at: Self.noon + 59.9))
        #expect(!claims.isValid(at: Self.noon + 60))
    }

    @Test("A token changed in any place is nobody's", arguments: SigningMethod.allCases)
    func changedTokens(method: SigningMethod) throws {
        let signer = try Self.signer(method, private: Self.keys(method).private)
        let token = Array(try #require(Vectors.tokens[method.rawValue]).utf8)
        // The last character may hold bits that say nothing.
        for place in stride(from: 0, to: token.count - 1, by: 3) {
            var changed = token
            changed[place] = changed[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(signer.claims(of: String(decoding: changed, as: UTF8.self)) == nil, "\(method) at \(place)")
        }
    }

    @Test("The header and the claims are written as etcd writes them")
    func form() throws {
        let signer = try Self.signer(.hs256, private: Self.keys(.hs256).private)
        let parts = try signer.issue(user: "root", authRevision: 8).split(separator: ".")
        let texts = try parts.prefix(2).map {
            String(decoding: try #require(Base64.decode($0.utf8, .url)), as: UTF8.self)
        }
        #expect(texts == [#"{"alg":"HS256","typ":"JWT"}"#, #"{"exp":1800000060,"revision":8,"username":"root"}"#])
    }

    @Test(
        "Claims that etcd would not take, or only by mistake, are refused",
        arguments: [
            #"{"revision":7}"#, #"{"username":"al"}"#, #"{"username":7,"revision":7}"#,
            #"{"username":"al","revision":"7"}"#, #"{"username":"al","revision":-1}"#,
            #"{"username":"al","revision":1e30}"#, #"{"username":"al","revision":7,"exp":"4102444800"}"#,
            #"{"username":"al","revision":7,"nbf":true}"#, #"["al",7]"#, "", "{", #"{"username":"al","revision":7}}"#,
        ])
    func badClaims(claims: String) throws {
        let signer = try Self.signer(.hs256, private: Self.keys(.hs256).private)
        #expect(signer.claims(of: try token(#"{"alg":"HS256"}"#, claims, signer)) == nil)
    }

    @Test("Times are optional and may have fractions")
    func times() throws {
        let signer = try Self.signer(.hs256, private: Self.keys(.hs256).private)
        func claims(_ times: String) throws -> TokenClaims {
            let text = #"{"username":"al","revision":7.5\#(times),"extra":{"a":[null]}}"#
            return try #require(signer.claims(of: try token(#"{"alg":"HS256"}"#, text, signer)))
        }
        #expect(try claims("").isValid(at: 1e12))
        #expect(try claims("").authRevision == 7)
        #expect(try claims(#","exp":100.5"#).isValid(at: 100.4))
        #expect(try !claims(#","exp":100.5"#).isValid(at: 100.5))
        #expect(try !claims(#","nbf":50"#).isValid(at: 49.9))
        #expect(try claims(#","nbf":50"#).isValid(at: 50))
        #expect(try !claims(#","exp":0"#).isValid(at: Self.noon))
    }

    @Test(
        "A header with another method, or with what must be understood, is refused",
        arguments: [
            #"{"alg":"none"}"#, #"{"alg":"HS384"}"#, #"{"typ":"JWT"}"#, #"{"alg":"HS256","crit":["exp"]}"#, "[]",
        ])
    func badHeaders(header: String) throws {
        let signer = try Self.signer(.hs256, private: Self.keys(.hs256).private)
        let claims = #"{"username":"al","revision":7}"#
        #expect(signer.claims(of: try token(header, claims, signer)) == nil)
        #expect(signer.claims(of: try token(#"{"alg":"HS256"}"#, claims, signer)) != nil)
    }

    @Test(
        "What is no token at all is refused",
        arguments: ["", ".", "..", "...", "a.b.c", "garbage", "x.99999", "é.é.é", "e30.e30.", "e30.e30"])
    func garbage(text: String) throws {
        let signer = try Self.signer(.hs256, private: Self.keys(.hs256).private)
        #expect(signer.claims(of: text) == nil)
        let token = try #require(Vectors.tokens["HS256"])
        #expect(signer.claims(of: token + "=") == nil)
        #expect(signer.claims(of: token + ".") == nil)
        #expect(signer.claims(of: String(token.dropLast())) == nil)
    }

    @Test("A token that was verified is remembered, and only for as long as it is valid")
    func verifier() throws {
        let clock = Mutex(Self.noon)
        let signer = try Self.signer(.es256, private: Vectors.p256) { clock.withLock { $0 } }
        var verifier = TokenVerifier(signer)
        let token = try signer.issue(user: "al", authRevision: 3)
        for _ in 0..<2 { #expect(verifier.claims(of: token)?.user == "al") }
        #expect(verifier.claims(of: token + "A") == nil)
        clock.withLock { $0 += 60 }
        #expect(verifier.claims(of: token) == nil)
        clock.withLock { $0 -= 60 }
        #expect(verifier.claims(of: token)?.user == "al")
        for number in 0..<600 {
            let other = try signer.issue(user: "user \(number)", authRevision: 3)
            #expect(verifier.claims(of: other)?.user == "user \(number)")
        }
        #expect(verifier.claims(of: token)?.user == "al")
    }
}

@Suite struct TokenKeyTests {
    private func key(_ method: SigningMethod, public publicKey: String? = nil, private privateKey: String? = nil)
        throws(TokenKeyError) -> TokenKey
    {
        try TokenKey(
            method, publicKey: publicKey.map { KeyFile(path: "a.pub", bytes: Array($0.utf8)) },
            privateKey: privateKey.map { KeyFile(path: "a.key", bytes: Array($0.utf8)) })
    }

    private func accepts(_ key: TokenKey, _ token: String) throws -> Bool {
        let dot = try #require(token.lastIndex(of: "."))
        let signature = try #require(Base64.decode(token[token.index(after: dot)...].utf8, .url))
        return key.isValid(signature, Array(token[..<dot].utf8))
    }

    @Test("The examples of RFC 7515 and RFC 8037 are valid")
    func examples() throws {
        let claims =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        let secret = try #require(
            Base64.decode(
                "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow".utf8, .url))
        let hmac = try TokenKey(.hs256, publicKey: nil, privateKey: KeyFile(path: "", bytes: secret))
        #expect(
            try accepts(
                hmac,
                "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\(claims).dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        let curve = try key(.es256, public: Vectors.rfc7515ES256)
        #expect(try accepts(curve, "eyJhbGciOiJFUzI1NiJ9.\(claims).\(signature)"))
        #expect(try !accepts(curve, "eyJhbGciOiJFUzI1NiJ8.\(claims).\(signature)"))
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
        let edwards = try key(.edDSA, private: Vectors.ed25519)
        let sign = try #require(edwards.sign)
        let made = try sign(Array(message.utf8))
        #expect(
            Base64.encode(made, .url)
                == Array("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg".utf8))
    }

    @Test("Keys are read in all forms that Go reads")
    func forms() throws {
        let token = try #require(Vectors.tokens["RS256"])
        #expect(try accepts(try key(.rs256, private: Vectors.rsaOld), token))
        #expect(try accepts(try key(.rs256, public: Vectors.rsaCertificate), token))
        #expect(try accepts(try key(.rs256, public: Vectors.rsaPublic, private: Vectors.rsa), token))
        let curved = try #require(Vectors.tokens["ES256"])
        #expect(try accepts(try key(.es256, private: Vectors.p256Old), curved))
        #expect(try accepts(try key(.es256, public: Vectors.p256Certificate), curved))
        #expect(try key(.es256, public: Vectors.p256Certificate).sign == nil)
    }

    @Test("Keys that do not fit are refused, and the option and the file are named")
    func refusals() {
        func complaint(_ method: SigningMethod, public publicKey: String? = nil, private privateKey: String? = nil)
            -> String
        {
            do {
                _ = try key(method, public: publicKey, private: privateKey)
                return "taken"
            } catch { return error.description }
        }
        #expect(complaint(.rs256) == "sign-method=RS256 needs pub-key or priv-key")
        #expect(complaint(.hs256, public: "x") == "sign-method=HS256 needs priv-key")
        #expect(complaint(.hs256, private: "") == "sign-method=HS256 needs priv-key")
        #expect(
            complaint(.rs256, private: Vectors.p256)
                == "priv-key a.key: not a key for sign-method=RS256 (RSA, 2048 bits or more)")
        #expect(complaint(.ps512, private: Vectors.rsaShort).contains("2048 bits or more"))
        #expect(complaint(.es256, private: Vectors.rsa).contains("on the curve P-256"))
        #expect(complaint(.es384, private: Vectors.p256).contains("on the curve P-384"))
        #expect(complaint(.es512, public: Vectors.p384Public).contains("pub-key a.pub: not a key"))
        #expect(complaint(.edDSA, private: Vectors.p256).contains("Ed25519"))
        #expect(complaint(.edDSA, public: Vectors.rsaCertificate).contains("Ed25519"))
        #expect(complaint(.rs256, public: Vectors.rsa).contains("no block PUBLIC KEY or CERTIFICATE in PEM"))
        #expect(complaint(.rs256, private: "not PEM").contains("no block PRIVATE KEY or"))
        #expect(
            complaint(.rs256, private: String(Vectors.rsa.dropLast(30))).contains("the block PRIVATE KEY has no end"))
        #expect(
            complaint(.rs256, public: Vectors.rsaOther, private: Vectors.rsa)
                == "pub-key a.pub does not belong to priv-key a.key")
        #expect(
            complaint(.edDSA, public: Vectors.ed25519Public, private: Vectors.ed25519) == "taken")
    }
}
