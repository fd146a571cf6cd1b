import EtcdProto
import FoundationEssentials
import GRPC
import NIOCore
import RegistryClient
import SwiftProtobuf
import Synchronization
import Testing

private let putPath = "/etcdserverpb.KV/Put"
private let rangePath = "/etcdserverpb.KV/Range"
private let revokePath = "/etcdserverpb.Lease/LeaseRevoke"
private let watchPath = "/etcdserverpb.Watch/Watch"
private let healthPath = "/grpc.health.v1.Health/Check"

private func header(_ revision: Int64, cluster: UInt64 = 1) -> Etcdserverpb_ResponseHeader {
    var header = Etcdserverpb_ResponseHeader()
    header.clusterID = cluster
    header.memberID = 1
    header.revision = revision
    header.raftTerm = 2
    return header
}

private func range(_ revision: Int64) -> Etcdserverpb_RangeResponse {
    var response = Etcdserverpb_RangeResponse()
    response.header = header(revision)
    return response
}

private func events(_ revisions: [Int64]) -> Etcdserverpb_WatchResponse {
    var response = Etcdserverpb_WatchResponse()
    response.header = header(revisions.last ?? 0)
    response.events = revisions.map { revision in
        var event = Mvccpb_Event()
        event.kv.key = .init([1])
        event.kv.modRevision = revision
        return event
    }
    return response
}

private func created(_ revision: Int64) -> Etcdserverpb_WatchResponse {
    var response = Etcdserverpb_WatchResponse()
    response.header = header(revision)
    response.created = true
    return response
}

/// What the client does when members answer badly, or not at all; on members that follow a script.
@Suite(.timeLimit(.minutes(1)))
struct FailoverTests {
    private func client(
        _ servers: [ScriptedServer], extra: [Endpoint] = [], _ change: (inout Registry.Configuration) -> Void = { _ in }
    ) throws -> Registry {
        var configuration = try Registry.Configuration(endpoints: extra + servers.map(\.endpoint))
        configuration.shufflesEndpoints = false
        change(&configuration)
        return Registry(configuration)
    }

    @Test("A write refused for want of a leader is done by the next member, and only there")
    func noLeader() async throws {
        let first = try await ScriptedServer()
        let second = try await ScriptedServer()
        first.on(putPath) { call, _, _ in call.finish(GRPCStatus(.unavailable, "etcdserver: no leader")) }
        second.on(putPath) { call, _, _ in call.respond(Etcdserverpb_PutResponse()) }
        let registry = try client([first, second])
        try await registry.put([1], [2])
        #expect(first.count(putPath) == 1 && second.count(putPath) == 1)
        #expect(first.metadata(putPath).allSatisfy { $0["hasleader"] == "true" })
        // It stays with the good one.
        try await registry.put([1], [2])
        #expect(first.count(putPath) == 1 && second.count(putPath) == 2)
        await registry.close()
        await first.close()
        await second.close()
    }

    @Test("A write whose outcome is unknown is not repeated; the next call goes to the next member")
    func unknownWrite() async throws {
        let first = try await ScriptedServer()
        let second = try await ScriptedServer()
        first.on(putPath) { call, _, _ in call.finish(GRPCStatus(.unavailable, "etcdserver: request timed out")) }
        second.on(putPath) { call, _, _ in call.respond(Etcdserverpb_PutResponse()) }
        let registry = try client([first, second])
        let error = await #expect(throws: RegistryError.self) { try await registry.put([1], [2]) }
        #expect(error?.outcome == .unknown && error?.code == .unavailable)
        #expect(first.count(putPath) == 1 && second.count(putPath) == 0)
        try await registry.put([1], [2])
        #expect(second.count(putPath) == 1)
        await registry.close()
        await first.close()
        await second.close()
    }

    @Test("A read is repeated until somebody answers, and a member that is asked again is not asked at once")
    func reads() async throws {
        let server = try await ScriptedServer()
        server.on(rangePath) { call, _, number in
            if number < 6 {
                call.finish(GRPCStatus(.unavailable, "etcdserver: leader changed"))
            } else {
                call.respond(range(7))
            }
        }
        let registry = try client([server])
        let start = ContinuousClock.now
        #expect(try await registry.range(RangeRequest(.all)).header.revision == 7)
        #expect(server.count(rangePath) == 6)
        #expect(ContinuousClock.now - start > .milliseconds(40))
        await registry.close()
        await server.close()
    }

    @Test("A serializable read does not insist on a leader")
    func serializable() async throws {
        let server = try await ScriptedServer()
        server.on(rangePath) { call, _, _ in call.respond(range(7)) }
        let registry = try client([server])
        var request = RangeRequest(.all)
        request.serializable = true
        _ = try await registry.range(request)
        #expect(server.metadata(rangePath).first?["hasleader"] == nil)
        await registry.close()
        await server.close()
    }

    @Test("Revoking succeeds when an attempt without an answer turns out to have done it")
    func revoke() async throws {
        let server = try await ScriptedServer()
        server.on(revokePath) { call, _, number in
            let status =
                number == 1
                ? GRPCStatus(.unavailable, "etcdserver: request timed out")
                : GRPCStatus(.notFound, "etcdserver: requested lease not found")
            call.finish(status)
        }
        let registry = try client([server])
        try await registry.revokeLease(LeaseID(rawValue: 5))
        #expect(server.count(revokePath) == 2)
        let error = await #expect(throws: RegistryError.self) { try await registry.revokeLease(LeaseID(rawValue: 5)) }
        #expect(error?.code == .leaseNotFound)
        await registry.close()
        await server.close()
    }

    @Test("An endpoint that accepts connections and says nothing costs the dial time-out, then the next one is used")
    func mute() async throws {
        let listener = try MuteListener()
        let server = try await ScriptedServer()
        server.on(putPath) { call, _, _ in call.respond(Etcdserverpb_PutResponse()) }
        let registry = try client([server], extra: [listener.endpoint]) { $0.dialTimeout = .milliseconds(200) }
        let start = ContinuousClock.now
        try await registry.put([1], [2])
        let took = ContinuousClock.now - start
        #expect(took > .milliseconds(150) && took < .seconds(2))
        await registry.close()
        await server.close()
    }

    @Test("Silence is broken by a question; a member that leaves it open is left, with the streams it had")
    func silence() async throws {
        let first = try await ScriptedServer()
        let second = try await ScriptedServer()
        first.on(watchPath) { call, _, _ in call.send(created(9)) }
        // Answers the first two questions, then nothing at all.
        first.on(healthPath) { call, _, number in
            if number <= 2 { call.respond(Etcdserverpb_PutResponse()) }
        }
        second.on(rangePath) { call, _, _ in call.respond(range(9)) }
        second.on(watchPath) { call, _, _ in
            call.send(created(9))
            call.send(events([10]))
        }
        let registry = try client([first, second]) {
            $0.keepaliveInterval = .milliseconds(60)
            $0.keepaliveTimeout = .milliseconds(60)
        }
        var batches = registry.watch(WatchRequest(.all)).makeAsyncIterator()
        let batch = try await batches.next()
        #expect(batch?.events.map(\.kv.modRevision) == [10])
        #expect(first.count(healthPath) == 3)
        await registry.close()
        await first.close()
        await second.close()
    }

    @Test("A watch goes on where it was: nothing twice, nothing left out, from another member after a read")
    func watchResumes() async throws {
        let first = try await ScriptedServer()
        let second = try await ScriptedServer()
        first.on(watchPath) { call, message, _ in
            call.send(created(5))
            call.send(events([3, 4]))
            call.send(events([5]))
            call.finish(GRPCStatus(.unavailable, "etcdserver: no leader"))
        }
        let asked = Recorder<Int64>()
        second.on(rangePath) { call, _, _ in call.respond(range(6)) }
        second.on(watchPath) { call, message, _ in
            let request = try? Etcdserverpb_WatchRequest(serializedBytes: message)
            asked.record(request?.createRequest.startRevision ?? -1)
            call.send(created(6))
            // A careless server sends more than it was asked for.
            call.send(events([4, 5, 6]))
            call.send(events([7]))
        }
        let registry = try client([first, second])
        var batches = registry.watch(WatchRequest(.all, fromRevision: 3)).makeAsyncIterator()
        var seen: [Int64] = []
        while seen.last != 7, let batch = try await batches.next() { seen += batch.events.map(\.kv.modRevision) }
        #expect(seen == [3, 4, 5, 6, 7])
        #expect(asked.seen == [6])
        #expect(second.count(rangePath) == 1)
        await registry.close()
        await first.close()
        await second.close()
    }

    @Test("A watch does not go on in another history")
    func watchOtherHistory() async throws {
        let first = try await ScriptedServer()
        let second = try await ScriptedServer()
        first.on(watchPath) { call, _, _ in
            call.send(created(5))
            call.send(events([6]))
            call.finish(GRPCStatus(.unavailable, "etcdserver: server stopped"))
        }
        second.on(rangePath) { call, _, _ in call.respond(range(4)) }
        second.on(watchPath) { call, _, _ in call.send(created(4)) }
        let registry = try client([first, second])
        var batches = registry.watch(WatchRequest(.all)).makeAsyncIterator()
        #expect(try await batches.next()?.events.map(\.kv.modRevision) == [6])
        let error = await #expect(throws: RegistryError.self) { _ = try await batches.next() }
        #expect(error?.code == .historyLost)
        #expect(second.count(watchPath) == 0)
        await registry.close()
        await first.close()
        await second.close()
    }

    @Test("A member that shuts down in good order costs no call")
    func gracefulShutdown() async throws {
        let first = try await ScriptedServer()
        let second = try await ScriptedServer()
        for server in [first, second] {
            server.on(putPath) { call, _, _ in
                // Answers take a while, so that some are under way at any time.
                call.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(5)) {
                    call.respond(Etcdserverpb_PutResponse())
                }
            }
        }
        let registry = try client([first, second])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<30 { try await registry.put([1], [2]) }
                }
            }
            group.addTask {
                try await Task.sleep(for: .milliseconds(60))
                await first.close()
            }
            try await group.waitForAll()
        }
        #expect(first.count(putPath) > 0 && second.count(putPath) > 0)
        #expect(first.count(putPath) + second.count(putPath) == 240)
        await registry.close()
        await second.close()
    }

    @Test("An answer that is no message is an error, not a crash")
    func garbage() async throws {
        let server = try await ScriptedServer()
        server.on(rangePath) { call, _, _ in
            call.send([0xFF, 0xFF, 0xFF])
            call.finish()
        }
        server.on(putPath) { call, _, _ in call.finish() }
        let registry = try client([server])
        let damaged = await #expect(throws: RegistryError.self) { try await registry.range(RangeRequest(.all)) }
        #expect(damaged?.code == .malformedAnswer)
        let empty = await #expect(throws: RegistryError.self) { try await registry.put([1], [2]) }
        #expect(empty?.outcome == .unknown)
        await registry.close()
        await server.close()
    }
}
