import KVStore
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

private struct Missing: Error { var what: String }

private func ready(_ count: Int, configure: (inout ReplicaConfiguration) -> Void) throws -> Cluster {
    var cluster = try Cluster(count: count, configure: configure)
    guard cluster.run(for: .seconds(5), until: { $0.leader != nil }) else { throw Missing(what: "no leader") }
    // Names are published, and a new leader has heard who is low.
    _ = cluster.run(for: .seconds(4))
    return cluster
}

private func put(_ key: String, bytes: Int) -> Command.Operation {
    .put(PutRequest(key: Key(key), value: Array(repeating: 1, count: bytes)))
}

@Suite("The quota of live data and history")
struct QuotaTests {
    @Test("What was applied counts until the state store has it and was measured again")
    func estimate() {
        var gauge = SpaceGauge(quotaBytes: 1_600)
        gauge.measured(100)
        gauge.applied(500, at: LogIndex(5))
        gauge.applied(300, at: LogIndex(6))
        #expect(gauge.estimate == 900)
        gauge.stateWritten(LogIndex(5))
        gauge.measured(700)
        #expect(gauge.estimate == 1_000, "entry 6 is not in it yet")
        gauge.stateWritten(LogIndex(6))
        #expect(gauge.estimate == 1_000, "nobody has measured since")
        gauge.measured(950)
        #expect(gauge.estimate == 950)
    }

    @Test("Over at the quota, free again below fifteen sixteenths of it")
    func marks() {
        var gauge = SpaceGauge(quotaBytes: 1_600)
        gauge.measured(1_599)
        #expect(!gauge.isOver)
        gauge.applied(1, at: LogIndex(2))
        #expect(gauge.isOver)
        gauge.stateWritten(LogIndex(2))
        gauge.measured(1_500)
        #expect(gauge.isOver)
        gauge.measured(1_499)
        #expect(!gauge.isOver)
        var isRefused = gauge.refuses(100)
        #expect(!isRefused)
        #expect(gauge.isRoomy)
        isRefused = gauge.refuses(101)
        #expect(isRefused, "it would reach the quota")
        #expect(!gauge.isOver, "smaller ones still find room")
        gauge.measured(1_550)
        #expect(!gauge.isRoomy)
        isRefused = gauge.refuses(64)
        #expect(isRefused)
        #expect(gauge.isOver)
        isRefused = gauge.refuses(0)
        #expect(!isRefused)
        var none = SpaceGauge(quotaBytes: nil)
        none.measured(.max)
        isRefused = none.refuses(.max)
        #expect(!isRefused && !none.isOver)
    }

    @Test("A command costs what etcd says it does")
    func costs() {
        #expect(put("key", bytes: 10).addedBytes == 269)
        #expect(Command.Operation.leaseGrant(LeaseID(1), ttlMilliseconds: 1).addedBytes == 64)
        #expect(Command.Operation.compact(Revision(1)).addedBytes == 0)
        func inner(_ bytes: Int) -> TxnOperation {
            .put(PutRequest(key: Key("k"), value: Array(repeating: 1, count: bytes)))
        }
        let nested = TxnRequest(comparisons: [], success: [], failure: [inner(1), inner(2)])
        let txn = TxnRequest(comparisons: [], success: [inner(100)], failure: [inner(5), .txn(nested)])
        #expect(Command.Operation.txn(txn).addedBytes == 3 * 257 + 8)
    }

    @Test("A full quota refuses what adds, on every member, and the alarm goes when there is room again")
    func alarm() throws {
        var cluster = try ready(3) { $0.quotaBytes = 16_000 }
        let leader = try #require(cluster.leader)
        // Whoever finds it full raises the alarm.
        let alarm = Alarm(member: cluster.follower, kind: .noSpace)
        var accepted = 0
        while case .put = cluster.call(.write(put("k\(accepted)", bytes: 700)), at: cluster.follower)?.body {
            accepted += 1
            try #require(accepted < 100, "no quota holds")
        }
        #expect(accepted == 16, "956 or 957 bytes each; the last one raises the alarm")
        _ = cluster.run(for: .seconds(2))
        for id in cluster.ids { #expect(cluster[id].replica.store.alarms == [alarm]) }
        let refused = cluster.call(.write(put("x", bytes: 1)), at: cluster.follower)
        #expect(refused?.rejection?.code == .noSpace)
        let range = KeyRange(start: Key("k1"), end: .single)
        guard
            case .deleteRange = cluster.call(
                .write(.deleteRange(DeleteRangeRequest(range: range))), at: cluster.follower)?.body
        else { throw Missing(what: "deleting is not refused") }

        for id in cluster.ids { cluster.tell(id, .stateSizes(bytes: 20_000, inUse: 15_001)) }
        _ = cluster.run(for: .seconds(5))
        #expect(cluster[leader].replica.store.alarms == [alarm], "not room enough")
        for id in cluster.ids { cluster.tell(id, .stateSizes(bytes: 20_000, inUse: 9_000)) }
        _ = cluster.run(for: .seconds(5))
        for id in cluster.ids { #expect(cluster[id].replica.store.alarms.isEmpty) }
        guard case .put = cluster.call(.write(put("x", bytes: 1)), at: cluster.follower)?.body else {
            throw Missing(what: "there is room again")
        }
    }

    @Test("A follower whose alarm was lost on its way raises it again with the next write that it refuses")
    func lostAlarm() throws {
        var cluster = try ready(3) { $0.quotaBytes = 16_000 }
        let (leader, follower) = (try #require(cluster.leader), cluster.follower)
        for id in cluster.ids { cluster.tell(id, .stateSizes(bytes: 20_000, inUse: 15_900)) }
        _ = cluster.run(for: .milliseconds(100))
        cluster.cut = [[follower, leader]]
        #expect(cluster.call(.write(put("x", bytes: 700)), at: follower)?.rejection?.code == .noSpace)
        _ = cluster.run(for: .seconds(8))
        #expect(cluster.leader == leader && cluster[leader].replica.store.alarms.isEmpty)
        cluster.cut = []
        #expect(cluster.call(.write(put("x", bytes: 700)), at: follower)?.rejection?.code == .noSpace)
        _ = cluster.run(for: .seconds(3))
        #expect(cluster[leader].replica.store.alarms == [Alarm(member: follower, kind: .noSpace)])
    }

    @Test("A new leader raises its own alarm, and clears the old leader's with it")
    func newLeader() throws {
        var cluster = try ready(3) { $0.quotaBytes = 16_000 }
        let first = try #require(cluster.leader)
        for id in cluster.ids { cluster.tell(id, .stateSizes(bytes: 20_000, inUse: 17_000)) }
        _ = cluster.run(for: .seconds(2))
        #expect(cluster[first].replica.store.alarms.map(\.member) == [first])
        cluster.kill(first)
        _ = cluster.run(for: .seconds(8))
        let second = try #require(cluster.leader)
        #expect(second != first)
        #expect(cluster[second].replica.store.alarms.map(\.member) == [first, second].sorted())
        for id in cluster.ids { cluster.tell(id, .stateSizes(bytes: 20_000, inUse: 1_000)) }
        _ = cluster.run(for: .seconds(5))
        #expect(cluster[second].replica.store.alarms.isEmpty)
    }

    @Test("What an installed state replaces counts no more, though it was never written")
    func installed() throws {
        let cluster = try ready(1) { $0.quotaBytes = 1_000_000 }
        var replica = cluster[cluster.ids[0]].replica
        func step(_ event: ReplicaEvent) -> ReplicaEffects {
            var effects = ReplicaEffects()
            replica.step([event], at: Moment(now: cluster.now, wallMilliseconds: 0), into: &effects)
            return effects
        }
        let request = ReplicaEvent.request(
            .write(put("k", bytes: 700)), RequestToken(sink: 1, serial: 99), RequestContext())
        let batch = try #require(step(request).logBatches.last)
        #expect(!step(.logDurable(batch.number)).stateBatches.isEmpty)
        _ = step(.stateSizes(bytes: 2_000, inUse: 1_000))
        #expect(replica.space.estimate == 1_957, "not written yet")
        let base = LogBase(
            position: replica.store.applied, configuration: Configuration(voters: cluster.ids))
        var state = RestoredState(header: .initial, live: [], leases: [], members: replica.store.members)
        state.header.configuration = base.configuration.encoded()
        state.header = try RegistryStore(restoring: state).header
        state.header.applied = base.position
        state.header.revision = replica.store.revision
        let identity = SnapshotIdentity(position: base.position, digest: Digest128(), bytes: 1)
        _ = step(.snapshotInstalled(identity, state, base, sender: MemberID(2)))
        _ = step(.stateSizes(bytes: 2_000, inUse: 1_000))
        #expect(replica.space.estimate == 1_000)
    }

    @Test("History that outgrows its bound is compacted by half, live data is not counted")
    func history() throws {
        var cluster = try ready(3) {
            $0.quotaBytes = 1_000_000
            $0.historyBytesMax = 20_000
        }
        let leader = try #require(cluster.leader)
        for round in 0..<100 {
            _ = cluster.call(.write(put("k\(round % 10)", bytes: 500)), at: leader)
        }
        let live = 10 * (500 + 2 + 256)
        // As the state store would have it: a row for every revision.
        for id in cluster.ids { cluster.tell(id, .stateSizes(bytes: 80_000, inUse: 100 * 758)) }
        _ = cluster.run(for: .seconds(3))
        let store = cluster[leader].replica.store
        #expect(cluster[leader].replica.historyBytes == Int64(100 * 758 - live))
        // 68 220 bytes are 6 times half of the bound.
        #expect(store.compactRevision == Revision(store.revision.number - store.revision.number / 6))
    }

    @Test("Without a quota nothing is refused")
    func unlimited() throws {
        var cluster = try ready(1) { _ in }
        let only = cluster.ids[0]
        cluster.tell(only, .stateSizes(bytes: .max, inUse: .max))
        guard case .put = cluster.call(.write(put("x", bytes: 1)), at: only)?.body else {
            throw Missing(what: "not accepted")
        }
        #expect(cluster[only].replica.store.alarms.isEmpty)
    }

    @Test("The leader's settings decide how many learners there may be and which removals are dangerous")
    func membership() throws {
        var cluster = try ready(3) {
            $0.learnersMax = 2
            $0.strictReconfigCheck = false
        }
        func learner(_ number: UInt64) -> Request {
            .write(
                .memberAdd(
                    MemberDescription(
                        id: MemberID(number), name: "", peerURLs: ["http://m\(number)"], clientURLs: [],
                        isLearner: true)))
        }
        let leader = try #require(cluster.leader)
        for number in [4, 5] as [UInt64] {
            guard case .memberAdded = cluster.call(learner(number), at: leader)?.body else {
                throw Missing(what: "learner \(number) was not added")
            }
        }
        #expect(cluster.call(learner(6), at: leader)?.rejection?.code == .tooManyLearners)
        let others = cluster.ids.filter { $0 != leader && $0.number <= 3 }
        cluster.kill(others[0])
        _ = cluster.run(for: .seconds(1))
        let risky = cluster.call(.write(.memberRemove(others[1])), at: leader, within: .seconds(20))
        #expect(risky?.rejection?.code != .unhealthyCluster)
    }
}
