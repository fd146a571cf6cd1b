import AgentCore
import Primitives
import RegistryModel
import Testing

@testable import Simulator

@Suite("Hosts with agents beside the members")
struct HostsTests {
    /// Three members on a good network without faults, and hosts likewise.
    private func options(hosts: HostOptions, seconds: Int64, seed: UInt64 = 1) -> SimulationOptions {
        var options = SimulationOptions(seed: seed, members: 3)
        options.duration = .seconds(seconds)
        options.crashEvery = nil
        options.partitionEvery = nil
        options.linkBreakEvery = nil
        options.fullDiskEvery = nil
        options.membershipEvery = nil
        options.rot = 0
        options.streams = true
        options.delayMean = .milliseconds(2)
        options.clients = 1
        options.pauseMean = .milliseconds(60)
        options.hosts = hosts
        return options
    }

    /// Runs to the end; a violation fails the test.
    private func run(_ world: World) {
        do throws(Violation) {
            try world.run()
        } catch {
            Issue.record("\(error)\n\(world.trace.lines.suffix(60).map(\.description).joined(separator: "\n"))")
        }
    }

    private func used(_ world: World, host: Int, service: Int) -> Int {
        world.hosts?.hosts[host].haproxy.inUse(Hosts.backend(service))?.count ?? -1
    }

    @Test("A deploy of thirty instances reaches every HAProxy with one reload each, the first")
    func deploy() {
        let world = World(options(hosts: HostOptions(hosts: 4, services: 3, instances: 30), seconds: 20))
        world.script(at: .seconds(19)) { world throws(Violation) in
            for host in 0..<4 {
                let all = (0..<3).reduce(0) { $0 + self.used(world, host: host, service: $1) }
                #expect(all == 30)
                #expect(world.hosts?.hosts[host].haproxy.reloads == 1)
            }
        }
        run(world)
        world.end()
    }

    @Test("The registry is dark for ten minutes: nothing is lost, and everything is right soon after")
    func darkRegistry() {
        let world = World(options(hosts: HostOptions(hosts: 3, services: 2, instances: 9), seconds: 660))
        world.script(at: .seconds(20)) { world throws(Violation) in
            for host in 0..<3 { try world.inject(.cutHost(host, .seconds(600))) }
        }
        for second in stride(from: 30, to: 615, by: 15) as StrideTo<Int64> {
            world.script(at: .seconds(second)) { world throws(Violation) in
                for host in 0..<3 {
                    #expect(self.used(world, host: host, service: 0) + self.used(world, host: host, service: 1) == 9)
                }
            }
        }
        world.script(at: .seconds(600)) { world throws(Violation) in
            // Their leases ended long ago.
            #expect(world.checks.agents?.model.standing.allSatisfy(\.isEmpty) ?? false)
        }
        world.script(at: .seconds(655)) { world throws(Violation) in
            #expect(world.checks.agents?.model.standing.allSatisfy { $0.count == 1 } ?? false)
        }
        run(world)
        world.end()
    }

    @Test("A host dies: its instances leave every HAProxy when its lease ends")
    func hostDies() {
        let world = World(options(hosts: HostOptions(hosts: 3, services: 1, instances: 12), seconds: 60))
        let victims = world.hosts?.instances.count { $0.host == 0 } ?? 0
        #expect(victims > 0)
        world.script(at: .seconds(30)) { world throws(Violation) in
            for instance in world.hosts?.instances ?? [] where instance.host == 0 {
                try world.inject(.killInstance(instance.number))
            }
            try world.inject(.crashAgent(0, restart: .seconds(20)))
            try world.inject(.crashAgent(1, restart: .seconds(20)))
            try world.inject(.crashAgent(2, restart: .seconds(20)))
        }
        world.script(at: .milliseconds(30_500)) { world throws(Violation) in
            #expect(self.used(world, host: 1, service: 0) == 12)
        }
        world.script(at: .milliseconds(36_500)) { world throws(Violation) in
            #expect(self.used(world, host: 1, service: 0) == 12 - victims)
            #expect(self.used(world, host: 2, service: 0) == 12 - victims)
        }
        run(world)
        world.end()
    }

    @Test("A killed instance is out of every HAProxy soon after its checks have failed, without a reload")
    func instanceDies() {
        let hosts = HostOptions(hosts: 3, services: 1, instances: 6)
        let world = World(options(hosts: hosts, seconds: 40))
        // It stays dead: what was planned before a change is void.
        world.script(at: .seconds(30)) { world throws(Violation) in
            world.hosts?.instances[2].become(.dead, at: world.now)
        }
        // Two failed checks half a second apart, and the way.
        world.script(at: .milliseconds(31_300)) { world throws(Violation) in
            #expect(world.hosts?.instances[2].health == .dead)
            for host in 0..<3 {
                #expect(self.used(world, host: host, service: 0) == 5)
                #expect(world.hosts?.hosts[host].haproxy.reloads == 1)
            }
        }
        run(world)
        world.end()
    }

    @Test("The same seed gives the same trace with hosts, and about half of the seeds have some")
    func determinism() {
        let seed = (1...50 as ClosedRange<UInt64>).first { SimulationOptions(seed: $0).hosts != nil } ?? 0
        let first = Runner.run(seed: seed, members: 3)
        let second = Runner.run(seed: seed, members: 3, traceLines: 0)
        #expect(first.hash == second.hash)
        #expect(first.violation == nil)
        let with = (1...100 as ClosedRange<UInt64>).count { SimulationOptions(seed: $0).hosts != nil }
        #expect((30...70).contains(with))
    }
}
