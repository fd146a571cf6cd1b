import EtcdProto
import RegistryModel
import SwiftProtobuf

/// `v3lockpb.Lock`: locks kept by the server.
enum LockService {
    static let name = "v3lockpb.Lock"

    static let lock = ProcedureMethod(service: name, name: "Lock") { bytes, _ in
        let message = try V3lockpb_LockRequest(serializedBytes: bytes)
        return LockProcedure(name: [UInt8](message.name), lease: LeaseID(message.lease))
    }

    static let unlock = ProcedureMethod(service: name, name: "Unlock") { bytes, _ in
        UnlockProcedure(key: Key([UInt8](try V3lockpb_UnlockRequest(serializedBytes: bytes).key)))
    }

    static let procedures = [lock, unlock]
}
