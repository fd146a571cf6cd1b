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
}
