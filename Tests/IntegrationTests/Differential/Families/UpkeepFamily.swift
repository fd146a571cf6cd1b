import EtcdProto
import Foundation
import Primitives
import SwiftProtobuf

extension Etcdserverpb_AlarmRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_AlarmResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        // Normalisation "headers of alarms": since 3.5 there are some.
        clearHeader()
        // Normalisation "unordered": etcd collects them from Go maps.
        alarms.sort { ($0.alarm.rawValue, $0.memberID) < ($1.alarm.rawValue, $1.memberID) }
    }
}

extension Etcdserverpb_HashKVRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.revision(&revision) }
}

extension Etcdserverpb_HashKVResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        renaming.revision(&compactRevision)
        // Normalisation "hashes": over two stores; since 3.5 it is told of which revision.
        hash = 0
        hashRevision = 0
    }
}

extension Etcdserverpb_DefragmentRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_DefragmentResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_MoveLeaderRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_MoveLeaderResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension Etcdserverpb_MemberListRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension Etcdserverpb_MemberListResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        // Normalisation "identity": two clusters, of other sizes.
        members = []
    }
}

/// What keeps a cluster going, as far as two clusters can answer alike: alarms, hashes of a revision, the header of
/// the list of members, defragmentation, and the choice of a leader that does not exist.
struct UpkeepFamily: CallFamily {
    let weight: UInt64 = 70
    private static let members: [UInt64] = [0, 1, 7, 0xFFFF_FFFF_FFFF_FFFF]

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        switch random.below(12) {
        case 0...5: return [alarm(&random, &plan)]
        case 6, 7:
            var request = Etcdserverpb_HashKVRequest()
            // Normalisation "hash of the compacted revision": since 3.5 there is one.
            let revision = random.within(-2...(plan.revisions + 1))
            request.revision = revision == 0 || random.oneIn(3) ? 0 : Names.revision(revision)
            return [UnaryCall("Maintenance/HashKV", request, answeredBy: Etcdserverpb_HashKVResponse.self)]
        case 8, 9:
            var request = Etcdserverpb_MemberListRequest()
            request.linearizable = random.oneIn(2)
            return [UnaryCall("Cluster/MemberList", request, answeredBy: Etcdserverpb_MemberListResponse.self)]
        case 10:
            let request = Etcdserverpb_DefragmentRequest()
            return [UnaryCall("Maintenance/Defragment", request, answeredBy: Etcdserverpb_DefragmentResponse.self)]
        default: return [MoveLeader(target: random.one(of: Self.members))]
        }
    }

    private func alarm(_ random: inout SeededGenerator, _ plan: inout Plan) -> any Call {
        let raised = plan.alarm ?? Int(random.within(1...2))
        plan.alarm = raised
        var request = Etcdserverpb_AlarmRequest()
        request.memberID = random.one(of: Self.members)
        switch random.below(6) {
        case 0, 1: request.action = .get
        case 2, 3: request.action = .activate
        default: request.action = .deactivate
        }
        let kind = request.action == .activate ? random.one(of: [0, raised, raised, raised]) : Int(random.below(3))
        request.alarm = Etcdserverpb_AlarmType(rawValue: kind) ?? .none
        return UnaryCall("Maintenance/Alarm", request, answeredBy: Etcdserverpb_AlarmResponse.self)
    }

    var closing: [any Call] {
        [
            UnaryCall(
                "Maintenance/Alarm", Etcdserverpb_AlarmRequest(), answeredBy: Etcdserverpb_AlarmResponse.self)
        ]
    }

    func reset(_ session: Session) async throws {
        let bytes = try await session.ask("Maintenance/Alarm", Etcdserverpb_AlarmRequest())
        for alarm in try Etcdserverpb_AlarmResponse(serializedBytes: bytes).alarms {
            var request = Etcdserverpb_AlarmRequest()
            request.action = .deactivate
            request.memberID = alarm.memberID
            request.alarm = alarm.alarm
            try await session.ask("Maintenance/Alarm", request)
        }
    }
}

/// Asks for a leader that is no member.
struct MoveLeader: Call {
    var target: UInt64

    let kind = "Maintenance/MoveLeader"
    var description: String { "\(kind) to \(target)" }

    func play(on session: Session) async throws -> Answer {
        var request = Etcdserverpb_MoveLeaderRequest()
        request.targetID = target
        let call = UnaryCall(kind, request, answeredBy: Etcdserverpb_MoveLeaderResponse.self)
        let answer = try await call.play(on: session)
        // Normalisation "identity": which of three members leads.
        guard !session.isReference, answer.status == "failedPrecondition, \"etcdserver: not leader\"" else {
            return answer
        }
        return Answer(status: "failedPrecondition, \"etcdserver: bad leader transferee\"")
    }
}
