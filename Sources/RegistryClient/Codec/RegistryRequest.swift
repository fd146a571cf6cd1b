package import NIOCore
import SwiftProtobuf

/// How a request is sent, and what may be done when it fails.
package struct CallTraits: Sendable {
    /// `/package.Service/Method`.
    package var path: String
    /// Doing it twice does no harm.
    package var isRepeatable: Bool
    /// A member without a leader shall refuse at once instead of letting it wait.
    package var requiresLeader: Bool

    init(_ path: String, isRepeatable: Bool, requiresLeader: Bool = true) {
        self.path = path
        self.isRepeatable = isRepeatable
        self.requiresLeader = requiresLeader
    }
}

/// A request with one answer.
package protocol RegistryRequest: Sendable {
    associatedtype Answer: Sendable
    var traits: CallTraits { get }
    /// The message on the wire.
    func encoded() throws -> [UInt8]
    /// Reads the answer.
    ///
    /// - Parameter sentAt: when the attempt that was answered was sent.
    /// - Throws: whatever the protobuf library says about damaged bytes.
    static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> Answer
    /// Whether an error of a repeated attempt says that an earlier one, whose outcome was not known, has done the work.
    func isDone(by error: RegistryError) -> Answer?
}

extension RegistryRequest {
    package func isDone(by error: RegistryError) -> Answer? { nil }
}

extension RangeRequest: RegistryRequest {
    package var traits: CallTraits {
        CallTraits("/etcdserverpb.KV/Range", isRepeatable: true, requiresLeader: !serializable)
    }
    package func encoded() throws -> [UInt8] { try ProtoRequests.range(self).serializedBytes() }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> RangeResult {
        ProtoResults.range(try .init(serializedBytes: bytes))
    }
}

extension PutRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.KV/Put", isRepeatable: false) }
    package func encoded() throws -> [UInt8] { try ProtoRequests.put(self).serializedBytes() }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> PutResult {
        ProtoResults.put(try .init(serializedBytes: bytes))
    }
}

extension DeleteRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.KV/DeleteRange", isRepeatable: false) }
    package func encoded() throws -> [UInt8] { try ProtoRequests.delete(self).serializedBytes() }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> DeleteResult {
        ProtoResults.delete(try .init(serializedBytes: bytes))
    }
}

extension TxnRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.KV/Txn", isRepeatable: isReadOnly) }
    package func encoded() throws -> [UInt8] { try ProtoRequests.txn(self).serializedBytes() }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> TxnResult {
        ProtoResults.txn(try .init(serializedBytes: bytes))
    }
}

extension CompactRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.KV/Compact", isRepeatable: false) }
    package func encoded() throws -> [UInt8] { try ProtoRequests.compact(self).serializedBytes() }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> ResponseHeader {
        ProtoResults.compact(try .init(serializedBytes: bytes))
    }
}

extension LeaseGrantRequest: RegistryRequest {
    /// A grant whose number the registry chooses may be repeated: a lease nobody knows ends by itself.
    package var traits: CallTraits { CallTraits("/etcdserverpb.Lease/LeaseGrant", isRepeatable: id == .none) }
    package func encoded() throws -> [UInt8] { try ProtoRequests.leaseGrant(self).serializedBytes() }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> LeaseGrantResult {
        ProtoResults.leaseGrant(try .init(serializedBytes: bytes), sentAt: sentAt)
    }
}

extension LeaseRevokeRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.Lease/LeaseRevoke", isRepeatable: true) }
    package func encoded() throws -> [UInt8] { try ProtoRequests.leaseRevoke(self).serializedBytes() }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> ResponseHeader {
        ProtoResults.leaseRevoke(try .init(serializedBytes: bytes))
    }
    package func isDone(by error: RegistryError) -> ResponseHeader? {
        error.code == .leaseNotFound ? ResponseHeader() : nil
    }
}

extension LeaseTimeToLiveRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.Lease/LeaseTimeToLive", isRepeatable: true) }
    package func encoded() throws -> [UInt8] { try ProtoRequests.leaseTimeToLive(self).serializedBytes() }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> LeaseTimeToLiveResult {
        ProtoResults.leaseTimeToLive(try .init(serializedBytes: bytes))
    }
}

extension LeaseListRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/etcdserverpb.Lease/LeaseLeases", isRepeatable: true) }
    package func encoded() throws -> [UInt8] { [] }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> LeaseListResult {
        ProtoResults.leaseList(try .init(serializedBytes: bytes))
    }
}

/// Renews a lease once, on a stream of its own that is closed behind the request.
package struct LeaseRenewRequest: RegistryRequest {
    package var id: LeaseID

    package init(id: LeaseID) {
        self.id = id
    }

    package var traits: CallTraits { CallTraits(ProtoRequests.keepAlivePath, isRepeatable: true) }
    package func encoded() throws -> [UInt8] { try ProtoRequests.keepAlive(id).serializedBytes() }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> LeaseKeepAliveResult {
        ProtoResults.keepAlive(try .init(serializedBytes: bytes))
    }
}

extension StatusRequest: RegistryRequest {
    package var traits: CallTraits {
        CallTraits("/etcdserverpb.Maintenance/Status", isRepeatable: true, requiresLeader: false)
    }
    package func encoded() throws -> [UInt8] { [] }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> StatusResult {
        ProtoResults.status(try .init(serializedBytes: bytes))
    }
}
