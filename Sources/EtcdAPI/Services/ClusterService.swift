import EtcdProto
import RegistryModel
import SwiftProtobuf

/// `etcdserverpb.Cluster`.
enum ClusterService {
    static let name = "etcdserverpb.Cluster"

    static let memberList = UnaryMethod(
        service: name, name: "MemberList",
        decode: { bytes, _ in
            .memberList(linearizable: try Etcdserverpb_MemberListRequest(serializedBytes: bytes).linearizable)
        },
        encode: { body, header, _ in
            guard case .members(let members) = body else { UnaryMethod.mismatch(body, "MemberList") }
            var response = Translation.memberListResponse(members)
            response.header = Etcdserverpb_ResponseHeader(header)
            // etcd's member answers carry no revision.
            response.header.revision = 0
            return response.encoded
        })

    static let unary = [memberList]
}
