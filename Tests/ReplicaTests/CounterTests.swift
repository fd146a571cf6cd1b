import KVStore
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

@Suite("What a member counts")
struct CounterTests {
    private func range(_ key: String) -> RangeRequest { RangeRequest(range: .key(Key(key))) }

    @Test("Operations are counted where they are carried out, those of transactions one by one")
    func operations() throws {
        var counters = ReplicaCounters()
        counters.applied(.put(previous: nil), asLeader: true)
        counters.applied(.deleteRange(deleted: 9, previous: []), asLeader: true)
        let read = OperationResult.range(RangeResult(kvs: [], more: false, count: 0))
        counters.applied(.txn(TxnResult(succeeded: true, responses: [.put(previous: nil)])), asLeader: true)
        #expect(counters.transactions == 0, "as etcd: one operation makes no transaction")
        let inner = TxnResult(succeeded: false, responses: [read, .deleteRange(deleted: 0, previous: [])])
        counters.applied(.txn(TxnResult(succeeded: true, responses: [.txn(inner), read])), asLeader: true)
        #expect(counters.transactions == 1)
        #expect([counters.ranges, counters.puts, counters.deletes] == [2, 2, 2])
        counters.applied(.leasesExpired([LeaseID(1), LeaseID(2)]), asLeader: false)
        counters.applied(.leasesExpired([LeaseID(3)]), asLeader: true)
        counters.applied(.leaseRevoked, asLeader: true)
        #expect(counters.leasesRevoked == 4 && counters.leasesExpired == 1)
    }

    @Test("Every member counts what it applied and the reads it served; the leader counts renewals")
    func cluster() throws {
        var cluster = try Cluster(count: 3)
        #expect(cluster.run(for: .seconds(5)) { $0.leader != nil })
        _ = cluster.run(for: .seconds(1))
        let (leader, follower) = (try #require(cluster.leader), cluster.follower)
        _ = cluster.call(.write(.leaseGrant(LeaseID(5), ttlMilliseconds: 60_000)), at: follower)
        _ = cluster.call(.write(.put(PutRequest(key: Key("k"), value: [1]))), at: follower)
        _ = cluster.call(.range(range("k")), at: follower)
        _ = cluster.call(.keepAlive(LeaseID(5)), at: follower)
        _ = cluster.call(.write(.leaseRevoke(LeaseID(5))), at: follower)
        _ = cluster.run(for: .milliseconds(200))
        for id in cluster.ids {
            let counters = cluster[id].replica.gauges.counters
            #expect(counters.puts == 1 && counters.leasesGranted == 1 && counters.leasesRevoked == 1, "\(id)")
            #expect(counters.ranges == (id == follower ? 1 : 0), "\(id)")
            #expect(counters.leasesRenewed == (id == leader ? 1 : 0), "\(id)")
            #expect(counters.failedProposals == 0 && cluster[id].replica.gauges.pendingProposals == 0, "\(id)")
        }
    }

    @Test("A write that finds no leader waits, and then has failed; so has the round of a read")
    func failures() throws {
        var cluster = try Cluster(count: 3)
        #expect(cluster.run(for: .seconds(5)) { $0.leader != nil })
        // Until all have told their names.
        _ = cluster.run(for: .seconds(1))
        let alone = cluster.follower
        for other in cluster.ids where other != alone { cluster.kill(other) }
        _ = cluster.submit(.write(.put(PutRequest(key: Key("k"), value: [1]))), at: alone)
        _ = cluster.submit(.range(range("k")), at: alone)
        _ = cluster.run(for: .seconds(1))
        #expect(cluster[alone].replica.gauges.pendingProposals == 1)
        _ = cluster.run(for: .seconds(20))
        let gauges = cluster[alone].replica.gauges
        #expect(gauges.counters.failedProposals == 1 && gauges.pendingProposals == 0)
        #expect(gauges.slowReadRounds + gauges.failedReadRounds > 0)
    }

    @Test("Snapshots are counted by member and outcome")
    func snapshots() {
        var transfers = SnapshotTransfers()
        var effects = ReplicaEffects()
        for id in [3, 2] as [UInt64] { transfers.want(MemberID(id), at: .zero, into: &effects) }
        #expect(transfers.tallies.map(\.peer) == [MemberID(2), MemberID(3)])
        #expect(transfers.tallies.allSatisfy { $0.isSending })
        transfers.end(MemberID(2), isDone: true, into: &effects)
        transfers.endAll(into: &effects)
        transfers.end(MemberID(2), isDone: true, into: &effects)
        transfers.received(from: MemberID(4), isUsed: true)
        transfers.received(from: MemberID(4), isUsed: false)
        #expect(transfers.tallies.map(\.sent) == [1, 0, 0])
        #expect(transfers.tallies.map(\.sendFailures) == [0, 1, 0])
        #expect(transfers.tallies.map(\.received) == [0, 0, 1])
        #expect(transfers.tallies.map(\.receiveFailures) == [0, 0, 1])
        #expect(!transfers.tallies.contains { $0.isSending })
    }
}
