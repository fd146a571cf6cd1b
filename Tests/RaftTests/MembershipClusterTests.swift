import Primitives
import Raft
import Testing

/// Whole clusters whose members change while everything else goes wrong too.
@Suite("Membership in a cluster")
struct MembershipClusterTests {
    struct Outcome {
        var findings: [String] = []
        var elections = 0
        var changes = 0
        var recoveries = 0
    }

    private static func trial(seed: UInt64, faults: Faults) -> Outcome {
        var limits = RaftLimits()
        if seed % 3 == 0 { limits.trailingEntries = 5 }
        // Some read by lease: a change of the members must not make a read stale either.
        let timings = seed % 4 == 1 ? RaftTimings(earlyElection: false, leaseReads: true) : RaftTimings()
        var cluster = Cluster(
            members: seed % 2 == 0 ? 3 : 4, seed: seed, faults: faults, limits: limits, timings: timings, spares: 8)
        cluster.run(for: .milliseconds(4000))
        cluster.calm()
        cluster.run(for: .milliseconds(3500))
        var outcome = Outcome(findings: cluster.checks.findings, elections: cluster.checks.elections)
        outcome.recoveries = cluster.recoveries
        outcome.changes = cluster.checks.configurationsSeen.count
        guard cluster.leaders.count == 1, let leader = cluster.leaders.first, let node = cluster.hosts[leader].node
        else {
            outcome.findings.append("R20: \(cluster.leaders.count) leaders after the calm")
            return outcome
        }
        let before = cluster.checks.committed
        cluster.propose(at: leader)
        cluster.run(for: .milliseconds(300))
        if cluster.checks.committed <= before { outcome.findings.append("R20: no commits after the calm") }
        if node.isChangingConfiguration { outcome.findings.append("R12: a change is never finished") }
        if !node.configuration.isVoter(node.id) { outcome.findings.append("R12: one who is left out leads on") }
        for member in node.configuration.members {
            let host = cluster.hosts[Int(member.number) - 1]
            if host.state.position.index < before {
                outcome.findings.append(
                    "R20: \(member.number) stays at \(host.state.position.index.number) of \(before.number)")
            }
            if host.recovery != nil { outcome.findings.append("\(member.number) never recovers") }
        }
        return outcome
    }

    private func block(_ block: Int, faults: Faults) -> Outcome {
        var total = Outcome()
        for offset in 0..<10 {
            let seed = UInt64(block * 10 + offset)
            let outcome = MembershipClusterTests.trial(seed: seed, faults: faults)
            #expect(outcome.findings.isEmpty, "seed \(seed): \(outcome.findings)")
            total.elections += outcome.elections
            total.changes += outcome.changes
            total.recoveries += outcome.recoveries
        }
        return total
    }

    @Test("Members come, go and are replaced under loss, cuts and crashes; nothing committed is lost", arguments: 0..<4)
    func changes(number: Int) {
        let outcome = block(
            number,
            faults: Faults(
                dropPercent: 8, duplicatePercent: 8, delayMax: .milliseconds(20), syncMax: .milliseconds(10),
                crashEvery: .milliseconds(1500), cutEvery: .milliseconds(1500), changeEvery: .milliseconds(250)))
        #expect(outcome.changes > 60)
        #expect(outcome.elections > 15)
    }

    @Test("A member that was removed and does not know it disturbs nobody", arguments: 0..<10 as Range<UInt64>)
    func removedMember(seed: UInt64) throws {
        var cluster = Cluster(members: 4, seed: seed)
        cluster.run(for: .seconds(2))
        let leader = try #require(cluster.leaders.first)
        let removed = (leader + 1) % 4
        cluster.change(at: leader, [.remove(MemberID(UInt64(removed + 1)))])
        cluster.run(for: .seconds(1))
        let term = cluster.hosts[leader].node?.term
        // It missed the entry, so it counts itself a voter and campaigns for ever; crashing it changes nothing.
        #expect(cluster.hosts[removed].node?.configuration.isVoter(MemberID(UInt64(removed + 1))) == true)
        cluster.crash(removed)
        cluster.start(removed)
        let before = cluster.checks.committed
        cluster.run(for: .seconds(10))
        #expect(cluster.leaders == [leader])
        #expect(cluster.hosts[leader].node?.term == term)
        #expect(cluster.checks.committed - before > 100)
        #expect(cluster.checks.findings.isEmpty)
    }

    @Test("A leader that removes itself is followed by another within a second", arguments: 0..<10 as Range<UInt64>)
    func leaderRemoved(seed: UInt64) throws {
        var cluster = Cluster(members: seed % 2 == 0 ? 3 : 2, seed: seed)
        cluster.run(for: .seconds(2))
        let leader = try #require(cluster.leaders.first)
        cluster.change(at: leader, [.remove(MemberID(UInt64(leader + 1)))])
        cluster.run(for: .seconds(1))
        #expect(cluster.leaders.count == 1)
        #expect(cluster.leaders.first != leader)
        let before = cluster.checks.committed
        cluster.run(for: .milliseconds(500))
        #expect(cluster.checks.committed > before)
        #expect(cluster.checks.findings.isEmpty)
    }

    @Test("A member that loses acknowledged entries again and again costs no committed one", arguments: 0..<4)
    func losses(number: Int) {
        let outcome = block(
            100 + number,
            faults: Faults(
                dropPercent: 5, duplicatePercent: 5, delayMax: .milliseconds(10), syncMax: .milliseconds(10),
                crashEvery: .milliseconds(2500), cutEvery: .milliseconds(2500), changeEvery: .milliseconds(600),
                loseEvery: .milliseconds(300)))
        #expect(outcome.elections > 10)
        #expect(outcome.recoveries > 15)
    }
}
