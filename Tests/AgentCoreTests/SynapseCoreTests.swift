import Primitives
import Testing

@testable import AgentCore

@Suite struct SynapseCoreTests {
    private func started(
        _ configuration: SynapseConfiguration = synapse([web()]), servers: Int = 2, world: ModelProxy = ModelProxy()
    ) -> (SynapseHarness<ModelProxy>, FakeRegistry) {
        var registry = FakeRegistry()
        for number in 1...max(servers, 1) where servers > 0 {
            _ = registry.put("/svc/web/i\(number)", payload("10.0.0.\(number)", 80, name: "i\(number)"))
        }
        var harness = SynapseHarness(configuration, world)
        harness.send(registry.snapshot(WatchID(0)))
        harness.run(for: .seconds(5))
        return (harness, registry)
    }

    @Test("The first start writes the file and reloads once, which also starts HAProxy")
    func firstStart() {
        let (harness, _) = started()
        #expect(harness.reloads.count == 1, "\(harness.reloads)")
        #expect(harness.world.haproxy.active("web") == ["10.0.0.1:80 1", "10.0.0.2:80 1"])
        #expect(harness.commands.isEmpty)
        #expect(text(harness.core.status(at: harness.now).bytes).contains("\"converged\":true"))
    }

    @Test("A restart over a running HAProxy with the same file neither reloads nor says anything")
    func restart() {
        let (before, registry) = started()
        var after = SynapseHarness(
            synapse([web()]), before.world, state: before.savedState, text: before.world.file)
        #expect(after.watches[WatchID(0)]?.resume == ResumePoint(cluster: 0xC1, revision: registry.revision))
        after.send(registry.events(WatchID(0), []))
        after.run(for: .seconds(5))
        #expect(after.reloads.isEmpty && after.commands.isEmpty && after.world.writes == before.world.writes)
    }

    @Test("Joining, weight, draining, moving and leaving need no reload")
    func runtime() {
        var (harness, registry) = started()
        harness.send(
            registry.events(
                WatchID(0), [registry.put("/svc/web/i3", payload("10.0.0.3", 80, name: "i3", extra: ",\"weight\":7"))]))
        #expect(harness.world.haproxy.active("web") == ["10.0.0.1:80 1", "10.0.0.2:80 1", "10.0.0.3:80 7"])
        #expect(
            harness.commands == [
                "add server web/i3_10.0.0.3:80 10.0.0.3:80 id 3 check inter 2s pool-max-conn -1 pool-purge-delay 5s weight 7",
                "enable health web/i3_10.0.0.3:80", "set server web/i3_10.0.0.3:80 state ready",
            ])
        harness.send(
            registry.events(
                WatchID(0), [registry.put("/svc/web/i3", payload("10.0.0.3", 80, name: "i3", extra: ",\"weight\":9"))]))
        #expect(harness.commands.last == "set server web/i3_10.0.0.3:80 weight 9")
        harness.send(
            registry.events(
                WatchID(0), [registry.put("/svc/web/i1", payload("10.0.0.1", 80, name: "i1", extra: ",\"drain\":true"))]
            ))
        #expect(harness.world.haproxy.active("web")[0] == "10.0.0.1:80 1 drain")
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i1", payload("10.0.0.1", 80, name: "i1"))]))
        #expect(harness.world.haproxy.active("web")[0] == "10.0.0.1:80 1")
        harness.send(registry.events(WatchID(0), [registry.delete("/svc/web/i1"), registry.delete("/svc/web/i2")]))
        #expect(harness.world.haproxy.active("web") == ["10.0.0.3:80 9"])
        #expect(harness.world.haproxy.backends[0].servers.count == 1)
        harness.run(for: .seconds(2))
        #expect(harness.reloads.count == 1)
        #expect(harness.world.file?.contains("10.0.0.3:80 id 3") == true, "the file follows")
        #expect(harness.world.file?.contains("10.0.0.1") == false)
    }

    @Test("A registry that is dark, empty, restarted or compacted takes no server away; a delete does")
    func lastKnownGood() {
        var harness = started().0
        let full = harness.world.haproxy.active("web")
        harness.send(.discoveryUnavailable(WatchID(0), "no leader"))
        harness.run(for: .seconds(100))
        #expect(harness.world.haproxy.active("web") == full)
        harness.send(.discoveryCompacted(WatchID(0)))
        harness.send(.discoverySnapshot(WatchID(0), cluster: 0xC1, revision: 1, entries: []))
        harness.send(.discoverySnapshot(WatchID(0), cluster: 0xBEEF, revision: 900, entries: []))
        harness.run(for: .seconds(200))
        #expect(harness.world.haproxy.active("web") == full)
        harness.send(
            .discoveryEvents(
                WatchID(0), cluster: 0xBEEF, revision: 901,
                changes: [
                    .delete(key: Array("/svc/web/i1".utf8), modRevision: 901)
                ]))
        #expect(harness.world.haproxy.active("web") == ["10.0.0.2:80 1"])
        #expect(harness.reloads.count == 1)
        #expect(harness.reasons.contains(.backendKept) && harness.reasons.contains(.registryRestarted))
    }

    @Test(
        "The last explicit delete empties the list only when previous backends are not to be used",
        arguments: [true, false])
    func lastDelete(usePrevious: Bool) {
        var (harness, registry) = started(synapse([web(usePrevious: usePrevious)]), servers: 1)
        harness.send(registry.events(WatchID(0), [registry.delete("/svc/web/i1")]))
        harness.run(for: .seconds(3))
        #expect(harness.world.haproxy.active("web") == (usePrevious ? ["10.0.0.1:80 1"] : []))
    }

    @Test("Started in the dark: last good first, then default servers, then what HAProxy's file has")
    func startInTheDark() {
        let (before, _) = started()
        for (state, defaults, text, expected) in [
            (
                before.savedState, [Backend(host: "10.9.9.9", port: "1")], nil as String?,
                ["10.0.0.1:80 1", "10.0.0.2:80 1"]
            ),
            (nil, [Backend(host: "10.9.9.9", port: "1")], nil, ["10.9.9.9:1 1"]),
            (Array("damaged".utf8), [Backend(host: "10.9.9.9", port: "1")], nil, ["10.9.9.9:1 1"]),
            (nil, [], before.world.file, ["10.0.0.1:80 1", "10.0.0.2:80 1"]), (nil, [], nil, []),
        ] {
            var harness = SynapseHarness(synapse([web(defaults: defaults)]), ModelProxy(), state: state, text: text)
            harness.run(for: .seconds(2))
            #expect(harness.reloads.isEmpty, "the first configuration waits for an answer")
            harness.run(for: .seconds(10))
            #expect(harness.world.haproxy.active("web") == expected)
            #expect(harness.reloads.count == 1)
        }
    }

    @Test("Instances that left while synapse was down go when the history proves it")
    func leftMeanwhile() {
        var (before, registry) = started()
        before.run(for: .seconds(2))
        _ = registry.delete("/svc/web/i1")
        var after = SynapseHarness(synapse([web()]), before.world, state: before.savedState, text: before.world.file)
        after.send(registry.snapshot(WatchID(0)))
        after.run(for: .seconds(3))
        #expect(after.world.haproxy.active("web") == ["10.0.0.2:80 1"])
        #expect(after.reloads.isEmpty)
    }

    @Test("A changed configuration reloads once; the same configuration again does nothing")
    func reconfigured() {
        var (harness, _) = started()
        harness.send(.configurationRead(synapse([web(options: "check inter 3s")])))
        harness.run(for: .seconds(5))
        #expect(harness.reloads.count == 2)
        #expect(harness.world.haproxy.backends[0].servers[0].options.contains("3s"))
        harness.send(.configurationRead(synapse([web(options: "check inter 3s")])))
        harness.run(for: .seconds(60))
        #expect(harness.reloads.count == 2)
    }

    @Test("Services come and go with their watches; two services on one path share one")
    func services() {
        var (harness, _) = started()
        var twin = web()
        twin.name = "twin"
        harness.send(.configurationRead(synapse([web(), twin, web("other")])))
        #expect(harness.watches.keys.sorted() == [WatchID(0), WatchID(1)])
        harness.run(for: .seconds(10))
        #expect(harness.world.haproxy.active("twin") == ["10.0.0.1:80 1", "10.0.0.2:80 1"])
        harness.send(.configurationRead(synapse([twin])))
        #expect(harness.watches.keys.sorted() == [WatchID(0)])
        harness.run(for: .seconds(10))
        #expect(harness.world.haproxy.backends.map(\.name) == ["twin"])
        // What is gone from the configuration is looked for nowhere any more.
        harness.orders = []
        harness.run(for: .seconds(120))
        #expect(harness.reloads.isEmpty && harness.commands.isEmpty)
        #expect(!harness.reasons.suffix(3).contains(.runtimeRetry))
        #expect(text(harness.core.status(at: harness.now).bytes).contains("\"converged\":true"))
    }

    @Test("Keys below a child are not of the service; with etcd sections they are")
    func depth() {
        for isRecursive in [false, true] {
            var service = web()
            service.discovery = .registry(RegistryEndpoints(["r:1"]), path: "/svc/web", isRecursive: isRecursive)
            var (harness, registry) = started(synapse([service]), servers: 1)
            harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i9/0001", payload("10.0.0.9", 80))]))
            #expect(harness.world.haproxy.active("web").count == (isRecursive ? 2 : 1))
        }
    }

    @Test("A refused candidate is not installed and not reloaded, and tried again with the next change")
    func refused() {
        var world = ModelProxy()
        world.refusesWrites = true
        var (harness, registry) = started(world: world)
        harness.run(for: .seconds(30))
        #expect(harness.reloads.isEmpty && harness.world.file == nil)
        #expect(harness.orders.filter { if case .writeConfiguration = $0 { true } else { false } }.count <= 3)
        harness.world.refusesWrites = false
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i5", payload("10.0.0.5", 80))]))
        harness.run(for: .seconds(5))
        #expect(harness.reloads.count == 1 && harness.world.haproxy.active("web").count == 3)
    }

    @Test("A failing reload is repeated with growing pauses; one without effect is noticed and repeated")
    func failingReload() {
        for isIgnored in [false, true] {
            var world = ModelProxy()
            world.failsReloads = !isIgnored
            var harness = started(world: world).0
            if isIgnored {
                harness.world.ignoresReloads = true
                harness.send(.configurationRead(synapse([web(options: "check inter 9s")])))
            }
            let before = harness.reloads.count
            harness.run(for: .seconds(600))
            #expect(harness.reloads.count > before && harness.reloads.count <= before + 12, "\(harness.reloads.count)")
            #expect(harness.reasons.contains(.reloadFailed))
            (harness.world.failsReloads, harness.world.ignoresReloads) = (false, false)
            harness.run(for: .seconds(310))
            let settled = harness.reloads.count
            #expect(harness.world.haproxy.active("web").count == 2)
            harness.run(for: .seconds(600))
            #expect(harness.reloads.count == settled)
        }
    }

    @Test("Where servers cannot be added a new one reloads, one that leaves does not, nor one that returns")
    func staticBackend() {
        let configuration = synapse([web(backend: ["cookie SRV insert"])])
        var (harness, registry) = started(configuration)
        harness.send(registry.events(WatchID(0), [registry.delete("/svc/web/i1")]))
        #expect(harness.world.haproxy.active("web") == ["10.0.0.2:80 1"])
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i1", payload("10.0.0.1", 80, name: "i1"))]))
        #expect(harness.world.haproxy.active("web").count == 2)
        harness.run(for: .seconds(3))
        #expect(harness.reloads.count == 1)
        for number in 3...12 {
            harness.send(
                registry.events(WatchID(0), [registry.put("/svc/web/i\(number)", payload("10.0.0.\(number)", 80))]))
            harness.run(for: .milliseconds(150))
        }
        harness.run(for: .seconds(5))
        #expect(harness.world.haproxy.active("web").count == 12)
        #expect(harness.reloads.count <= 3, "changes of two seconds share a reload: \(harness.reloads)")
    }

    @Test("An algorithm that takes no servers is learned from HAProxy's own words")
    func unexpectedlyStatic() {
        var (harness, registry) = started()
        harness.world.haproxy.staticBackends = ["web"]
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i3", payload("10.0.0.3", 80))]))
        harness.run(for: .seconds(5))
        #expect(harness.reloads.count == 2 && harness.world.haproxy.active("web").count == 3)
        #expect(harness.reloads[1].contains("dynamic load balancing"))
    }

    @Test("A removed server with connections waits in maintenance without a reload, and goes when they end")
    func lingering() {
        var (harness, registry) = started()
        harness.world.haproxy.busy = ["web/i1_10.0.0.1:80"]
        harness.send(registry.events(WatchID(0), [registry.delete("/svc/web/i1")]))
        #expect(harness.world.haproxy.active("web") == ["10.0.0.2:80 1"], "out of use at once")
        harness.run(for: .seconds(60))
        #expect(harness.world.haproxy.backends[0].servers.count == 2 && harness.reloads.count == 1)
        let status = text(harness.core.status(at: harness.now).bytes)
        #expect(status.contains("\"lingering\":[\"web/i1_10.0.0.1:80\"]"), "\(status)")
        harness.world.haproxy.busy = []
        harness.run(for: .seconds(11))
        #expect(harness.world.haproxy.backends[0].servers.count == 1)
    }

    @Test("Changed options make the server anew, or reload when its connections forbid that")
    func optionsChange() {
        for isBusy in [false, true] {
            var (harness, registry) = started()
            if isBusy { harness.world.haproxy.busy = ["web/i1_10.0.0.1:80"] }
            harness.send(
                registry.events(
                    WatchID(0),
                    [
                        registry.put(
                            "/svc/web/i1",
                            payload("10.0.0.1", 80, name: "i1", extra: ",\"haproxy_server_options\":\"backup\""))
                    ]))
            #expect(harness.world.haproxy.active("web").count == 2, "in use again either way")
            harness.run(for: .seconds(5))
            #expect(harness.reloads.count == (isBusy ? 2 : 1))
            let server = harness.world.haproxy.backends[0].servers.first { $0.name == "i1_10.0.0.1:80" }
            #expect(server?.options.contains("backup") == true)
            harness.run(for: .seconds(120))
            #expect(harness.reloads.count == (isBusy ? 2 : 1))
        }
    }

    @Test("HAProxy dying and coming back empty-handed is brought back; hand-made changes are undone")
    func audit() {
        var (harness, _) = started()
        harness.world.haproxy.backends[0].servers[0].admin = 1
        harness.world.haproxy.backends[0].servers[1].weight = 77
        harness.run(for: .seconds(31))
        #expect(harness.world.haproxy.active("web") == ["10.0.0.1:80 1", "10.0.0.2:80 1"])
        harness.world.haproxy.isRunning = false
        harness.run(for: .seconds(60))
        #expect(harness.world.haproxy.isRunning && harness.reloads.count == 2)
        #expect(harness.reloads[1].contains("does not answer"))
    }

    @Test("HAProxy started anew between a change and the file that tells of it gets the change within seconds")
    func restartBeforeFile() {
        var (harness, registry) = started()
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i3", payload("10.0.0.3", 80, name: "i3"))]))
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i4", payload("10.0.0.4", 80, name: "i4"))]))
        #expect(harness.world.haproxy.active("web").count == 4)
        harness.world.haproxy.load(harness.world.file ?? "")
        #expect(harness.world.haproxy.active("web").count == 3, "writes are spaced: the fourth is not in it yet")
        harness.run(for: .seconds(5))
        #expect(harness.world.haproxy.active("web").count == 4)
        #expect(harness.reloads.count == 1)
    }

    @Test("Changes of one service do not keep the others from being looked at")
    func auditBesideChanges() {
        var configuration = synapse([web(), web("api")])
        configuration.haproxy.doesWrites = false
        configuration.haproxy.doesReloads = false
        var world = ModelProxy()
        world.haproxy.load("backend web\nbackend api\n")
        var (harness, registry) = started(configuration, world: world)
        #expect(harness.world.haproxy.active("web").count == 2)
        harness.send(.discoverySnapshot(WatchID(1), cluster: 0xC1, revision: registry.revision, entries: []))
        harness.world.haproxy.load("backend web\nbackend api\n")
        for round in 1...8 {
            harness.run(for: .seconds(5))
            harness.send(
                registry.events(WatchID(1), [registry.put("/svc/api/i1", payload("10.0.1.\(round)", 80, name: "i1"))]))
            #expect(harness.world.haproxy.active("api") == ["10.0.1.\(round):80 1"])
        }
        #expect(harness.world.haproxy.active("web").count == 2)
    }

    @Test("Without the socket every change reloads, no more often than the interval")
    func noSocket() {
        var configuration = synapse([web()])
        configuration.haproxy.doesSocket = false
        var (harness, registry) = started(configuration)
        #expect(harness.reloads.count == 1)
        for number in 3...22 {
            harness.send(
                registry.events(WatchID(0), [registry.put("/svc/web/i\(number)", payload("10.0.0.\(number)", 80))]))
            harness.run(for: .milliseconds(200))
        }
        harness.run(for: .seconds(5))
        #expect(harness.world.haproxy.active("web").count == 22)
        #expect(harness.reloads.count <= 5 && harness.commands.isEmpty)
    }

    @Test("A socket that never answers falls back to reloads on change")
    func deafSocket() {
        struct Deaf: Proxy {
            var model = ModelProxy()
            func reply(to line: String) -> String? { nil }
            mutating func install(_ text: String) -> WriteResult { model.install(text) }
            mutating func reload() -> Bool { model.reload() }
            func pause() {}
        }
        var registry = FakeRegistry()
        var harness = SynapseHarness(synapse([web()]), Deaf())
        harness.send(registry.snapshot(WatchID(0)))
        harness.run(for: .seconds(60))
        #expect(harness.reloads.count == 1)
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i1", payload("10.0.0.1", 80))]))
        harness.run(for: .seconds(30))
        #expect(harness.reloads.count == 2 && harness.world.model.haproxy.active("web").count == 1)
        harness.run(for: .seconds(600))
        #expect(harness.reloads.count == 2)
    }

    @Test("A reload that is due while the socket owes an answer waits for it, without a timer that is due at once")
    func reloadBehindSlowSocket() {
        var (harness, registry) = started()
        harness.run(for: .seconds(60))
        harness.isSocketSlow = true
        harness.send(registry.events(WatchID(0), [registry.put("/svc/web/i3", payload("10.0.0.3", 80))]))
        #expect(harness.owed.count == 1)
        harness.send(.configurationRead(synapse([web(backend: ["balance leastconn"])])))
        harness.run(for: .milliseconds(100))
        #expect(!harness.core.control.reloadReasons.isEmpty && harness.reloads.count == 1)
        #expect(harness.core.nextDeadline > harness.now)
        harness.isSocketSlow = false
        for answer in harness.owed { harness.send(answer) }
        harness.run(for: .seconds(5))
        #expect(harness.reloads.count == 2)
        #expect(harness.world.haproxy.active("web").count == 3)
    }

    @Test("A registration that returns under another key while HAProxy is being read is never taken away")
    func returnsWhileReading() {
        var (harness, registry) = started(synapse([web(usePrevious: false)]), servers: 1)
        harness.run(for: .seconds(60))
        harness.isSocketSlow = true
        harness.send(registry.events(WatchID(0), [registry.delete("/svc/web/i1")]))
        #expect(harness.owed.count == 1)
        harness.send(
            registry.events(WatchID(0), [registry.put("/svc/web/again", payload("10.0.0.1", 80, name: "i1"))]))
        harness.now = harness.now + .milliseconds(60)
        harness.isSocketSlow = false
        for answer in harness.owed { harness.send(answer) }
        harness.run(for: .seconds(5))
        #expect(harness.commands.isEmpty, "\(harness.commands)")
        #expect(harness.world.haproxy.active("web") == ["10.0.0.1:80 1"])
    }

    @Test("With do_reloads off nothing is reloaded, the need is shown, and a reload by hand settles it")
    func reloadByHand() {
        var configuration = synapse([web()])
        configuration.haproxy.doesReloads = false
        var (harness, _) = started(configuration)
        #expect(harness.reloads.isEmpty && harness.world.file != nil)
        #expect(text(harness.core.status(at: harness.now).bytes).contains("does not answer"))
        harness.world.haproxy.load(harness.world.file ?? "")
        harness.run(for: .seconds(31))
        #expect(text(harness.core.status(at: harness.now).bytes).contains("\"reload_needed\":[]"))
    }

    @Test("Shutdown saves the state and ends; HAProxy keeps what it has")
    func shutdown() {
        var (harness, _) = started()
        harness.savedState = nil
        harness.send(.shutdown)
        #expect(harness.isFinished && harness.savedState != nil && harness.core.nextDeadline == .distantFuture)
        #expect(harness.world.haproxy.active("web").count == 2)
    }
}
