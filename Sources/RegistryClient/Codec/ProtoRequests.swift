import EtcdProto
import FoundationEssentials

/// From our words to etcd's messages.
enum ProtoRequests {
    static let keepAlivePath = "/etcdserverpb.Lease/LeaseKeepAlive"
    static let watchPath = "/etcdserverpb.Watch/Watch"
    /// Asked of a silent connection: every etcd has it, it costs next to nothing, and any answer will do.
    static let healthPath = "/grpc.health.v1.Health/Check"

    static func range(_ request: RangeRequest) -> Etcdserverpb_RangeRequest {
        var message = Etcdserverpb_RangeRequest()
        message.key = Data(request.range.key)
        message.rangeEnd = Data(request.range.end)
        message.limit = request.limit
        message.revision = request.revision
        message.sortOrder = Etcdserverpb_RangeRequest.SortOrder(rawValue: request.sortOrder.rawValue) ?? .none
        message.sortTarget = Etcdserverpb_RangeRequest.SortTarget(rawValue: request.sortTarget.rawValue) ?? .key
        message.serializable = request.serializable
        message.keysOnly = request.keysOnly
        message.countOnly = request.countOnly
        message.minModRevision = request.minModRevision
        message.maxModRevision = request.maxModRevision
        message.minCreateRevision = request.minCreateRevision
        message.maxCreateRevision = request.maxCreateRevision
        return message
    }

    static func put(_ request: PutRequest) -> Etcdserverpb_PutRequest {
        var message = Etcdserverpb_PutRequest()
        message.key = Data(request.key)
        message.value = Data(request.value)
        message.lease = request.lease.rawValue
        message.prevKv = request.wantsPrevious
        message.ignoreValue = request.ignoreValue
        message.ignoreLease = request.ignoreLease
        return message
    }

    static func delete(_ request: DeleteRequest) -> Etcdserverpb_DeleteRangeRequest {
        var message = Etcdserverpb_DeleteRangeRequest()
        message.key = Data(request.range.key)
        message.rangeEnd = Data(request.range.end)
        message.prevKv = request.wantsPrevious
        return message
    }

    static func txn(_ request: TxnRequest) -> Etcdserverpb_TxnRequest {
        var message = Etcdserverpb_TxnRequest()
        message.compare = request.comparisons.map(compare)
        message.success = request.success.map(operation)
        message.failure = request.failure.map(operation)
        return message
    }

    private static func compare(_ comparison: Comparison) -> Etcdserverpb_Compare {
        var message = Etcdserverpb_Compare()
        message.key = Data(comparison.range.key)
        message.rangeEnd = Data(comparison.range.end)
        message.result = Etcdserverpb_Compare.CompareResult(rawValue: comparison.relation.rawValue) ?? .equal
        switch comparison.target {
        case .version(let version):
            message.target = .version
            message.version = version
        case .createRevision(let revision):
            message.target = .create
            message.createRevision = revision
        case .modRevision(let revision):
            message.target = .mod
            message.modRevision = revision
        case .value(let value):
            message.target = .value
            message.value = Data(value)
        case .lease(let lease):
            message.target = .lease
            message.lease = lease.rawValue
        }
        return message
    }

    private static func operation(_ operation: TxnOperation) -> Etcdserverpb_RequestOp {
        var message = Etcdserverpb_RequestOp()
        switch operation {
        case .range(let request): message.requestRange = range(request)
        case .put(let request): message.requestPut = put(request)
        case .delete(let request): message.requestDeleteRange = delete(request)
        case .txn(let request): message.requestTxn = txn(request)
        }
        return message
    }

    static func compact(_ request: CompactRequest) -> Etcdserverpb_CompactionRequest {
        var message = Etcdserverpb_CompactionRequest()
        message.revision = request.revision
        message.physical = request.physical
        return message
    }

    static func leaseGrant(_ request: LeaseGrantRequest) -> Etcdserverpb_LeaseGrantRequest {
        var message = Etcdserverpb_LeaseGrantRequest()
        message.ttl = request.ttlSeconds
        message.id = request.id.rawValue
        return message
    }

    static func leaseRevoke(_ request: LeaseRevokeRequest) -> Etcdserverpb_LeaseRevokeRequest {
        var message = Etcdserverpb_LeaseRevokeRequest()
        message.id = request.id.rawValue
        return message
    }

    static func leaseTimeToLive(_ request: LeaseTimeToLiveRequest) -> Etcdserverpb_LeaseTimeToLiveRequest {
        var message = Etcdserverpb_LeaseTimeToLiveRequest()
        message.id = request.id.rawValue
        message.keys = request.wantsKeys
        return message
    }

    static func keepAlive(_ lease: LeaseID) -> Etcdserverpb_LeaseKeepAliveRequest {
        var message = Etcdserverpb_LeaseKeepAliveRequest()
        message.id = lease.rawValue
        return message
    }

    /// Creates the one watch of a stream. Large answers may come in pieces; idle ones say how far they are.
    static func watch(_ request: WatchRequest, from revision: Int64) -> Etcdserverpb_WatchRequest {
        var create = Etcdserverpb_WatchCreateRequest()
        create.key = Data(request.range.key)
        create.rangeEnd = Data(request.range.end)
        create.startRevision = revision
        create.progressNotify = true
        create.fragment = true
        create.prevKv = request.wantsPrevious
        if !request.wantsPuts { create.filters.append(.noput) }
        if !request.wantsDeletes { create.filters.append(.nodelete) }
        var message = Etcdserverpb_WatchRequest()
        message.createRequest = create
        return message
    }
}
