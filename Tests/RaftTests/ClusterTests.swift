import Primitives
import Raft
import Testing

/// Whole clusters under faults, many seeds: safety at every step, then calm and progress.
@Suite("Cluster")
struct ClusterTests {
    private static let rough = Faults(
        dropPercent: 10, duplicatePercent: 10, delayMax: .milliseconds(30), syncMax: .milliseconds(20),
        crashEvery: .milliseconds(900), cutEvery: .milliseconds(900))

    /// Runs one seed to its end and says what was found.
    private static func trial(members: Int, seed: UInt64) -> (findings: [String], elections: Int, reads: Int) {
        var limits = RaftLimits()
        if seed % 3 == 0 {
            limits.trailingEntries = 5
            limits.windowMessagesMax = 4
        }
        if seed % 4 == 0 { limits.appendBytesMax = 10 }
        var cluster = Cluster(members: members, seed: seed, faults: rough, limits: limits)
        cluster.run(for: .milliseconds(2500))
        cluster.calm()
        cluster.run(for: .milliseconds(2500))
        var findings = cluster.checks.findings
        let before = cluster.checks.committed
        for leader in cluster.leaders { cluster.propose(at: leader) }
        cluster.run(for: .milliseconds(300))
        if cluster.leaders.count != 1 { findings.append("R20: \(cluster.leaders.count) leaders after the calm") }
        if cluster.checks.committed <= before { findings.append("R20: no commits after the calm") }
        for host in cluster.hosts where host.state.position.index < before {
            findings.append("R20: a member stays at \(host.state.position.index.number) of \(before.number)")
        }
        return (findings, cluster.checks.elections, cluster.checks.readsServed)
    }

    @Test("Three and five members stay safe under every fault and recover", arguments: 0..<20)
    func chaos(block: Int) {
        var elections = 0
        var reads = 0
        for offset in 0..<10 {
            let seed = UInt64(block * 10 + offset)
            let result = ClusterTests.trial(members: seed % 2 == 0 ? 3 : 5, seed: seed)
            #expect(result.findings.isEmpty, "seed \(seed): \(result.findings)")
            elections += result.elections
            reads += result.reads
        }
        // The faults must bite, and the cluster must work in between.
        #expect(elections > 10)
        #expect(reads > 300)
    }
}
