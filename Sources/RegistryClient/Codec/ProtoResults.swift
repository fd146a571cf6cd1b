import EtcdProto
import FoundationEssentials
import NIOCore

/// From etcd's messages to our words.
enum ProtoResults {
    static func header(_ message: Etcdserverpb_ResponseHeader) -> ResponseHeader {
        ResponseHeader(
            clusterID: message.clusterID, memberID: message.memberID, revision: message.revision,
            raftTerm: message.raftTerm)
    }

    static func keyValue(_ message: Mvccpb_KeyValue) -> KeyValue {
        KeyValue(
            key: [UInt8](message.key), value: [UInt8](message.value), createRevision: message.createRevision,
            modRevision: message.modRevision, version: message.version, lease: LeaseID(rawValue: message.lease))
    }

    static func range(_ message: Etcdserverpb_RangeResponse) -> RangeResult {
        RangeResult(
            header: header(message.header), kvs: message.kvs.map(keyValue), more: message.more, count: message.count)
    }

    static func put(_ message: Etcdserverpb_PutResponse) -> PutResult {
        PutResult(
            header: header(message.header), previous: message.hasPrevKv ? keyValue(message.prevKv) : nil)
    }

    static func delete(_ message: Etcdserverpb_DeleteRangeResponse) -> DeleteResult {
        DeleteResult(
            header: header(message.header), deleted: message.deleted, previous: message.prevKvs.map(keyValue))
    }

    static func txn(_ message: Etcdserverpb_TxnResponse) -> TxnResult {
        TxnResult(
            header: header(message.header), succeeded: message.succeeded,
            responses: message.responses.compactMap(operation))
    }

    /// Nil for an arm that only a newer registry knows.
    private static func operation(_ message: Etcdserverpb_ResponseOp) -> TxnOperationResult? {
        switch message.response {
        case .responseRange(let response): .range(range(response))
        case .responsePut(let response): .put(put(response))
        case .responseDeleteRange(let response): .delete(delete(response))
        case .responseTxn(let response): .txn(txn(response))
        case nil: nil
        }
    }

    static func compact(_ message: Etcdserverpb_CompactionResponse) -> ResponseHeader {
        header(message.header)
    }

    static func leaseGrant(_ message: Etcdserverpb_LeaseGrantResponse, sentAt: NIODeadline) -> LeaseGrantResult {
        LeaseGrantResult(
            header: header(message.header), id: LeaseID(rawValue: message.id), ttlSeconds: message.ttl,
            sentAt: sentAt)
    }

    static func leaseRevoke(_ message: Etcdserverpb_LeaseRevokeResponse) -> ResponseHeader {
        header(message.header)
    }

    static func leaseTimeToLive(_ message: Etcdserverpb_LeaseTimeToLiveResponse) -> LeaseTimeToLiveResult {
        LeaseTimeToLiveResult(
            header: header(message.header), id: LeaseID(rawValue: message.id), ttlSeconds: message.ttl,
            grantedTTLSeconds: message.grantedTtl, keys: message.keys.map { [UInt8]($0) })
    }

    static func leaseList(_ message: Etcdserverpb_LeaseLeasesResponse) -> LeaseListResult {
        LeaseListResult(
            header: header(message.header), leases: message.leases.map { LeaseID(rawValue: $0.id) })
    }

    static func keepAlive(_ message: Etcdserverpb_LeaseKeepAliveResponse) -> LeaseKeepAliveResult {
        LeaseKeepAliveResult(
            header: header(message.header), id: LeaseID(rawValue: message.id), ttlSeconds: message.ttl)
    }

    static func status(_ message: Etcdserverpb_StatusResponse) -> StatusResult {
        var result = StatusResult(
            header: header(message.header), version: message.version, dbSize: message.dbSize,
            dbSizeInUse: message.dbSizeInUse, leader: message.leader, raftIndex: message.raftIndex,
            raftTerm: message.raftTerm, raftAppliedIndex: message.raftAppliedIndex, errors: message.errors,
            isLearner: message.isLearner)
        for note in message.errors.compactMap(StatusNote.init) {
            switch note {
            case .diverged(let index): result.divergedAt = index
            case .recovering: result.isRecovering = true
            case .diskIsLow: result.diskIsLow = true
            }
        }
        return result
    }

    static func watch(_ message: Etcdserverpb_WatchResponse) -> WatchAnswer {
        WatchAnswer(
            header: header(message.header), watchID: message.watchID, isCreated: message.created,
            isCanceled: message.canceled, compactRevision: message.compactRevision,
            cancelReason: message.cancelReason, isFragment: message.fragment, events: message.events.map(event))
    }

    private static func event(_ message: Mvccpb_Event) -> WatchEvent {
        WatchEvent(
            kind: message.type == .delete ? .delete : .put, kv: keyValue(message.kv),
            previous: message.hasPrevKv ? keyValue(message.prevKv) : nil)
    }
}
