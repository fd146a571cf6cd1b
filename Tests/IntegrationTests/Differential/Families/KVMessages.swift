import EtcdProto

extension Etcdserverpb_ResponseHeader {
    /// Normalisation "identity": that there is an id or a term is compared, which one is not.
    mutating func rename(_ renaming: Renaming) {
        clusterID = min(clusterID, 1)
        memberID = min(memberID, 1)
        raftTerm = min(raftTerm, 1)
        renaming.revision(&revision)
    }
}

extension Mvccpb_KeyValue: Replayable {
    mutating func rename(_ renaming: Renaming) {
        renaming.key(&key)
        renaming.revision(&createRevision)
        renaming.revision(&modRevision)
        renaming.lease(&lease)
    }
}

extension Etcdserverpb_RangeRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {
        renaming.revision(&revision)
        renaming.revision(&minModRevision)
        renaming.revision(&maxModRevision)
        renaming.revision(&minCreateRevision)
        renaming.revision(&maxCreateRevision)
    }
}

extension Etcdserverpb_RangeResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        for place in kvs.indices { kvs[place].rename(renaming) }
    }
}

extension Etcdserverpb_PutRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.lease(&lease) }
}

extension Etcdserverpb_PutResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        if hasPrevKv { prevKv.rename(renaming) }
    }
}

extension Etcdserverpb_DeleteRangeRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_DeleteRangeResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        for place in prevKvs.indices { prevKvs[place].rename(renaming) }
    }
}

extension Etcdserverpb_CompactionRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.revision(&revision) }
}

extension Etcdserverpb_CompactionResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_Compare: Replayable {
    mutating func rename(_ renaming: Renaming) {
        switch targetUnion {
        case .createRevision(var number):
            renaming.revision(&number)
            createRevision = number
        case .modRevision(var number):
            renaming.revision(&number)
            modRevision = number
        case .lease(var number):
            renaming.lease(&number)
            lease = number
        case .version, .value, nil: break
        }
    }
}

extension Etcdserverpb_RequestOp: Replayable {
    mutating func rename(_ renaming: Renaming) {
        switch request {
        case .requestRange: requestRange.rename(renaming)
        case .requestPut: requestPut.rename(renaming)
        case .requestDeleteRange: requestDeleteRange.rename(renaming)
        case .requestTxn: requestTxn.rename(renaming)
        case nil: break
        }
    }
}

extension Etcdserverpb_TxnRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {
        for place in compare.indices { compare[place].rename(renaming) }
        for place in success.indices { success[place].rename(renaming) }
        for place in failure.indices { failure[place].rename(renaming) }
    }
}

extension Etcdserverpb_ResponseOp: Replayable {
    mutating func rename(_ renaming: Renaming) {
        switch response {
        case .responseRange: responseRange.rename(renaming)
        case .responsePut: responsePut.rename(renaming)
        case .responseDeleteRange: responseDeleteRange.rename(renaming)
        case .responseTxn: responseTxn.rename(renaming)
        case nil: break
        }
    }
}

extension Etcdserverpb_TxnResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        for place in responses.indices { responses[place].rename(renaming) }
    }
}
