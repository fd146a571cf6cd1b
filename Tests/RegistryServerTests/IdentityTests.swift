import Primitives
import RegistryModel
import Testing

@testable import RegistryServer

@Suite("Identities")
struct IdentityTests {
    @Test("SHA-1 gives the standard's answers")
    func sha1() {
        func hex(_ text: String) -> String {
            SHA1.digest(of: Array(text.utf8)).map { byte in
                let digits = String(byte, radix: 16)
                return digits.count == 1 ? "0" + digits : digits
            }.joined()
        }
        #expect(hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(
            hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "84983e441c3bd26ebaae4aa1f95129e5e54670f1")
        #expect(hex(String(repeating: "a", count: 1_000)) == "291e9a6c66994949b57ba5e650361e98fc36b1ba")
    }

    @Test("A default member has etcd's own well-known ids")
    func wellKnown() throws {
        let identity = try BootstrapIdentity(
            initialCluster: [("default", "http://localhost:2380")], token: "etcd-cluster")
        #expect(String(identity.members[0].id.number, radix: 16) == "8e9e05c52164694d")
        #expect(String(identity.cluster.number, radix: 16) == "cdf818194e3a8c32")
    }

    @Test("Order does not matter, the token does, equal addresses are refused")
    func derivation() throws {
        let one = [("a", "http://h:1"), ("b", "http://h:2")]
        let same = try BootstrapIdentity(initialCluster: one.reversed(), token: "t")
        #expect(try BootstrapIdentity(initialCluster: one, token: "t") == same)
        #expect(try BootstrapIdentity(initialCluster: one, token: "u").cluster != same.cluster)
        #expect(throws: ConfigurationError.self) {
            try BootstrapIdentity(initialCluster: [("a", "http://h:1"), ("b", "http://h:1")], token: "t")
        }
    }
}
