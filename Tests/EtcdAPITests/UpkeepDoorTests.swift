import EtcdProto
import Foundation
import Primitives
import RegistryModel
import SwiftProtobuf
import Synchronization
import Testing

@testable import EtcdAPI
@testable import GRPC

/// Maintenance beyond status and alarms: what only root may ask, and what a learner answers.
@Suite(.timeLimit(.minutes(1))) struct UpkeepDoorTests {
    private static let maintenance = "/etcdserverpb.Maintenance/"

    private func downgrade(
        _ door: LoopbackDoor, _ action: Etcdserverpb_DowngradeRequest.DowngradeAction, _ version: String = ""
    ) async throws -> GRPCStatus? {
        try await door.failure(
            Self.maintenance + "Downgrade",
            Etcdserverpb_DowngradeRequest.with {
                $0.action = action
                $0.version = version
            })
    }

    @Test("Defragment answers at once and without a header")
    func defragment() async throws {
        try await LoopbackDoor.with { door async throws in
            let answer = try await door.call(
                Self.maintenance + "Defragment", Etcdserverpb_DefragmentRequest(),
                as: Etcdserverpb_DefragmentResponse.self)
            #expect(!answer.hasHeader)
        }
    }

    @Test("HashKV shows hash, compact revision and the revision it counted up to; its bounds are those of reads")
    func hashKV() async throws {
        try await LoopbackDoor.with { door async throws in
            for _ in 0..<3 {
                _ = try await door.call(
                    "/etcdserverpb.KV/Put", Etcdserverpb_PutRequest.with { $0.key = Data("k".utf8) },
                    as: Etcdserverpb_PutResponse.self)
            }
            _ = try await door.call(
                "/etcdserverpb.KV/Compact", Etcdserverpb_CompactionRequest.with { $0.revision = 2 },
                as: Etcdserverpb_CompactionResponse.self)
            let path = Self.maintenance + "HashKV"
            for (asked, counted) in [(0, Int64(4)), (3, 3)] {
                let answer = try await door.call(
                    path, Etcdserverpb_HashKVRequest.with { $0.revision = Int64(asked) },
                    as: Etcdserverpb_HashKVResponse.self)
                #expect(answer.hash == 0xC0FFEE && answer.compactRevision == 2 && answer.hashRevision == counted)
                #expect(answer.header.revision == 4 && answer.header.memberID == 0xA1)
            }
            #expect(
                try await door.failure(path, Etcdserverpb_HashKVRequest.with { $0.revision = 5 })
                    == GRPCStatus(.outOfRange, "etcdserver: mvcc: required revision is a future revision"))
            #expect(
                try await door.failure(path, Etcdserverpb_HashKVRequest.with { $0.revision = 1 })
                    == GRPCStatus(.outOfRange, "etcdserver: mvcc: required revision has been compacted"))
        }
    }

    @Test("Hash tells states apart that differ anywhere")
    func hash() async throws {
        try await LoopbackDoor.with { door async throws in
            var hashes: Set<UInt32> = []
            for digest in [Digest128(low: 1, high: 0), Digest128(low: 2, high: 0), Digest128(low: 1 << 40, high: 0)] {
                door.registry.script { request in
                    guard case .status = request else { return nil }
                    var status = MemoryStore.status
                    status.digest = digest
                    return .success(.status(status))
                }
                let answer = try await door.call(
                    Self.maintenance + "Hash", Etcdserverpb_HashRequest(), as: Etcdserverpb_HashResponse.self)
                #expect(answer.header.memberID == 0xA1)
                hashes.insert(answer.hash)
            }
            #expect(hashes.count == 3)
        }
    }

    @Test("There is nothing to downgrade to, and that is said in etcd's words")
    func downgrading() async throws {
        try await LoopbackDoor.with { door async throws in
            let invalid = GRPCStatus(.invalidArgument, "etcdserver: invalid downgrade target version")
            for version in ["3.5", "3.5.0", "3.4", "3.6.0-rc.1"] {
                #expect(try await downgrade(door, .validate, version) == invalid)
                #expect(try await downgrade(door, .enable, version) == invalid)
            }
            for version in ["", "3", "x.y", "3.5.", "3.-5", "3.5.0.1", "3.+5"] {
                #expect(
                    try await downgrade(door, .enable, version)
                        == GRPCStatus(.invalidArgument, "etcdserver: wrong downgrade target version format"))
            }
            #expect(
                try await downgrade(door, .cancel)
                    == GRPCStatus(.failedPrecondition, "etcdserver: no inflight downgrade job"))
            #expect(try await downgrade(door, .UNRECOGNIZED(9))?.code == .unknown)
        }
    }

    @Test("What is root's is asked of the member first, and refused in its words")
    func rootOnly() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.script { request in
                guard case .authorize(.root) = request else { return .failure(Rejection(.stopped)) }
                return .failure(Rejection(.permissionDenied))
            }
            let denied = GRPCStatus(.permissionDenied, "etcdserver: permission denied")
            let methods: [(String, any Message)] = [
                ("Defragment", Etcdserverpb_DefragmentRequest()), ("Hash", Etcdserverpb_HashRequest()),
                ("HashKV", Etcdserverpb_HashKVRequest()), ("Downgrade", Etcdserverpb_DowngradeRequest()),
            ]
            for (name, request) in methods {
                #expect(try await door.failure(Self.maintenance + name, request) == denied, "\(name)")
            }
            let snapshot = door.stream(
                Self.maintenance + "Snapshot", Etcdserverpb_SnapshotRequest.self, Etcdserverpb_SnapshotResponse.self)
            try snapshot.send(Etcdserverpb_SnapshotRequest())
            #expect(await snapshot.end() == denied)
            #expect(door.registry.backups.state.withLock { $0.wants } == 0)
            #expect(door.registry.submitted.count == 5)
        }
    }

    @Test("Status has versions, sizes and the quota, and a database size that can be divided by")
    func status() async throws {
        var options = EtcdDoorOptions()
        options.identity.quotaBytes = 77
        try await LoopbackDoor.with(options: options) { door async throws in
            door.registry.script { _ in
                var status = MemoryStore.status
                status.databaseBytes = 0
                status.databaseBytesInUse = 10
                return .success(.status(status))
            }
            let status = try await door.call(
                Self.maintenance + "Status", Etcdserverpb_StatusRequest(), as: Etcdserverpb_StatusResponse.self)
            #expect(status.dbSize == 1 && status.dbSizeInUse <= status.dbSize && status.dbSizeQuota == 77)
            #expect(status.storageVersion == "3.6.0" && status.version.hasPrefix("3.6."))
            #expect(status.hasDowngradeInfo && !status.downgradeInfo.enabled)
        }
    }

    @Test("A learner answers status, serializable reads and snapshots, and refuses everything else")
    func learner() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.backups.state.withLock { $0.bytes = [1, 2, 3] }
            door.registry.deliver([.learner(true)])
            let refusal = GRPCStatus(.failedPrecondition, "etcdserver: rpc not supported for learner")
            let list = "/etcdserverpb.Cluster/MemberList"
            try await door.eventually {
                try await door.failure(list, Etcdserverpb_MemberListRequest()) == refusal
            }
            let asked = door.registry.submitted.count
            let refused: [(String, any Message)] = [
                ("/etcdserverpb.KV/Range", Etcdserverpb_RangeRequest.with { $0.key = Data([1]) }),
                ("/etcdserverpb.KV/Put", Etcdserverpb_PutRequest.with { $0.key = Data([1]) }),
                (
                    "/etcdserverpb.KV/Txn",
                    Etcdserverpb_TxnRequest.with {
                        $0.success = [
                            .with {
                                $0.requestRange.key = Data([1])
                                $0.requestRange.serializable = true
                            }
                        ]
                    }
                ),
                ("/etcdserverpb.Maintenance/Alarm", Etcdserverpb_AlarmRequest()),
                ("/etcdserverpb.Maintenance/HashKV", Etcdserverpb_HashKVRequest()),
                ("/v3lockpb.Lock/Lock", V3lockpb_LockRequest()),
                ("/v3electionpb.Election/Observe", V3electionpb_LeaderRequest()),
            ]
            for (path, request) in refused {
                #expect(try await door.failure(path, request) == refusal, "\(path)")
            }
            for path in ["/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"] {
                let stream = door.stream(path, Etcdserverpb_WatchRequest.self, Etcdserverpb_WatchResponse.self)
                #expect(await stream.end() == refusal, "\(path)")
            }
            #expect(door.registry.submitted.count == asked, "nothing of it reaches the member")
            let read = Etcdserverpb_RangeRequest.with {
                $0.key = Data([1])
                $0.serializable = true
            }
            #expect(try await door.failure("/etcdserverpb.KV/Range", read) == nil)
            #expect(try await door.failure(Self.maintenance + "Status", Etcdserverpb_StatusRequest()) == nil)
            let snapshot = door.stream(
                Self.maintenance + "Snapshot", Etcdserverpb_SnapshotRequest.self, Etcdserverpb_SnapshotResponse.self)
            try snapshot.send(Etcdserverpb_SnapshotRequest())
            #expect(try await snapshot.next().blob == Data([1, 2, 3]))
            #expect(try await door.http.request("GET", "/health").status == 200)
            let gateway = try await door.http.request("POST", "/v3/kv/put", body: #"{"key":"YQ=="}"#)
            #expect(gateway.status == 400 && gateway.body.contains(refusal.message))
            door.registry.deliver([.learner(false)])
            try await door.eventually { try await door.failure(list, Etcdserverpb_MemberListRequest()) == nil }
        }
    }

    @Test("A client version that is no text is refused; any text is a version")
    func clientVersion() async throws {
        try await LoopbackDoor.with { door async throws in
            var metadata = Metadata()
            metadata.add("client-api-version", "3.6.0-ü")
            let list = "/etcdserverpb.Cluster/MemberList"
            #expect(try await door.failure(list, Etcdserverpb_MemberListRequest(), metadata: metadata) == nil)
            var malformed = Metadata()
            malformed.append(lowered: Array("client-api-version".utf8), value: [0x33, 0xFF, 0xFE])
            let refusal = GRPCStatus(.invalidArgument, "etcdserver: invalid client api version")
            #expect(try await door.failure(list, Etcdserverpb_MemberListRequest(), metadata: malformed) == refusal)
            let watch = door.stream(
                "/etcdserverpb.Watch/Watch", metadata: malformed, Etcdserverpb_WatchRequest.self,
                Etcdserverpb_WatchResponse.self)
            #expect(await watch.end() == refusal)
        }
    }

    @Test("A caller is known by its token, or by what authorization says behind Bearer")
    func credentials() async throws {
        try await LoopbackDoor.with { door async throws in
            let cases: [([(String, String)], Credential)] = [
                ([], .none), ([("token", "abc.1")], .token("abc.1")), ([("authorization", "abc.2")], .token("abc.2")),
                ([("authorization", "Bearer abc.3")], .token("abc.3")),
                ([("authorization", "Bearer x"), ("token", "Bearer abc.4")], .token("abc.4")),
                ([("authorization", "bearer abc")], .token("bearer abc")), ([("token", "")], .token("")),
            ]
            for (fields, credential) in cases {
                var metadata = Metadata()
                for (name, value) in fields { metadata.add(name, value) }
                _ = try await door.failure(
                    "/etcdserverpb.Cluster/MemberList", Etcdserverpb_MemberListRequest(), metadata: metadata)
                #expect(door.registry.submitted.last?.context.credential == credential)
            }
            for (headers, credential) in [
                (["Authorization": "abc.5"], Credential.token("abc.5")), (["Token": "abc"], .none),
                (["Grpc-Metadata-Token": "abc.6"], .token("abc.6")),
            ] {
                _ = try await door.http.request("POST", "/v3/cluster/member/list", headers: headers)
                #expect(door.registry.submitted.last?.context.credential == credential)
            }
            _ = try await door.http.request("GET", "/health")
            #expect(door.registry.submitted.last?.context.credential == .root)
        }
    }
}
