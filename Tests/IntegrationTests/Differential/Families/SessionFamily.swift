import EtcdProto
import Foundation
import Primitives
import SwiftProtobuf

/// Locks and elections kept by the server: taken at once, taken again, waited for, given up while waiting; let go of
/// by unlock, resignation, deletion and the end of a lease; and calls that lack something.
struct SessionFamily: CallFamily {
    let weight: UInt64 = 70
    private static let names = ["m", "m", "n", "b", ""]
    /// The leases that compete; they are granted when a sequence starts.
    private static let leases: [Int64] = [1, 2, 3, -4]

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        if !plan.hasUsers {
            plan.hasUsers = true
            return Self.leases.map(Self.granted)
        }
        plan.revisions += 1
        switch random.below(20) {
        case 0...4: return [take(&random, &plan, isElection: false)]
        case 5...8: return [take(&random, &plan, isElection: true)]
        case 9...11: return [unlock(&random)]
        case 12, 13: return [proclamation(&random, plan)]
        case 14, 15: return [resignation(&random, plan)]
        case 16, 17: return [leader(&random)]
        case 18: return [GiveUp(number: Int(random.within(0...Int64(max(plan.waiters - 1, 0)))))]
        default: return [Self.revocation(random.one(of: Self.leases)), Self.granted(random.one(of: Self.leases))]
        }
    }

    private func take(_ random: inout SeededGenerator, _ plan: inout Plan, isElection: Bool) -> any Call {
        var name = random.one(of: Self.names)
        var lease = random.oneIn(12) ? random.one(of: [77, .max]) : random.one(of: Self.leases)
        if !plan.hasOwnLease, random.oneIn(6) {
            // The server grants a lease: once, and where nobody else is, so that its id decides about no order.
            plan.hasOwnLease = true
            plan.grants += 1
            (name, lease) = ("own", 0)
        }
        defer { plan.waiters += 1 }
        if isElection {
            var request = V3electionpb_CampaignRequest()
            request.name = Data(name.utf8)
            request.lease = lease
            request.value = random.value()
            return Take(number: plan.waiters, request: .campaign(request))
        }
        var request = V3lockpb_LockRequest()
        request.name = Data(name.utf8)
        request.lease = lease
        return Take(number: plan.waiters, request: .lock(request))
    }

    /// The key that a lock or an election of that name has.
    private func key(_ random: inout SeededGenerator) -> (name: String, key: Data, lease: Int64) {
        if random.oneIn(8) { return ("own", Data("own/L1".utf8), Names.lease(1)) }
        let name = random.one(of: Self.names)
        let lease = random.one(of: Self.leases)
        return (name, Data("\(name)/\(String(lease, radix: 16))".utf8), lease)
    }

    private func unlock(_ random: inout SeededGenerator) -> any Call {
        var request = V3lockpb_UnlockRequest()
        if !random.oneIn(12) { request.key = random.oneIn(8) ? random.key() : key(&random).key }
        var call = UnaryCall("Lock/Unlock", request, answeredBy: V3lockpb_UnlockResponse.self)
        call.package = "v3lockpb"
        return call
    }

    private func leaderKey(_ random: inout SeededGenerator, _ plan: Plan) -> V3electionpb_LeaderKey {
        let taken = key(&random)
        var leader = V3electionpb_LeaderKey()
        if !random.oneIn(8) { leader.name = Data(taken.name.utf8) }
        if !random.oneIn(12) { leader.key = taken.key }
        leader.rev = Names.revision(random.within(1...(plan.revisions + 1)))
        leader.lease = random.oneIn(12) ? 77 : taken.lease
        return leader
    }

    private func proclamation(_ random: inout SeededGenerator, _ plan: Plan) -> any Call {
        let place = random.oneIn(3) ? nil : Int(random.below(UInt64(plan.waiters + 1)))
        var request = V3electionpb_ProclaimRequest()
        if !random.oneIn(10) { request.leader = leaderKey(&random, plan) }
        request.value = random.value()
        return LeaderCall(place: place, request: .proclaim(request))
    }

    private func resignation(_ random: inout SeededGenerator, _ plan: Plan) -> any Call {
        let place = random.oneIn(3) ? nil : Int(random.below(UInt64(plan.waiters + 1)))
        var request = V3electionpb_ResignRequest()
        if !random.oneIn(10) { request.leader = leaderKey(&random, plan) }
        return LeaderCall(place: place, request: .resign(request))
    }

    private func leader(_ random: inout SeededGenerator) -> any Call {
        var request = V3electionpb_LeaderRequest()
        request.name = Data(random.one(of: Self.names).utf8)
        var call = UnaryCall("Election/Leader", request, answeredBy: V3electionpb_LeaderResponse.self)
        call.package = "v3electionpb"
        return call
    }

    private static func granted(_ lease: Int64) -> any Call {
        var request = Etcdserverpb_LeaseGrantRequest()
        request.id = lease
        request.ttl = 1_000
        return UnaryCall("Lease/LeaseGrant", request, answeredBy: Etcdserverpb_LeaseGrantResponse.self)
    }

    private static func revocation(_ lease: Int64) -> any Call {
        var request = Etcdserverpb_LeaseRevokeRequest()
        request.id = lease
        return UnaryCall("Lease/LeaseRevoke", request, answeredBy: Etcdserverpb_LeaseRevokeResponse.self)
    }
}

/// Asks for a lock or an election. It is answered at once, or waits.
struct Take: Call {
    enum Request: Sendable {
        case lock(V3lockpb_LockRequest)
        case campaign(V3electionpb_CampaignRequest)
    }

    /// Tells those that wait from each other.
    var number: Int
    var request: Request

    var kind: String {
        switch request {
        case .lock: "Lock/Lock"
        case .campaign: "Election/Campaign"
        }
    }

    var description: String {
        switch request {
        case .lock(let request): "\(kind), number \(number) { \(request.readable) }"
        case .campaign(let request): "\(kind), number \(number) { \(request.readable) }"
        }
    }

    func play(on session: Session) async throws -> Answer {
        // Shrinking may leave a number twice.
        guard !session.waiters.contains(where: { $0.number == number }) else { return Answer(status: "not sent") }
        switch request {
        case .lock(var message):
            message.rename(session.renaming(.toServer))
            let waiter = Waiter(number: number, isElection: false, name: message.name, lease: message.lease)
            return try await waiter.begin("/v3lockpb.\(kind)", message.serializedBytes(), on: session)
        case .campaign(var message):
            message.rename(session.renaming(.toServer))
            let waiter = Waiter(
                number: number, isElection: true, name: message.name, lease: message.lease, value: message.value)
            return try await waiter.begin("/v3electionpb.\(kind)", message.serializedBytes(), on: session)
        }
    }
}

/// Takes back a call that waits.
struct GiveUp: Call {
    var number: Int

    let kind = "Lock/GiveUp"
    var description: String { "\(kind) number \(number)" }

    func play(on session: Session) async throws -> Answer {
        guard let waiter = session.waiters.first(where: { $0.number == number }) else {
            return Answer(status: "not waiting")
        }
        // Normalisation "given up late": its key is another call's by now.
        guard try await !waiter.isReplaced(on: session) else { return Answer(status: "not sent") }
        session.forget(waiter: number)
        // Its key goes with it.
        let gone = try await waiter.giveUp(on: session)
        return Answer(status: gone ? "given up" : "its key stays")
    }
}

/// Proclaim or Resign, with what a campaign has answered or with something made up.
struct LeaderCall: Call {
    enum Request: Sendable {
        case proclaim(V3electionpb_ProclaimRequest)
        case resign(V3electionpb_ResignRequest)
    }

    /// Which of the campaigns won so far, if there were so many; nil for something made up.
    var place: Int?
    var request: Request

    var kind: String {
        switch request {
        case .proclaim: "Election/Proclaim"
        case .resign: "Election/Resign"
        }
    }

    var description: String {
        let leader = place.map { " of the campaign number \($0)" } ?? ""
        return switch request {
        case .proclaim(let request): "\(kind)\(leader) { \(request.readable) }"
        case .resign(let request): "\(kind)\(leader) { \(request.readable) }"
        }
    }

    func play(on session: Session) async throws -> Answer {
        let won = place.flatMap { session.leaderKey($0) }
        switch request {
        case .proclaim(var request):
            if let won { request.leader = won }
            var call = UnaryCall(kind, request, answeredBy: V3electionpb_ProclaimResponse.self)
            call.package = "v3electionpb"
            return try await call.play(on: session)
        case .resign(var request):
            if let won { request.leader = won }
            var call = UnaryCall(kind, request, answeredBy: V3electionpb_ResignResponse.self)
            call.package = "v3electionpb"
            return try await call.play(on: session)
        }
    }
}
