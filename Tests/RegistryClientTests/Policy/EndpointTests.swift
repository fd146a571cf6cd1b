import RegistryClient
import Testing

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
            ("https://host:1", "scheme \"https\""), ("ftp://host", "scheme \"ftp\""),
            ("::1", "needs brackets"), ("[::1", "bracket is not closed"), ("[::1]2379", "colon must follow"),
            ("host/path:1", "only a host and a port"), ("user@host", "only a host and a port"),
        ])
    func refuses(text: String, reason: String) {
        let error = #expect(throws: RegistryError.self) { try Endpoint(text) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(reason) == true)
        #expect(error?.message.contains("\"\(text)\"") == true)
    }

    @Test("A configuration without endpoints is refused")
    func noEndpoints() {
        #expect(throws: RegistryError.self) { try Registry.Configuration(endpoints: [String]()) }
    }
}
