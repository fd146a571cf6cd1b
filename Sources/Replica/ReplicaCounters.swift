package import Primitives
import RegistryModel

/// What a member has done since it started. For metrics only: nothing is decided by it.
package struct ReplicaCounters: Hashable, Sendable {
    /// Ranges, puts and deletions carried out here, those inside transactions included.
    package var ranges: UInt64 = 0
    package var puts: UInt64 = 0
    package var deletes: UInt64 = 0
    /// Transactions of more than one operation, as etcd counts them.
    package var transactions: UInt64 = 0
    package var leasesGranted: UInt64 = 0
    /// Ended before or at their time.
    package var leasesRevoked: UInt64 = 0
    /// As the leader.
    package var leasesRenewed: UInt64 = 0
    /// Ended at their time, as the leader.
    package var leasesExpired: UInt64 = 0
    /// Writes of this member that no leader took or that were not heard of again in time.
    package var failedProposals: UInt64 = 0

    package init() {}

    /// A command was carried out.
    mutating func applied(_ result: CommandResult, asLeader isLeader: Bool) {
        switch result {
        case .put: puts += 1
        case .deleteRange: deletes += 1
        case .txn(let txn): count(txn)
        case .leaseGranted: leasesGranted += 1
        case .leaseRevoked: leasesRevoked += 1
        case .leasesExpired(let leases):
            leasesRevoked += UInt64(leases.count)
            if isLeader { leasesExpired += UInt64(leases.count) }
        default: break
        }
    }

    /// A transaction ran, one that writes or one that only reads.
    mutating func count(_ txn: TxnResult) {
        let before = ranges + puts + deletes
        countOperations(txn)
        if ranges + puts + deletes > before + 1 { transactions += 1 }
    }

    private mutating func countOperations(_ txn: TxnResult) {
        for response in txn.responses {
            switch response {
            case .range: ranges += 1
            case .put: puts += 1
            case .deleteRange: deletes += 1
            case .txn(let inner): countOperations(inner)
            }
        }
    }
}

/// Snapshots that went to another member, or came from it, since this one started.
package struct SnapshotTally: Hashable, Sendable {
    package var peer: MemberID
    package var sent: UInt64 = 0
    package var sendFailures: UInt64 = 0
    package var received: UInt64 = 0
    package var receiveFailures: UInt64 = 0
    /// One is on its way there.
    package var isSending = false
}
