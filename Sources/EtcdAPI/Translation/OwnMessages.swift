import EtcdProto
import Primitives
import RegistryModel

extension Translation {
    static func historyEntry(_ row: RevisionRow) -> Ganglion_V1_HistoryEntry {
        var entry = Ganglion_V1_HistoryEntry()
        switch row.kind {
        case .put: entry.kind = .put
        case .delete: entry.kind = .delete
        }
        entry.revision = row.kv.modRevision.number
        entry.sub = row.sub
        entry.value = row.kv.value.data
        entry.version = row.kv.version
        entry.createRevision = row.kv.createRevision.number
        entry.lease = row.kv.lease.number
        entry.commitTimeMs = row.commitTimeMilliseconds
        entry.memberID = row.origin.member.number
        entry.user = row.origin.user
        entry.peer = row.origin.peer
        switch row.origin.reason {
        case .client: entry.reason = .client
        case .leaseRevoked: entry.reason = .leaseRevoked
        case .leaseExpired: entry.reason = .leaseExpired
        case .system: entry.reason = .system
        case .leaseHeld: entry.reason = .leaseHeld
        }
        return entry
    }

    /// From the keys below `BrakeKeys.root`, in the order of their prefixes: those that opted in, and those below which
    /// something is held although their settings are gone.
    static func brakes(_ pairs: [KeyValue]) -> [Ganglion_V1_Brake] {
        var brakes: [Key: Ganglion_V1_Brake] = [:]
        for pair in pairs {
            if let prefix = BrakeKeys.prefix(of: pair.key, below: BrakeKeys.settings) {
                brakes[prefix, default: Ganglion_V1_Brake()].settings = String(decoding: pair.value, as: UTF8.self)
                brakes[prefix]?.complaint = BrakeSettings.read(pair.value).complaint ?? ""
            } else if let prefix = BrakeKeys.prefix(of: pair.key, below: BrakeKeys.reports),
                let report = BrakeReport(pair.value)
            {
                brakes[prefix, default: Ganglion_V1_Brake()].held = held(report)
            }
        }
        return brakes.sorted { $0.key < $1.key }.map { prefix, brake in
            var brake = brake
            brake.prefix = prefix.bytes.data
            return brake
        }
    }

    private static func held(_ report: BrakeReport) -> Ganglion_V1_Held {
        var held = Ganglion_V1_Held()
        switch report.phase {
        case .holding: held.phase = .holding
        case .spreading: held.phase = .spreading
        }
        held.leasesHeld = report.held
        held.leasesSilent = report.silent
        held.leases = report.leases
        held.origins = report.origins
        held.sinceMs = report.since
        held.untilMs = report.until
        return held
    }
}
