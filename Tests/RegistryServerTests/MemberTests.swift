import Foundation
import Logging
import RegistryModel
import Testing

@testable import RegistryServer

func scratch() throws -> String {
    var template = Array("/tmp/ganglion-test-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

func remove(_ path: String) {
    try? FileManager.default.removeItem(atPath: path)
}

var quiet: Logger {
    var logger = Logger(label: "member-test")
    logger.logLevel = .critical
    return logger
}

private func single(_ directory: String, token: String = "t") -> MemberConfiguration {
    var configuration = MemberConfiguration(dataDirectory: directory)
    configuration.name = "one"
    configuration.initialCluster = [("one", "http://127.0.0.1:1")]
    configuration.listenPeerURLs = []
    configuration.listenClientURLs = []
    configuration.initialClusterToken = token
    configuration.clientLoops = 1
    return configuration
}

@Suite("A member in this process", .timeLimit(.minutes(2)), .serialized)
struct MemberTests {
    @Test("What was acknowledged is there after a restart; reads, leases and watches work without a network")
    func restart() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        var member = try await RegistryMember.start(single(directory), logger: quiet)
        let revision = try await member.client.put(Array("k".utf8), Array("v".utf8))
        #expect(try await member.client.compareAndPut(Array("n".utf8), [1], expected: 0))
        #expect(try await !member.client.compareAndPut(Array("n".utf8), [2], expected: 0))
        let lease = try await member.client.grantLease(ttlSeconds: 60)
        try await member.client.put(Array("leased".utf8), [], lease: lease.id)
        #expect(try await member.client.renewLease(lease.id) == 60)
        await member.stop()

        member = try await RegistryMember.start(single(directory), logger: quiet)
        #expect(try await member.client.get(Array("k".utf8))?.modRevision == revision)
        let events = try await member.client.watch(Array("k".utf8), fromRevision: revision)
        try await member.client.delete(Array("k".utf8))
        var seen: [Bool] = []
        for try await batch in events {
            seen += batch.map(\.isDelete)
            if seen.count == 2 { break }
        }
        #expect(seen == [false, true])
        try await member.client.revokeLease(lease.id)
        #expect(try await member.client.get(Array("leased".utf8)) == nil)
        await member.stop()
        await #expect(throws: LocalError.self) { try await member.client.put([1], [1]) }
    }

    @Test("A member that has just started knows how large its state is")
    func sizesAtStart() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        for _ in 0..<2 {
            let member = try await RegistryMember.start(single(directory), logger: quiet)
            guard case .status(let status) = try await member.client.line.call(.status).body else {
                Issue.record("no status")
                return
            }
            #expect(status.databaseBytes > 1 && status.databaseBytesInUse > 1)
            await member.stop()
        }
    }

    @Test("A directory with data counts, whatever the flags say about the cluster")
    func directoryWins() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        let member = try await RegistryMember.start(single(directory), logger: quiet)
        try await member.client.put([1], [1])
        await member.stop()
        var other = single(directory, token: "other")
        other.initialCluster = [("two", "http://127.0.0.1:2"), ("three", "http://127.0.0.1:3")]
        other.initialClusterState = .existing
        other.listenPeerURLs = ["http://127.0.0.1:0"]
        let again = try await RegistryMember.start(other, logger: quiet)
        #expect(again.memberID == member.memberID)
        #expect(again.clusterID == member.clusterID)
        #expect(try await again.client.get([1]) != nil)
        await again.stop()
    }

    @Test("A directory in use, an unusable path and an empty key are refused with a reason")
    func refusals() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        let member = try await RegistryMember.start(single(directory), logger: quiet)
        do {
            _ = try await RegistryMember.start(single(directory), logger: quiet)
            Issue.record("started twice")
        } catch {
            #expect("\(error)".contains(directory))
        }
        await #expect(throws: LocalError.self) { try await member.client.put([], [1]) }
        await member.stop()
        do {
            _ = try await RegistryMember.start(single("/dev/null/sub"), logger: quiet)
            Issue.record("started under a file")
        } catch {
            #expect("\(error)".contains("/dev/null"))
        }
    }

    @Test("Members are added as learners, moved and removed from within the process; nonsense is refused")
    func memberChanges() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        let member = try await RegistryMember.start(single(directory), logger: quiet)
        let founders = try await member.client.memberList()
        #expect(founders.map(\.peerURLs) == [["http://127.0.0.1:1"]] && founders.map(\.isLearner) == [false])
        // Nobody is there: as a learner it costs the only voter nothing.
        let added = try await member.client.memberAdd(peerURLs: ["http://127.0.0.1:3", "http://127.0.0.1:2"])
        #expect(added.member.isLearner && added.member.id != 0 && added.member.name.isEmpty)
        #expect(added.member.peerURLs == ["http://127.0.0.1:2", "http://127.0.0.1:3"])
        #expect(Set(added.members.map(\.id)) == [founders[0].id, added.member.id])
        try await member.client.put([1], [1])
        func code(_ body: () async throws -> Void) async throws -> String {
            do {
                try await body()
                return ""
            } catch let error as LocalError {
                #expect(error.isDefinite)
                return error.description
            }
        }
        let client = member.client
        #expect(try await code { try await client.memberPromote(added.member.id) } == "learnerNotReady")
        #expect(try await code { try await client.memberPromote(founders[0].id) } == "memberNotLearner")
        #expect(try await code { _ = try await client.memberAdd(peerURLs: ["http://127.0.0.1:2"]) } == "peerURLExists")
        #expect(try await code { _ = try await client.memberAdd(peerURLs: ["nowhere"]) }.hasPrefix("memberURLsInvalid"))
        let moved = try await member.client.memberUpdate(added.member.id, peerURLs: ["http://127.0.0.1:4"])
        #expect(moved.first { $0.id == added.member.id }?.peerURLs == ["http://127.0.0.1:4"])
        #expect(try await member.client.memberRemove(added.member.id).map(\.id) == [founders[0].id])
        #expect(try await code { try await client.memberRemove(added.member.id) } == "memberNotFound")
        await member.stop()

        let again = try await RegistryMember.start(single(directory), logger: quiet)
        #expect(try await again.client.memberList().map(\.id) == [founders[0].id], "also after a restart")
        await again.stop()
    }

    @Test("Three members in one process elect, replicate and survive the stop of the leader")
    func three() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        var template = MemberConfiguration(dataDirectory: directory)
        template.initialClusterToken = "three"
        let port = Int.random(in: 20_000...30_000)
        let cluster = try await DevCluster.start(
            directory: directory, clientPort: port, peerPort: port + 1, template: template, logger: quiet,
            onFailure: { Issue.record("member failed: \($0)") })
        for (number, member) in cluster.members.enumerated() {
            try await member.client.put(Array("k\(number)".utf8), Array("\(number)".utf8))
        }
        let leader = try #require(cluster.members.first { $0.isLeader })
        await leader.stop()
        let survivor = try #require(cluster.members.first { $0.memberID != leader.memberID })
        let keys = try await survivor.client.range(Array("k".utf8), rangeEnd: Array("l".utf8))
        #expect(keys.count == 3)
        try await survivor.client.put(Array("after".utf8), [1])
        await cluster.stop()
    }
}
