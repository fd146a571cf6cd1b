import EtcdProto
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf

/// Methods of `etcdserverpb.Maintenance` that only root may call and that change nothing here: our store needs no
/// defragmentation, and our data has no older format to go back to.
enum UpkeepService {
    /// Answers at once, without a header, as etcd does once it is done.
    static let defragment = ProcedureMethod(service: MaintenanceService.name, name: "Defragment") { bytes, _ in
        _ = try Etcdserverpb_DefragmentRequest(serializedBytes: bytes)
        return AuthorizedProcedure(.root, then: nil) { _, _ in Etcdserverpb_DefragmentResponse().encoded }
    }

    /// Of everything this member has applied: equal on all members that applied the same entries.
    static let hash = ProcedureMethod(service: MaintenanceService.name, name: "Hash") { bytes, _ in
        _ = try Etcdserverpb_HashRequest(serializedBytes: bytes)
        return AuthorizedProcedure(.root, then: .status) { body, header in
            guard case .status(let status) = body else { UnaryMethod.mismatch(body, "Hash") }
            var response = Etcdserverpb_HashResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.hash = UInt32(truncatingIfNeeded: status.digest.low ^ status.digest.low >> 32)
            return response.encoded
        }
    }

    static let hashKV = ProcedureMethod(service: MaintenanceService.name, name: "HashKV") { bytes, _ in
        let revision = Revision(try Etcdserverpb_HashKVRequest(serializedBytes: bytes).revision)
        return AuthorizedProcedure(.root, then: .historyHash(revision)) { body, header in
            guard case .historyHash(let hash) = body else { UnaryMethod.mismatch(body, "HashKV") }
            var response = Etcdserverpb_HashKVResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            response.hash = hash.hash
            response.compactRevision = hash.compactRevision.number
            response.hashRevision = hash.revision.number
            return response.encoded
        }
    }

    /// No version is one to go back to, so none is a valid target and no job can be under way.
    static let downgrade = ProcedureMethod(service: MaintenanceService.name, name: "Downgrade") { bytes, _ in
        let message = try Etcdserverpb_DowngradeRequest(serializedBytes: bytes)
        return AuthorizedProcedure(.root, then: nil) { _, _ in
            switch message.action {
            case .validate, .enable:
                throw isVersion(message.version) ? ErrorTable.invalidDowngradeTarget : ErrorTable.wrongDowngradeFormat
            case .cancel:
                throw ErrorTable.noInflightDowngrade
            case .UNRECOGNIZED(let number):
                throw GRPCStatus(.unknown, "etcdserver: unknown downgrade action \(number)")
            }
        }
    }

    /// `major.minor`, or a semantic version.
    private static func isVersion(_ text: String) -> Bool {
        let numbers = text.split(separator: "-", maxSplits: 1)[...].first ?? ""
        let parts = numbers.split(separator: ".", omittingEmptySubsequences: false)
        return (2...3).contains(parts.count) && parts.allSatisfy { UInt32($0) != nil && !$0.hasPrefix("+") }
    }

    static let procedures = [defragment, hash, hashKV, downgrade]
}
