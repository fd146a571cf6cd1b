import Primitives
import Testing

@testable import AgentCore

@Suite struct NerveCoreTests {
    @Test("A passing service is registered at once, under path, instance and lease, and kept alive")
    func registers() {
        var harness = NerveHarness(NerveConfiguration(instanceID: "web-17", services: [service("api")]))
        harness.run(for: .milliseconds(100))
        #expect(harness.keys.keys.sorted() == ["/svc/api/web-17_1001"])
        #expect(harness.keys.values.first?.value == #"{"host":"10.0.0.4","port":80,"name":"web-17"}"#)
        harness.run(for: .seconds(60))
        #expect(harness.registrations == 1, "nothing is written again while nothing changes")
        #expect(harness.count { if case .keepAlive = $0 { true } else { false } } >= 17)
        #expect(harness.core.services[0].registeredKey == "/svc/api/web-17_1001")
    }

    @Test("All services of a host share one lease, and a failing service never registers")
    func oneLease() {
        let services = (0..<100).map { service("s\($0)") }
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: services), failing: ["s7"])
        harness.run(for: .seconds(5))
        #expect(harness.keys.count == 99 && harness.keys["/svc/s7/i_1001"] == nil)
        #expect(harness.count { if case .grantLease = $0 { true } else { false } } == 1)
    }

    @Test("A failing service leaves after fall checks, comes back after rise, without touching others")
    func fallAndRise() {
        var harness = NerveHarness(
            NerveConfiguration(instanceID: "i", services: [service("a", rise: 2, fall: 2), service("b")]))
        harness.run(for: .milliseconds(500))
        harness.failing = ["a"]
        harness.run(until: at(1_500))
        #expect(harness.keys.count == 2, "one failure is not enough")
        harness.run(until: at(2_100))
        #expect(harness.keys.keys.sorted() == ["/svc/b/i_1001"])
        harness.failing = []
        harness.run(until: at(3_500))
        #expect(harness.keys.count == 1)
        harness.run(until: at(4_500))
        #expect(harness.keys.count == 2)
        #expect(harness.registrations == 3 && harness.deregistrations == 1)
        #expect(harness.reasons.count { $0 == .registered } == 3)
        #expect(harness.reasons.count { $0 == .deregistered } == 1)
    }

    @Test("A write that failed is tried again after a short pause, without waiting for the next check")
    func retries() {
        var harness = NerveHarness(
            NerveConfiguration(instanceID: "i", services: [service("a", fall: 1)]), failing: ["a"])
        harness.run(until: at(900))
        for isUp in [true, false] {
            // The check at the full second changes the verdict; the write that follows is lost.
            harness.failing = isUp ? [] : ["a"]
            harness.weather = .dark
            harness.run(for: .milliseconds(130))
            #expect(harness.keys.isEmpty == isUp)
            harness.weather = .fine
            harness.run(for: .milliseconds(770))
            #expect(harness.keys.isEmpty != isUp)
            harness.run(for: .milliseconds(100))
        }
    }

    @Test("A removal of which nothing is heard is ordered again after five seconds")
    func silence() {
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: [service("a", fall: 1)]))
        harness.run(until: at(900))
        harness.failing = ["a"]
        harness.weather = .silent
        harness.run(until: at(5_900))
        #expect(harness.deregistrations == 1)
        harness.run(until: at(6_500))
        #expect(harness.deregistrations == 2)
    }

    @Test("Fast confirmation takes a dead instance out within a tenth of a second of the first failed check")
    func fastConfirmation() {
        var quick = service("a", fall: 2)
        quick.fastConfirmation = .milliseconds(100)
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: [quick]))
        harness.run(until: at(100))
        harness.failing = ["a"]
        harness.run(until: at(1_000))
        let firstFailure = harness.probes.count
        harness.run(until: at(1_120))
        #expect(harness.keys.isEmpty, "worst case: one interval, one re-check")
        #expect(harness.probes.count == firstFailure + 2)
        harness.run(until: at(3_000))
        #expect(harness.probes.count <= firstFailure + 4, "once down the rhythm is the interval again")
    }

    @Test("The checks of a service run in order and stop at the first that is down")
    func order() {
        var two = service("a", checks: 2, fall: 1)
        two.checks[0].name = "first x"
        two.checks[1].name = "second x"
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: [two]), failing: ["first"])
        harness.run(for: .milliseconds(4_500))
        #expect(!harness.probes.isEmpty && harness.probes.allSatisfy { $0.check.name == "first x" })
        harness.failing = ["second"]
        harness.run(for: .seconds(3))
        #expect(harness.probes.suffix(2).map(\.check.name) == ["first x", "second x"])
        #expect(harness.keys.isEmpty)
    }

    @Test("A registry that is away changes nothing: no exit, no removal, and nothing is written again when it returns")
    func registryAway() {
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: [service("a"), service("b")]))
        harness.run(for: .seconds(1))
        harness.weather = .dark
        harness.run(for: .seconds(8))
        harness.weather = .fine
        harness.run(for: .seconds(30))
        #expect(harness.keys.count == 2)
        #expect(harness.deregistrations == 0 && harness.registrations == 2)
        #expect(!harness.isFinished)
        #expect(harness.reasons.contains(.registryUnreachable))
    }

    @Test("After an outage longer than the lease everything is registered again under a new lease, at once")
    func leaseLost() {
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: [service("a"), service("b")]))
        harness.run(for: .seconds(1))
        harness.weather = .dark
        harness.run(for: .seconds(120))
        #expect(harness.keys.isEmpty, "the lease ran out on the registry")
        harness.weather = .fine
        harness.send(.registryReachable(RegistryID(0), true))
        harness.run(for: .milliseconds(1_200))
        #expect(harness.keys.keys.sorted() == ["/svc/a/i_1002", "/svc/b/i_1002"])
        #expect(harness.reasons.contains(.leaseLost))
    }

    @Test("A registry away at the start is waited for with back-off, and services are checked meanwhile")
    func awayAtStart() {
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: [service("a")]), weather: .dark)
        harness.run(for: .seconds(60))
        let grants = harness.count { if case .grantLease = $0 { true } else { false } }
        #expect(grants > 5 && grants < 40)
        #expect(harness.core.services[0].isUp == true && harness.core.services[0].isPublished)
        harness.weather = .fine
        harness.run(for: .seconds(11))
        #expect(harness.keys.count == 1)
    }

    @Test("A service that fails during an outage is removed when the registry returns")
    func failsWhileAway() {
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: [service("a")]))
        harness.run(for: .seconds(1))
        harness.weather = .dark
        harness.failing = ["a"]
        harness.run(for: .seconds(5))
        #expect(harness.keys.count == 1)
        harness.weather = .fine
        harness.send(.registryReachable(RegistryID(0), true))
        harness.run(for: .milliseconds(300))
        #expect(harness.keys.isEmpty)
    }

    @Test("A write that arrives after its sender gave up and removed the key does not survive")
    func lateWrite() {
        var harness = NerveHarness(
            NerveConfiguration(instanceID: "i", services: [service("a", fall: 1)]), failing: ["a"])
        harness.run(for: .milliseconds(500))
        harness.weather = .dark
        harness.delaysWrites = true
        harness.failing = []
        harness.run(until: at(1_100))
        #expect(harness.registrations == 1, "sent once, and lost")
        harness.delaysWrites = false
        harness.weather = .fine
        harness.failing = ["a"]
        harness.run(until: at(5_000))
        #expect(harness.keys.isEmpty)
        harness.run(until: at(10_500))
        #expect(harness.keys.count == 1, "the lost write arrives")
        harness.run(until: at(13_000))
        #expect(harness.keys.isEmpty, "and is removed again")
    }

    @Test("Shutdown gives the lease back, which removes everything; silence ends it after five seconds")
    func shutdown() {
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: [service("a")]))
        harness.run(for: .seconds(1))
        harness.send(.shutdown)
        harness.run(for: .milliseconds(100))
        #expect(harness.keys.isEmpty && harness.isFinished && harness.leases.isEmpty)
        #expect(harness.core.nextDeadline == .distantFuture)

        var silent = NerveHarness(NerveConfiguration(instanceID: "i", services: [service("a")]))
        silent.run(for: .seconds(1))
        silent.weather = .dark
        silent.send(.shutdown)
        silent.run(for: .milliseconds(4_900))
        #expect(!silent.isFinished)
        silent.run(for: .milliseconds(200))
        #expect(silent.isFinished)
    }

    @Test("A grant answered too late is given back")
    func staleGrant() {
        var core = NerveCore(NerveConfiguration(instanceID: "i", services: [service("a")]), seed: 1, at: .zero)
        var orders: [NerveOrder] = []
        core.step(.timer, at: .zero, into: &orders)
        core.step(.timer, at: at(5_000), into: &orders)
        orders = []
        core.step(.leaseGranted(RegistryID(0), RequestID(1), lease: 77, ttlSeconds: 10), at: at(5_001), into: &orders)
        #expect(orders.contains { if case .revokeLease(_, _, 77, _) = $0 { true } else { false } })
    }

    @Test("A changed payload is written under the same key; unchanged services are not touched")
    func payloadChange() {
        var configuration = NerveConfiguration(instanceID: "i", services: [service("a"), service("b")])
        var harness = NerveHarness(configuration)
        harness.run(for: .seconds(1))
        configuration.services[0].weight = 5
        harness.send(.configurationRead(configuration))
        harness.run(for: .milliseconds(50))
        #expect(harness.keys["/svc/a/i_1001"]?.value.contains("\"weight\":5") == true)
        #expect(harness.registrations == 3 && harness.deregistrations == 0)
    }

    @Test("Reload: a removed service goes, a new one comes, a changed check stays registered until its verdict")
    func reload() {
        var harness = NerveHarness(
            NerveConfiguration(instanceID: "i", services: [service("a"), service("b"), service("c")]))
        harness.run(for: .seconds(1))
        harness.failing = ["b"]
        var changed = service("b", fall: 3)
        changed.weight = 9
        harness.send(
            .configurationRead(NerveConfiguration(instanceID: "i", services: [service("a"), changed, service("d")])))
        #expect(harness.keys["/svc/b/i_1001"] != nil)
        harness.run(for: .milliseconds(1))
        #expect(harness.keys["/svc/b/i_1001"] != nil)
        harness.run(for: .milliseconds(100))
        #expect(harness.keys.keys.sorted() == ["/svc/a/i_1001", "/svc/d/i_1001"])
    }

    @Test("A new instance id or path is registered before the old key goes")
    func keyChange() {
        var harness = NerveHarness(NerveConfiguration(instanceID: "old", services: [service("a")]))
        harness.run(for: .seconds(1))
        harness.orders = []
        harness.send(
            .configurationRead(NerveConfiguration(instanceID: "new", services: [service("a", path: "/moved")])))
        #expect(harness.registrations == 1 && harness.deregistrations == 0, "the old key waits for the new one")
        harness.run(for: .milliseconds(100))
        #expect(harness.keys.keys.sorted() == ["/moved/new_1001"])
        let writes = harness.orders.compactMap { order -> String? in
            switch order {
            case .register(_, _, let key, _, _, _): "put \(text(key))"
            case .deregister(_, _, let key, _): "delete \(text(key))"
            default: nil
            }
        }
        #expect(writes == ["put /moved/new_1001", "delete /svc/a/old_1001"])
    }

    @Test("Services of one host on one path have keys of their own")
    func samePath() {
        var harness = NerveHarness(
            NerveConfiguration(instanceID: "i", services: [service("a", path: "/p"), service("b/x", path: "/p")]))
        harness.run(for: .seconds(1))
        #expect(harness.keys.keys.sorted() == ["/p/i_1001", "/p/i_1001~b-x"])
    }

    @Test("Services of different registries hold a lease in each; a registry without services is left")
    func twoRegistries() {
        var harness = NerveHarness(
            NerveConfiguration(instanceID: "i", services: [service("a"), service("b", registry: "q:1")]))
        harness.run(for: .seconds(1))
        #expect(harness.leases.count == 2 && harness.keys.count == 2)
        let opened = harness.orders.compactMap { order in
            if case .openRegistry(let id, let endpoints) = order { (id, endpoints.hosts) } else { nil }
        }
        #expect(opened.map(\.0) == [RegistryID(0), RegistryID(1)] && opened.last?.1 == ["q:1"])
        harness.send(.configurationRead(NerveConfiguration(instanceID: "i", services: [service("a")])))
        harness.run(for: .seconds(1))
        #expect(harness.leases.count == 1 && harness.keys.count == 1)
        #expect(harness.orders.contains(.closeRegistry(RegistryID(1))))
    }

    @Test("Rate limiting holds back flips, in shadow mode it only tells", arguments: [true, false])
    func rateLimit(isShadow: Bool) {
        var flapping = service("a", fall: 1)
        flapping.rateLimit = RateLimit(
            averageRate: DecimalNumber(billionths: 100_000_000), maxBurst: DecimalNumber(billionths: 1_000_000_000),
            isShadow: isShadow)
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: [flapping]))
        for round in 0..<20 {
            harness.run(until: at(Int64(round) * 1_000 + 500))
            harness.failing = round % 2 == 0 ? ["a"] : []
        }
        #expect(harness.reasons.contains(isShadow ? .throttledShadow : .throttled))
        if isShadow {
            #expect(harness.registrations + harness.deregistrations > 15)
        } else {
            #expect(harness.registrations + harness.deregistrations <= 2)
        }
    }

    @Test("A probe without an answer counts as failed, and its late answer as nothing")
    func overdueProbe() {
        var core = NerveCore(NerveConfiguration(instanceID: "i", services: [service("a")]), seed: 1, at: .zero)
        var orders: [NerveOrder] = []
        core.step(.timer, at: .zero, into: &orders)
        #expect(orders.contains { if case .startProbe(ProbeID(1), _) = $0 { true } else { false } })
        core.step(.timer, at: at(1_100), into: &orders)
        #expect(core.services[0].isUp == false)
        core.step(.probeFinished(ProbeID(1), .passed), at: at(1_101), into: &orders)
        #expect(core.services[0].isUp == false)
    }

    @Test("The heartbeat file is touched every ten seconds, and mocked services need no probe")
    func heartbeat() {
        var mocked = service("a")
        mocked.isMocked = true
        var harness = NerveHarness(
            NerveConfiguration(instanceID: "i", services: [mocked], heartbeatPath: "/run/nerve.hb"))
        harness.run(for: .seconds(35))
        #expect(harness.heartbeats == 4 && harness.probes.isEmpty && harness.keys.count == 1)
        #expect(text(harness.core.status(at: harness.now).bytes).contains("\"registered_key\":\"/svc/a/i_1001\""))
    }

    @Test("After any weather and any health, the registry shows exactly the healthy services", arguments: 0..<24)
    func property(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var services = (0..<6).map { service("s\($0)", rise: 1 + $0 % 2, fall: 1 + $0 % 3) }
        services[2].fastConfirmation = .milliseconds(100)
        services[5].path = services[4].path
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: services), seed: seed)
        for _ in 0..<60 {
            switch generator.below(8) {
            case 0: harness.weather = .dark
            case 1: harness.weather = .deafening
            case 2, 3: harness.weather = .fine
            case 4: harness.delaysWrites.toggle()
            case 5: if let lease = harness.leases.keys.sorted().first { harness.drop(lease) }
            case 6:
                services[Int(generator.below(6))].weight = Int64(generator.below(100))
                harness.send(.configurationRead(NerveConfiguration(instanceID: "i", services: services)))
            default: harness.failing = Set(services.map(\.name).filter { _ in generator.chance(1, in: 3) })
            }
            harness.run(for: generator.span(.milliseconds(10), .seconds(6)))
        }
        harness.weather = .fine
        harness.delaysWrites = false
        harness.run(for: .seconds(40))
        let healthy = services.filter { !harness.failing.contains($0.name) }
        #expect(harness.keys.values.map(\.value).sorted() == healthy.map { text($0.payload(instanceID: "i")) }.sorted())
        #expect(harness.keys.values.allSatisfy { harness.leases[$0.lease] != nil })
        let before = harness.orders.count
        harness.run(for: .seconds(20))
        let later = harness.orders[before...].filter {
            if case .register = $0 { true } else if case .deregister = $0 { true } else { false }
        }
        #expect(later.isEmpty, "and then nothing is written any more")
        harness.send(.shutdown)
        harness.run(for: .seconds(6))
        #expect(harness.isFinished && harness.keys.isEmpty)
    }
}
