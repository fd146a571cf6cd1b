import SignedTokens
import Testing

@testable import RegistryServer

@Suite("What --auth-token says")
struct TokenSecurityTests {
    private func complaint(_ text: String) -> String {
        do {
            let flags = try flags(["--auth-token=\(text)"])
            #expect(flags.configuration.authToken == text)
            return "taken"
        } catch { return "\(error)" }
    }

    @Test("Tokens in memory are the default; options that mean nothing there are read over, as in etcd")
    func simple() throws {
        #expect(try flags([]).configuration.authToken == "simple")
        #expect(try flags(["--auth-token="]).configuration.authToken == "simple")
        #expect(complaint("simple") == "taken")
        #expect(complaint("simple,a=b") == "taken")
        #expect(try TokenOptions("simple,a=b").signed == nil)
        #expect(complaint("magic") == "--auth-token 'magic': it begins with neither simple nor jwt")
        #expect(complaint("simple,x") == "--auth-token 'simple,x': 'x' is not NAME=VALUE")
    }

    @Test("Signed tokens need a method that there is, and a key for it")
    func signed() throws {
        let all = try #require(try TokenOptions("jwt,pub-key=p,priv-key=k,sign-method=ES384,ttl=1h30m").signed)
        #expect(all.method == .es384 && all.publicKeyFile == "p" && all.privateKeyFile == "k")
        #expect(all.lifetimeSeconds == 5_400)
        let short = try #require(try TokenOptions("jwt,sign-method=PS256,pub-key=p").signed)
        #expect(short.privateKeyFile == nil && short.lifetimeSeconds == 300)
        #expect(try TokenOptions("jwt,sign-method=HS512,pub-key=p,priv-key=k").signed?.publicKeyFile == nil)
        for (text, reason) in [
            ("jwt", "sign-method must be one of RS256, RS384,"), ("jwt,sign-method=none", "sign-method must be one of"),
            ("jwt,sign-method=RS256", "RS256 needs priv-key or pub-key"),
            ("jwt,sign-method=RS256,priv-key=", "RS256 needs priv-key or pub-key"),
            ("jwt,sign-method=HS256,pub-key=p", "HS256 needs priv-key"),
            ("jwt,sign-method=RS256,priv-key=k,ttl=5", "auth-token: ttl"),
            ("jwt,sign-method=RS256,priv-key=k,ttl=10ms", "ttl is below a second"),
            ("jwt,sign-method=RS256,sign-method=RS256,priv-key=k", "sign-method is given twice"),
            ("jwt,sign-method", "'sign-method' is not NAME=VALUE"), ("jwt,sign-method=RS256=x", "is not NAME=VALUE"),
            ("jwt,sign-method=RS256,private-key=k", "there is no option private-key, only pub-key, priv-key"),
        ] {
            let complaint = complaint(text)
            #expect(complaint.contains(reason) && complaint.hasPrefix("--auth-token"), "\(complaint)")
        }
    }

    @Test("A program that embeds a member is told the same")
    func embedded() {
        var configuration = MemberConfiguration(dataDirectory: "/nowhere")
        configuration.authToken = "jwt,sign-method=RS256"
        #expect(throws: ConfigurationError("--auth-token 'jwt,sign-method=RS256': RS256 needs priv-key or pub-key")) {
            try configuration.validate()
        }
    }

    @Test("Keys that cannot be used keep the member from starting, and the file is named")
    func files() throws {
        let signed = try #require(try TokenOptions("jwt,sign-method=RS256,priv-key=/nowhere/key.pem").signed)
        #expect(
            throws: ConfigurationError(
                "--auth-token: priv-key: /nowhere/key.pem cannot be read: No such file or directory")
        ) { try signed.signer() }
        let noKey = try #require(try TokenOptions("jwt,sign-method=RS256,pub-key=/etc/passwd").signed)
        #expect(
            throws: ConfigurationError(
                "--auth-token: pub-key /etc/passwd: no block PUBLIC KEY or CERTIFICATE in PEM")
        ) { try noKey.signer() }
        let secret = try #require(try TokenOptions("jwt,sign-method=HS256,priv-key=/etc/passwd").signed)
        #expect(try secret.signer().canSign)
    }
}
