import EtcdProto
import Primitives
import RegistryModel
import SwiftProtobuf

/// `etcdserverpb.Cluster`. A member is always added as a learner; without `isLearner` the leader promotes it when it
/// has caught up.
enum ClusterService {
    static let name = "etcdserverpb.Cluster"

    static let memberList = UnaryMethod(
        service: name, name: "MemberList",
        decode: { bytes, _ in
            .memberList(linearizable: try Etcdserverpb_MemberListRequest(serializedBytes: bytes).linearizable)
        },
        encode: { body, header, _ in
            guard case .members(let members) = body else { UnaryMethod.mismatch(body, "MemberList") }
            var response = Etcdserverpb_MemberListResponse()
            response.header = memberHeader(header)
            response.members = Translation.members(members)
            return response.encoded
        })

    static let memberAdd = UnaryMethod(
        service: name, name: "MemberAdd",
        decode: { bytes, _ in
            let message = try Etcdserverpb_MemberAddRequest(serializedBytes: bytes)
            try RequestValidation.check(peerURLs: message.peerUrls)
            return .write(.memberAdd(.joining(peerURLs: message.peerUrls, staysLearner: message.isLearner)))
        },
        encode: { body, header, _ in
            guard case .memberAdded(let member, let members) = body else { UnaryMethod.mismatch(body, "MemberAdd") }
            var response = Etcdserverpb_MemberAddResponse()
            response.header = memberHeader(header)
            response.member = Translation.member(member)
            response.members = Translation.members(members)
            return response.encoded
        })

    static let memberRemove = UnaryMethod(
        service: name, name: "MemberRemove",
        decode: { bytes, _ in
            .write(.memberRemove(MemberID(try Etcdserverpb_MemberRemoveRequest(serializedBytes: bytes).id)))
        },
        encode: { body, header, _ in
            var response = Etcdserverpb_MemberRemoveResponse()
            response.header = memberHeader(header)
            response.members = changedMembers(body, "MemberRemove")
            return response.encoded
        })

    /// Unlike etcd, which takes an empty list here and thereby cuts the member off.
    static let memberUpdate = UnaryMethod(
        service: name, name: "MemberUpdate",
        decode: { bytes, _ in
            let message = try Etcdserverpb_MemberUpdateRequest(serializedBytes: bytes)
            try RequestValidation.check(peerURLs: message.peerUrls)
            return .write(.memberUpdate(MemberID(message.id), peerURLs: message.peerUrls.sorted()))
        },
        encode: { body, header, _ in
            var response = Etcdserverpb_MemberUpdateResponse()
            response.header = memberHeader(header)
            response.members = changedMembers(body, "MemberUpdate")
            return response.encoded
        })

    static let memberPromote = UnaryMethod(
        service: name, name: "MemberPromote",
        decode: { bytes, _ in
            .write(.memberPromote(MemberID(try Etcdserverpb_MemberPromoteRequest(serializedBytes: bytes).id)))
        },
        encode: { body, header, _ in
            var response = Etcdserverpb_MemberPromoteResponse()
            response.header = memberHeader(header)
            response.members = changedMembers(body, "MemberPromote")
            return response.encoded
        })

    static let unary = [memberList, memberAdd, memberRemove, memberUpdate, memberPromote]

    /// etcd's member answers carry no revision.
    private static func memberHeader(_ header: HeaderFields) -> Etcdserverpb_ResponseHeader {
        var message = Etcdserverpb_ResponseHeader(header)
        message.revision = 0
        return message
    }

    private static func changedMembers(_ body: ReplyBody, _ method: StaticString) -> [Etcdserverpb_Member] {
        guard case .membersChanged(let members) = body else { UnaryMethod.mismatch(body, method) }
        return Translation.members(members)
    }
}
