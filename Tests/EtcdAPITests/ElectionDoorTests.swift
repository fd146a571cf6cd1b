import EtcdProto
import Foundation
import GRPC
import NIOCore
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

private typealias CampaignStream = TestStream<V3electionpb_CampaignRequest, V3electionpb_CampaignResponse>
private typealias ObserveStream = TestStream<V3electionpb_LeaderRequest, V3electionpb_LeaderResponse>

extension LoopbackDoor {
    fileprivate func campaign(_ name: String, lease: Int64, _ value: String) throws -> CampaignStream {
        let stream = stream(
            "/v3electionpb.Election/Campaign", V3electionpb_CampaignRequest.self, V3electionpb_CampaignResponse.self)
        try stream.send(
            V3electionpb_CampaignRequest.with {
                $0.name = Data(name.utf8)
                $0.lease = lease
                $0.value = Data(value.utf8)
            })
        stream.halfClose()
        return stream
    }

    fileprivate func observe(_ name: String, metadata: Metadata = Metadata()) throws -> ObserveStream {
        let stream = stream(
            "/v3electionpb.Election/Observe", metadata: metadata, V3electionpb_LeaderRequest.self,
            V3electionpb_LeaderResponse.self)
        try stream.send(V3electionpb_LeaderRequest.with { $0.name = Data(name.utf8) })
        stream.halfClose()
        return stream
    }

    fileprivate func proclaim(_ leader: V3electionpb_LeaderKey?, _ value: String) async throws -> GRPCStatus? {
        try await failure(
            "/v3electionpb.Election/Proclaim",
            V3electionpb_ProclaimRequest.with {
                if let leader { $0.leader = leader }
                $0.value = Data(value.utf8)
            })
    }

    fileprivate func resign(_ leader: V3electionpb_LeaderKey?) async throws -> GRPCStatus? {
        try await failure(
            "/v3electionpb.Election/Resign",
            V3electionpb_ResignRequest.with {
                if let leader { $0.leader = leader }
            })
    }

    fileprivate func leader(_ name: String) async throws -> V3electionpb_LeaderResponse {
        try await call(
            "/v3electionpb.Election/Leader", V3electionpb_LeaderRequest.with { $0.name = Data(name.utf8) },
            as: V3electionpb_LeaderResponse.self)
    }
}

/// `v3electionpb.Election` over a real connection.
@Suite(.timeLimit(.minutes(1))) struct ElectionDoorTests {
    @Test("A candidate alone leads at once; who leads is told with key, value and revision")
    func alone() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.grant(0xAB)
            let answer = try await door.campaign("e", lease: 0xAB, "one").next()
            #expect(answer.header.revision == 2 && answer.header.memberID == 0xA1)
            #expect(answer.leader.name.text == "e" && answer.leader.key.text == "e/ab")
            #expect(answer.leader.rev == 2 && answer.leader.lease == 0xAB)
            let leader = try await door.leader("e")
            #expect(leader.kv.key.text == "e/ab" && leader.kv.value.text == "one" && leader.kv.createRevision == 2)
            #expect(leader.header.revision == 2)
        }
    }

    @Test("The next candidate leads when the one before resigns")
    func succession() async throws {
        try await LoopbackDoor.with { door async throws in
            for lease in [Int64(2), 1] { try await door.grant(lease) }
            let first = try await door.campaign("s", lease: 2, "a").next().leader
            let second = try door.campaign("s", lease: 1, "b")
            try await door.eventually { door.watchesAsked == 1 }
            #expect(try await door.leader("s").kv.value.text == "a")
            #expect(try await door.resign(first) == nil)
            let leader = try await second.next()
            #expect(leader.leader.rev == 3 && leader.leader.key.text == "s/1")
            #expect(leader.header.revision == 3, "of the answer that made it a candidate")
            #expect(try await door.leader("s").kv.value.text == "b")
            #expect(try await door.resign(first) == nil, "once more changes nothing")
            #expect(try await door.leader("s").kv.value.text == "b")
        }
    }

    @Test("A second call with the same lease keeps the place and replaces the value")
    func again() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.grant(1)
            let first = try await door.campaign("r", lease: 1, "old").next()
            let same = try await door.campaign("r", lease: 1, "old").next()
            #expect(same.leader == first.leader && same.header.revision == 2)
            let other = try await door.campaign("r", lease: 1, "new").next()
            #expect(other.leader == first.leader)
            let kv = try await door.leader("r").kv
            #expect(kv.value.text == "new" && kv.createRevision == 2 && kv.modRevision == 3 && kv.lease == 1)
        }
    }

    @Test("Proclaiming changes the value of the leadership it names, and of no other")
    func proclaiming() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.grant(1)
            let leader = try await door.campaign("p", lease: 1, "a").next().leader
            #expect(try await door.proclaim(leader, "b") == nil)
            let kv = try await door.leader("p").kv
            #expect(kv.value.text == "b" && kv.version == 2 && kv.lease == 1)
            var other = leader
            other.rev += 1
            #expect(try await door.proclaim(other, "c") == GRPCStatus(.unknown, "election: not leader"))
            #expect(try await door.resign(other) == nil)
            #expect(try await door.leader("p").kv.value.text == "b")
            #expect(try await door.resign(leader) == nil)
            #expect(try await door.proclaim(leader, "d") == GRPCStatus(.unknown, "election: not leader"))
        }
    }

    @Test("Who names no leadership is told so; nobody leading is an error of its own")
    func refusals() async throws {
        try await LoopbackDoor.with { door async throws in
            let missing = GRPCStatus(.unknown, "\"leader\" field must be provided")
            #expect(try await door.proclaim(nil, "x") == missing)
            #expect(try await door.resign(nil) == missing)
            #expect(
                try await door.proclaim(V3electionpb_LeaderKey.with { $0.lease = 1 }, "x")
                    == GRPCStatus(.unknown, "etcdserver: key is not provided"))
            #expect(
                try await door.failure("/v3electionpb.Election/Leader", V3electionpb_LeaderRequest())
                    == GRPCStatus(.unknown, "election: no leader"))
            #expect(
                await (try door.campaign("r", lease: 77, "x")).end()
                    == GRPCStatus(.unknown, "etcdserver: requested lease not found"))
        }
    }

    @Test("A candidate that goes takes its key along; one whose lease ended does not lead")
    func leaving() async throws {
        try await LoopbackDoor.with { door async throws in
            for lease in [Int64(1), 2, 3] { try await door.grant(lease) }
            let leader = try await door.campaign("l", lease: 1, "a").next().leader
            let second = try door.campaign("l", lease: 2, "b")
            try await door.eventually { door.watchesAsked == 1 }
            second.cancel()
            try await door.eventually { try await door.names("l/") == ["l/1"] }
            let third = try door.campaign("l", lease: 3, "c")
            try await door.eventually { door.watchesAsked == 2 }
            try await door.revoke(3)
            #expect(try await door.resign(leader) == nil)
            #expect(await third.end() == GRPCStatus(.unknown, "election: not leader"))
        }
    }

    @Test("An observer sees the leader, its new values and each successor; while there is none it waits")
    func observing() async throws {
        try await LoopbackDoor.with { door async throws in
            for lease in [Int64(1), 2] { try await door.grant(lease) }
            let observer = try door.observe("o")
            try await door.eventually { door.watchesAsked == 1 }
            let first = try await door.campaign("o", lease: 1, "a").next().leader
            let seen = try await observer.next()
            #expect(seen.kv.value.text == "a" && seen.header.revision == 2 && seen.header.memberID == 0xA1)
            try await door.eventually { door.watchesAsked == 2 }
            // A candidate is no leader yet.
            let second = try door.campaign("o", lease: 2, "x")
            try await door.eventually { try await door.names("o/").count == 2 }
            #expect(try await door.proclaim(first, "b") == nil)
            let changed = try await observer.next()
            #expect(changed.kv.value.text == "b" && changed.header.revision == changed.kv.modRevision)
            #expect(try await door.resign(first) == nil)
            #expect(try await second.next().leader.rev == 3)
            let successor = try await observer.next()
            #expect(successor.kv.value.text == "x" && successor.kv.key.text == "o/2")
            #expect(try await door.resign(second.leaderOf("o/2", rev: 3)) == nil)
            try await door.eventually { try await door.names("o/").isEmpty }
            _ = try await door.campaign("o", lease: 1, "again").next()
            #expect(try await observer.next().kv.value.text == "again")
            observer.cancel()
            // The member hears that its watch is over.
            try await door.eventually {
                door.registry.submitted.contains { if case .watchStreamClosed = $0.request { true } else { false } }
            }
        }
    }

    @Test("An observer that requires a leader is ended without one")
    func leaderless() async throws {
        var options = EtcdDoorOptions()
        options.leaderLossGrace = .milliseconds(20)
        try await LoopbackDoor.with(options: options) { door async throws in
            var metadata = Metadata()
            metadata.add("hasleader", "true")
            let bound = try door.observe("o", metadata: metadata)
            let free = try door.observe("o")
            try await door.eventually { door.watchesAsked == 2 }
            door.registry.announce(leaderKnown: false)
            #expect(await bound.end() == GRPCStatus(.unavailable, "etcdserver: no leader"))
            try await door.grant(1)
            _ = try await door.campaign("o", lease: 1, "a").next()
            #expect(try await free.next().kv.value.text == "a")
        }
    }
}

extension TestStream {
    fileprivate func leaderOf(_ key: String, rev: Int64) -> V3electionpb_LeaderKey {
        V3electionpb_LeaderKey.with {
            $0.key = Data(key.utf8)
            $0.rev = rev
        }
    }
}
