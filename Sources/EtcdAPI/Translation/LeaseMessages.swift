import EtcdProto
import RegistryModel

extension Translation {
    static func leaseGrant(_ message: Etcdserverpb_LeaseGrantRequest) throws(Rejection) -> Command.Operation {
        try RequestValidation.check(leaseTTLSeconds: message.ttl)
        return .leaseGrant(LeaseID(message.id), ttlMilliseconds: max(message.ttl, 0) * 1000)
    }

    /// A granted TTL in whole seconds. Other doors grant in milliseconds; rounded up, a live lease never shows 0.
    static func grantedSeconds(_ milliseconds: Int64) -> Int64 {
        milliseconds <= 0 ? 0 : (milliseconds - 1) / 1000 + 1
    }

    static func leaseGrantResponse(lease: LeaseID, ttlMilliseconds: Int64) -> Etcdserverpb_LeaseGrantResponse {
        var response = Etcdserverpb_LeaseGrantResponse()
        response.id = lease.number
        response.ttl = grantedSeconds(ttlMilliseconds)
        return response
    }

    /// Remaining seconds are truncated as etcd does; a lease that does not exist shows -1.
    static func timeToLiveResponse(
        lease: LeaseID, remainingMilliseconds: Int64, grantedMilliseconds: Int64, keys: [Key]
    ) -> Etcdserverpb_LeaseTimeToLiveResponse {
        var response = Etcdserverpb_LeaseTimeToLiveResponse()
        response.id = lease.number
        response.ttl = remainingMilliseconds < 0 ? -1 : remainingMilliseconds / 1000
        response.grantedTtl = remainingMilliseconds < 0 ? 0 : grantedSeconds(grantedMilliseconds)
        response.keys = keys.map { $0.bytes.data }
        return response
    }

    static func leasesResponse(_ leases: [LeaseID]) -> Etcdserverpb_LeaseLeasesResponse {
        var response = Etcdserverpb_LeaseLeasesResponse()
        response.leases = leases.map { lease in
            var status = Etcdserverpb_LeaseStatus()
            status.id = lease.number
            return status
        }
        return response
    }
}
