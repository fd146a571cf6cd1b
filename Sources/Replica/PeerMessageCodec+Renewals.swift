import Primitives
import RegistryModel

/// The bytes of renewals and their answers where auth is on.
extension PeerMessage {
    static func encodeRenewals(
        _ name: RequestName, _ leases: [LeaseID], _ holders: [Identity], into writer: inout ByteWriter
    ) {
        precondition(leases.count == holders.count, "\(leases.count) leases of \(holders.count) holders")
        name.encode(into: &writer)
        writer.varint(UInt64(leases.count))
        for (lease, holder) in zip(leases, holders) {
            writer.signed(lease.number)
            writer.prefixed(holder.user)
            writer.varint(holder.authRevision)
        }
    }

    static func decodeRenewals(_ reader: inout ByteReader) throws(DecodingFailure) -> PeerMessage {
        let name = try RequestName.decode("lease.name", from: &reader)
        var leases: [LeaseID] = []
        var holders: [Identity] = []
        for _ in 0..<(try reader.count("renew.count", unit: 3)) {
            leases.append(LeaseID(try reader.signed("renew.lease")))
            let user = try reader.string("renew.user")
            holders.append(Identity(user: user, authRevision: try reader.varint("renew.auth")))
        }
        return .renewAs(name, leases: leases, holders: holders)
    }

    static func encodeRefusals(_ name: RequestName, _ answers: [LeaseAnswer], into writer: inout ByteWriter) {
        name.encode(into: &writer)
        writer.varint(UInt64(answers.count))
        for answer in answers {
            writer.signed(answer.lease.number)
            writer.signed(answer.ttlMilliseconds)
            writer.bool(answer.refusal != nil)
            if let refusal = answer.refusal { writer.byte(refusal.rawValue) }
        }
    }

    static func decodeRefusals(_ reader: inout ByteReader) throws(DecodingFailure) -> PeerMessage {
        let name = try RequestName.decode("lease.name", from: &reader)
        var answers: [LeaseAnswer] = []
        for _ in 0..<(try reader.count("renewed.count", unit: 3)) {
            let lease = LeaseID(try reader.signed("renewed.lease"))
            var answer = LeaseAnswer(lease: lease, ttlMilliseconds: try reader.signed("renewed.ttl"))
            if try reader.bool("renewed.refused") {
                guard let code = Rejection.Code(rawValue: try reader.byte("renewed.refusal")) else {
                    throw .invalid("renewed.refusal")
                }
                answer.refusal = code
            }
            answers.append(answer)
        }
        return .renewed(name, answers: answers)
    }
}
