import EtcdProto
import Primitives
import RegistryModel

extension Translation {
    /// Members in id order, whatever order they came in.
    static func memberListResponse(_ members: [MemberDescription]) -> Etcdserverpb_MemberListResponse {
        var response = Etcdserverpb_MemberListResponse()
        response.members = members.sorted { $0.id < $1.id }.map { member in
            var message = Etcdserverpb_Member()
            message.id = member.id.number
            message.name = member.name
            message.peerUrls = member.peerURLs
            message.clientUrls = member.clientURLs
            message.isLearner = member.isLearner
            return message
        }
        return response
    }
}
