import Testing

/// `docs/metrics.md` lists what `/metrics` shows, name by name.
@Suite struct MetricsDocTests {
    private let repository = Repository.current

    /// What is between `open` and `close` in the lines of a text, when it is the name of a family.
    static func names(in text: String, from open: String, to close: String) -> Set<String> {
        var found: Set<String> = []
        for line in text.split(separator: "\n") {
            var rest = line
            while let start = rest.firstRange(of: open) {
                rest = rest[start.upperBound...]
                guard let end = rest.firstRange(of: close) else { break }
                let name = String(rest[..<end.lowerBound])
                if isFamily(name) { found.insert(name) }
            }
        }
        return found
    }

    private static func isFamily(_ name: String) -> Bool {
        ["etcd_", "ganglion_", "grpc_server_", "process_", "os_"].contains { name.hasPrefix($0) }
            && name.allSatisfy { $0 == "_" || ($0.isLowercase && $0.isASCII) }
    }

    @Test("Every family that the code names is in the list, and the list names no other")
    func families() throws {
        var shown: Set<String> = []
        for path in [
            "Sources/EtcdAPI/HTTP/MetricsText.swift", "Sources/EtcdAPI/HTTP/ProcessMetrics.swift",
            "Sources/RegistryServer/Shell/MetricsFamilies.swift", "Sources/RegistryServer/Shell/PeerFamilies.swift",
        ] {
            shown.formUnion(Self.names(in: try #require(repository.text(of: path)), from: "\"", to: "\""))
        }
        let listed = Self.names(in: try #require(repository.text(of: "docs/metrics.md")), from: "| `", to: "` |")
        #expect(shown.count > 70)
        #expect(shown.subtracting(listed).sorted() == [], "missing in docs/metrics.md")
        #expect(listed.subtracting(shown).sorted() == [], "in docs/metrics.md, but not in the code")
    }
}
