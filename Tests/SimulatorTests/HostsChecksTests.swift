import AgentCore
import Primitives
import RegistryModel
import Testing

@testable import Simulator

/// Every check must see the situation that it is for.
@Suite("What the checks of agents see")
struct HostsChecksTests {
    private let options = SimulationOptions(seed: 1, members: 3)
    private let hostOptions = HostOptions(hosts: 1, services: 1, instances: 2)

    private func checks() -> AgentChecks { AgentChecks(hostOptions, options) }

    private func violated(_ body: () throws(Violation) -> Void) -> Invariant? {
        do throws(Violation) {
            try body()
            return nil
        } catch {
            return error.invariant
        }
    }

    /// A registration of instance `number`, as members apply it.
    private func batch(_ number: Int, lease: Int64, revision: Int64, deleted: Bool = false) -> StateBatch {
        let key = Key("/services/s0/h0_" + String(lease, radix: 16) + (number == 0 ? "" : "~i\(number)"))
        let value = deleted ? "" : #"{"host":"10.0.0.1","port":\#(10_000 + number),"name":"h0"}"#
        let kv = KeyValue(
            key: key, value: Array(value.utf8), createRevision: Revision(revision), modRevision: Revision(revision),
            version: 1, lease: LeaseID(lease))
        let origin = Origin(member: MemberID(1), incarnation: Incarnation(1), serial: 0)
        let row = RevisionRow(kind: deleted ? .delete : .put, kv: kv, sub: 0, commitTimeMilliseconds: 0, origin: origin)
        var header = StateHeader.initial
        header.revision = Revision(revision)
        return StateBatch(header: header, changes: [.row(row)])
    }

    /// A host with a nerve that has run since the beginning.
    private func hosts() -> Hosts {
        let hosts = Hosts(hostOptions, seed: 1)
        let host = hosts.hosts[0]
        let link = HostLink(1, host: 0, isNerve: true, place: 0, at: .zero)
        let core = NerveCore(hosts.nerveConfiguration(host), seed: 1, at: .zero)
        host.nerve = SimulatedHost.Nerve(core, link: link, life: 1, at: .zero)
        return hosts
    }

    /// Checks that have seen an undisturbed registry from the beginning.
    private func quietChecks() -> AgentChecks {
        var checks = checks()
        var sight = RegistrySight()
        sight.isWhole = true
        sight.applied = LogIndex(1)
        checks.nerveStarted(0, life: 1)
        checks.granted(LeaseID(7), host: 0, life: 1)
        checks.observe(registry: sight, at: .zero)
        checks.observe(registry: sight, at: .zero)
        return checks
    }

    private let late = Instant.zero + .seconds(500)

    @Test("A1: a healthy instance that is not registered")
    func invisible() {
        var checks = quietChecks()
        let hosts = hosts()
        hosts.instances[0].become(.healthy, at: .zero)
        #expect(violated { () throws(Violation) in try checks.look(hosts, at: .zero + .seconds(1)) } == nil)
        #expect(violated { () throws(Violation) in try checks.look(hosts, at: late) } == .agentVisible)
    }

    @Test("A2: a dead instance, and one whose nerve is gone, that stay registered")
    func lingering() throws {
        var checks = quietChecks()
        let hosts = hosts()
        try checks.record(batch(0, lease: 7, revision: 2), at: .zero)
        #expect(violated { () throws(Violation) in try checks.look(hosts, at: late) } == .agentGone)
        hosts.instances[0].become(.healthy, at: .zero)
        #expect(violated { () throws(Violation) in try checks.look(hosts, at: late) } == nil)
        hosts.hosts[0].nerve = nil
        checks.nerveDied(0, at: .zero + .seconds(490))
        #expect(violated { () throws(Violation) in try checks.look(hosts, at: .zero + .seconds(491)) } == nil)
        #expect(violated { () throws(Violation) in try checks.look(hosts, at: late + .seconds(100)) } == .agentGone)
    }

    @Test("Nothing is overdue while the registry is disturbed")
    func disturbed() {
        var checks = quietChecks()
        let hosts = hosts()
        hosts.instances[0].become(.healthy, at: .zero)
        checks.observe(registry: RegistrySight(), at: late)
        #expect(violated { () throws(Violation) in try checks.look(hosts, at: late) } == nil)
    }

    /// A synapse that was told these entries at revision 5.
    private func core(_ entries: [AgentCore.DiscoveryEntry]) -> (SynapseCore, SynapseEvent) {
        let hosts = Hosts(hostOptions, seed: 1)
        var core = SynapseCore(hosts.synapseConfiguration, seed: 1, wallSecondsAtZero: 0, at: .zero)
        var orders: [SynapseOrder] = []
        core.step(.started(stateFile: nil, configurationText: nil), at: .zero, into: &orders)
        let event = SynapseEvent.discoverySnapshot(WatchID(0), cluster: 1, revision: 5, entries: entries)
        core.step(event, at: .zero, into: &orders)
        return (core, event)
    }

    private func entry(_ batch: StateBatch) throws -> AgentCore.DiscoveryEntry {
        guard case .row(let row)? = batch.changes.first else { throw Violation(.agentList, "no row", at: .zero) }
        return AgentCore.DiscoveryEntry(row.kv)
    }

    @Test("A3: a list that the registry never had, one that lacks an entry, one that goes back")
    func wrongList() throws {
        var checks = checks()
        try checks.record(batch(0, lease: 7, revision: 2), at: .zero)
        let right = try core([entry(batch(0, lease: 7, revision: 2))])
        let invented = try core([
            entry(batch(0, lease: 7, revision: 2)), entry(batch(1, lease: 7, revision: 3)),
        ])
        let lacking = core([])
        for (core, isWrong) in [(right, false), (invented, true), (lacking, true)] {
            var copy = checks
            let found = violated { () throws(Violation) in try copy.stepped(core.1, core.0, host: 0, at: .zero) }
            #expect(found == (isWrong ? .agentList : nil))
        }
        checks.followers[0].revisions[0] = 6
        let back = violated { () throws(Violation) in try checks.stepped(right.1, right.0, host: 0, at: .zero) }
        #expect(back == .agentList)
    }

    @Test("A4: at rest, a healthy instance without and a dead one with a registration")
    func unequal() throws {
        var checks = checks()
        let hosts = hosts()
        #expect(violated { () throws(Violation) in try checks.finish(hosts, at: late) } == nil)
        hosts.instances[1].become(.healthy, at: .zero)
        #expect(violated { () throws(Violation) in try checks.finish(hosts, at: late) } == .agentConverged)
        try checks.record(batch(1, lease: 7, revision: 2), at: .zero)
        #expect(violated { () throws(Violation) in try checks.finish(hosts, at: late) } == nil)
        try checks.record(batch(0, lease: 7, revision: 3), at: .zero)
        #expect(violated { () throws(Violation) in try checks.finish(hosts, at: late) } == .agentConverged)
    }

    @Test("A5: a server that leaves the list though its registration was not deleted")
    func lost() throws {
        var checks = checks()
        try checks.record(batch(0, lease: 7, revision: 2), at: .zero)
        let told = try core([entry(batch(0, lease: 7, revision: 2))])
        try checks.stepped(told.1, told.0, host: 0, at: .zero)
        func leaves() -> Invariant? {
            violated { () throws(Violation) in
                try checks.judge(0, from: ["h0_10.0.0.1:10000"], to: [], host: 0, at: .zero)
            }
        }
        #expect(leaves() == .agentLastGood)
        try checks.record(batch(0, lease: 7, revision: 3, deleted: true), at: .zero)
        #expect(leaves() == nil)
    }

    @Test("A5: a HAProxy without a server while some are wanted")
    func empty() {
        var checks = checks()
        let hosts = hosts()
        let host = hosts.hosts[0]
        let core = SynapseCore(hosts.synapseConfiguration, seed: 1, wallSecondsAtZero: 0, at: .zero)
        let link = HostLink(2, host: 0, isNerve: false, place: 0, at: .zero)
        host.synapse = SimulatedHost.Synapse(core, link: link, life: 2, at: .zero)
        host.haproxy.load("backend s0\n\tserver h0_10.0.0.1:10000 10.0.0.1:10000 id 1\n", isReload: true)
        checks.followers[0].wanted[0] = ["h0_10.0.0.1:10000"]
        checks.tells(0)
        let before = host.haproxy
        #expect(violated { () throws(Violation) in try checks.haproxyChanged(host, from: before, at: .zero) } == nil)
        #expect(host.haproxy.perform("set server s0/h0_10.0.0.1:10000 state maint", lingers: false) == "\n")
        let found = violated { () throws(Violation) in try checks.haproxyChanged(host, from: before, at: .zero) }
        #expect(found == .agentLastGood)
    }

    @Test("A6: an instance twice from one nerve, and the removal of another's key")
    func ownership() throws {
        var checks = quietChecks()
        checks.granted(LeaseID(8), host: 0, life: 1)
        checks.granted(LeaseID(9), host: 0, life: 2)
        try checks.record(batch(0, lease: 7, revision: 2), at: .zero)
        // A later life does not know the earlier one's lease.
        #expect(
            violated { () throws(Violation) in try checks.record(batch(0, lease: 9, revision: 3), at: .zero) } == nil)
        let twin = violated { () throws(Violation) in try checks.record(batch(0, lease: 8, revision: 4), at: .zero) }
        #expect(twin == .agentOwnership)
        let own = Array("/services/s0/h0_7".utf8)
        #expect(violated { () throws(Violation) in try checks.removes(own, host: 0, leases: [7], at: .zero) } == nil)
        let foreign = violated { () throws(Violation) in try checks.removes(own, host: 0, leases: [8], at: .zero) }
        #expect(foreign == .agentOwnership)
        let other = violated { () throws(Violation) in try checks.removes(own, host: 1, leases: [7], at: .zero) }
        #expect(other == .agentOwnership)
    }

    @Test("A7: a report that follows the last one too soon")
    func flapping() {
        var checks = checks()
        func report(_ code: AgentCore.ReasonCode, at now: Instant) -> Invariant? {
            violated { () throws(Violation) in
                try checks.decided(Decision(at: now, subject: "i0", code: code), host: 0, life: 1, at: now)
            }
        }
        #expect(report(.serviceUp, at: .zero) == nil)
        #expect(report(.serviceDown, at: .zero + .milliseconds(400)) == .agentDamping)
        #expect(report(.serviceDown, at: .zero + .milliseconds(1_100)) == nil)
        #expect(report(.serviceUp, at: .zero + .milliseconds(1_200)) == .agentDamping)
    }

    @Test("A8: two reloads in a row, and one of a HAProxy that runs as it should")
    func reloads() {
        var checks = checks()
        let host = SimulatedHost(0, options: hostOptions, seed: 1)
        func reload(at seconds: Int64) -> Invariant? {
            violated { () throws(Violation) in
                try checks.reloads(host, life: 1, reason: "", at: .zero + .seconds(seconds))
            }
        }
        #expect(reload(at: 0) == nil)
        #expect(reload(at: 1) == .agentReloads)
        host.haproxy.load("global\n\tsetenv SYNAPSE_CONFIGURATION abc.1\n", isReload: true)
        #expect(reload(at: 60) == .agentReloads)
        checks.haproxyStopped(0)
        #expect(reload(at: 120) == nil)
    }
}
