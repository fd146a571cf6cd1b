import EtcdProto
import Foundation
import GRPC
import NIOCore
import Primitives
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

/// Watch streams over a real connection.
@Suite struct WatchDoorTests {
    private typealias Stream = TestStream<Etcdserverpb_WatchRequest, Etcdserverpb_WatchResponse>

    private func open(_ door: LoopbackDoor, metadata: Metadata = Metadata()) -> Stream {
        door.stream(
            "/etcdserverpb.Watch/Watch", metadata: metadata, Etcdserverpb_WatchRequest.self,
            Etcdserverpb_WatchResponse.self)
    }

    private func create(
        _ key: String, _ change: (inout Etcdserverpb_WatchCreateRequest) -> Void = { _ in }
    ) -> Etcdserverpb_WatchRequest {
        .with {
            $0.createRequest.key = Data(key.utf8)
            change(&$0.createRequest)
        }
    }

    private func cancel(_ id: Int64) -> Etcdserverpb_WatchRequest {
        .with { $0.cancelRequest.watchID = id }
    }

    private func put(_ door: LoopbackDoor, _ key: String, _ value: String = "v") async throws {
        _ = try await door.call(
            "/etcdserverpb.KV/Put",
            Etcdserverpb_PutRequest.with {
                $0.key = Data(key.utf8)
                $0.value = Data(value.utf8)
            }, as: Etcdserverpb_PutResponse.self)
    }

    private func delete(_ door: LoopbackDoor, _ key: String) async throws {
        _ = try await door.call(
            "/etcdserverpb.KV/DeleteRange", Etcdserverpb_DeleteRangeRequest.with { $0.key = Data(key.utf8) },
            as: Etcdserverpb_DeleteRangeResponse.self)
    }

    @Test("Each create is answered first and in order, with the current revision and the ids from 0")
    func creation() async throws {
        try await LoopbackDoor.with { door async throws in
            try await put(door, "a")
            let stream = open(door)
            try stream.send(create("a") { $0.startRevision = 1 })
            try stream.send(create("b"))
            try stream.send(create("c") { $0.watchID = 9 })
            let first = try await stream.next()
            #expect(first.created && first.watchID == 0 && first.header.revision == 2 && first.events.isEmpty)
            let replay = try await stream.next()
            #expect(!replay.created && replay.watchID == 0 && replay.events.count == 1)
            let second = try await stream.next()
            #expect(second.created && second.watchID == 1)
            let third = try await stream.next()
            #expect(third.created && third.watchID == 9)
        }
    }

    @Test("Events come per revision with the asked-for previous pairs and filters")
    func events() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = open(door)
            try stream.send(create("k") { $0.prevKv = true })
            try stream.send(create("k"))
            try stream.send(create("k") { $0.filters = [.noput] })
            for _ in 0..<3 { #expect(try await stream.next().created) }
            try await put(door, "k", "1")
            try await put(door, "k", "2")
            try await delete(door, "k")
            var byWatch: [Int64: [Etcdserverpb_WatchResponse]] = [:]
            for _ in 0..<7 {
                let response = try await stream.next()
                byWatch[response.watchID, default: []].append(response)
            }
            let full = byWatch[0] ?? []
            #expect(full.map(\.header.revision) == [2, 3, 4])
            #expect(full.flatMap(\.events).map(\.type) == [.put, .put, .delete])
            #expect(!full[0].events[0].hasPrevKv && full[1].events[0].prevKv.value == Data("1".utf8))
            #expect(full[2].events[0].prevKv.value == Data("2".utf8))
            #expect(
                full[2].events[0].kv
                    == .with {
                        $0.key = Data("k".utf8)
                        $0.modRevision = 4
                    })
            let plain = byWatch[1] ?? []
            #expect(plain.flatMap(\.events).map(\.type) == [.put, .put, .delete])
            #expect(!plain.flatMap(\.events).contains { $0.hasPrevKv })
            #expect((byWatch[2] ?? []).flatMap(\.events).map(\.type) == [.delete])
        }
    }

    @Test("A cancelled watch says so once and nothing after it; an unknown id is not answered")
    func cancellation() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = open(door)
            try stream.send(cancel(5))
            try stream.send(create("k"))
            #expect(try await stream.next().created)
            try stream.send(cancel(5))
            try stream.send(cancel(0))
            let answer = try await stream.next()
            #expect(answer.canceled && answer.watchID == 0 && answer.cancelReason.isEmpty)
            #expect(answer.compactRevision == 0 && answer.header.revision == 1)
            try await put(door, "k")
            try stream.send(create("k"))
            #expect(try await stream.next().created)
        }
    }

    @Test("A refused create is created and canceled with id -1 and etcd's reason; the stream lives on")
    func refusal() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = open(door)
            try stream.send(create("b") { $0.rangeEnd = Data("a".utf8) })
            let refused = try await stream.next()
            #expect(refused.created && refused.canceled && refused.watchID == -1)
            #expect(refused.cancelReason == "mvcc: watcher range is empty")
            #expect(refused.header.revision == 1)
            try stream.send(create("a") { $0.watchID = 3 })
            #expect(try await stream.next().watchID == 3)
            try stream.send(create("a") { $0.watchID = 3 })
            #expect(
                try await stream.next().cancelReason
                    == "mvcc: duplicate watch ID provided on the WatchStream")
        }
    }

    @Test("A caller without the right gets the same answer with the reason as Go prints it; the stream lives on")
    func forbidden() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = open(door)
            let reasons: [(Rejection.Code, String)] = [
                (.permissionDenied, "rpc error: code = PermissionDenied desc = etcdserver: permission denied"),
                (.invalidAuthToken, "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"),
                (
                    .authRevisionOld,
                    "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old"
                ),
                (.userNameEmpty, "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"),
            ]
            for (code, reason) in reasons {
                door.registry.script { request in
                    if case .watchCreate = request { .failure(Rejection(code)) } else { nil }
                }
                try stream.send(create("k"))
                let refused = try await stream.next()
                #expect(refused.created && refused.canceled && refused.watchID == -1)
                #expect(refused.cancelReason == reason && refused.header.memberID == 0xA1)
            }
            door.registry.script(nil)
            try stream.send(create("k"))
            #expect(try await stream.next().watchID == 0)
        }
    }

    @Test("A watch from before the compaction is created, then canceled with the compact revision and revision 0")
    func compaction() async throws {
        try await LoopbackDoor.with { door async throws in
            for value in ["1", "2", "3"] { try await put(door, "k", value) }
            _ = try await door.call(
                "/etcdserverpb.KV/Compact", Etcdserverpb_CompactionRequest.with { $0.revision = 3 },
                as: Etcdserverpb_CompactionResponse.self)
            let stream = open(door)
            try stream.send(create("k") { $0.startRevision = 2 })
            #expect(try await stream.next().created)
            let answer = try await stream.next()
            #expect(answer.canceled && answer.compactRevision == 3 && answer.cancelReason.isEmpty)
            #expect(answer.hasHeader && answer.header.revision == 0)
        }
    }

    @Test("Progress on request covers the stream under id -1; without a watch there is no answer")
    func progress() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = open(door)
            try stream.send(.with { $0.progressRequest = .init() })
            try stream.send(create("k"))
            #expect(try await stream.next().created)
            try await put(door, "other")
            try stream.send(.with { $0.progressRequest = .init() })
            let answer = try await stream.next()
            #expect(answer.watchID == -1 && answer.header.revision == 2)
            #expect(answer.events.isEmpty && !answer.created && !answer.canceled)
        }
    }

    @Test("Half-closing does not end a watch; cancelling the call does, and the member hears of it")
    func halfClose() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = open(door)
            try stream.send(create("k"))
            #expect(try await stream.next().created)
            stream.halfClose()
            try await put(door, "k")
            #expect(try await stream.next().events.count == 1)
            stream.cancel()
            #expect(await stream.end()?.code == .cancelled)
            while !door.registry.submitted.contains(where: {
                if case .watchStreamClosed = $0.request { true } else { false }
            }) {
                await Task.yield()
            }
        }
    }

    @Test("With fragment set a response over the limit comes in marked pieces; without it in one")
    func fragments() async throws {
        var options = EtcdDoorOptions()
        options.requestBytesMax = 1000
        options.grpcOverheadBytes = 500
        try await LoopbackDoor.with(options: options) { door async throws in
            for index in 0..<10 { try await put(door, "k\(index)", String(repeating: "x", count: 300)) }
            let stream = open(door)
            for fragment in [true, false] {
                try stream.send(
                    create("k") {
                        $0.rangeEnd = Data("l".utf8)
                        $0.startRevision = 2
                        $0.fragment = fragment
                    })
                #expect(try await stream.next().created)
                var pieces = [try await stream.next()]
                while let last = pieces.last, last.fragment { pieces.append(try await stream.next()) }
                #expect(pieces.flatMap(\.events).map(\.kv.modRevision) == Array(2...11))
                #expect(pieces.map(\.events.count) == (fragment ? [4, 4, 2] : [10]))
                #expect(pieces.map(\.fragment).last == false)
            }
        }
    }

    @Test("Deliveries of one batch reach many streams in order, each event whole")
    func sharing() async throws {
        try await LoopbackDoor.with { door async throws in
            let streams = (0..<20).map { _ in open(door) }
            for (index, stream) in streams.enumerated() {
                try stream.send(create("k") { $0.prevKv = index % 2 == 0 })
                #expect(try await stream.next().created)
            }
            door.registry.hold()
            async let first: Void = put(door, "k", String(repeating: "a", count: 2000))
            while door.registry.submitted.filter({ $0.isWrite }).count < 1 { await Task.yield() }
            async let second: Void = put(door, "k", "b")
            while door.registry.submitted.filter({ $0.isWrite }).count < 2 { await Task.yield() }
            door.registry.release()
            _ = try await (first, second)
            for (index, stream) in streams.enumerated() {
                let one = try await stream.next()
                let two = try await stream.next()
                #expect(one.header.revision == 2 && one.events.map(\.kv.modRevision) == [2])
                #expect(two.events.map(\.kv.value) == [Data("b".utf8)])
                #expect(two.events[0].hasPrevKv == (index % 2 == 0))
            }
        }
    }

    @Test("A stream that requires a leader ends when there is none for the grace; others go on")
    func leaderLoss() async throws {
        var options = EtcdDoorOptions()
        options.leaderLossGrace = .milliseconds(30)
        try await LoopbackDoor.with(options: options) { door async throws in
            let strict = open(door, metadata: Metadata(["hasleader": "true"]))
            let relaxed = open(door)
            for stream in [strict, relaxed] {
                try stream.send(create("k"))
                #expect(try await stream.next().created)
            }
            let noLeader = GRPCStatus(.unavailable, "etcdserver: no leader")
            door.registry.announce(leaderKnown: false)
            #expect(await strict.end() == noLeader)
            #expect(await open(door, metadata: Metadata(["hasleader": "true"])).end() == noLeader)
            door.registry.announce(leaderKnown: true)
            try await put(door, "k")
            #expect(try await relaxed.next().events.count == 1)
            let again = open(door, metadata: Metadata(["hasleader": "true"]))
            try again.send(create("k"))
            #expect(try await again.next().created)
        }
    }

    @Test("A leader found again within the grace ends no stream")
    func shortElection() async throws {
        var options = EtcdDoorOptions()
        options.leaderLossGrace = .milliseconds(100)
        try await LoopbackDoor.with(options: options) { door async throws in
            let stream = open(door, metadata: Metadata(["hasleader": "true"]))
            try stream.send(create("k"))
            #expect(try await stream.next().created)
            door.registry.announce(leaderKnown: false)
            door.registry.announce(leaderKnown: true)
            try await Task.sleep(for: .milliseconds(200))
            try await put(door, "k")
            #expect(try await stream.next().events.count == 1)
        }
    }

    @Test("Trouble of the member ends the stream with its status")
    func memberTrouble() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.script { _ in .failure(Rejection(.notSupportedForLearner)) }
            let stream = open(door)
            try stream.send(create("k"))
            #expect(
                await stream.end()
                    == GRPCStatus(.failedPrecondition, "etcdserver: rpc not supported for learner"))
        }
    }

    @Test("Consumed events are reported in batches, and only what a client took while it reads slowly")
    func consumption() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = open(door)
            try stream.send(create("k"))
            #expect(try await stream.next().created)
            for _ in 0..<31 { try await put(door, "k") }
            for _ in 0..<31 { _ = try await stream.next() }
            #expect(door.registry.consumed.isEmpty)
            try await put(door, "k")
            _ = try await stream.next()
            #expect(door.registry.consumed == [32])

            // Far more than windows and buffers hold: nothing more is reported until the client reads on.
            stream.pauseReading()
            let large = String(repeating: "x", count: 500_000)
            for _ in 0..<20 { try await put(door, "k", large) }
            let before = door.registry.consumed.reduce(0, +)
            #expect(before < 52)
            stream.resumeReading()
            for _ in 0..<20 { _ = try await stream.next() }
            while door.registry.consumed.reduce(0, +) < 52 { await Task.yield() }
            #expect(door.registry.consumed.reduce(0, +) == 52)
        }
    }

    @Test("A client that asks without reading is not read from, and loses nothing")
    func greedyClient() async throws {
        var options = EtcdDoorOptions()
        options.streamRequestsInFlightMax = 4
        try await LoopbackDoor.with(options: options) { door async throws in
            door.registry.hold()
            let stream = open(door)
            for _ in 0..<20 { try stream.send(create("k")) }
            while door.registry.submitted.count < 4 { await Task.yield() }
            try await Task.sleep(for: .milliseconds(50))
            #expect(door.registry.submitted.count == 4)
            door.registry.release()
            for id in 0..<20 {
                let answer = try await stream.next()
                #expect(answer.created && answer.watchID == Int64(id))
            }
        }
    }
}

extension MemoryRegistry.Submitted {
    var isWrite: Bool {
        if case .write = request { return true }
        return false
    }
}

extension MemoryRegistry {
    /// The reports of consumed events so far.
    var consumed: [Int] {
        submitted.compactMap { submitted in
            if case .watchConsumed(_, let events) = submitted.request { return events }
            return nil
        }
    }
}
