import EtcdProto
import Foundation
import Primitives
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI
@testable import GRPC

/// `ganglion.v1.Registry` over a real connection.
@Suite(.timeLimit(.minutes(1))) struct OwnDoorTests {
    private static let service = "/ganglion.v1.Registry/"

    private func put(_ door: LoopbackDoor, _ key: String, _ value: String) async throws {
        _ = try await door.call(
            "/etcdserverpb.KV/Put",
            Etcdserverpb_PutRequest.with {
                $0.key = Data(key.utf8)
                $0.value = Data(value.utf8)
            }, as: Etcdserverpb_PutResponse.self)
    }

    @Test("History tells what was put and deleted, when, by whom and why, page by page")
    func history() async throws {
        try await LoopbackDoor.with { door async throws in
            try await put(door, "k", "1")
            try await put(door, "other", "x")
            _ = try await door.call(
                "/etcdserverpb.KV/DeleteRange", Etcdserverpb_DeleteRangeRequest.with { $0.key = Data("k".utf8) },
                as: Etcdserverpb_DeleteRangeResponse.self)
            let path = Self.service + "History"
            let whole = try await door.call(
                path, Ganglion_V1_HistoryRequest.with { $0.key = Data("k".utf8) }, as: Ganglion_V1_HistoryResponse.self)
            #expect(whole.entries.map(\.kind) == [.put, .delete] && whole.entries.map(\.revision) == [2, 4])
            #expect(whole.header.revision == 4 && whole.compactRevision == 0 && !whole.more)
            let first = whole.entries[0]
            #expect(first.value == Data("1".utf8) && first.version == 1 && first.commitTimeMs == 2_000)
            #expect(first.user == "ops" && first.peer == "10.0.0.7:4711" && first.memberID == 0xA1)
            #expect(first.reason == .client)
            let page = try await door.call(
                path,
                Ganglion_V1_HistoryRequest.with {
                    $0.key = Data("k".utf8)
                    $0.limit = 1
                }, as: Ganglion_V1_HistoryResponse.self)
            #expect(page.entries.count == 1 && page.more)
            #expect(
                try await door.failure(path, Ganglion_V1_HistoryRequest())
                    == GRPCStatus(.invalidArgument, "etcdserver: key is not provided"))
        }
    }

    @Test("Settings are checked at the door and leave earlier ones alone when told so; status shows them")
    func settings() async throws {
        try await LoopbackDoor.with { door async throws in
            func set(_ settings: String, onlyIfAbsent: Bool) -> Ganglion_V1_BrakeSetRequest {
                .with {
                    $0.prefix = Data("/s/".utf8)
                    $0.settings = settings
                    $0.onlyIfAbsent = onlyIfAbsent
                }
            }
            let path = Self.service + "BrakeSet"
            let refused = try await door.failure(path, set("share=200", onlyIfAbsent: false))
            #expect(refused?.code == .invalidArgument && refused?.message.contains("share") == true)
            for (settings, onlyIfAbsent, expected) in [
                ("", true, "on"), ("share=20", true, "on"), ("share=20", false, "share=20"),
            ] {
                _ = try await door.call(
                    path, set(settings, onlyIfAbsent: onlyIfAbsent), as: Ganglion_V1_BrakeSetResponse.self)
                let status = try await door.call(
                    Self.service + "BrakeStatus", Ganglion_V1_BrakeStatusRequest(),
                    as: Ganglion_V1_BrakeStatusResponse.self)
                #expect(status.brakes.map(\.settings) == [expected])
                #expect(status.brakes[0].prefix == Data("/s/".utf8) && !status.brakes[0].hasHeld)
            }
        }
    }

    @Test("What is held is shown beside its settings, and what is wrong with them")
    func status() async throws {
        try await LoopbackDoor.with { door async throws in
            let report = BrakeReport(
                phase: .holding, held: 6, silent: 7, leases: 8, origins: 5, since: 1, until: 2, term: 3)
            try await put(door, "ganglion/brake/settings//b/", "sh=1")
            try await put(door, "ganglion/brake/state//a/", report.text)
            try await put(door, "ganglion/brake/release//c/", "why")
            let status = try await door.call(
                Self.service + "BrakeStatus", Ganglion_V1_BrakeStatusRequest(),
                as: Ganglion_V1_BrakeStatusResponse.self)
            #expect(status.brakes.map { String(decoding: $0.prefix, as: UTF8.self) } == ["/a/", "/b/"])
            #expect(status.brakes[0].held.leasesHeld == 6 && status.brakes[0].held.origins == 5)
            #expect(status.brakes[1].complaint.contains("sh"))
        }
    }

    @Test("Only root releases, and that is a put with the reason in it")
    func release() async throws {
        try await LoopbackDoor.with { door async throws in
            let path = Self.service + "BrakeRelease"
            let request = Ganglion_V1_BrakeReleaseRequest.with {
                $0.prefix = Data("/s/".utf8)
                $0.reason = "rack 7"
            }
            let answer = try await door.call(path, request, as: Ganglion_V1_BrakeReleaseResponse.self)
            #expect(answer.header.revision == 2)
            let found = try await door.call(
                "/etcdserverpb.KV/Range",
                Etcdserverpb_RangeRequest.with { $0.key = Data("ganglion/brake/release//s/".utf8) },
                as: Etcdserverpb_RangeResponse.self)
            #expect(found.kvs.map(\.value) == [Data("rack 7".utf8)])
            door.registry.script { request in
                guard case .authorize(.root) = request else { return .failure(Rejection(.stopped)) }
                return .failure(Rejection(.permissionDenied))
            }
            #expect(
                try await door.failure(path, request)
                    == GRPCStatus(.permissionDenied, "etcdserver: permission denied"))
        }
    }
}
