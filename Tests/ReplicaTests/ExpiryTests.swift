import KVStore
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

@Suite("Many leases that end together")
struct ExpiryTests {
    /// A cluster with leases of two seconds that are granted, and over, at one moment, each with one key.
    private func crowd(leases: Int, below prefix: String = "k") -> Cluster? {
        guard var cluster = try? Cluster(count: 3), cluster.run(for: .seconds(5), until: { $0.leader != nil }) else {
            return nil
        }
        let follower = cluster.follower
        for lease in 1...Int64(leases) {
            _ = cluster.submit(.write(.leaseGrant(LeaseID(lease), ttlMilliseconds: 2_000)), at: follower)
        }
        for lease in 1...Int64(leases) {
            var put = PutRequest(key: Key("\(prefix)\(lease)"), value: [])
            put.lease = LeaseID(lease)
            _ = cluster.submit(.write(.put(put)), at: follower, from: "10.0.0.\(lease % 200):7")
        }
        let isReady = cluster.run(for: .seconds(1)) { $0[follower].replica.store.keyCount == leases }
        return isReady ? cluster : nil
    }

    @Test("A put waits for few of them, and yet they are soon gone")
    func foreground() throws {
        var cluster = try #require(crowd(leases: 2_000))
        let follower = cluster.follower
        let leader = try #require(cluster.leader)
        _ = cluster.run(for: .seconds(3)) { $0[leader].replica.leaseClock.nextDeadline < $0.now + .milliseconds(20) }
        var most = 0
        var puts = 0
        var during = 0
        while cluster[leader].replica.store.leaseCount > 0, puts < 400 {
            let before = cluster[leader].replica.store.leaseCount
            let put = PutRequest(key: Key("put"), value: [])
            let reply = cluster.call(.write(.put(put)), at: follower)
            #expect(reply?.body != nil)
            puts += 1
            let ended = before - cluster[leader].replica.store.leaseCount
            if ended > 0 { during += 1 }
            most = max(most, ended)
        }
        #expect(most <= 400, "a put waited for the end of \(most) leases")
        #expect(cluster[leader].replica.store.leaseCount == 0 && puts < 400, "\(puts) puts")
        #expect(during >= 5, "the puts came between")
    }

    @Test("Leases with many keys end few an entry, so that nothing else waits for all of them")
    func manyKeys() throws {
        var cluster = try #require(crowd(leases: 20))
        let follower = cluster.follower
        for lease in 1...20 as ClosedRange<Int64> {
            for number in 1..<200 {
                var put = PutRequest(key: Key("more\(lease)_\(number)"), value: [])
                put.lease = LeaseID(lease)
                _ = cluster.submit(.write(.put(put)), at: follower)
            }
        }
        let leader = try #require(cluster.leader)
        #expect(cluster.run(for: .seconds(1)) { $0[leader].replica.store.keyCount == 4_000 })
        let before = cluster[leader].replica.raft.lastIndex
        #expect(cluster.run(for: .seconds(3)) { $0[leader].replica.store.leaseCount == 0 })
        #expect(cluster[leader].replica.store.keyCount == 0)
        let entries = cluster[leader].replica.raft.lastIndex - before
        #expect((10...14).contains(entries), "\(entries) entries")
    }

    /// The leader of a cluster whose leases are below a prefix that is braked, just before they are over, and a moment
    /// at which they are.
    private func braked(_ leases: Int) throws -> (MemberReplica, Moment) {
        var cluster = try #require(crowd(leases: leases, below: "/s/i"))
        let put = PutRequest(key: BrakeKeys.key(BrakeKeys.settings, of: Key("/s/")), value: [])
        #expect(cluster.call(.write(.put(put)), at: cluster.follower)?.body != nil)
        let leader = try #require(cluster.leader)
        let isClose = cluster.run(for: .seconds(3)) {
            $0[leader].replica.leaseClock.nextDeadline < $0.now + .milliseconds(20)
        }
        #expect(isClose)
        let over = cluster.now + .milliseconds(25)
        return (cluster[leader].replica, Moment(now: over, wallMilliseconds: over.nanoseconds / 1_000_000))
    }

    @Test("One step looks at so many and no more, held ones included; the rest is due at once")
    func manyHeld() throws {
        var (replica, moment) = try braked(3_000)
        for turn in 1...3 {
            var effects = ReplicaEffects()
            replica.step([], at: moment, into: &effects)
            #expect(replica.gauges.heldLeases == 1_000 * turn)
            #expect((replica.nextDeadline <= moment.now) == (turn < 3))
        }
        #expect(replica.store.leaseCount == 3_000)
    }

    @Test("A new leader decides about none while it finds out about its leases, though not for ever")
    func findingAges() throws {
        for (age, isDecided) in [(29, false), (31, true)] as [(Int64, Bool)] {
            var (replica, moment) = try braked(200)
            replica.establishedAt = moment.now - .seconds(age)
            replica.brakeReportsCheckedAt = moment.now
            replica.ageSearch = LeaseAgeSearch(
                minimum: replica.store.applied.index, range: replica.store.leases, at: moment.now)
            var effects = ReplicaEffects()
            replica.step([], at: moment, into: &effects)
            #expect(replica.leaseBrake.isIdle == !isDecided)
            #expect(replica.leaseClock.isHeld(LeaseID(7)) && replica.expiriesInFlight == 0)
        }
    }
}
