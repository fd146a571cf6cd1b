import Primitives
import RegistryModel
import Testing

@testable import RegistryServer

@Suite("Flags and environment")
struct FlagTests {
    private func flags(_ arguments: [String], _ environment: [String: String] = [:]) throws -> MemberFlags {
        try MemberFlags(arguments: arguments, environment: environment)
    }

    private func refusal(_ arguments: [String], _ environment: [String: String] = [:]) -> String {
        do {
            let flags = try flags(arguments, environment)
            try flags.configuration.validate()
            try flags.configuration.validateCluster()
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test("One or two dashes, a blank or an equals sign: all the same")
    func spellings() throws {
        for arguments in [["--name", "a"], ["-name", "a"], ["--name=a"], ["-name=a"]] {
            #expect(try flags(arguments).configuration.name == "a")
        }
    }

    @Test("Every flag has its variable; the same setting both ways is refused; unknown variables are told")
    func environment() throws {
        let parsed = try flags([], ["ETCD_NAME": "b", "ETCD_SNAPSHOT_COUNT": "77", "ETCD_NONSENSE": "1", "HOME": "/"])
        #expect(parsed.configuration.name == "b")
        #expect(parsed.configuration.snapshotCount == 77)
        #expect(parsed.warnings.count == 1)
        #expect(parsed.warnings[0].contains("ETCD_NONSENSE"))
        #expect(refusal(["--name", "a"], ["ETCD_NAME": "b"]).contains("ETCD_NAME"))
    }

    @Test("What cannot be used is refused by name")
    func refusals() {
        #expect(refusal(["--nme", "x"]).contains("--nme"))
        #expect(refusal(["stray"]).contains("stray"))
        #expect(refusal(["--name"]).contains("--name needs a value"))
        #expect(refusal(["--heartbeat-interval", "ten"]).contains("'ten'"))
        #expect(
            refusal(["--heartbeat-interval", "200", "--election-timeout", "500"]).contains("--heartbeat-interval 200"))
        #expect(refusal(["--initial-cluster", "a=http://h:1", "--name", "b"]).contains("does not contain --name b"))
        #expect(
            refusal(["--initial-cluster", "a=http://h:1", "--name", "b"]).contains("couldn't find local name \"b\""))
        #expect(refusal(["--force-new-cluster"]).contains("registryctl storage force-new-cluster"))
        #expect(refusal(["--disk-reserve-bytes", "-1"]).contains("--disk-reserve-bytes '-1'"))
        #expect(refusal(["--initial-cluster-state", "old"]).contains("neither new nor existing"))
        #expect(refusal(["--listen-client-urls", "http://h:1"]).contains("--advertise-client-urls is required"))
        #expect(refusal(["--listen-peer-urls", "https://h:1"]).contains("https://h:1 needs a certificate"))
        #expect(refusal(["--listen-peer-urls", "http://h"]).contains("no valid port"))
        #expect(refusal(["--auto-compaction-retention", "3 days"]).contains("3 days"))
        #expect(refusal([]) == "accepted")
    }

    @Test("Retention is read as etcd reads it")
    func retention() throws {
        #expect(try flags([]).configuration.autoCompaction == .periodic(seconds: 3_600))
        #expect(try flags(["--auto-compaction-retention", "0"]).configuration.autoCompaction == .off)
        #expect(
            try flags(["--auto-compaction-retention", "2"]).configuration.autoCompaction == .periodic(seconds: 7_200))
        #expect(
            try flags(["--auto-compaction-retention", "1h30m"]).configuration.autoCompaction
                == .periodic(seconds: 5_400))
        for order in [
            ["--auto-compaction-mode", "revision", "--auto-compaction-retention", "500"],
            ["--auto-compaction-retention", "500", "--auto-compaction-mode", "revision"],
        ] {
            #expect(try flags(order).configuration.autoCompaction == .revisions(500))
        }
    }

    @Test("How a member comes to its cluster and what it keeps free is read from flags and variables")
    func joining() throws {
        #expect(try flags([]).configuration.initialClusterState == .new)
        #expect(try flags([]).configuration.diskReserveBytes == nil)
        let parsed = try flags(
            ["--initial-cluster-state", "existing"], ["ETCD_DISK_RESERVE_BYTES": "1048576"])
        #expect(parsed.configuration.initialClusterState == .existing)
        #expect(parsed.configuration.diskReserveBytes == 1_048_576)
        #expect(try flags(["--disk-reserve-bytes=0"]).configuration.diskReserveBytes == 0)
    }

    @Test("TLS settings that do not fit together are refused by the flags concerned")
    func security() throws {
        let client = ["--listen-client-urls", "https://h:1", "--advertise-client-urls", "https://h:1"]
        let certificate = ["--cert-file", "c.pem", "--key-file", "c.key"]
        let peer = ["--listen-peer-urls", "https://h:2", "--peer-cert-file", "p.pem", "--peer-key-file", "p.key"]
        let cases: [([String], String)] = [
            (client, "--listen-client-urls: https://h:1 needs a certificate: --cert-file and --key-file"),
            (client + ["--cert-file", "c.pem"], "--cert-file is set, but --key-file is not"),
            (client + ["--key-file", "c.key"], "--key-file is set, but --cert-file is not"),
            (certificate, "--cert-file c.pem would not be used: --listen-client-urls names no https URL"),
            (peer.dropLast(2).map { $0 }, "--peer-cert-file is set, but --peer-key-file is not"),
            (client + certificate + ["--client-cert-auth"], "--client-cert-auth needs --trusted-ca-file"),
            (client + certificate + ["--client-crl-file", "x"], "--client-crl-file needs --trusted-ca-file"),
            (peer + ["--peer-cert-allowed-cn", "m"], "--peer-cert-allowed-cn needs --peer-trusted-ca-file"),
            (
                peer + [
                    "--peer-trusted-ca-file", "ca", "--peer-cert-allowed-cn", "m", "--peer-cert-allowed-hostname", "h",
                ], "--peer-cert-allowed-cn and --peer-cert-allowed-hostname exclude each other"
            ),
            (["--trusted-ca-file", "ca"], "--trusted-ca-file is set, but --cert-file is not"),
            (["--tls-min-version", "TLS1.1"], "unexpected TLS version \"TLS1.1\""),
            (["--tls-min-version", "TLS1.3", "--tls-max-version", "TLS1.2"], "is greater than --tls-max-version"),
            (["--tls-min-version", "TLS1.3", "--cipher-suites", "TLS_RSA_WITH_AES_128_GCM_SHA256"], "--cipher-suites"),
            (["--cipher-suites", "TLS_NULL"], "unexpected TLS cipher suite \"TLS_NULL\""),
            (["--auto-tls"], "registryctl certs"), (["--peer-auto-tls=true"], "registryctl certs"),
            (["--client-cert-auth=perhaps"], "neither true nor false"),
        ]
        for (arguments, text) in cases {
            let said = refusal(arguments)
            #expect(said.contains(text), "\(arguments): \(said)")
        }
        #expect(refusal(["--auto-tls=false", "--client-cert-auth=false"]) == "accepted")
        let all =
            client + certificate + peer + [
                "--trusted-ca-file", "ca", "--client-cert-auth", "--peer-trusted-ca-file", "ca",
                "--peer-cert-allowed-cn",
                "a,b",
            ]
        #expect(refusal(all) == "accepted")
        let parsed = try flags(all).configuration
        #expect(parsed.clientSecurity.demandsCertificates && parsed.peerSecurity.allowedCommonNames == ["a", "b"])
    }

    @Test("A certificate that cannot be read keeps the member from starting, by flag and file")
    func unreadable() async throws {
        var configuration = try flags([
            "--listen-client-urls", "https://127.0.0.1:1", "--advertise-client-urls", "https://127.0.0.1:1",
            "--cert-file", "/nonexistent/c.pem", "--key-file", "/nonexistent/c.key",
        ]).configuration
        configuration.dataDirectory = "/nonexistent/data"
        await #expect(
            throws: ConfigurationError("--cert-file: /nonexistent/c.pem cannot be read: No such file or directory")
        ) { _ = try await RegistryMember.start(configuration) }
    }

    @Test("The help text names every flag")
    func help() {
        for flag in MemberFlags.all { #expect(MemberFlags.help.contains("--\(flag.name)")) }
    }
}

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
