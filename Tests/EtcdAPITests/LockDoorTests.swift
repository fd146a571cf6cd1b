import EtcdProto
import Foundation
import GRPC
import NIOCore
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

typealias LockStream = TestStream<V3lockpb_LockRequest, V3lockpb_LockResponse>

extension LoopbackDoor {
    /// Asks for a lock; the answer is taken, or the call cancelled, with the stream.
    func lock(_ name: String, lease: Int64, metadata: Metadata = Metadata()) throws -> LockStream {
        let stream = stream(
            "/v3lockpb.Lock/Lock", metadata: metadata, V3lockpb_LockRequest.self, V3lockpb_LockResponse.self)
        try stream.send(
            V3lockpb_LockRequest.with {
                $0.name = Data(name.utf8)
                $0.lease = lease
            })
        stream.halfClose()
        return stream
    }

    func unlock(_ key: Data) async throws {
        _ = try await call(
            "/v3lockpb.Lock/Unlock", V3lockpb_UnlockRequest.with { $0.key = key }, as: V3lockpb_UnlockResponse.self)
    }

    func grant(_ lease: Int64) async throws {
        _ = try await call(
            "/etcdserverpb.Lease/LeaseGrant",
            Etcdserverpb_LeaseGrantRequest.with {
                $0.id = lease
                $0.ttl = 30
            }, as: Etcdserverpb_LeaseGrantResponse.self)
    }

    func revoke(_ lease: Int64) async throws {
        _ = try await call(
            "/etcdserverpb.Lease/LeaseRevoke", Etcdserverpb_LeaseRevokeRequest.with { $0.id = lease },
            as: Etcdserverpb_LeaseRevokeResponse.self)
    }

    /// All pairs below a prefix, in key order.
    func pairs(_ prefix: String) async throws -> [Mvccpb_KeyValue] {
        try await call(
            "/etcdserverpb.KV/Range",
            Etcdserverpb_RangeRequest.with {
                $0.key = Data(prefix.utf8)
                $0.rangeEnd = Data((prefix.dropLast() + "0").utf8)
            }, as: Etcdserverpb_RangeResponse.self
        ).kvs
    }

    func names(_ prefix: String) async throws -> [String] {
        try await pairs(prefix).map { String(decoding: $0.key, as: UTF8.self) }
    }

    var watchesAsked: Int {
        registry.submitted.count { if case .watchCreate = $0.request { true } else { false } }
    }

    /// Waits for something that a running call brings about.
    func eventually(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(1)) }
    }
}

extension Data {
    var text: String { String(decoding: self, as: UTF8.self) }
}

/// `v3lockpb.Lock` over a real connection.
@Suite(.timeLimit(.minutes(1))) struct LockDoorTests {
    @Test("A free lock is had at once: a key named after the lease, without a value")
    func free() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.grant(0x1F)
            let answer = try await door.lock("jobs", lease: 0x1F).next()
            #expect(answer.key.text == "jobs/1f")
            #expect(answer.header.memberID == 0xA1 && answer.header.revision == 2 && answer.header.raftTerm == 7)
            let pairs = try await door.pairs("jobs/")
            #expect(pairs.count == 1 && pairs[0].value.isEmpty && pairs[0].lease == 0x1F)
        }
    }

    @Test("A negative lease is written with its sign, as Go prints it; an empty name is a name")
    func names() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.grant(-255)
            #expect(try await door.lock("", lease: -255).next().key.text == "/-ff")
        }
    }

    @Test("The same lease gets the same lock again at once, and changes nothing")
    func reentrant() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.grant(7)
            _ = try await door.lock("a", lease: 7).next()
            let again = try await door.lock("a", lease: 7).next()
            #expect(again.key.text == "a/7" && again.header.revision == 2)
            #expect(door.watchesAsked == 0)
        }
    }

    @Test("Waiters get the lock one by one, in the order in which they came, each woken by one deletion")
    func queue() async throws {
        try await LoopbackDoor.with { door async throws in
            // In an order that is not that of the names.
            var streams: [LockStream] = []
            for (place, lease) in [Int64(9), 3, 5].enumerated() {
                try await door.grant(lease)
                streams.append(try door.lock("q", lease: lease))
                try await door.eventually {
                    try await door.names("q/").count == place + 1 && door.watchesAsked == place
                }
            }
            #expect(try await streams[0].next().key.text == "q/9")
            try await door.unlock(Data("q/9".utf8))
            let second = try await streams[1].next()
            #expect(second.key.text == "q/3" && second.header.revision == 5)
            #expect(door.watchesAsked == 2, "the third still watches the second")
            // A change that is no deletion wakes nobody.
            _ = try await door.call(
                "/etcdserverpb.KV/Put", Etcdserverpb_PutRequest.with { $0.key = Data("q/3".utf8) },
                as: Etcdserverpb_PutResponse.self)
            try await door.revoke(3)
            try await door.unlock(Data("q/3".utf8))
            #expect(try await streams[2].next().key.text == "q/5")
            #expect(try await door.names("q/") == ["q/5"])
        }
    }

    @Test("One in the middle of the queue that goes lets nobody in early")
    func middleLeaves() async throws {
        try await LoopbackDoor.with { door async throws in
            var streams: [LockStream] = []
            for (place, lease) in [Int64(1), 2, 3].enumerated() {
                try await door.grant(lease)
                streams.append(try door.lock("m", lease: lease))
                try await door.eventually {
                    try await door.names("m/").count == place + 1 && door.watchesAsked == place
                }
            }
            streams[1].cancel()
            // The third looks again and finds the first.
            try await door.eventually { door.watchesAsked == 3 }
            #expect(try await door.names("m/") == ["m/1", "m/3"])
            try await door.unlock(Data("m/1".utf8))
            #expect(try await streams[2].next().key.text == "m/3")
        }
    }

    @Test("Without a lease one of 60 s is granted, and left to expire")
    func ownLease() async throws {
        try await LoopbackDoor.with { door async throws in
            let answer = try await door.lock("a", lease: 0).next()
            let leases = try await door.call(
                "/etcdserverpb.Lease/LeaseLeases", Etcdserverpb_LeaseLeasesRequest(),
                as: Etcdserverpb_LeaseLeasesResponse.self
            ).leases.map(\.id)
            #expect(leases.count == 1)
            #expect(answer.key.text == "a/" + String(leases[0], radix: 16))
            let rest = try await door.call(
                "/etcdserverpb.Lease/LeaseTimeToLive", Etcdserverpb_LeaseTimeToLiveRequest.with { $0.id = leases[0] },
                as: Etcdserverpb_LeaseTimeToLiveResponse.self)
            #expect(rest.grantedTtl == 60)
            try await door.unlock(answer.key)
            #expect(try await door.names("a/").isEmpty)
        }
    }

    @Test("A waiter whose lease is over learns it when its turn comes")
    func expired() async throws {
        try await LoopbackDoor.with { door async throws in
            for lease in [Int64(1), 2] { try await door.grant(lease) }
            _ = try await door.lock("e", lease: 1).next()
            let waiter = try door.lock("e", lease: 2)
            try await door.eventually { door.watchesAsked == 1 }
            try await door.revoke(2)
            try await door.unlock(Data("e/1".utf8))
            #expect(await waiter.end() == GRPCStatus(.unknown, "mutex: session is expired"))
        }
    }

    @Test("A caller that goes takes its key along: while it waits, and while its first request is on the way")
    func cancelling() async throws {
        try await LoopbackDoor.with { door async throws in
            for lease in [Int64(1), 2, 3] { try await door.grant(lease) }
            let holder = try door.lock("c", lease: 1)
            _ = try await holder.next()
            let waiter = try door.lock("c", lease: 2)
            try await door.eventually { door.watchesAsked == 1 }
            waiter.cancel()
            try await door.eventually { try await door.names("c/") == ["c/1"] }
            let asked = door.registry.submitted.count
            door.registry.hold()
            let early = try door.lock("c", lease: 3)
            try await door.eventually { door.registry.submitted.count == asked + 1 }
            early.cancel()
            _ = await early.end()
            // Whatever follows on this connection comes after the cancellation.
            door.registry.release()
            try await door.eventually { try await door.names("c/") == ["c/1"] }
        }
    }

    @Test("What a caller leaves behind is taken away in the member's name: its token may have run out by then")
    func cleaningUp() async throws {
        try await LoopbackDoor.with { door async throws in
            for lease in [Int64(1), 2] { try await door.grant(lease) }
            _ = try await door.lock("c", lease: 1).next()
            let waiter = try door.lock("c", lease: 2, metadata: Metadata(["token": "old"]))
            try await door.eventually { door.watchesAsked == 1 }
            #expect(door.registry.submitted.last?.context.credential == .token("old"))
            waiter.cancel()
            try await door.eventually { try await door.names("c/") == ["c/1"] }
            let removals = door.registry.submitted.filter { submitted in
                guard case .write(.txn(let request)) = submitted.request else { return false }
                return request.success == [.deleteRange(DeleteRangeRequest(range: .key(Key("c/2"))))]
            }
            #expect(removals.map(\.context.credential) == [.root])
        }
    }

    @Test("A waiter takes its call up again with the same lease; a call that ends does not take an older key along")
    func earlierKey() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.grant(1)
            _ = try await door.lock("k", lease: 1).next()
            let asked = door.registry.submitted.count
            door.registry.hold()
            let again = try door.lock("k", lease: 1)
            try await door.eventually { door.registry.submitted.count == asked + 1 }
            again.cancel()
            _ = await again.end()
            door.registry.release()
            for _ in 0..<20 {
                #expect(try await door.names("k/") == ["k/1"])
            }
        }
    }

    @Test("Refusals come with etcd's text and the code unknown")
    func refusals() async throws {
        try await LoopbackDoor.with { door async throws in
            #expect(
                await (try door.lock("a", lease: 99)).end()
                    == GRPCStatus(.unknown, "etcdserver: requested lease not found"))
            let unlock = "/v3lockpb.Lock/Unlock"
            #expect(
                try await door.failure(unlock, V3lockpb_UnlockRequest())
                    == GRPCStatus(.unknown, "etcdserver: key is not provided"))
            #expect(
                try await door.failure(unlock, V3lockpb_UnlockRequest.with { $0.key = Data("a/b".utf8) }) == nil,
                "a key that is not there is unlocked")
            #expect(
                try await door.failure("/v3lockpb.Lock/TryLock", V3lockpb_UnlockRequest())
                    == GRPCStatus(.unimplemented, "unknown method TryLock for service v3lockpb.Lock"))
        }
    }

    @Test("A lock that requires a leader is refused where there is none, and waits through an election")
    func leader() async throws {
        var options = EtcdDoorOptions()
        options.leaderLossGrace = .milliseconds(20)
        try await LoopbackDoor.with(options: options) { door async throws in
            var metadata = Metadata()
            metadata.add("hasleader", "true")
            for lease in [Int64(1), 2] { try await door.grant(lease) }
            _ = try await door.lock("l", lease: 1).next()
            let waiter = try door.lock("l", lease: 2, metadata: metadata)
            try await door.eventually { door.watchesAsked == 1 }
            door.registry.announce(leaderKnown: false)
            var refusal: GRPCStatus?
            while refusal == nil {
                let refused = try door.lock("m", lease: 1, metadata: metadata)
                refusal = await refused.end().flatMap { $0.isOK ? nil : $0 }
            }
            #expect(refusal == GRPCStatus(.unavailable, "etcdserver: no leader"))
            try await Task.sleep(for: .milliseconds(60))
            try await door.unlock(Data("l/1".utf8))
            #expect(try await waiter.next().key.text == "l/2")
        }
    }
}
