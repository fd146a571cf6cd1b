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
        response.errors += status.alarms.map(alarmText)
        response.errors += notes(status).map(\.text)
        response.isLearner = status.isLearner
        response.storageVersion = identity.storageVersion
        response.dbSizeQuota = identity.quotaBytes
        response.downgradeInfo = Etcdserverpb_DowngradeInfo()
        return response
    }

    /// What else a member has to say, in words that our own client reads back.
    private static func notes(_ status: MemberStatus) -> [StatusNote] {
        var notes: [StatusNote] = []
        if let index = status.divergedAt { notes.append(.diverged(atIndex: index.number)) }
        if status.isRecovering { notes.append(.recovering) }
        if status.diskIsLow { notes.append(.diskIsLow) }
        return notes
    }

    // MARK: Alarms

    /// - Throws: `internalError` for an action or a type that etcd does not have; it has no words for that either.
    static func alarmRequest(_ message: Etcdserverpb_AlarmRequest) throws(Rejection) -> Request {
        guard let kind = UInt8(exactly: message.alarm.rawValue).flatMap(AlarmKind.init(rawValue:)) else {
            throw Rejection(.internalError, "unknown alarm type \(message.alarm.rawValue)")
        }
        let member = MemberID(message.memberID)
        switch message.action {
        case .get: return .alarms(kind)
        case .activate: return .write(.alarm(AlarmChange(member: member, kind: kind, isRaised: true)))
        case .deactivate: return .write(.alarm(AlarmChange(member: member, kind: kind, isRaised: false)))
        case .UNRECOGNIZED(let number): throw Rejection(.internalError, "unknown alarm action \(number)")
        }
    }

    static func alarmMember(_ alarm: Alarm) -> Etcdserverpb_AlarmMember {
        var message = Etcdserverpb_AlarmMember()
        message.memberID = alarm.member.number
        message.alarm = Etcdserverpb_AlarmType(rawValue: Int(alarm.kind.rawValue)) ?? .none
        return message
    }

    /// As Go prints an `AlarmMember`: without the fields that are 0, a space behind each.
    static func alarmText(_ alarm: Alarm) -> String {
        var text = ""
        if alarm.member.number != 0 { text += "memberID:\(alarm.member.number) " }
        if alarm.kind != .none { text += "alarm:\(alarm.kind.name) " }
        return text
    }
}
