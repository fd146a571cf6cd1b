import Primitives
import Testing

@testable import AgentCore

@Suite struct DiscoveryViewTests {
    /// A view that knows `a`, `b`, `c` of cluster 1 at revision 10.
    private func known() -> DiscoveryView {
        var view = DiscoveryView()
        _ = view.snapshot(cluster: 1, revision: 10, entries: [entry("a", 2), entry("b", 3), entry("c", 4)], now: 100)
        return view
    }

    private func entry(_ name: String, _ create: Int64, mod: Int64? = nil) -> DiscoveryEntry {
        DiscoveryEntry(
            key: Array("/s/\(name)_\(create)".utf8), value: payload("10.0.0.\(Array(name.utf8)[0])", 80, name: name),
            createRevision: create, modRevision: mod ?? create)
    }

    private func names(_ view: DiscoveryView) -> [String] { view.held.compactMap { $0.backend?.name } }

    @Test("A snapshot that continues the history removes what is missing")
    func continued() {
        var view = known()
        let notes = view.snapshot(cluster: 1, revision: 12, entries: [entry("b", 3), entry("d", 11)], now: 100)
        #expect(names(view) == ["b", "d"])
        #expect(notes.map(\.code) == [.backendRemoved, .backendRemoved])
    }

    @Test("An empty registry, another cluster, or no entry in common: nothing is lost, everything new counts")
    func restarted() {
        for (cluster, revision, entries) in [
            (UInt64(1), Int64(1), [DiscoveryEntry]()), (1, 50, []), (2, 50, []), (2, 50, [entry("b", 3)]),
            (1, 50, [entry("d", 30)]), (1, 5, [entry("d", 4)]),
        ] {
            var view = known()
            _ = view.snapshot(cluster: cluster, revision: revision, entries: entries, now: 100)
            #expect(Set(names(view)).isSuperset(of: ["a", "b", "c"]), "\(cluster) \(revision)")
            #expect(names(view).count == 3 + entries.filter { $0.createRevision != 3 }.count)
        }
    }

    @Test("After a restart the same servers under new leases take the place of the old entries")
    func superseded() {
        var view = known()
        _ = view.snapshot(cluster: 1, revision: 1, entries: [], now: 100)
        for (place, name) in ["a", "b"].enumerated() {
            let revision = Int64(2 + place)
            var put = entry(name, revision)
            put.key += Array("new".utf8)
            _ = view.events(cluster: 1, revision: revision, changes: [.put(put)])
        }
        #expect(view.held.count == 3 && Set(names(view)) == ["a", "b", "c"])
        #expect(view.held.filter { $0.unconfirmedSince != nil }.compactMap { $0.backend?.name } == ["c"])
        #expect(view.revision == 3, "the new history's revision")
    }

    @Test("A stale snapshot of the same history is ignored, and so are changes already known")
    func stale() {
        var view = known()
        #expect(
            view.snapshot(cluster: 1, revision: 9, entries: [entry("a", 2)], now: 0).map(\.code) == [.snapshotStale])
        #expect(names(view).count == 3 && view.revision == 10)
        let old = view.events(cluster: 1, revision: 10, changes: [.delete(key: entry("a", 2).key, modRevision: 9)])
        #expect(old.isEmpty && names(view).count == 3)
        let foreign = view.events(cluster: 7, revision: 99, changes: [.delete(key: entry("a", 2).key, modRevision: 99)])
        #expect(foreign.map(\.code) == [.snapshotStale] && names(view).count == 3)
    }

    @Test("Darkness and compaction are noted once and take nothing; only a delete does")
    func dark() {
        var view = known()
        #expect(view.becameDark("no leader").map(\.code) == [.registryDark])
        #expect(view.becameDark("no leader").isEmpty)
        #expect(view.compacted().map(\.code) == [.historyCompacted])
        #expect(names(view).count == 3)
        _ = view.events(cluster: 1, revision: 11, changes: [.delete(key: entry("a", 2).key, modRevision: 11)])
        #expect(names(view) == ["b", "c"] && view.darkBecause == nil)

        // A reading at the revision that is known says that the registry is back.
        _ = view.becameDark("no leader")
        #expect(view.snapshot(cluster: 1, revision: 11, entries: [entry("b", 3), entry("c", 4)], now: 0).isEmpty)
        #expect(names(view) == ["b", "c"] && view.darkBecause == nil)
    }

    @Test("A junk value is skipped; the last value that could be read stays")
    func junk() {
        var view = known()
        var bad = entry("a", 2, mod: 11)
        bad.value = Array("junk".utf8)
        let notes = view.events(
            cluster: 1, revision: 11,
            changes: [
                .put(bad),
                .put(DiscoveryEntry(key: Array("/s/x".utf8), value: [0xFF], createRevision: 11, modRevision: 11)),
            ])
        #expect(notes.map(\.code) == [.payloadSkipped, .payloadSkipped])
        #expect(names(view) == ["a", "b", "c"])
    }

    @Test("What is missing for too long goes, but never the last of all")
    func forget() {
        var view = known()
        _ = view.snapshot(cluster: 1, revision: 1, entries: [], now: 100)
        #expect(view.forget(unconfirmedBefore: 5_000).isEmpty && names(view).count == 3)
        _ = view.events(cluster: 1, revision: 2, changes: [.put(entry("z", 2))])
        #expect(view.forget(unconfirmedBefore: 100).isEmpty)
        #expect(view.forget(unconfirmedBefore: 101).count == 3)
        #expect(names(view) == ["z"])
    }
}

@Suite struct BackendMergeTests {
    private let one = Backend(host: "10.0.0.1", port: "1", createRevision: 1)
    private let fallback = Backend(host: "10.9.9.9", port: "9")

    @Test("Default servers, previous backends and last good ones stand in by the rules")
    func matrix() {
        typealias Case = (
            defaults: Bool, keep: Bool, previous: Bool, discovered: [Backend]?, hasPrevious: Bool, hosts: [String]?,
            source: BackendMerge.Source
        )
        let cases: [Case] = [
            (false, false, true, [one], false, ["10.0.0.1"], .discovery),
            (true, false, true, [one], true, ["10.0.0.1"], .discovery),
            (true, true, true, [one], false, ["10.0.0.1", "10.9.9.9"], .discovery),
            (true, false, true, [], true, ["10.9.9.9"], .defaultServers),
            (false, false, true, [], true, ["10.0.0.7"], .previous), (false, false, false, [], true, [], .none),
            (false, false, true, [], false, [], .none), (false, false, true, nil, true, ["10.0.0.7"], .lastGood),
            (true, false, true, nil, true, ["10.0.0.7"], .lastGood),
            (true, false, true, nil, false, ["10.9.9.9"], .defaultServers),
            (false, false, true, nil, false, nil, .unknown), (false, false, false, nil, true, ["10.0.0.7"], .lastGood),
        ]
        for (number, item) in cases.enumerated() {
            var service = web(defaults: item.defaults ? [fallback] : [], usePrevious: item.previous)
            service.keepDefaultServers = item.keep
            let result = BackendMerge(service: service).merge(
                discovered: item.discovered, isSaved: false,
                previous: item.hasPrevious ? [Backend(host: "10.0.0.7", port: "7")] : [])
            #expect(result.visible?.map(\.host) == item.hosts, "case \(number)")
            #expect(result.source == item.source, "case \(number)")
        }
    }

    @Test("Duplicates fold into the latest registration, in the first one's place; ports are overridden")
    func duplicates() {
        var service = web()
        service.backendPortOverride = "8080"
        let result = BackendMerge(service: service).merge(
            discovered: [
                Backend(host: "a", port: "1", name: "n", weight: 1, createRevision: 1),
                Backend(host: "b", port: "2", name: "n", createRevision: 2),
                Backend(host: "a", port: "3", name: "n", weight: 9, createRevision: 3),
            ], isSaved: false, previous: [])
        #expect(result.visible?.map(\.host) == ["a", "b"])
        #expect(result.visible?.map(\.port) == ["8080", "8080"] && result.visible?[0].weight == 9)
    }

    @Test("Label filters: missing labels, empty values, types, several at once")
    func filters() {
        func hosts(_ filters: [LabelFilter]) -> [String]? {
            var service = web()
            service.labelFilters = filters
            func backend(_ host: String, _ labels: JSONValue?) -> Backend {
                Backend(host: host, port: "1", labels: labels, createRevision: 1)
            }
            return BackendMerge(service: service).merge(
                discovered: [
                    backend("none", nil), backend("empty", .object([JSONMember("az", .string(""))])),
                    backend("b", .object([JSONMember("az", .string("b")), JSONMember("n", .number("1"))])),
                ], isSaved: false, previous: []
            ).visible?.map(\.host)
        }
        func filter(_ label: String, _ value: JSONValue, _ condition: LabelFilter.Condition) -> LabelFilter {
            LabelFilter(label: label, value: value, condition: condition)
        }
        #expect(hosts([filter("az", .string("b"), .equals)]) == ["b"])
        #expect(hosts([filter("az", .string(""), .equals)]) == ["empty"])
        #expect(hosts([filter("az", .string("b"), .notEquals)]) == ["none", "empty"])
        #expect(hosts([filter("n", .string("1"), .equals)]) == [])
        #expect(hosts([filter("n", .number("1"), .equals), filter("az", .string("b"), .equals)]) == ["b"])
        #expect(hosts([filter("az", .string("b"), .never)]) == [])
    }

    @Test("Only the oldest registration leads; none when one has no age")
    func leader() {
        var service = web()
        service.electsLeader = true
        let merge = BackendMerge(service: service)
        let led = merge.merge(
            discovered: [
                Backend(host: "b", port: "1", createRevision: 9), Backend(host: "a", port: "1", createRevision: 4),
            ],
            isSaved: false, previous: [])
        #expect(led.visible?.map(\.host) == ["a"] && !led.hasNoLeader)
        service.defaultServers = [fallback]
        service.keepDefaultServers = true
        let none = BackendMerge(service: service).merge(discovered: [one], isSaved: false, previous: [])
        #expect(none.visible == [] && none.hasNoLeader)
    }
}

@Suite struct StateFileTests {
    private func sample() -> SavedState {
        var state = SavedState()
        let entry = DiscoveryEntry(
            key: [0x2F, 0xFF], value: payload("10.0.0.1", 80), createRevision: 4, modRevision: 5)
        state.feeds = [
            .init(
                path: "/svc/web", cluster: .max, revision: 77,
                entries: [
                    .init(
                        entry: entry, backend: Backend(host: "10.0.0.1", port: "80", createRevision: 4),
                        unconfirmedSince: 9)
                ])
        ]
        var numbers = ServerNumbers()
        numbers.remember("n_1", id: 3, seen: 1_700_000_000)
        state.services = [
            .init(
                name: "web",
                backends: [
                    Backend(host: "::1", port: "1", name: "x", weight: 2, serverOptions: "backup", labels: .object([]))
                ],
                numbers: numbers)
        ]
        return state
    }

    @Test("What is saved is read back")
    func roundTrip() throws {
        var notes: [String] = []
        #expect(try StateFile.decode(StateFile.encode(sample()), notes: &notes) == sample())
        #expect(notes.isEmpty)
    }

    @Test("Truncation at each byte and each flipped bit is either noticed or changes nothing")
    func damage() {
        let bytes = StateFile.encode(sample())
        for length in 0..<(bytes.count - 1) {
            var notes: [String] = []
            #expect(throws: PayloadFailure.self) { try StateFile.decode(Array(bytes[..<length]), notes: &notes) }
        }
        for place in bytes.indices {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[place] ^= 1 << UInt8(bit)
                var notes: [String] = []
                if let state = try? StateFile.decode(flipped, notes: &notes) { #expect(state == sample()) }
            }
        }
    }

    @Test("The old program's file gives last good backends and numbers")
    func ruby() throws {
        var notes: [String] = []
        let state = try StateFile.decode(
            Array(
                """
                {"web":{"i_10.0.0.1:80":{"host":"10.0.0.1","port":80,"name":"i","id":42,"timestamp":1700000000,"haproxy_server_id":7},
                 "watcher_config_for_generator":{"port":1},"bad":{"host":"x"}}}
                """.utf8), notes: &notes)
        #expect(
            state.services.map(\.name) == ["web"] && state.services[0].backends.map(\.serverName) == ["i_10.0.0.1:80"])
        #expect(state.services[0].numbers.known["i_10.0.0.1:80"]?.id == 7 && notes.count == 1)
        for bad in ["{}", "[]", "", "{\"format\":\"synapse-state\",\"version\":99}"] {
            #expect(throws: PayloadFailure.self) { try StateFile.decode(Array(bad.utf8), notes: &notes) }
        }
    }
}
