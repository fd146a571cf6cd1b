import EtcdProto
import Primitives
import RegistryModel

extension Translation {
    static func member(_ member: MemberDescription) -> Etcdserverpb_Member {
        var message = Etcdserverpb_Member()
        message.id = member.id.number
        message.name = member.name
        message.peerUrls = member.peerURLs
        message.clientUrls = member.clientURLs
        message.isLearner = member.isLearner
        return message
    }

    /// In id order, whatever order they came in.
    static func members(_ members: [MemberDescription]) -> [Etcdserverpb_Member] {
        members.sorted { $0.id < $1.id }.map(member)
    }
}
