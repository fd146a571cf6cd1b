import EtcdProto
import RegistryModel

extension Translation {
    /// - Throws: `invalidAuthManagement` for a kind that etcd does not have.
    static func permission(_ message: Authpb_Permission) throws(Rejection) -> Permission {
        let range = KeyRange(key: [UInt8](message.key), rangeEnd: [UInt8](message.rangeEnd))
        guard let kind = UInt8(exactly: message.permType.rawValue).flatMap(Permission.Kind.init(rawValue:)) else {
            throw Rejection(.invalidAuthManagement, "unknown permission type \(message.permType.rawValue)")
        }
        return Permission(kind: kind, range: range)
    }

    static func permission(_ permission: Permission) -> Authpb_Permission {
        var message = Authpb_Permission()
        message.permType = Authpb_Permission.TypeEnum(rawValue: Int(permission.kind.rawValue)) ?? .read
        message.key = permission.range.start.bytes.data
        switch permission.range.end {
        case .single: break
        case .before(let end): message.rangeEnd = end.bytes.data
        case .unbounded: message.rangeEnd = [0 as UInt8].data
        }
        return message
    }
}
