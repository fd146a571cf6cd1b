import Testing

@testable import RegistryServer

@Suite("Flags of TLS")
struct FlagSecurityTests {
    @Test("TLS settings that do not fit together are refused by the flags concerned")
    func security() throws {
        let client = ["--listen-client-urls", "https://h:1", "--advertise-client-urls", "https://h:1"]
        let certificate = ["--cert-file", "c.pem", "--key-file", "c.key"]
        let peer = ["--listen-peer-urls", "https://h:2", "--peer-cert-file", "p.pem", "--peer-key-file", "p.key"]
        let cases: [([String], String)] = [
            (client, "--listen-client-urls: https://h:1 needs a certificate: --cert-file and --key-file"),
            (["--listen-metrics-urls", "https://h:3"], "--listen-metrics-urls: https://h:3 needs a certificate"),
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
            (["--tls-max-version", "TLS1.2", "--cipher-suites", "TLS_AES_128_GCM_SHA256"], "names none for"),
            (["--cipher-suites", "TLS_NULL"], "unexpected TLS cipher suite \"TLS_NULL\""),
            (["--auto-tls"], "registryctl certs"), (["--peer-auto-tls=true"], "registryctl certs"),
            (["--client-cert-auth=perhaps"], "neither true nor false"),
        ]
        for (arguments, text) in cases {
            let said = refusal(arguments)
            #expect(said.contains(text), "\(arguments): \(said)")
        }
        #expect(refusal(["--auto-tls=false", "--client-cert-auth=false"]) == "accepted")
        #expect(refusal(["--cipher-suites=TLS_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_128_GCM_SHA256"]) == "accepted")
        #expect(refusal(["--listen-client-http-urls", "https://h:4"] + certificate) == "accepted")
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

    @Test("A port that asks nobody for certificates although they are demanded is told of, or refused")
    func unasked() throws {
        let rest = [
            "--advertise-client-urls", "https://h:1", "--cert-file", "c.pem", "--key-file", "c.key",
            "--trusted-ca-file",
            "ca", "--client-cert-auth",
        ]
        let both = try flags(["--listen-client-urls", "https://h:1,http://127.0.0.1:2"] + rest)
        #expect(
            both.warnings == [
                "--listen-client-urls: http://127.0.0.1:2 asks nobody for a certificate, in spite of --client-cert-auth"
            ])
        let metricsAlone = ["--listen-client-urls", "http://h:1", "--listen-metrics-urls", "https://h:3"]
        #expect(refusal(metricsAlone + rest).contains("--client-cert-auth would protect nothing"))
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
}
