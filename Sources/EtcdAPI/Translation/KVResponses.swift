import EtcdProto
import RegistryModel

extension Mvccpb_KeyValue {
    init(_ kv: KeyValue) {
        self.init()
        key = kv.key.bytes.data
        createRevision = kv.createRevision.number
        modRevision = kv.modRevision.number
        version = kv.version
        value = kv.value.data
        lease = kv.lease.number
    }
}

extension Etcdserverpb_ResponseHeader {
    init(_ fields: HeaderFields) {
        self.init()
        clusterID = fields.clusterID
        memberID = fields.memberID
        revision = fields.revision
        raftTerm = fields.term
    }

    /// Of an answer nested in a transaction's: only the revision.
    fileprivate init(revision: Int64) {
        self.init()
        self.revision = revision
    }
}

extension Translation {
    static func deleteRangeResponse(deleted: Int64, previous: [KeyValue]) -> Etcdserverpb_DeleteRangeResponse {
        var response = Etcdserverpb_DeleteRangeResponse()
        response.deleted = deleted
        response.prevKvs = previous.map(Mvccpb_KeyValue.init)
        return response
    }

    static func rangeResponse(_ result: RangeResult) -> Etcdserverpb_RangeResponse {
        var response = Etcdserverpb_RangeResponse()
        response.kvs = result.kvs.map(Mvccpb_KeyValue.init)
        response.more = result.more
        response.count = result.count
        return response
    }

    /// - Parameter header: its revision is the one the whole transaction produced or saw.
    static func txnResponse(header: HeaderFields, result: TxnResult) -> Etcdserverpb_TxnResponse {
        var walk = TxnRevisionWalk(
            before: result.changedAnything ? header.revision - 1 : header.revision)
        var response = Etcdserverpb_TxnResponse()
        response.header = Etcdserverpb_ResponseHeader(header)
        response.succeeded = result.succeeded
        response.responses = result.responses.map { walk.response($0) }
        return response
    }
}

/// Gives each nested answer the revision it saw: the transaction's own from its first change on, as etcd does.
private struct TxnRevisionWalk {
    /// The store's revision before the transaction.
    let before: Int64
    private var changed = false

    init(before: Int64) {
        self.before = before
    }

    private var header: Etcdserverpb_ResponseHeader {
        Etcdserverpb_ResponseHeader(revision: changed ? before + 1 : before)
    }

    mutating func response(_ result: OperationResult) -> Etcdserverpb_ResponseOp {
        var operation = Etcdserverpb_ResponseOp()
        switch result {
        case .range(let range):
            var response = Translation.rangeResponse(range)
            response.header = header
            operation.responseRange = response
        case .put(let previous):
            changed = true
            var response = Etcdserverpb_PutResponse()
            response.header = header
            if let previous { response.prevKv = Mvccpb_KeyValue(previous) }
            operation.responsePut = response
        case .deleteRange(let deleted, let previous):
            changed = changed || deleted > 0
            var response = Translation.deleteRangeResponse(deleted: deleted, previous: previous)
            response.header = header
            operation.responseDeleteRange = response
        case .txn(let nested):
            var response = Etcdserverpb_TxnResponse()
            // Present but empty: only the operations inside carry revisions.
            response.header = Etcdserverpb_ResponseHeader()
            response.succeeded = nested.succeeded
            response.responses = nested.responses.map { self.response($0) }
            operation.responseTxn = response
        }
        return operation
    }
}

extension TxnResult {
    fileprivate var changedAnything: Bool {
        responses.contains { response in
            switch response {
            case .range: false
            case .put: true
            case .deleteRange(let deleted, _): deleted > 0
            case .txn(let nested): nested.changedAnything
            }
        }
    }
}
