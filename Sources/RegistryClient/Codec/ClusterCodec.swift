import EtcdProto
package import NIOCore
import SwiftProtobuf

extension MemberListRequest: RegistryRequest {
    package var traits: CallTraits {
        CallTraits("/etcdserverpb.Cluster/MemberList", isRepeatable: true, requiresLeader: linearizable)
    }
    package func encoded() throws -> [UInt8] {
        var message = Etcdserverpb_MemberListRequest()
        message.linearizable = linearizable
        return try message.serializedBytes()
    }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> MemberListResult {
        let message = try Etcdserverpb_MemberListResponse(serializedBytes: bytes)
        return ProtoResults.members(message.header, message.members)
    }
}

extension MemberAddRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.Cluster/MemberAdd", isRepeatable: false) }
    package func encoded() throws -> [UInt8] {
        var message = Etcdserverpb_MemberAddRequest()
        message.peerUrls = peerURLs
        message.isLearner = isLearner
        return try message.serializedBytes()
    }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> MemberAddResult {
        let message = try Etcdserverpb_MemberAddResponse(serializedBytes: bytes)
        return MemberAddResult(
            header: ProtoResults.header(message.header), member: ProtoResults.member(message.member),
            members: message.members.map(ProtoResults.member))
    }
}

extension MemberRemoveRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.Cluster/MemberRemove", isRepeatable: false) }
    package func encoded() throws -> [UInt8] {
        var message = Etcdserverpb_MemberRemoveRequest()
        message.id = id
        return try message.serializedBytes()
    }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> MemberListResult {
        let message = try Etcdserverpb_MemberRemoveResponse(serializedBytes: bytes)
        return ProtoResults.members(message.header, message.members)
    }
}

extension MemberUpdateRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.Cluster/MemberUpdate", isRepeatable: true) }
    package func encoded() throws -> [UInt8] {
        var message = Etcdserverpb_MemberUpdateRequest()
        message.id = id
        message.peerUrls = peerURLs
        return try message.serializedBytes()
    }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> MemberListResult {
        let message = try Etcdserverpb_MemberUpdateResponse(serializedBytes: bytes)
        return ProtoResults.members(message.header, message.members)
    }
}

extension MemberPromoteRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.Cluster/MemberPromote", isRepeatable: false) }
    package func encoded() throws -> [UInt8] {
        var message = Etcdserverpb_MemberPromoteRequest()
        message.id = id
        return try message.serializedBytes()
    }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> MemberListResult {
        let message = try Etcdserverpb_MemberPromoteResponse(serializedBytes: bytes)
        return ProtoResults.members(message.header, message.members)
    }
}

extension AlarmRequest: RegistryRequest {
    /// Raising what is up and clearing what is not does no harm.
    package var traits: CallTraits { CallTraits("/etcdserverpb.Maintenance/Alarm", isRepeatable: true) }
    package func encoded() throws -> [UInt8] {
        var message = Etcdserverpb_AlarmRequest()
        message.action = Etcdserverpb_AlarmRequest.AlarmAction(rawValue: action.rawValue) ?? .get
        message.memberID = alarm.memberID
        message.alarm = Etcdserverpb_AlarmType(rawValue: alarm.kind.rawValue) ?? .none
        return try message.serializedBytes()
    }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> AlarmResult {
        let message = try Etcdserverpb_AlarmResponse(serializedBytes: bytes)
        return AlarmResult(
            header: message.hasHeader ? ProtoResults.header(message.header) : nil,
            alarms: message.alarms.map {
                Alarm(memberID: $0.memberID, kind: Alarm.Kind(rawValue: $0.alarm.rawValue))
            })
    }
}

extension ProtoResults {
    static func member(_ message: Etcdserverpb_Member) -> Member {
        Member(
            id: message.id, name: message.name, peerURLs: message.peerUrls, clientURLs: message.clientUrls,
            isLearner: message.isLearner)
    }

    static func members(
        _ header: Etcdserverpb_ResponseHeader, _ members: [Etcdserverpb_Member]
    ) -> MemberListResult {
        MemberListResult(header: self.header(header), members: members.map(member))
    }
}
