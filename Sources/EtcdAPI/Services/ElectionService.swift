import EtcdProto
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf

/// `v3electionpb.Election`: elections kept by the server.
enum ElectionService {
    static let name = "v3electionpb.Election"

    // etcd's words.
    static let notLeader = "election: not leader"
    static let noLeader = "election: no leader"
    private static let missingLeader = GRPCStatus(.unknown, "\"leader\" field must be provided")

    static let campaign = ProcedureMethod(service: name, name: "Campaign") { bytes, _ in
        let message = try V3electionpb_CampaignRequest(serializedBytes: bytes)
        return CampaignProcedure(
            name: [UInt8](message.name), lease: LeaseID(message.lease), value: [UInt8](message.value))
    }

    static let proclaim = ProcedureMethod(service: name, name: "Proclaim") { bytes, _ in
        let message = try V3electionpb_ProclaimRequest(serializedBytes: bytes)
        guard message.hasLeader else { throw missingLeader }
        return ProclaimProcedure(leader: message.leader, value: [UInt8](message.value))
    }

    static let leader = ProcedureMethod(service: name, name: "Leader") { bytes, _ in
        LeaderProcedure(name: [UInt8](try V3electionpb_LeaderRequest(serializedBytes: bytes).name))
    }

    static let observe = ProcedureMethod(service: name, name: "Observe", kind: .serverStream) { bytes, _ in
        ObserveProcedure(name: [UInt8](try V3electionpb_LeaderRequest(serializedBytes: bytes).name))
    }

    static let resign = ProcedureMethod(service: name, name: "Resign") { bytes, _ in
        let message = try V3electionpb_ResignRequest(serializedBytes: bytes)
        guard message.hasLeader else { throw missingLeader }
        return ResignProcedure(leader: message.leader)
    }

    static let procedures = [campaign, proclaim, leader, observe, resign]

    /// Replaces the value of a key that still lives the life that began at `revision`.
    static func proclamation(_ key: Key, of revision: Revision, _ value: [UInt8], lease: LeaseID) -> Request {
        .write(
            .txn(
                TxnRequest(
                    comparisons: [SessionKey.isOfRevision(key, revision)],
                    success: [SessionKey.put(key, value, lease: lease)], failure: [])))
    }

    static func leaderResponse(_ header: HeaderFields, _ leader: KeyValue) -> [UInt8] {
        var response = V3electionpb_LeaderResponse()
        response.header = Etcdserverpb_ResponseHeader(header)
        response.kv = Mvccpb_KeyValue(leader)
        return response.encoded
    }
}
