import EtcdProto
import FoundationEssentials
package import NIOCore
import SwiftProtobuf

extension HistoryRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/ganglion.v1.Registry/History", isRepeatable: true) }
    package func encoded() throws -> [UInt8] {
        var message = Ganglion_V1_HistoryRequest()
        message.key = Data(key)
        message.fromRevision = fromRevision
        message.limit = limit
        return try message.serializedBytes()
    }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> HistoryResult {
        let message = try Ganglion_V1_HistoryResponse(serializedBytes: bytes)
        return HistoryResult(
            header: ProtoResults.header(message.header), entries: message.entries.map(ProtoResults.historyEntry),
            more: message.more, compactRevision: message.compactRevision)
    }
}

extension BrakeSetRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/ganglion.v1.Registry/BrakeSet", isRepeatable: true) }
    package func encoded() throws -> [UInt8] {
        var message = Ganglion_V1_BrakeSetRequest()
        message.prefix = Data(prefix)
        message.settings = settings
        message.onlyIfAbsent = onlyIfAbsent
        return try message.serializedBytes()
    }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> ResponseHeader {
        ProtoResults.header(try Ganglion_V1_BrakeSetResponse(serializedBytes: bytes).header)
    }
}

extension BrakeStatusRequest: RegistryRequest {
    package var traits: CallTraits { CallTraits("/ganglion.v1.Registry/BrakeStatus", isRepeatable: true) }
    package func encoded() throws -> [UInt8] { [] }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> [BrakeStatus] {
        try Ganglion_V1_BrakeStatusResponse(serializedBytes: bytes).brakes.map { brake in
            var status = BrakeStatus(
                prefix: [UInt8](brake.prefix), settings: brake.settings, complaint: brake.complaint, held: nil)
            if brake.hasHeld {
                let held = brake.held
                status.held = BrakeStatus.Held(
                    isSpreading: held.phase == .spreading, held: held.leasesHeld, silent: held.leasesSilent,
                    leases: held.leases, origins: held.origins, since: held.sinceMs, until: held.untilMs)
            }
            return status
        }
    }
}

extension BrakeReleaseRequest: RegistryRequest {
    /// Letting go what was let go already does no harm.
    package var traits: CallTraits { CallTraits("/ganglion.v1.Registry/BrakeRelease", isRepeatable: true) }
    package func encoded() throws -> [UInt8] {
        var message = Ganglion_V1_BrakeReleaseRequest()
        message.prefix = Data(prefix)
        message.reason = reason
        return try message.serializedBytes()
    }
    package static func decoded(_ bytes: [UInt8], sentAt: NIODeadline) throws -> ResponseHeader {
        ProtoResults.header(try Ganglion_V1_BrakeReleaseResponse(serializedBytes: bytes).header)
    }
}

extension ProtoResults {
    static func historyEntry(_ message: Ganglion_V1_HistoryEntry) -> HistoryEntry {
        HistoryEntry(
            isDelete: message.kind == .delete, revision: message.revision, value: [UInt8](message.value),
            version: message.version, lease: LeaseID(rawValue: message.lease),
            commitTimeMilliseconds: message.commitTimeMs, memberID: message.memberID, user: message.user,
            peer: message.peer, reason: reason(message.reason))
    }

    private static func reason(_ reason: Ganglion_V1_HistoryEntry.Reason) -> HistoryEntry.Reason {
        switch reason {
        case .client: .client
        case .leaseRevoked: .leaseRevoked
        case .leaseExpired: .leaseExpired
        case .system: .system
        case .leaseHeld: .leaseHeld
        case .UNRECOGNIZED: .unknown
        }
    }
}
