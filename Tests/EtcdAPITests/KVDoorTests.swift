import EtcdProto
import Foundation
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

/// The unary methods over a real connection.
@Suite struct KVDoorTests {
    private static let range = "/etcdserverpb.KV/Range"
    private static let put = "/etcdserverpb.KV/Put"
    private static let deleteRange = "/etcdserverpb.KV/DeleteRange"
    private static let txn = "/etcdserverpb.KV/Txn"
    private static let compact = "/etcdserverpb.KV/Compact"

    private static func putRequest(_ key: String, _ value: String = "v") -> Etcdserverpb_PutRequest {
        .with {
            $0.key = Data(key.utf8)
            $0.value = Data(value.utf8)
        }
    }

    @Test("Put, Range and DeleteRange answer with full headers")
    func keys() async throws {
        try await LoopbackDoor.with { door async throws in
            let put = try await door.call(Self.put, Self.putRequest("a"), as: Etcdserverpb_PutResponse.self)
            #expect(put.header.clusterID == 0xC1 && put.header.memberID == 0xA1)
            #expect(put.header.revision == 2 && put.header.raftTerm == 7)
            #expect(!put.hasPrevKv)

            var again = Self.putRequest("a", "w")
            again.prevKv = true
            let second = try await door.call(Self.put, again, as: Etcdserverpb_PutResponse.self)
            #expect(second.prevKv.value == Data("v".utf8) && second.header.revision == 3)

            let read = try await door.call(
                Self.range, Etcdserverpb_RangeRequest.with { $0.key = Data("a".utf8) },
                as: Etcdserverpb_RangeResponse.self)
            #expect(read.count == 1 && read.kvs[0].value == Data("w".utf8) && read.kvs[0].version == 2)
            #expect(read.kvs[0].createRevision == 2 && read.kvs[0].modRevision == 3)

            let deleted = try await door.call(
                Self.deleteRange,
                Etcdserverpb_DeleteRangeRequest.with {
                    $0.key = Data("a".utf8)
                    $0.prevKv = true
                }, as: Etcdserverpb_DeleteRangeResponse.self)
            #expect(deleted.deleted == 1 && deleted.prevKvs.count == 1 && deleted.header.revision == 4)
        }
    }

    @Test("A transaction with a write goes through consensus, one without does not")
    func transactions() async throws {
        try await LoopbackDoor.with { door async throws in
            var txn = Etcdserverpb_TxnRequest()
            txn.compare = [
                .with {
                    $0.key = Data("k".utf8)
                    $0.target = .version
                    $0.version = 0
                }
            ]
            txn.success = [
                .with { $0.requestPut = Self.putRequest("k") },
                .with { $0.requestRange.key = Data("k".utf8) },
            ]
            let response = try await door.call(Self.txn, txn, as: Etcdserverpb_TxnResponse.self)
            #expect(response.succeeded && response.header.revision == 2)
            #expect(response.responses[0].responsePut.header.revision == 2)
            #expect(response.responses[1].responseRange.kvs.count == 1)

            txn.success.removeFirst()
            txn.success[0].requestRange.serializable = true
            let reading = try await door.call(Self.txn, txn, as: Etcdserverpb_TxnResponse.self)
            #expect(!reading.succeeded && reading.responses.isEmpty)

            guard case .write(.txn) = door.registry.submitted[0].request,
                case .readTxn(_, serializable: true) = door.registry.submitted[1].request
            else {
                Issue.record("the second transaction should be a local read: \(door.registry.submitted)")
                return
            }
        }
    }

    @Test("Refusals arrive with etcd's code and text")
    func refusals() async throws {
        try await LoopbackDoor.with { door async throws in
            func expect(_ path: String, _ request: some Message, _ code: GRPCStatus.Code, _ text: String) async throws {
                #expect(try await door.failure(path, request) == GRPCStatus(code, "etcdserver: " + text))
            }
            try await expect(Self.put, Etcdserverpb_PutRequest(), .invalidArgument, "key is not provided")
            try await expect(
                Self.range,
                Etcdserverpb_RangeRequest.with {
                    $0.key = Data([1])
                    $0.revision = 99
                }, .outOfRange,
                "mvcc: required revision is a future revision")
            try await expect(
                Self.put,
                Etcdserverpb_PutRequest.with {
                    $0.key = Data([1])
                    $0.lease = 5
                }, .notFound,
                "requested lease not found")
            try await expect(
                Self.txn, Etcdserverpb_TxnRequest.with { $0.success = [Etcdserverpb_RequestOp()] }, .invalidArgument,
                "key not found")
            try await expect(
                Self.compact, Etcdserverpb_CompactionRequest.with { $0.revision = 5 }, .outOfRange,
                "mvcc: required revision is a future revision")
            #expect(door.registry.submitted.count == 3)
        }
    }

    @Test("A write over the limit is too large; a read of that size is not")
    func tooLarge() async throws {
        var options = EtcdDoorOptions()
        options.requestBytesMax = 1000
        try await LoopbackDoor.with(options: options) { door async throws in
            let large = String(repeating: "x", count: 1000)
            #expect(
                try await door.failure(Self.put, Self.putRequest("k", large))
                    == GRPCStatus(.invalidArgument, "etcdserver: request is too large"))
            #expect(
                try await door.failure(Self.range, Etcdserverpb_RangeRequest.with { $0.key = Data(large.utf8) }) == nil)
            #expect(try await door.failure(Self.put, Self.putRequest("k", String(large.prefix(900)))) == nil)
        }
    }

    @Test("Bytes that are no message end the call, not the connection")
    func malformed() async throws {
        try await LoopbackDoor.with { door async throws in
            for path in [Self.put, Self.range, Self.txn, "/etcdserverpb.Lease/LeaseGrant"] {
                await #expect(throws: GRPCStatus.self) { try await door.call(path, bytes: [0x0A, 0xFF]) }
            }
            #expect(try await door.failure(Self.put, Self.putRequest("k")) == nil)
        }
    }

    @Test("Answers find their calls in whatever order they come, and an ended call's answer is dropped")
    func answerOrder() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.hold()
            async let first = door.call(Self.put, Self.putRequest("a"), as: Etcdserverpb_PutResponse.self)
            while door.registry.submitted.count < 1 { await Task.yield() }
            async let second = door.call(Self.put, Self.putRequest("b"), as: Etcdserverpb_PutResponse.self)
            while door.registry.submitted.count < 2 { await Task.yield() }
            let abandoned = door.stream(Self.put, Etcdserverpb_PutRequest.self, Etcdserverpb_PutResponse.self)
            try abandoned.send(Self.putRequest("c"))
            abandoned.halfClose()
            while door.registry.submitted.count < 3 { await Task.yield() }
            abandoned.cancel()
            #expect(await abandoned.end()?.code == .cancelled)
            door.registry.release(reversed: true)
            let revisions = try await [first.header.revision, second.header.revision]
            #expect(revisions == [2, 3])
            #expect(try await door.failure(Self.put, Self.putRequest("d")) == nil)
        }
    }

    @Test("The context names the peer, and whether a leader is required")
    func context() async throws {
        try await LoopbackDoor.with { door async throws in
            let request = Etcdserverpb_RangeRequest.with { $0.key = Data([1]) }
            _ = try await door.failure(Self.range, request)
            _ = try await door.failure(Self.range, request, metadata: Metadata(["hasleader": "true"]))
            let contexts = door.registry.submitted.map(\.context)
            #expect(contexts[0].peer.hasPrefix("127.0.0.1:"))
            #expect(contexts.map(\.requiresLeader) == [false, true])
        }
    }

    @Test("Methods etcd has and this member does not are unimplemented, in gRPC's words")
    func unimplemented() async throws {
        try await LoopbackDoor.with { door async throws in
            let empty = Etcdserverpb_HashRequest()
            #expect(try await door.failure("/etcdserverpb.KV/RangeStream", empty)?.code == .unimplemented)
            #expect(
                try await door.failure("/etcdserverpb.KV/Nothing", empty)
                    == GRPCStatus(.unimplemented, "unknown method Nothing for service etcdserverpb.KV"))
            #expect(
                try await door.failure("/nobody.Home/Range", empty)
                    == GRPCStatus(.unimplemented, "unknown service nobody.Home"))
        }
    }

    @Test("Leases are granted, shown, listed and revoked")
    func leases() async throws {
        try await LoopbackDoor.with { door async throws in
            let granted = try await door.call(
                "/etcdserverpb.Lease/LeaseGrant",
                Etcdserverpb_LeaseGrantRequest.with {
                    $0.ttl = 10
                    $0.id = 77
                },
                as: Etcdserverpb_LeaseGrantResponse.self)
            #expect(granted.id == 77 && granted.ttl == 10 && granted.header.revision == 1)
            var put = Self.putRequest("k")
            put.lease = 77
            _ = try await door.call(Self.put, put, as: Etcdserverpb_PutResponse.self)
            let shown = try await door.call(
                "/etcdserverpb.Lease/LeaseTimeToLive",
                Etcdserverpb_LeaseTimeToLiveRequest.with {
                    $0.id = 77
                    $0.keys = true
                },
                as: Etcdserverpb_LeaseTimeToLiveResponse.self)
            #expect(shown.ttl == 9 && shown.grantedTtl == 10 && shown.keys == [Data("k".utf8)])
            let listed = try await door.call(
                "/etcdserverpb.Lease/LeaseLeases", Etcdserverpb_LeaseLeasesRequest(),
                as: Etcdserverpb_LeaseLeasesResponse.self)
            #expect(listed.leases.map(\.id) == [77])
            let revoke = Etcdserverpb_LeaseRevokeRequest.with { $0.id = 77 }
            let revoked = try await door.call(
                "/etcdserverpb.Lease/LeaseRevoke", revoke, as: Etcdserverpb_LeaseRevokeResponse.self)
            #expect(revoked.header.revision == 3)
            #expect(try await door.failure("/etcdserverpb.Lease/LeaseRevoke", revoke)?.code == .notFound)
            let gone = try await door.call(
                "/etcdserverpb.Lease/LeaseTimeToLive", Etcdserverpb_LeaseTimeToLiveRequest.with { $0.id = 77 },
                as: Etcdserverpb_LeaseTimeToLiveResponse.self)
            #expect(gone.ttl == -1 && gone.grantedTtl == 0)
            #expect(
                try await door.failure(
                    "/etcdserverpb.Lease/LeaseGrant", Etcdserverpb_LeaseGrantRequest.with { $0.ttl = 9_000_000_001 })
                    == GRPCStatus(.outOfRange, "etcdserver: too large lease TTL"))
        }
    }

    @Test("Member answers carry no revision, status does, and only the leader hands over")
    func memberAndStatus() async throws {
        try await LoopbackDoor.with { door async throws in
            _ = try await door.failure(Self.put, Self.putRequest("k"))
            let members = try await door.call(
                "/etcdserverpb.Cluster/MemberList", Etcdserverpb_MemberListRequest.with { $0.linearizable = true },
                as: Etcdserverpb_MemberListResponse.self)
            #expect(members.header.revision == 0 && members.header.memberID == 0xA1 && members.header.raftTerm == 7)
            #expect(members.members.map(\.name) == ["memory"])
            let status = try await door.call(
                "/etcdserverpb.Maintenance/Status", Etcdserverpb_StatusRequest(), as: Etcdserverpb_StatusResponse.self)
            #expect(status.header.revision == 2 && status.leader == 0xA1 && status.dbSizeQuota == 2_147_483_648)
            func move(_ target: UInt64) async throws -> GRPCStatus? {
                try await door.failure(
                    "/etcdserverpb.Maintenance/MoveLeader", Etcdserverpb_MoveLeaderRequest.with { $0.targetID = target }
                )
            }
            #expect(try await move(0) == GRPCStatus(.failedPrecondition, "etcdserver: bad leader transferee"))
            #expect(try await move(5) == GRPCStatus(.failedPrecondition, "etcdserver: not leader"))
            door.registry.script { _ in .success(.leaderMoved) }
            let moved = try await door.call(
                "/etcdserverpb.Maintenance/MoveLeader", Etcdserverpb_MoveLeaderRequest.with { $0.targetID = 5 },
                as: Etcdserverpb_MoveLeaderResponse.self)
            #expect(!moved.hasHeader)
        }
    }

    @Test("After its doors left the member every call is refused as stopped")
    func detached() async throws {
        try await LoopbackDoor.with { door async throws in
            await door.doors.detach()
            #expect(
                try await door.failure(Self.put, Self.putRequest("k"))
                    == GRPCStatus(.unavailable, "etcdserver: server stopped"))
        }
    }
}
