import Foundation
import RegistryClient
import Testing

/// Every call, against a real etcd.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct CallTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func with(_ body: (Registry, EtcdCluster) async throws -> Void) async throws {
        let cluster = try await EtcdCluster()
        let registry = try cluster.client()
        do {
            try await body(registry, cluster)
        } catch {
            await registry.close()
            throw error
        }
        await registry.close()
    }

    @Test("What was put is read back, with its numbers, and deleted")
    func putGetDelete() async throws {
        try await with { registry, _ in
            let first = try await registry.put(bytes("a"), bytes("1"))
            #expect(first.header.revision == 2)
            #expect(first.header.clusterID != 0 && first.header.memberID != 0 && first.header.raftTerm != 0)
            var again = PutRequest(key: "a", value: "2")
            again.wantsPrevious = true
            let second = try await registry.put(again)
            #expect(second.previous?.value == bytes("1"))
            let found = try await registry.get(bytes("a"))
            #expect(
                found
                    == KeyValue(key: bytes("a"), value: bytes("2"), createRevision: 2, modRevision: 3, version: 2))
            var delete = DeleteRequest(.key("a"))
            delete.wantsPrevious = true
            let deleted = try await registry.delete(delete)
            #expect(deleted.deleted == 1)
            #expect(deleted.previous.first?.value == bytes("2"))
            #expect(try await registry.get(bytes("a")) == nil)
        }
    }

    @Test("All options of a read reach the registry")
    func range() async throws {
        try await with { registry, _ in
            for (key, value) in [("k1", "c"), ("k2", "a"), ("k3", "b")] {
                try await registry.put(bytes(key), bytes(value))
            }
            try await registry.put(bytes("k1"), bytes("d"))
            var request = RangeRequest(.prefix("k"))
            func keys() async throws -> [String] {
                try await registry.range(request).kvs.map { String(decoding: $0.key, as: UTF8.self) }
            }
            #expect(try await keys() == ["k1", "k2", "k3"])
            request.sortTarget = .value
            request.sortOrder = .descending
            #expect(try await keys() == ["k1", "k3", "k2"])
            request.limit = 2
            #expect(try await registry.range(request).more)
            request.limit = 0
            request.revision = 4
            request.sortOrder = .ascending
            #expect(try await keys() == ["k2", "k3", "k1"])
            request.revision = 0
            request.sortOrder = .none
            request.sortTarget = .key
            request.minModRevision = 4
            #expect(try await keys() == ["k1", "k3"])
            request.maxModRevision = 4
            #expect(try await keys() == ["k3"])
            request.minModRevision = 0
            request.maxModRevision = 0
            request.minCreateRevision = 3
            request.maxCreateRevision = 3
            #expect(try await keys() == ["k2"])
            request.minCreateRevision = 0
            request.maxCreateRevision = 0
            request.keysOnly = true
            #expect(try await registry.range(request).kvs.allSatisfy { $0.value.isEmpty })
            request.countOnly = true
            request.serializable = true
            let count = try await registry.range(request)
            #expect(count.count == 3 && count.kvs.isEmpty)
        }
    }

    @Test("A transaction compares, runs one branch, nested ones too, and says what happened")
    func transaction() async throws {
        try await with { registry, _ in
            try await registry.put(bytes("a"), bytes("1"))
            let lease = try await registry.grantLease(ttlSeconds: 60)
            let inner = TxnRequest(
                comparisons: [Comparison(.key("none"), .equal, .version(0))],
                success: [.put(PutRequest(key: "c", value: "3"))])
            let request = TxnRequest(
                comparisons: [
                    Comparison(.key("a"), .equal, .value(bytes("1"))), Comparison(.key("a"), .greater, .modRevision(1)),
                    Comparison(.key("a"), .less, .createRevision(100)), Comparison(.key("a"), .notEqual, .version(7)),
                    Comparison(.key("a"), .equal, .lease(.none)), Comparison(.prefix("a"), .equal, .version(1)),
                ],
                success: [
                    .put(PutRequest(key: bytes("b"), value: bytes("2"), lease: lease.id)),
                    .range(RangeRequest(.key("b"))), .delete(DeleteRequest(.key("a"))), .txn(inner),
                ],
                failure: [.range(RangeRequest(.all))])
            let result = try await registry.txn(request)
            #expect(result.succeeded)
            #expect(result.responses.count == 4)
            guard case .range(let read) = result.responses[1], case .delete(let deleted) = result.responses[2],
                case .txn(let nested) = result.responses[3]
            else {
                Issue.record("wrong kinds: \(result.responses)")
                return
            }
            #expect(read.kvs.first?.lease == lease.id)
            #expect(deleted.deleted == 1)
            #expect(nested.succeeded && nested.responses.count == 1)
            let other = try await registry.txn(request)
            #expect(!other.succeeded)
            guard case .range(let all) = other.responses.first else {
                Issue.record("wrong branch: \(other)")
                return
            }
            #expect(all.kvs.map(\.key) == [bytes("b"), bytes("c")])
        }
    }

    @Test("Compaction makes older reads fail with its code")
    func compaction() async throws {
        try await with { registry, _ in
            for number in 0..<5 { try await registry.put(bytes("a"), bytes("\(number)")) }
            try await registry.compact(CompactRequest(revision: 4, physical: true))
            var old = RangeRequest(.key("a"))
            old.revision = 3
            let compacted = await #expect(throws: RegistryError.self) { try await registry.range(old) }
            #expect(compacted?.code == .compacted)
            old.revision = 1_000
            let future = await #expect(throws: RegistryError.self) { try await registry.range(old) }
            #expect(future?.code == .futureRevision)
        }
    }

    @Test("Leases are granted, looked at, listed, renewed and revoked with their keys")
    func leases() async throws {
        try await with { registry, _ in
            let lease = try await registry.grantLease(ttlSeconds: 100, id: LeaseID(rawValue: 0x1234))
            #expect(lease.id == LeaseID(rawValue: 0x1234))
            #expect(lease.ttlSeconds == 100)
            try await registry.put(bytes("a"), bytes("1"), lease: lease.id)
            let left = try await registry.leaseTimeToLive(lease.id, keys: true)
            #expect(left.grantedTTLSeconds == 100)
            #expect((90...100).contains(left.ttlSeconds))
            #expect(left.keys == [bytes("a")])
            #expect(try await registry.leases().leases == [lease.id])
            #expect(try await registry.renewLease(lease.id).ttlSeconds == 100)
            let again = await #expect(throws: RegistryError.self) {
                try await registry.grantLease(ttlSeconds: 1, id: lease.id)
            }
            #expect(again?.code == .leaseExists)
            try await registry.revokeLease(lease.id)
            #expect(try await registry.get(bytes("a")) == nil)
            #expect(try await registry.leaseTimeToLive(lease.id).ttlSeconds == -1)
            #expect(try await registry.renewLease(lease.id).ttlSeconds == 0)
            let revoked = await #expect(throws: RegistryError.self) { try await registry.revokeLease(lease.id) }
            #expect(revoked?.code == .leaseNotFound)
            let orphan = await #expect(throws: RegistryError.self) {
                try await registry.put(bytes("a"), bytes("1"), lease: lease.id)
            }
            #expect(orphan?.code == .leaseNotFound)
            #expect(orphan?.outcome == .notDone)
        }
    }

    @Test("Members and their state are told")
    func members() async throws {
        try await with { registry, cluster in
            let members = try await registry.members()
            #expect(members.members.map(\.name) == ["m0"])
            #expect(members.members.first?.clientURLs == ["http://\(cluster.endpoints[0])"])
            let status = try await registry.status(of: Endpoint(cluster.endpoints[0]))
            #expect(status.leader == members.members.first?.id)
            #expect(!status.version.isEmpty && status.dbSize > 0 && status.raftIndex > 0)
        }
    }

    @Test("A learner is added, moved and removed; it cannot be promoted before it runs")
    func memberChanges() async throws {
        try await with { registry, _ in
            let old = try await registry.members().members
            let added = try await registry.addMember(peerURLs: ["http://127.0.0.1:1"], isLearner: true)
            #expect(added.member.isLearner && added.member.id != 0 && added.member.name.isEmpty)
            #expect(added.member.peerURLs == ["http://127.0.0.1:1"])
            #expect(Set(added.members) == Set(old + [added.member]) && added.header.clusterID != 0)
            let early = await #expect(throws: RegistryError.self) {
                try await registry.promoteMember(added.member.id)
            }
            #expect(early?.code == .failedPrecondition && early?.outcome == .notDone)
            let moved = try await registry.updateMember(added.member.id, peerURLs: ["http://127.0.0.1:2"])
            #expect(moved.members.first { $0.id == added.member.id }?.peerURLs == ["http://127.0.0.1:2"])
            #expect(try await registry.removeMember(added.member.id).members == old)
            let gone = await #expect(throws: RegistryError.self) { try await registry.removeMember(added.member.id) }
            #expect(gone?.code == .memberNotFound)
        }
    }

    @Test("Alarms are raised, listed by kind, refuse writes, and are cleared one by one")
    func alarms() async throws {
        try await with { registry, _ in
            let full = Alarm(memberID: 7, kind: .noSpace)
            #expect(try await registry.alarms().alarms.isEmpty)
            #expect(try await registry.raiseAlarm(full).alarms == [full])
            #expect(try await registry.alarms().alarms == [full])
            #expect(try await registry.alarms(.corrupt).alarms.isEmpty)
            let refused = await #expect(throws: RegistryError.self) { try await registry.put(bytes("a"), bytes("1")) }
            #expect(refused?.code == .noSpace && refused?.outcome == .notDone)
            #expect(try await registry.clearAlarm(Alarm(memberID: 8, kind: .noSpace)).alarms.isEmpty)
            #expect(try await registry.clearAlarm(full).alarms == [full])
            try await registry.put(bytes("a"), bytes("1"))
        }
    }

    @Test("A refusal carries etcd's own words")
    func refusal() async throws {
        try await with { registry, _ in
            let error = await #expect(throws: RegistryError.self) { try await registry.put([], bytes("1")) }
            #expect(error?.message == "etcdserver: key is not provided")
            #expect(error?.code == .invalidArgument)
            #expect(error?.statusCode == 3)
        }
    }

    @Test("Many calls at once all get their own answer")
    func concurrent() async throws {
        try await with { registry, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        try await registry.put(Array("k\(number)".utf8), Array("v\(number)".utf8))
                        let found = try await registry.get(Array("k\(number)".utf8))
                        #expect(found?.value == Array("v\(number)".utf8))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("Without a registry a call fails when its time is up, and says why; cancelling ends it sooner")
    func unreachable() async throws {
        let port = try Ports.take(1)[0]
        let registry = Registry(try .init(endpoints: ["127.0.0.1:\(port)"]))
        let start = ContinuousClock.now
        let error = await #expect(throws: RegistryError.self) {
            try await registry.put(bytes("a"), bytes("1"), timeout: .milliseconds(300))
        }
        #expect(error?.code == .deadlineExceeded)
        #expect(error?.outcome == .notDone)
        #expect(error?.message.contains("127.0.0.1:\(port)") == true)
        #expect(ContinuousClock.now - start < .seconds(2))
        let task = Task { try await registry.get(bytes("a"), timeout: .seconds(60)) }
        task.cancel()
        let cancelled = await #expect(throws: RegistryError.self) { try await task.value }
        #expect(cancelled?.code == .cancelled)
        await registry.close()
        let closed = await #expect(throws: RegistryError.self) { try await registry.get(bytes("a")) }
        #expect(closed?.code == .closed)
    }
}
