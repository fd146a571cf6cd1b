import EtcdProto
import GRPC
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

/// Keep-alive streams over a real connection.
@Suite struct KeepAliveDoorTests {
    private typealias Stream = TestStream<Etcdserverpb_LeaseKeepAliveRequest, Etcdserverpb_LeaseKeepAliveResponse>

    private func open(_ door: LoopbackDoor, metadata: Metadata = Metadata()) -> Stream {
        door.stream(
            "/etcdserverpb.Lease/LeaseKeepAlive", metadata: metadata, Etcdserverpb_LeaseKeepAliveRequest.self,
            Etcdserverpb_LeaseKeepAliveResponse.self)
    }

    private func grant(_ door: LoopbackDoor, _ id: Int64, ttl: Int64) async throws {
        _ = try await door.call(
            "/etcdserverpb.Lease/LeaseGrant",
            Etcdserverpb_LeaseGrantRequest.with {
                $0.id = id
                $0.ttl = ttl
            }, as: Etcdserverpb_LeaseGrantResponse.self)
    }

    @Test("One answer per request, in order, with the granted TTL; an unknown lease shows 0 and ends nothing")
    func answers() async throws {
        try await LoopbackDoor.with { door async throws in
            try await grant(door, 1, ttl: 5)
            try await grant(door, 2, ttl: 60)
            let stream = open(door)
            for id in [Int64(2), 99, 1] { try stream.send(.with { $0.id = id }) }
            for (id, ttl) in [(Int64(2), Int64(60)), (99, 0), (1, 5)] {
                let answer = try await stream.next()
                #expect(answer.id == id && answer.ttl == ttl)
                #expect(answer.header.revision == 1 && answer.header.memberID == 0xA1)
            }
        }
    }

    @Test("Answers that come out of order are sent in order")
    func order() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.hold()
            let stream = open(door)
            for id in Int64(1)...10 { try stream.send(.with { $0.id = id }) }
            while door.registry.submitted.count < 10 { await Task.yield() }
            door.registry.release(reversed: true)
            for id in Int64(1)...10 { #expect(try await stream.next().id == id) }
        }
    }

    @Test("After the half-close what was asked is answered, then the call ends well")
    func halfClose() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.hold()
            let stream = open(door)
            for id in Int64(1)...3 { try stream.send(.with { $0.id = id }) }
            stream.halfClose()
            while door.registry.submitted.count < 3 { await Task.yield() }
            door.registry.release()
            for id in Int64(1)...3 { #expect(try await stream.next().id == id) }
            #expect(await stream.end() == .ok)

            let silent = open(door)
            silent.halfClose()
            #expect(await silent.end() == .ok)
        }
    }

    @Test("A rejection ends the stream with its status, behind the answers before it")
    func rejection() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.script { request in
                guard case .keepAlive(let lease) = request else { return nil }
                switch lease.number {
                case 2: return .failure(Rejection(.leaseNotFound))
                case 3: return .failure(Rejection(.noLeader))
                default: return .success(.keptAlive(lease, ttlMilliseconds: 9000))
                }
            }
            door.registry.hold()
            let stream = open(door)
            for id in Int64(1)...4 { try stream.send(.with { $0.id = id }) }
            while door.registry.submitted.count < 4 { await Task.yield() }
            door.registry.release(reversed: true)
            #expect(try await stream.next().ttl == 9)
            let gone = try await stream.next()
            #expect(gone.id == 2 && gone.ttl == 0)
            #expect(await stream.end() == GRPCStatus(.unavailable, "etcdserver: no leader"))
        }
    }

    @Test("A stream that requires a leader is refused while there is none")
    func leader() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.announce(leaderKnown: false)
            let stream = open(door, metadata: Metadata(["hasleader": "true"]))
            #expect(await stream.end() == GRPCStatus(.unavailable, "etcdserver: no leader"))
        }
    }

    @Test("Bytes that are no request end the stream")
    func malformed() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = open(door)
            stream.send(raw: [0x08, 0xFF])
            #expect(await stream.end()?.code == .internal)
        }
    }

    @Test("Requests past the bound wait, and all are answered")
    func bound() async throws {
        var options = EtcdDoorOptions()
        options.streamRequestsInFlightMax = 8
        try await LoopbackDoor.with(options: options) { door async throws in
            door.registry.hold()
            let stream = open(door)
            for id in Int64(1)...100 { try stream.send(.with { $0.id = id }) }
            stream.halfClose()
            while door.registry.submitted.count < 8 { await Task.yield() }
            try await Task.sleep(for: .milliseconds(50))
            #expect(door.registry.submitted.count == 8)
            door.registry.release()
            for id in Int64(1)...100 { #expect(try await stream.next().id == id) }
            #expect(await stream.end() == .ok)
        }
    }
}
