import EtcdProto
import RegistryModel
import SwiftProtobuf

/// The unary methods of `etcdserverpb.Lease`; `KeepAliveStream` is the other one.
enum LeaseService {
    static let name = "etcdserverpb.Lease"

    static let grant = UnaryMethod(
        service: name, name: "LeaseGrant",
        decode: { bytes, _ in
            .write(try Translation.leaseGrant(Etcdserverpb_LeaseGrantRequest(serializedBytes: bytes)))
        },
        encode: { body, header, _ in
            guard case .leaseGranted(let lease, let ttlMilliseconds) = body else {
                UnaryMethod.mismatch(body, "LeaseGrant")
            }
            var response = Translation.leaseGrantResponse(lease: lease, ttlMilliseconds: ttlMilliseconds)
            response.header = Etcdserverpb_ResponseHeader(header)
            return response.encoded
        })

    static let revoke = UnaryMethod(
        service: name, name: "LeaseRevoke",
        decode: { bytes, _ in
            .write(.leaseRevoke(LeaseID(try Etcdserverpb_LeaseRevokeRequest(serializedBytes: bytes).id)))
        },
        encode: { body, header, _ in
            guard case .leaseRevoked = body else { UnaryMethod.mismatch(body, "LeaseRevoke") }
            var response = Etcdserverpb_LeaseRevokeResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            return response.encoded
        })

    static let timeToLive = UnaryMethod(
        service: name, name: "LeaseTimeToLive",
        decode: { bytes, _ in
            let message = try Etcdserverpb_LeaseTimeToLiveRequest(serializedBytes: bytes)
            return .leaseTimeToLive(LeaseID(message.id), wantsKeys: message.keys)
        },
        encode: { body, header, _ in
            guard case .timeToLive(let lease, let remaining, let granted, let keys) = body else {
                UnaryMethod.mismatch(body, "LeaseTimeToLive")
            }
            var response = Translation.timeToLiveResponse(
                lease: lease, remainingMilliseconds: remaining, grantedMilliseconds: granted, keys: keys)
            response.header = Etcdserverpb_ResponseHeader(header)
            return response.encoded
        })

    static let leases = UnaryMethod(
        service: name, name: "LeaseLeases",
        decode: { bytes, _ in
            _ = try Etcdserverpb_LeaseLeasesRequest(serializedBytes: bytes)
            return .leases
        },
        encode: { body, header, _ in
            guard case .leases(let leases) = body else { UnaryMethod.mismatch(body, "LeaseLeases") }
            var response = Translation.leasesResponse(leases)
            response.header = Etcdserverpb_ResponseHeader(header)
            return response.encoded
        })

    static let unary = [grant, revoke, timeToLive, leases]
}
