import EtcdProto
import Foundation
import GRPC
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

/// What doors count by words that others choose.
@Suite struct CounterTests {
    @Test("Clients cannot fill the metrics with versions of their own making")
    func versions() {
        var versions = ClientVersions()
        versions.count("3.5", isUnary: true)
        versions.count("3.5", isUnary: false)
        versions.count(nil, isUnary: true)
        for wild in ["", "3.5\"} 1\n", "ä", String(repeating: "3", count: 33), "other"] {
            versions.count(wild, isUnary: true)
        }
        #expect(versions.entries.map(\.version) == ["3.5", "unknown", "other"])
        #expect(versions.entries.map(\.unary) == [1, 1, 5])
        #expect(versions.entries.map(\.streams) == [1, 0, 0])
        for number in 0..<100 { versions.count("4.\(number)", isUnary: true) }
        #expect(versions.entries.count == ClientVersions.versionsMax)
        #expect(versions.entries.reduce(0) { $0 + $1.unary } == 107)
        var sum = ClientVersions()
        sum.count("9.9", isUnary: true)
        sum.add(versions)
        sum.add(versions)
        #expect(sum.entries.count <= ClientVersions.versionsMax)
        #expect(sum.entries.reduce(0) { $0 + $1.unary } == 215)
    }

    @Test("Promotions that fail are counted by reason, whatever the rejection says of itself")
    func promotions() {
        var promotions = Promotions()
        promotions.count(.success(.membersChanged([])))
        promotions.count(.failure(Rejection(.memberNotLearner)))
        promotions.count(.failure(Rejection(.internalError, "one")))
        promotions.count(.failure(Rejection(.internalError, "two")))
        promotions.add(promotions)
        #expect(promotions.successes == 2)
        #expect(
            promotions.failures.map(\.reason) == [
                "etcdserver: can only promote a learner member", "etcdserver: internal error",
            ])
        #expect(promotions.failures.map(\.count) == [2, 4])
    }

    @Test("A client's version and a refused promotion are in the metrics")
    func doors() async throws {
        try await LoopbackDoor.with { door async throws in
            _ = try await door.call(
                "/etcdserverpb.KV/Range", Etcdserverpb_RangeRequest.with { $0.key = Data([1]) },
                metadata: Metadata(["client-api-version": "3.5"]), as: Etcdserverpb_RangeResponse.self)
            door.registry.script { _ in .failure(Rejection(.learnerNotReady, "lag 5000")) }
            _ = try await door.failure(
                "/etcdserverpb.Cluster/MemberPromote", Etcdserverpb_MemberPromoteRequest.with { $0.id = 6 })
            let text = try await door.http.request("GET", "/metrics").body
            #expect(text.contains(#"requests_total{type="unary",client_api_version="3.5"} 1"#), "\(text)")
            #expect(
                text.contains(
                    #"failures{Reason="etcdserver: can only promote a learner member which is in sync with leader"} 1"#),
                "\(text)")
        }
    }
}
