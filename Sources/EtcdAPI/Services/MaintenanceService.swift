import EtcdProto
import Primitives
import RegistryModel
import SwiftProtobuf

/// `etcdserverpb.Maintenance`.
enum MaintenanceService {
    static let name = "etcdserverpb.Maintenance"

    static let status = UnaryMethod(
        service: name, name: "Status",
        decode: { bytes, _ in
            _ = try Etcdserverpb_StatusRequest(serializedBytes: bytes)
            return .status
        },
        encode: { body, header, options in
            guard case .status(let status) = body else { UnaryMethod.mismatch(body, "Status") }
            var response = Translation.statusResponse(status, identity: options.identity)
            response.header = Etcdserverpb_ResponseHeader(header)
            return response.encoded
        })

    static let alarm = UnaryMethod(
        service: name, name: "Alarm",
        decode: { bytes, _ in try Translation.alarmRequest(try Etcdserverpb_AlarmRequest(serializedBytes: bytes)) },
        encode: { body, header, _ in
            guard case .alarms(let alarms) = body else { UnaryMethod.mismatch(body, "Alarm") }
            var response = Etcdserverpb_AlarmResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.alarms = alarms.map { Translation.alarmMember($0.alarm) }
            return response.encoded
        })

    static let moveLeader = UnaryMethod(
        service: name, name: "MoveLeader",
        decode: { bytes, _ in
            let target = try Etcdserverpb_MoveLeaderRequest(serializedBytes: bytes).targetID
            // The model reads 0 as "any member"; etcd has no such member.
            guard target != 0 else { throw Rejection(.badTransferee) }
            return .moveLeader(MemberID(target))
        },
        encode: { body, _, _ in
            guard case .leaderMoved = body else { UnaryMethod.mismatch(body, "MoveLeader") }
            // etcd sends no header here.
            return Etcdserverpb_MoveLeaderResponse().encoded
        })

    static let unary = [status, alarm, moveLeader]
}
