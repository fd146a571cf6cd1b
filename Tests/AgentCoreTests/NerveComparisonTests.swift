import Primitives
import Testing

@testable import AgentCore

/// The registry holds something else than it acknowledged, and the lease lives on.
@Suite struct NerveComparisonTests {
    private func started(_ services: [NerveService], failing: Set<String> = []) -> NerveHarness {
        var harness = NerveHarness(NerveConfiguration(instanceID: "i", services: services), failing: failing)
        harness.run(for: .seconds(1))
        return harness
    }

    private func readings(_ harness: NerveHarness) -> Int {
        harness.count { if case .readLease = $0 { true } else { false } }
    }

    @Test("A registration that the registry lost although its lease lives is written again within ten seconds")
    func lost() {
        var harness = started([service("a"), service("b")])
        harness.keys["/svc/a/i_1001"] = nil
        harness.run(for: .seconds(11))
        #expect(harness.keys.keys.sorted() == ["/svc/a/i_1001", "/svc/b/i_1001"])
        #expect(harness.reasons.contains(.registrationsDiffer) && !harness.reasons.contains(.leaseLost))
    }

    @Test("A removal that another registry acknowledged is repeated to the one that comes back")
    func removedElsewhere() {
        var harness = started([service("a"), service("b", fall: 1)])
        let before = harness.keys
        harness.failing = ["b"]
        harness.run(for: .seconds(2))
        #expect(harness.keys.count == 1)
        harness.keys = before
        harness.run(for: .seconds(11))
        #expect(harness.keys.keys.sorted() == ["/svc/a/i_1001"])
        #expect(harness.deregistrations == 2)
    }

    @Test("Where one acknowledgement is worth nothing, values are written again too")
    func oldValues() {
        var harness = started([service("a"), service("b")])
        let value = harness.keys["/svc/b/i_1001"]?.value
        harness.keys["/svc/a/i_1001"] = nil
        harness.keys["/svc/b/i_1001"]?.value = "old"
        harness.run(for: .seconds(11))
        #expect(harness.keys["/svc/b/i_1001"]?.value == value)
    }

    @Test("The lease is read at once when the registry answers again, and when a connection came up")
    func atOnce() {
        var harness = started([service("a")])
        harness.send(.registryReachable(RegistryID(0), true))
        harness.run(for: .milliseconds(200))
        #expect(readings(harness) == 1)
        harness.weather = .dark
        harness.run(for: .seconds(5))
        let before = readings(harness)
        harness.keys["/svc/a/i_1001"] = nil
        harness.weather = .fine
        harness.run(for: .milliseconds(1_200))
        #expect(readings(harness) > before)
        #expect(harness.keys.count == 1)
    }

    @Test("What stands as it should is read and not written, and not read often")
    func quiet() {
        var harness = started([service("a"), service("b")])
        harness.run(for: .seconds(100))
        #expect(harness.registrations == 2 && harness.deregistrations == 0)
        #expect((10...14).contains(readings(harness)), "\(readings(harness))")
    }

    @Test("A registry that is being left is not read any more, and not waited for in a loop")
    func leaving() {
        var harness = started([service("a"), service("b", registry: "q:1")])
        harness.weather = .dark
        harness.send(.configurationRead(NerveConfiguration(instanceID: "i", services: [service("a")])))
        harness.run(for: .seconds(30))
        let left = harness.count { if case .readLease(RegistryID(1), _, _, _) = $0 { true } else { false } }
        #expect(left == 0)
    }

    @Test("Keys that others attached to the lease are left alone")
    func foreign() {
        var harness = started([service("a")])
        harness.keys["/locks/mine"] = ("x", 0x1001)
        harness.keys["/svc/a_1001/x"] = ("x", 0x1001)
        harness.run(for: .seconds(30))
        #expect(harness.keys.count == 3 && harness.deregistrations == 0)
    }

    @Test("A write that was ordered while the lease was read is not judged by that reading")
    func overtaken() {
        var core = NerveCore(
            NerveConfiguration(instanceID: "i", services: [service("a"), service("b")]), seed: 1, at: .zero)
        var harness = Answers(core: core)
        harness.settle(failing: [2])
        core = harness.core
        var orders: [NerveOrder] = []
        core.step(.registryReachable(RegistryID(0), true), at: at(200), into: &orders)
        core.step(.timer, at: at(400), into: &orders)
        let readings = orders.compactMap { order -> RequestID? in
            if case .readLease(_, let request, _, _) = order { request } else { nil }
        }
        #expect(readings.count == 1)
        orders = []
        core.step(.timer, at: at(1_100), into: &orders)
        for case .startProbe(let probe, _) in orders {
            core.step(.probeFinished(probe, .passed), at: at(1_101), into: &orders)
        }
        let writes = orders.compactMap { order -> RequestID? in
            if case .register(_, let request, _, _, _, _) = order { request } else { nil }
        }
        #expect(writes.count == 1)
        for write in writes { core.step(.requestDone(RegistryID(0), write), at: at(1_102), into: &orders) }
        orders = []
        for reading in readings {
            let key = Array("/svc/a/i_4d".utf8)
            core.step(.leaseRead(RegistryID(0), reading, keys: [key]), at: at(1_103), into: &orders)
        }
        #expect(!orders.contains { if case .register = $0 { true } else { false } })
        #expect(!core.log.decisions.map(\.code).contains(.registrationsDiffer))
    }

    /// Answers everything that a core orders in its first moments, with lease 77.
    private struct Answers {
        var core: NerveCore

        mutating func settle(failing: Set<UInt64>) {
            var orders: [NerveOrder] = []
            core.step(.timer, at: .zero, into: &orders)
            while !orders.isEmpty {
                let batch = orders
                orders = []
                for order in batch {
                    switch order {
                    case .startProbe(let id, _):
                        let result = failing.contains(id.number) ? ProbeResult.failed("refused") : .passed
                        core.step(.probeFinished(id, result), at: at(1), into: &orders)
                    case .grantLease(let id, let request, _, _):
                        core.step(
                            .leaseGranted(id, request, lease: 77, ttlSeconds: 60), at: at(1), into: &orders)
                    case .register(let id, let request, _, _, _, _):
                        core.step(.requestDone(id, request), at: at(1), into: &orders)
                    default: break
                    }
                }
            }
        }
    }
}
