import Testing

@testable import RegistryClient

@Suite struct EndpointTests {
    @Test(
        "An endpoint is read with and without scheme, port and trailing slash",
        arguments: [
            ("127.0.0.1:2379", "127.0.0.1", 2379),
            ("http://127.0.0.1:2381", "127.0.0.1", 2381),
            ("http://registry.example:80/", "registry.example", 80),
            ("localhost", "localhost", 2379),
            ("[::1]:2379", "::1", 2379),
            ("http://[fe80::1]", "fe80::1", 2379),
            ("host:65535", "host", 65535),
        ])
    func reads(text: String, host: String, port: Int) throws {
        let endpoint = try Endpoint(text)
        #expect(endpoint.host == host)
        #expect(endpoint.port == port)
        #expect(endpoint.description == text)
        #expect(endpoint == Endpoint(host: host, port: port))
    }

    @Test(
        "An endpoint that makes no sense is refused by name",
        arguments: [
            ("", "host is missing"), (":2379", "host is missing"), ("http://", "host is missing"),
            ("host:0", "\"0\" is not a port"), ("host:65536", "\"65536\" is not a port"),
            ("host:abc", "\"abc\" is not a port"), ("host:", "\"\" is not a port"),
            ("ftp://host", "scheme \"ftp\""),
            ("::1", "needs brackets"), ("[::1", "bracket is not closed"), ("[::1]2379", "colon must follow"),
            ("host/path:1", "only a host and a port"), ("user@host", "only a host and a port"),
        ])
    func refuses(text: String, reason: String) {
        let error = #expect(throws: RegistryError.self) { try Endpoint(text) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(reason) == true)
        #expect(error?.message.contains("\"\(text)\"") == true)
    }

    @Test("https is always encrypted, http never, and no scheme when there are TLS settings")
    func encryption() throws {
        let tls = Registry.Configuration.TLS()
        for (text, without, with) in [
            ("https://host:1/", true, true), ("http://host:1", false, false), ("host:1", false, true),
        ] {
            let endpoint = try Endpoint(text)
            #expect(endpoint.host == "host" && endpoint.port == 1)
            #expect(endpoint.isSecure(with: nil) == without && endpoint.isSecure(with: tls) == with, "\(text)")
        }
    }

    @Test("TLS files that cannot be used are refused by the name of the setting and of the file")
    func tlsFiles() {
        var tls = Registry.Configuration.TLS()
        tls.certificateFile = "/nonexistent/cert.pem"
        let alone = #expect(throws: RegistryError.self) { try tls.check() }
        #expect(alone?.message.contains("keyFile and certificateFile must both be present") == true)
        tls.keyFile = "/nonexistent/key.pem"
        tls.labels.certificate = "--cert"
        let absent = #expect(throws: RegistryError.self) { try tls.check() }
        #expect(absent?.code == .invalidArgument)
        #expect(absent?.message == "--cert: /nonexistent/cert.pem cannot be read: No such file or directory")
    }

    @Test("A configuration without endpoints is refused")
    func noEndpoints() {
        #expect(throws: RegistryError.self) { try Registry.Configuration(endpoints: [String]()) }
    }
}
