import EtcdProto
import Foundation
import Testing

extension RealProcesses {
    /// What can be seen only before the first compaction: the sequences of the differential test start after one.
    @Suite struct FreshStoreTests {
        @Test("A store that was never compacted answers like etcd's")
        func fresh() async throws {
            let etcd = try Cluster.started(.etcd, size: 1, extra: ["--auto-compaction-retention=0"])
            let ours = try Cluster.started(.registry, size: 1, extra: ["--auto-compaction-retention=0"])
            let duel = Duel(
                etcd: try await Session("etcd", etcd.members[0], isReference: true),
                ours: try await Session("Ganglion", ours.members[0]))
            let difference = try await duel.play(Self.calls, fresh: true)
            #expect(difference == nil, "\(difference.map { "\(Self.calls[$0.position]): \($0)" } ?? "")")
        }

        private static var calls: [any Call] {
            var calls: [any Call] = [range(at: 0), range(at: 1), range(at: 2), range(at: -1)]
            calls += [-2, -1, 0, 1, 2].map { reading(at: $0) }
            calls += [watch(from: 0), watch(from: 1), watch(from: 3)]
            calls += [put("a"), put("b")]
            calls += [range(at: 1), range(at: 2), range(at: 3), range(at: 4)]
            // The compact revision is -1 until the first compaction, which may be one at 0.
            calls += [-1, 0, 0, -1].map { compaction(at: $0) }
            calls += [-2, -1, 0, 1].map { reading(at: $0) }
            calls += [compaction(at: 1), range(at: 1), watch(from: 1), put("a"), compaction(at: 9), compaction(at: 4)]
            calls += [range(at: 3), range(at: 4), range(at: 5), watch(from: 3), watch(from: 4), compaction(at: 4)]
            return calls
        }

        private static func range(at revision: Int64) -> any Call {
            UnaryCall("KV/Range", request(at: revision), answeredBy: Etcdserverpb_RangeResponse.self)
        }

        /// The same in a transaction, which has other rules for revisions below zero.
        private static func reading(at revision: Int64) -> any Call {
            var operation = Etcdserverpb_RequestOp()
            operation.requestRange = request(at: revision)
            var txn = Etcdserverpb_TxnRequest()
            txn.success = [operation]
            return UnaryCall("KV/Txn", txn, answeredBy: Etcdserverpb_TxnResponse.self)
        }

        private static func request(at revision: Int64) -> Etcdserverpb_RangeRequest {
            var request = Etcdserverpb_RangeRequest()
            request.key = Data([0])
            request.rangeEnd = Data([0])
            request.revision = revision
            return request
        }

        private static func put(_ key: String) -> any Call {
            var request = Etcdserverpb_PutRequest()
            request.key = Data(key.utf8)
            return UnaryCall("KV/Put", request, answeredBy: Etcdserverpb_PutResponse.self)
        }

        private static func compaction(at revision: Int64) -> any Call {
            var request = Etcdserverpb_CompactionRequest()
            request.revision = revision
            var call = UnaryCall("KV/Compact", request, answeredBy: Etcdserverpb_CompactionResponse.self)
            call.needsCaughtUpWatches = true
            return call
        }

        private static func watch(from revision: Int64) -> any Call {
            var request = Etcdserverpb_WatchCreateRequest()
            request.key = Data([0])
            request.rangeEnd = Data([0])
            request.startRevision = revision
            return WatchCreate(stream: 0, hasMark: true, request: request)
        }
    }
}
