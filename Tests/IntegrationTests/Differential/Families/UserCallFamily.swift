import EtcdProto
import Foundation
import Primitives

/// Calls of KV, leases and watches by different users, by nobody and with tokens that are none.
struct UserCallFamily: CallFamily {
    let weight: UInt64 = 60

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        let sender = random.one(of: AuthFamily.senders)
        switch random.below(20) {
        case 0...4:
            plan.revisions += 1
            return [
                UnaryCall("KV/Put", random.put(plan), answeredBy: Etcdserverpb_PutResponse.self, credential: sender)
            ]
        case 5...7:
            var request = random.range(plan)
            Straight.end(&request.rangeEnd, after: request.key)
            return [UnaryCall("KV/Range", request, answeredBy: Etcdserverpb_RangeResponse.self, credential: sender)]
        case 8, 9:
            plan.revisions += 1
            var request = random.deletion()
            Straight.end(&request.rangeEnd, after: request.key)
            return [
                UnaryCall(
                    "KV/DeleteRange", request, answeredBy: Etcdserverpb_DeleteRangeResponse.self, credential: sender)
            ]
        case 10...12:
            plan.revisions += 1
            var request = TxnFamily.harmless(random.transaction(plan, depth: 2))
            Straight.ends(&request)
            return [UnaryCall("KV/Txn", request, answeredBy: Etcdserverpb_TxnResponse.self, credential: sender)]
        case 13...16: return [lease(&random, &plan, sender)]
        case 17, 18: return [watch(&random, &plan, sender)]
        default: return [other(&random, plan, sender)]
        }
    }

    private func lease(_ random: inout SeededGenerator, _ plan: inout Plan, _ sender: String?) -> any Call {
        switch random.below(10) {
        case 0...3:
            var request = Etcdserverpb_LeaseGrantRequest()
            request.id = random.chosenLease()
            request.ttl = random.within(100...5_000)
            return UnaryCall(
                "Lease/LeaseGrant", request, answeredBy: Etcdserverpb_LeaseGrantResponse.self, credential: sender)
        case 4, 5:
            plan.revisions += 1
            var request = Etcdserverpb_LeaseRevokeRequest()
            request.id = random.lease(plan)
            return UnaryCall(
                "Lease/LeaseRevoke", request, answeredBy: Etcdserverpb_LeaseRevokeResponse.self, credential: sender)
        case 6, 7:
            var request = Etcdserverpb_LeaseTimeToLiveRequest()
            request.id = random.lease(plan)
            request.keys = !random.oneIn(3)
            return UnaryCall(
                "Lease/LeaseTimeToLive", request, answeredBy: Etcdserverpb_LeaseTimeToLiveResponse.self,
                credential: sender)
        case 8:
            return UnaryCall(
                "Lease/LeaseLeases", Etcdserverpb_LeaseLeasesRequest(),
                answeredBy: Etcdserverpb_LeaseLeasesResponse.self, credential: sender)
        default: return KeepAlive(leases: [random.lease(plan)], credential: sender)
        }
    }

    /// Watches, on one stream for each of three senders.
    private func watch(_ random: inout SeededGenerator, _ plan: inout Plan, _ sender: String?) -> any Call {
        let stream = Int(random.below(3))
        if random.oneIn(6) { return WatchClose(stream: stream) }
        var request = Etcdserverpb_WatchCreateRequest()
        request.key = random.key()
        request.rangeEnd = random.rangeEnd(request.key)
        Straight.end(&request.rangeEnd, after: request.key)
        if random.oneIn(3) { request.startRevision = Names.revision(random.within(0...(plan.revisions + 2))) }
        request.prevKv = random.oneIn(3)
        return WatchCreate(stream: stream, hasMark: false, request: request, credential: sender)
    }

    /// What is not for everybody.
    private func other(_ random: inout SeededGenerator, _ plan: Plan, _ sender: String?) -> any Call {
        switch random.below(6) {
        case 0:
            var request = Etcdserverpb_CompactionRequest()
            request.revision = random.revision(plan)
            var call = UnaryCall(
                "KV/Compact", request, answeredBy: Etcdserverpb_CompactionResponse.self, credential: sender)
            call.needsCaughtUpWatches = true
            return call
        case 1:
            return UnaryCall(
                "Cluster/MemberList", Etcdserverpb_MemberListRequest(),
                answeredBy: Etcdserverpb_MemberListResponse.self, credential: sender)
        case 2:
            return UnaryCall(
                "Maintenance/Alarm", Etcdserverpb_AlarmRequest(), answeredBy: Etcdserverpb_AlarmResponse.self,
                credential: sender)
        case 3:
            var request = Etcdserverpb_AlarmRequest()
            request.action = .deactivate
            request.alarm = .nospace
            return UnaryCall(
                "Maintenance/Alarm", request, answeredBy: Etcdserverpb_AlarmResponse.self, credential: sender)
        case 4:
            return UnaryCall(
                "Maintenance/HashKV", Etcdserverpb_HashKVRequest(), answeredBy: Etcdserverpb_HashKVResponse.self,
                credential: sender)
        default:
            return UnaryCall(
                "Maintenance/Defragment", Etcdserverpb_DefragmentRequest(),
                answeredBy: Etcdserverpb_DefragmentResponse.self, credential: sender)
        }
    }

    /// What is left, as root sees it; after the closing calls of `AuthFamily`, which log root in.
    var closing: [any Call] {
        var everything = Etcdserverpb_RangeRequest()
        everything.key = Data([0])
        everything.rangeEnd = Data([0])
        return [
            UnaryCall("KV/Range", everything, answeredBy: Etcdserverpb_RangeResponse.self, credential: "root"),
            UnaryCall(
                "Lease/LeaseLeases", Etcdserverpb_LeaseLeasesRequest(),
                answeredBy: Etcdserverpb_LeaseLeasesResponse.self, credential: "root"),
        ]
    }
}

/// Normalisation "backward interval": whether etcd lets a user read one depends on the shape of the tree in which it
/// keeps the permissions.
private enum Straight {
    static func end(_ end: inout Data, after key: Data) {
        if !end.isEmpty, end != Data([0]), !key.lexicographicallyPrecedes(end) { end = Data() }
    }

    static func ends(_ request: inout Etcdserverpb_TxnRequest) {
        for place in request.compare.indices {
            end(&request.compare[place].rangeEnd, after: request.compare[place].key)
        }
        for place in request.success.indices { ends(&request.success[place]) }
        for place in request.failure.indices { ends(&request.failure[place]) }
    }

    private static func ends(_ operation: inout Etcdserverpb_RequestOp) {
        switch operation.request {
        case .requestRange(var range):
            end(&range.rangeEnd, after: range.key)
            operation.requestRange = range
        case .requestDeleteRange(var deletion):
            end(&deletion.rangeEnd, after: deletion.key)
            operation.requestDeleteRange = deletion
        case .requestTxn(var inner):
            ends(&inner)
            operation.requestTxn = inner
        case .requestPut, nil: break
        }
    }
}
