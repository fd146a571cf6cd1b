import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

@Suite("Renewals that wait for more of their kind")
struct RenewalGatheringTests {
    private let start = Instant.zero + .seconds(9)

    /// After `count` renewals, one each `gap`, the leases taken in turn from so many.
    private func gathering(_ count: Int, every gap: TimeSpan, leases: Int) -> (RenewalGathering, Instant) {
        var gathering = RenewalGathering(memory: 16)
        var now = start
        for number in 0..<count {
            now = now + gap
            gathering.arrived(LeaseID(Int64(number % leases)), at: now)
            if number < count - 1 { gathering.left() }
        }
        return (gathering, now)
    }

    @Test("The renewals of many leases, close together, wait for a span from the first one")
    func many() {
        var (gathering, now) = gathering(40, every: .milliseconds(1), leases: 1_000)
        let due = now + RenewalGathering.span
        #expect(gathering.waitsUntil(at: now) == due)
        gathering.arrived(LeaseID(5_000), at: now + .milliseconds(1))
        #expect(gathering.waitsUntil(at: now + .milliseconds(1)) == due)
        #expect(gathering.waitsUntil(at: due) == nil)
        gathering.left()
        #expect(gathering.waitsUntil(at: now + .milliseconds(1)) == nil)
    }

    @Test("Whoever renews a few leases in turn, as fast as it is answered, does not wait", arguments: [1, 2, 15])
    func closedLoop(leases: Int) {
        let (gathering, now) = gathering(60, every: .microseconds(200), leases: leases)
        #expect(gathering.waitsUntil(at: now) == nil)
    }

    @Test("Renewals so far apart that nothing would be gathered do not wait")
    func rare() {
        let (gathering, now) = gathering(60, every: .milliseconds(3), leases: 1_000)
        #expect(gathering.waitsUntil(at: now) == nil)
    }

    @Test("The first renewals of all do not wait, and where enough have come none does")
    func fewAndEnough() {
        let (first, early) = gathering(15, every: .microseconds(10), leases: 1_000)
        #expect(first.waitsUntil(at: early) == nil)
        var (gathering, now) = gathering(30, every: .microseconds(10), leases: 1_000)
        for number in 1..<RenewalGathering.enough {
            #expect(gathering.waitsUntil(at: now) != nil)
            gathering.arrived(LeaseID(Int64(10_000 + number)), at: now)
        }
        #expect(gathering.waitsUntil(at: now) == nil)
    }

    @Test("Many leases are renewed in few rounds, through every member and in time; other reads do not wait")
    func rounds() throws {
        var cluster = try Cluster(count: 3)
        guard cluster.run(for: .seconds(5), until: { $0.leader != nil }), let leader = cluster.leader else {
            throw Rejection(.noLeader)
        }
        let leases = (1...90).map { LeaseID(Int64($0)) }
        for lease in leases { _ = cluster.call(.write(.leaseGrant(lease, ttlMilliseconds: 5_000)), at: leader) }
        let before = cluster[leader].replica.hintRounds.last
        var sent: [(serial: UInt64, at: MemberID, lease: LeaseID)] = []
        for (number, lease) in leases.enumerated() {
            let member = cluster.ids[number % 3]
            sent.append((cluster.submit(.keepAlive(lease), at: member), member, lease))
            _ = cluster.run(for: .microseconds(300))
        }
        let read = cluster.submit(.range(RangeRequest(range: .key(Key("k")))), at: leader)
        _ = cluster.run(for: .milliseconds(2))
        #expect(cluster[leader].replies[read] != nil)
        // Gathered at a follower and again for the round, and the way between them.
        _ = cluster.run(for: RenewalGathering.span * 2 + .milliseconds(2))
        for (serial, member, lease) in sent {
            guard case .keptAlive(lease, ttlMilliseconds: 5_000) = cluster[member].replies[serial]?.body else {
                throw Rejection(.timedOut, "lease \(lease)")
            }
        }
        let rounds = cluster[leader].replica.hintRounds.last - before
        // The first 16 at each member know nothing of those to come.
        #expect((10...65).contains(rounds), "\(rounds) rounds")
    }
}
