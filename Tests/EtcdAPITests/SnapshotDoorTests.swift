import EtcdProto
import GRPC
import RegistryModel
import SwiftProtobuf
import Synchronization
import Testing

@testable import EtcdAPI

/// Backups over a real connection.
@Suite struct SnapshotDoorTests {
    private typealias Stream = TestStream<Etcdserverpb_SnapshotRequest, Etcdserverpb_SnapshotResponse>

    private func open(_ door: LoopbackDoor, metadata: Metadata = Metadata()) -> Stream {
        door.stream(
            "/etcdserverpb.Maintenance/Snapshot", metadata: metadata, Etcdserverpb_SnapshotRequest.self,
            Etcdserverpb_SnapshotResponse.self)
    }

    @Test("All bytes come in order, each part says how many follow, and no part has a header")
    func parts() async throws {
        try await LoopbackDoor.with { door async throws in
            let bytes = (0..<95).map { UInt8($0) }
            door.registry.backups.state.withLock { $0.bytes = bytes }
            let stream = open(door)
            try stream.send(Etcdserverpb_SnapshotRequest())
            stream.halfClose()
            var got: [UInt8] = []
            while got.count < bytes.count {
                let part = try await stream.next()
                got += part.blob
                #expect(part.remainingBytes == UInt64(bytes.count - got.count))
                #expect(!part.hasHeader && part.version == "3.6.0")
            }
            #expect(got == bytes)
            #expect(await stream.end() == .ok)
            #expect(door.registry.backups.state.withLock { $0.wants } == 10)
        }
    }

    @Test("A client that stops reading is not sent ahead of, and one that goes on gets the rest")
    func slowClient() async throws {
        try await LoopbackDoor.with { door async throws in
            let bytes = [UInt8](repeating: 7, count: 16 * 1024 * 1024)
            door.registry.backups.state.withLock {
                $0.bytes = bytes
                $0.chunkBytes = 64 * 1024
            }
            let stream = open(door)
            stream.pauseReading()
            try stream.send(Etcdserverpb_SnapshotRequest())
            // Nothing more is asked for once the windows and buffers are full.
            var wants = 0
            repeat {
                wants = door.registry.backups.state.withLock { $0.wants }
                try await Task.sleep(for: .milliseconds(50))
            } while wants == 0 || wants != door.registry.backups.state.withLock { $0.wants }
            #expect(wants < 256 / 2, "\(wants) of 256 parts were asked for")
            var got = 0
            stream.resumeReading()
            while got < bytes.count { got += try await stream.next().blob.count }
            #expect(await stream.end() == .ok)
        }
    }

    @Test("A failure on the way ends the stream with its words; what was sent does not end well")
    func failure() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.backups.state.withLock {
                $0.bytes = [UInt8](repeating: 1, count: 100)
                $0.failsAfter = 3
            }
            let stream = open(door)
            try stream.send(Etcdserverpb_SnapshotRequest())
            for _ in 0..<3 { #expect(try await stream.next().blob.count == 10) }
            let end = await stream.end()
            #expect(end?.code == .unknown && end?.message == "etcdserver: the disk is gone")
        }
    }

    @Test("A client that goes away gives its backup up")
    func cancelling() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.backups.state.withLock {
                $0.bytes = [UInt8](repeating: 7, count: 64 * 1024 * 1024)
                $0.chunkBytes = 64 * 1024
            }
            let stream = open(door)
            try stream.send(Etcdserverpb_SnapshotRequest())
            _ = try await stream.next()
            stream.pauseReading()
            stream.cancel()
            while door.registry.backups.state.withLock({ $0.cancels }) == 0 { await Task.yield() }
            #expect(door.registry.backups.state.withLock { $0.wants } < 1_024)
        }
    }

    @Test("A call without a request, and one that requires a leader where there is none, are refused")
    func refusals() async throws {
        try await LoopbackDoor.with { door async throws in
            let silent = open(door)
            silent.halfClose()
            #expect(await silent.end()?.code == .internal)
            door.registry.announce(leaderKnown: false)
            var metadata = Metadata()
            metadata.add("hasleader", "true")
            var refused: GRPCStatus?
            // The news reaches the doors in a later turn of their loops.
            while refused?.code != .unavailable {
                let stream = open(door, metadata: metadata)
                stream.halfClose()
                refused = await stream.end()
            }
            #expect(refused?.message == "etcdserver: no leader")
            #expect(door.registry.backups.state.withLock { $0.wants } == 0)
        }
    }
}
