import EtcdProto
import GRPC
import Primitives
import RegistryModel

extension Translation {
    static func statusResponse(_ status: MemberStatus, identity: EtcdIdentity) -> Etcdserverpb_StatusResponse {
        var response = Etcdserverpb_StatusResponse()
        response.version = identity.serverVersion
        // etcdctl divides by it.
        response.dbSize = max(status.databaseBytes, 1)
        response.dbSizeInUse = min(status.databaseBytesInUse, response.dbSize)
        response.leader = status.leader?.number ?? 0
        response.raftIndex = status.commitIndex.number
        response.raftTerm = status.term.number
        response.raftAppliedIndex = status.appliedIndex.number
        response.errors = status.errors
        let noLeader = ErrorTable.status(Rejection(.noLeader)).message
        if status.leader == nil, !status.errors.contains(noLeader) {
            response.errors.insert(noLeader, at: 0)
        }
        response.isLearner = status.isLearner
        response.storageVersion = identity.storageVersion
        response.dbSizeQuota = identity.quotaBytes
        response.downgradeInfo = Etcdserverpb_DowngradeInfo()
        return response
    }
}
