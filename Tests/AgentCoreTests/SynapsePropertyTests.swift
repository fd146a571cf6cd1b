import Primitives
import Testing

@testable import AgentCore

@Suite struct SynapsePropertyTests {
    @Test(
        "Any sequence of changes ends with exactly the registry's servers in HAProxy, with one reload",
        arguments: 0..<20)
    func convergence(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var registry = FakeRegistry()
        var harness = SynapseHarness(synapse([web(usePrevious: false)]), ModelProxy())
        harness.send(registry.snapshot(WatchID(0)))
        harness.run(for: .seconds(3))
        var wanted: [String: String] = [:]
        for _ in 0..<80 {
            var changes: [DiscoveryChange] = []
            for _ in 0...generator.below(4) {
                let number = generator.below(12)
                let key = "/svc/web/i\(number)"
                if generator.chance(1, in: 3) {
                    changes.append(registry.delete(key))
                    wanted[key] = nil
                } else {
                    let weight = 1 + generator.below(200)
                    let isDraining = generator.chance(1, in: 5)
                    let options = generator.chance(1, in: 6) ? ",\"haproxy_server_options\":\"backup\"" : ""
                    changes.append(
                        registry.put(
                            key,
                            payload(
                                "10.0.0.\(number)", 80, name: "i\(number)",
                                extra: ",\"weight\":\(weight)\(options)\(isDraining ? ",\"drain\":true" : "")")))
                    wanted[key] = "10.0.0.\(number):80 \(weight)\(isDraining ? " drain" : "")"
                }
            }
            switch generator.below(6) {
            case 0: harness.send(registry.snapshot(WatchID(0)))
            case 1:
                harness.send(.discoveryUnavailable(WatchID(0), "away"))
                harness.send(registry.events(WatchID(0), changes))
            default: harness.send(registry.events(WatchID(0), changes))
            }
            if generator.chance(1, in: 10) { harness.world.haproxy.backends[0].servers.shuffle(using: &generator) }
            if generator.chance(1, in: 4) { harness.run(for: generator.span(.zero, .seconds(5))) }
        }
        harness.send(registry.snapshot(WatchID(0)))
        // A snapshot in which nothing known is left proves nothing, so those registrations stay until deleted.
        harness.run(for: .seconds(40))
        let active = Set(harness.world.haproxy.active("web"))
        #expect(active.isSuperset(of: wanted.values))
        let kept = harness.core.feeds[0].view.held.filter { $0.unconfirmedSince != nil }.count
        #expect(active.count == wanted.count + kept)
        #expect(harness.reloads.count == 1, "\(harness.reloads)")
        let serversInFile = Text.lines(harness.world.file ?? "").filter { Text.words($0).first == "server" }.count
        #expect(serversInFile == active.count, "the file says the same")
    }

    @Test("The list never shrinks but for a delete the registry really made", arguments: 0..<24)
    func neverShrinks(seed: UInt64) {
        var weather = StormyRegistry(seed: seed)
        var before: Set<String> = []
        for _ in 0..<120 {
            weather.step()
            let active = Set(weather.harness.world.haproxy.active("web"))
            let lost = before.subtracting(active)
            #expect(lost.isSubset(of: weather.deleted), "lost \(lost) though only \(weather.deleted) were deleted")
            before = active
        }
        weather.everybodyRegisters()
        #expect(Set(weather.harness.world.haproxy.active("web")) == Set((0..<10).map { "10.0.0.\($0):80 1" }))
        #expect(!weather.harness.core.feeds[0].view.held.contains { $0.unconfirmedSince != nil })
    }
}

/// Ten instances, a registry to which everything happens, and a synapse that is restarted now and then.
private struct StormyRegistry {
    var generator: SeededGenerator
    var registry = FakeRegistry()
    var harness = SynapseHarness(synapse([web()]), ModelProxy())
    /// Servers whose registration somebody deleted, as opposed to lost with the registry's disk.
    var deleted: Set<String> = []
    private var unsent: [DiscoveryChange] = []
    private var isWatching = true
    private var lease = 0x100

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        harness.send(registry.snapshot(WatchID(0)))
        harness.run(for: .seconds(4))
    }

    mutating func step() {
        let number = generator.below(10)
        switch generator.below(12) {
        case 0...3: register(number)
        case 4, 5: delete(number)
        case 6:
            harness.send(.discoveryUnavailable(WatchID(0), "no quorum"))
            isWatching = false
        case 7: restartEmpty()
        case 8:
            harness.send(.discoveryCompacted(WatchID(0)))
            harness.send(registry.snapshot(WatchID(0)))
            (unsent, isWatching) = ([], true)
        case 9: restartSynapse()
        case 10:
            lease += 1
            let key = registry.entries.keys.sorted().first { $0.hasPrefix("/svc/web/i\(number)_") }
            unsent.append(registry.put(key ?? "/svc/web/i\(number)_\(lease)", Array("junk".utf8)))
        default: harness.run(for: generator.span(.zero, .seconds(10)))
        }
        if isWatching, !unsent.isEmpty {
            harness.send(registry.events(WatchID(0), unsent))
            unsent = []
        }
        harness.run(for: .milliseconds(generator.chance(1, in: 3) ? 3_100 : 60))
    }

    /// A new lease makes a new key for the same server.
    private mutating func register(_ number: UInt64) {
        lease += 1
        let value = payload("10.0.0.\(number)", 80, name: "i\(number)")
        unsent.append(registry.put("/svc/web/i\(number)_\(lease)", value))
        deleted.remove("10.0.0.\(number):80 1")
    }

    private mutating func delete(_ number: UInt64) {
        for key in registry.entries.keys.sorted() where key.hasPrefix("/svc/web/i\(number)_") {
            unsent.append(registry.delete(key))
        }
        deleted.insert("10.0.0.\(number):80 1")
    }

    /// The registry comes back with nothing, under the same name or another.
    private mutating func restartEmpty() {
        registry.entries = [:]
        registry.revision = Int64(1 + generator.below(5))
        if generator.chance(1, in: 2) { registry.cluster += 1 }
        harness.send(registry.snapshot(WatchID(0)))
        (unsent, isWatching) = ([], true)
    }

    /// HAProxy goes on meanwhile.
    private mutating func restartSynapse() {
        harness.run(for: .seconds(2))
        harness = SynapseHarness(
            synapse([web()]), harness.world, state: harness.savedState, text: harness.world.file)
        unsent = []
        isWatching = generator.chance(1, in: 2)
        if isWatching { harness.send(registry.snapshot(WatchID(0))) }
    }

    mutating func everybodyRegisters() {
        for number: UInt64 in 0..<10 { register(number) }
        harness.send(registry.snapshot(WatchID(0)))
        harness.run(for: .seconds(40))
    }
}
