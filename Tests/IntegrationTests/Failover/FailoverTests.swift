import Foundation
import Testing

extension RealProcesses {
    /// What clients see when members go away, and that nothing they were promised is lost.
    @Suite struct FailoverTests {
        /// Runs a test under load, then proves that every acknowledged put is there, on every member.
        private func underLoad(_ body: (Cluster, Writers) throws -> Void) throws {
            let cluster = try Cluster.started()
            let writers = Writers(cluster.members)
            do {
                try writers.waitForProgress()
                try body(cluster, writers)
                try expectAll(writers.stop(), on: cluster.members)
            } catch {
                _ = writers.stop()
                Issue.record("\(error)\(cluster.logs)")
            }
        }

        @Test("A frozen leader follows when it wakes up")
        func frozenLeader() throws {
            try underLoad { cluster, writers in
                let leader = try cluster.leader()
                let frozen = now()
                try leader.freeze()
                _ = try writers.gap(since: frozen, settledAfter: frozen)
                try leader.thaw()
                try leader.waitUntilHealthy()
                try writers.waitForProgress()
                #expect(try cluster.leader() !== leader)
            }
        }

        @Test("All members killed at once come back with everything that was acknowledged")
        func everyoneKilled() throws {
            try underLoad { cluster, writers in
                for _ in 0..<3 {
                    for member in cluster.members { try member.child.signal(SIGKILL) }
                    for member in cluster.members { member.kill9() }
                    for member in cluster.members { try member.start() }
                    for member in cluster.members { try member.waitUntilHealthy() }
                    try writers.waitForProgress()
                }
            }
        }

        @Test("A lease that is kept alive outlives its leader, one that is not ends after its time")
        func leases() throws {
            let cluster = try Cluster.started()
            do {
                try keepLeases(on: cluster)
            } catch {
                Issue.record("\(error)\(cluster.logs)")
            }
        }

        private func keepLeases(on cluster: Cluster) throws {
            let ttl = 4.0
            let scratch = try Scratch()
            let gateway = try cluster.leader().gateway()
            func grant(_ key: String) throws -> Int {
                let lease = try gateway.call("/v3/lease/grant", "{\"TTL\":\"\(Int(ttl))\"}").leaseID ?? ""
                try gateway.put(key, "alive", lease: lease)
                guard let number = Int(lease) else { throw TestFailure("the lease's id is '\(lease)'") }
                return number
            }
            // One client program each, as each instance has its own.
            let keepers = try (0..<20).map { number in
                let lease = try grant("kept/\(number)")
                return try ChildProcess(
                    Programs.etcdctl(),
                    ["--endpoints", cluster.endpoints.joined(separator: ",")]
                        + ["lease", "keep-alive", String(lease, radix: 16)],
                    environment: ["ETCDCTL_API": "3"], output: "\(scratch.path)/\(number).out")
            }
            try eventually("every keeper has renewed") {
                (0..<20).allSatisfy { Scratch.read("\(scratch.path)/\($0).out").contains("keepalived") }
            }
            _ = try grant("left/alone")
            let leader = try cluster.leader()
            leader.kill9()
            let killed = now()
            let survivor = try cluster.others(than: leader)[0].gateway()
            func keys() throws -> Int { try survivor.range(prefix: "kept/").kvs?.count ?? 0 }
            // A new leader starts each lease anew and adds an election timeout (500 ms); the rest is slack.
            try eventually("the lease that nobody renews is gone", seconds: 2 * ttl + 4) {
                #expect(try keys() == 20)
                return try survivor.range(prefix: "left/").kvs == nil
            }
            let lasted = now() - killed
            print("    a lease of \(ttl) s without renewals went \(milliseconds(lasted)) ms after its leader")
            #expect(lasted < ttl + 2.5)
            // Long enough for a lease whose renewals were lost to expire as well.
            let end = killed + 2 * ttl + 1
            while now() < end {
                #expect(try keys() == 20)
                pause(0.2)
            }
            for keeper in keepers { #expect(keeper.isRunning) }
        }
    }
}
