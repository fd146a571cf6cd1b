import KVStore
import Primitives
import RegistryModel

// Situations of leases, from what clients ask and hear and what is applied.
extension Checks {
    mutating func noteLeaseRequest(_ request: Request, _ token: RequestToken, at member: MemberID) {
        switch request {
        case .keepAlive(let lease): openRenewals[token] = (member, lease)
        case .write(.leaseRevoke): openRevocations.insert(token)
        default: break
        }
    }

    mutating func noteLeaseReply(_ reply: Reply, to token: RequestToken) {
        openRenewals[token] = nil
        let isRevocation = openRevocations.remove(token) != nil
        switch reply.outcome {
        case .success(.keptAlive(_, let ttlMilliseconds)):
            coverage.hit(.renewalOfEndedLease, if: ttlMilliseconds == 0)
        case .failure(let rejection):
            coverage.hit(.unknownLeaseRevoked, if: isRevocation && rejection.code == .leaseNotFound)
        default: break
        }
    }

    /// What the first member to apply a batch makes of it; others repeat it.
    mutating func noteLeases(_ batch: StateBatch) {
        for change in batch.changes {
            switch change {
            case .leaseRemoved(let lease):
                coverage.hit(.leaseEnded)
                coverage.hit(.leaseEndedDuringRenewal, if: openRenewals.values.contains { $0.lease == lease })
            case .row(let row) where row.kv.modRevision > history.revision:
                let before = leaseOfKey.updateValue(row.kv.lease, forKey: row.kv.key) ?? .none
                coverage.hit(
                    .keyMovedBetweenLeases, if: before != .none && row.kv.lease != .none && before != row.kv.lease)
            default: break
            }
        }
    }
}
