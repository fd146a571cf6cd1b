import Primitives
import Testing

@testable import AgentCore

/// Against a HAProxy process of our own, on a socket in a temporary directory.
@Suite(.serialized) struct RealHAProxyTests {
    private func configuration(_ haproxy: LocalHAProxy, _ service: SynapseService) -> SynapseConfiguration {
        synapse(
            [service], socket: haproxy.socketPath, config: haproxy.configPath,
            global: ["stats socket \(haproxy.socketPath) mode 600 level admin", "hard-stop-after 1s"])
    }

    /// `address:port weight state` of what is in use, sorted.
    private func active(_ haproxy: LocalHAProxy, _ backend: String = "web") throws -> [String] {
        var state = RuntimeState()
        try state.read(stateReply: haproxy.command("show servers state \(backend)"), backend: backend)
        return state.servers.filter { !$0.isInMaintenance }
            .map { "\($0.address):\($0.port) \($0.weight)\($0.isDraining ? " drain" : "")" }.sorted()
    }

    @Test("Adding, weighing, draining, moving options and deleting, each read back, without a reload")
    func commands() throws {
        let haproxy = try LocalHAProxy()
        defer { haproxy.stop() }
        let service = web(options: "check inter 60s fastinter 1s rise 2 fall 3")
        let layout = HAProxyLayout(configuration(haproxy, service))
        try haproxy.write(layout.text(SortedMap()))
        try haproxy.reload()
        try haproxy.waitUntilUp()

        var driver = RuntimeDriver()
        func server(_ number: Int, weight: Int64 = 1, drain: Bool = false, options: String = "check inter 60s")
            -> DesiredServer
        {
            DesiredServer(
                name: "i\(number)_127.0.0.\(number):9", host: "127.0.0.\(number)", port: "9", id: number,
                writesID: true,
                cookie: nil, options: Text.words(options), weight: weight, isDraining: drain, hasLiteralAddress: true)
        }
        func converge(_ servers: [DesiredServer]) throws -> RuntimeDriver.Verdict {
            driver.want(DesiredBackend(name: "web", servers: servers))
            var lines = driver.start()
            while true {
                switch try driver.repliesReceived(lines.map { try haproxy.command($0) }) {
                case .send(let next): lines = next
                case .finished(let verdict): return verdict
                }
            }
        }
        var verdict = try converge([server(2), server(3, weight: 20)])
        #expect(verdict.hasConverged && verdict.surprises.isEmpty && verdict.marker == layout.marker(serial: 1))
        #expect(try active(haproxy) == ["127.0.0.2:9 1", "127.0.0.3:9 20"])
        verdict = try converge([server(2, weight: 50), server(3, weight: 20, drain: true)])
        #expect(verdict.hasConverged && verdict.commandCount == 2)
        #expect(try active(haproxy) == ["127.0.0.2:9 50", "127.0.0.3:9 20 drain"])
        verdict = try converge([server(2, weight: 50, options: "check inter 30s backup"), server(3)])
        #expect(verdict.hasConverged && verdict.surprises.isEmpty)
        #expect(try active(haproxy) == ["127.0.0.2:9 50", "127.0.0.3:9 1"])
        verdict = try converge([server(4)])
        #expect(verdict.hasConverged && verdict.lingering.isEmpty)
        #expect(try active(haproxy) == ["127.0.0.4:9 1"])
        #expect(try !haproxy.command("show servers state web").contains("127.0.0.2"))
        var twin = server(4)
        twin.name = "other_127.0.0.5:9"
        twin.host = "127.0.0.5"
        verdict = try converge([server(4), twin])
        #expect(verdict.numbers == [.init(backend: "web", server: "other_127.0.0.5:9", id: 1)], "4 is taken")
        verdict = try converge([server(4, options: "check nonsense"), twin])
        #expect(!verdict.hasConverged && verdict.blocked[0].contains("nonsense"))
        verdict = try converge([])
        #expect(verdict.hasConverged)
        #expect(try active(haproxy).isEmpty)
    }

    @Test(
        "From nothing: HAProxy is started, driven through random changes without a reload, and reloaded for a real one")
    func wholeCore() throws {
        let haproxy = try LocalHAProxy()
        defer { haproxy.stop() }
        var registry = FakeRegistry()
        var harness = SynapseHarness(
            configuration(haproxy, web(usePrevious: false)), RealProxy(haproxy: haproxy))
        harness.send(registry.snapshot(WatchID(0)))
        harness.run(for: .seconds(4))
        #expect(harness.reloads.count == 1, "\(harness.reloads)")

        var generator = SeededGenerator(seed: 11)
        var wanted: [String: String] = [:]
        for step in 0..<80 {
            let number = 1 + generator.below(9)
            let key = "/svc/web/i\(number)"
            if wanted[key] != nil, generator.chance(1, in: 3) {
                harness.send(registry.events(WatchID(0), [registry.delete(key)]))
                wanted[key] = nil
            } else {
                let weight = 1 + generator.below(256)
                let isDraining = generator.chance(1, in: 4)
                let backup = generator.chance(1, in: 6) ? ",\"haproxy_server_options\":\"backup\"" : ""
                let value = payload(
                    "127.0.0.\(number)", 9, name: "i\(number)",
                    extra: ",\"weight\":\(weight)\(backup)\(isDraining ? ",\"drain\":true" : "")")
                harness.send(registry.events(WatchID(0), [registry.put(key, value)]))
                wanted[key] = "127.0.0.\(number):9 \(weight)\(isDraining ? " drain" : "")"
            }
            #expect(try active(haproxy) == wanted.values.sorted(), "step \(step)")
        }
        #expect(harness.reloads.count == 1, "\(harness.reloads)")
        harness.run(for: .seconds(2))
        #expect(try LocalHAProxy.check(harness.world.file ?? "") == nil)

        harness.send(
            .configurationRead(configuration(haproxy, web(options: "check inter 5s", usePrevious: false))))
        harness.run(for: .seconds(10))
        #expect(harness.reloads.count == 2, "\(harness.reloads)")
        #expect(try active(haproxy) == wanted.values.sorted(), "weights and drains hold over the reload")
        #expect(harness.reasons.contains(.reloadFinished) && !harness.reasons.contains(.reloadFailed))
    }

    @Test("A backend with cookies takes new servers by reload and brings old ones back without")
    func cookies() throws {
        let haproxy = try LocalHAProxy()
        defer { haproxy.stop() }
        var registry = FakeRegistry()
        _ = registry.put("/svc/web/i2", payload("127.0.0.2", 9, name: "i2"))
        _ = registry.put("/svc/web/i3", payload("127.0.0.3", 9, name: "i3"))
        let service = web(backend: ["cookie SRV insert indirect"])
        var harness = SynapseHarness(configuration(haproxy, service), RealProxy(haproxy: haproxy))
        harness.send(registry.snapshot(WatchID(0)))
        harness.run(for: .seconds(4))
        harness.send(registry.events(WatchID(0), [registry.delete("/svc/web/i2")]))
        #expect(try active(haproxy) == ["127.0.0.3:9 1"])
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i2", payload("127.0.0.2", 9, name: "i2"))]))
        #expect(try active(haproxy) == ["127.0.0.2:9 1", "127.0.0.3:9 1"])
        #expect(harness.reloads.count == 1)
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i4", payload("127.0.0.4", 9, name: "i4"))]))
        harness.run(for: .seconds(10))
        #expect(try active(haproxy).count == 3)
        #expect(harness.reloads.count == 2 && harness.reloads[1].contains("cookie"))
    }
}
