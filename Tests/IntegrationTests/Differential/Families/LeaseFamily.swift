import EtcdProto
import Foundation
import Primitives
import SwiftProtobuf

extension Etcdserverpb_LeaseGrantRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.lease(&id) }
}

extension Etcdserverpb_LeaseGrantResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        renaming.lease(&id)
    }

    func teach(_ names: inout Names) { names.learn(lease: id) }
}

extension Etcdserverpb_LeaseRevokeRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.lease(&id) }
}

extension Etcdserverpb_LeaseRevokeResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_LeaseKeepAliveRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.lease(&id) }
}

extension Etcdserverpb_LeaseKeepAliveResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        renaming.lease(&id)
    }
}

extension Etcdserverpb_LeaseTimeToLiveRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.lease(&id) }
}

extension Etcdserverpb_LeaseTimeToLiveResponse: Replayable {
    /// More seconds than a sequence lasts.
    private static let secondsPassedMax: Int64 = 50

    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        renaming.lease(&id)
        // Normalisation "time left": it runs on between two calls.
        if ttl > 0, ttl <= grantedTtl, ttl >= grantedTtl - Self.secondsPassedMax { ttl = grantedTtl }
        for place in keys.indices { renaming.key(&keys[place]) }
        // Normalisation "unordered": etcd collects the keys from a Go map.
        keys.sort { $0.lexicographicallyPrecedes($1) }
    }
}

extension Etcdserverpb_LeaseLeasesRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_LeaseLeasesResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        for place in leases.indices { renaming.lease(&leases[place].id) }
        // Normalisation "unordered": etcd orders them by the instant of expiry.
        leases.sort { $0.id < $1.id }
    }
}

/// Grants, renewals, questions and revocations, of leases that exist and of others.
struct LeaseFamily: CallFamily {
    let weight: UInt64 = 15
    private static let chosen: [Int64] = [1, 2, 3, -4]

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        switch random.below(12) {
        case 0...4: return grants(&random, &plan)
        case 5, 6:
            plan.revisions += 1
            return [revocation(random.lease(plan))]
        case 7, 8: return [question(random.lease(plan), keys: random.oneIn(2))]
        case 9:
            let request = Etcdserverpb_LeaseLeasesRequest()
            return [UnaryCall("Lease/LeaseLeases", request, answeredBy: Etcdserverpb_LeaseLeasesResponse.self)]
        default:
            return [KeepAlive(leases: (0..<random.below(4)).map { _ in random.lease(plan) })]
        }
    }

    var closing: [any Call] {
        let all = UnaryCall(
            "Lease/LeaseLeases", Etcdserverpb_LeaseLeasesRequest(), answeredBy: Etcdserverpb_LeaseLeasesResponse.self)
        return [all] + (Self.chosen + [Names.lease(1), Names.lease(2)]).map { question($0, keys: true) }
    }

    private func grants(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        var request = Etcdserverpb_LeaseGrantRequest()
        if random.oneIn(2) {
            request.id = random.chosenLease()
        } else {
            plan.grants += 1
        }
        request.ttl = random.within(100...5_000)
        if random.oneIn(10) { request.ttl = random.one(of: [9_000_000_000, 9_000_000_001, .max]) }
        let grant = UnaryCall("Lease/LeaseGrant", request, answeredBy: Etcdserverpb_LeaseGrantResponse.self)
        guard random.oneIn(6) else { return [grant] }
        // Raised to the least there is; gone again before it could expire.
        request.ttl = random.one(of: [0, -1, 1, 2, .min])
        request.id = 55
        return [
            UnaryCall("Lease/LeaseGrant", request, answeredBy: Etcdserverpb_LeaseGrantResponse.self),
            revocation(request.id),
        ]
    }

    private func revocation(_ lease: Int64) -> any Call {
        var request = Etcdserverpb_LeaseRevokeRequest()
        request.id = lease
        return UnaryCall("Lease/LeaseRevoke", request, answeredBy: Etcdserverpb_LeaseRevokeResponse.self)
    }

    private func question(_ lease: Int64, keys: Bool) -> any Call {
        var request = Etcdserverpb_LeaseTimeToLiveRequest()
        request.id = lease
        request.keys = keys
        return UnaryCall("Lease/LeaseTimeToLive", request, answeredBy: Etcdserverpb_LeaseTimeToLiveResponse.self)
    }
}

/// One stream of renewals, half-closed after the last.
struct KeepAlive: SentCall {
    var leases: [Int64]
    var credential: String?

    let kind = "Lease/LeaseKeepAlive"
    var description: String {
        let sender = credential.map { " as \($0)" } ?? ""
        return "\(kind)\(sender) { \(leases.map { Names.readable("\($0)") }.joined(separator: ", ")) }"
    }

    func play(on session: Session) async throws -> Answer {
        let stream = session.open("/etcdserverpb.\(kind)", credential: credential)
        for lease in leases {
            var request = Etcdserverpb_LeaseKeepAliveRequest()
            request.id = lease
            request.rename(session.renaming(.toServer))
            stream.send(try request.serializedBytes())
        }
        stream.halfClose()
        guard let record = try await stream.ended(), let end = record.end else { return Answer(status: "no end") }
        var answer = Answer(end)
        answer.body = try record.messages.map {
            try session.comparable(Etcdserverpb_LeaseKeepAliveResponse.self, $0).readable
        }.joined(separator: "; ")
        return answer
    }

    var simpler: [any Call] {
        leases.indices.map { place in
            var call = self
            call.leases.remove(at: place)
            return call
        }
    }
}
