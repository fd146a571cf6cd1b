import EtcdProto
import Foundation
import GRPC
import NIOCore
import Primitives
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

/// The HTTP side of the client port.
@Suite struct HTTPDoorTests {
    private static let header = #""header":{"cluster_id":"193","member_id":"161","revision":"REV","raft_term":"7"}"#

    private static func header(_ revision: Int) -> String {
        header.replacingOccurrences(of: "REV", with: "\(revision)")
    }

    @Test("The gateway speaks JSON with etcd's names: 64-bit numbers as strings, bytes as base64, zeros left out")
    func keys() async throws {
        try await LoopbackDoor.with { door async throws in
            let put = try await door.http.request("POST", "/v3/kv/put", body: #"{"key":"Zm9v","value":"YmFy"}"#)
            #expect(put.status == 200 && put.body == "{\(Self.header(2))}")
            #expect(put.headers["content-type"] == "application/json")
            let range = try await door.http.request("POST", "/v3/kv/range", body: #"{"key":"Zm9v","range_end":"Zm9w"}"#)
            #expect(
                range.body == "{\(Self.header(2)),"
                    + #""kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"}],"#
                    + #""count":"1"}"#)
            let txn = try await door.http.request(
                "POST", "/v3/kv/txn",
                body: #"{"compare":[{"target":"CREATE","key":"Zm9v","createRevision":"2"}],"#
                    + #""success":[{"requestPut":{"key":"Zm9v","value":"YmFy"}}]}"#)
            #expect(
                txn.body == "{\(Self.header(3)),"
                    + #""succeeded":true,"responses":[{"response_put":{"header":{"revision":"3"}}}]}"#)
            let empty = try await door.http.request("POST", "/v3/kv/range", body: #"{"key":"YQ=="}"#)
            #expect(empty.body == "{\(Self.header(3))}")
            let deleted = try await door.http.request("POST", "/v3/kv/deleterange", body: #"{"key":"Zm9v"}"#)
            #expect(deleted.body == "{\(Self.header(4)),\"deleted\":\"1\"}")
            let compaction = try await door.http.request("POST", "/v3/kv/compaction", body: #"{"revision":3}"#)
            #expect(compaction.body == "{\(Self.header(4))}")
        }
    }

    @Test("Leases, members and status have their paths, the older ones too")
    func otherMethods() async throws {
        try await LoopbackDoor.with { door async throws in
            let grant = try await door.http.request("POST", "/v3/lease/grant", body: #"{"TTL":5,"ID":"12"}"#)
            #expect(grant.body == "{\(Self.header(1)),\"ID\":\"12\",\"TTL\":\"5\"}")
            for path in ["/v3/lease/timetolive", "/v3/kv/lease/timetolive"] {
                let shown = try await door.http.request("POST", path, body: #"{"ID":12}"#)
                #expect(shown.body == "{\(Self.header(1)),\"ID\":\"12\",\"TTL\":\"4\",\"grantedTTL\":\"5\"}")
            }
            for path in ["/v3/lease/leases", "/v3beta/kv/lease/leases", "/v3alpha/lease/leases"] {
                let listed = try await door.http.request("POST", path)
                #expect(listed.body == "{\(Self.header(1)),\"leases\":[{\"ID\":\"12\"}]}")
            }
            let revoked = try await door.http.request("POST", "/v3/kv/lease/revoke", body: #"{"ID":"12"}"#)
            #expect(revoked.status == 200)
            let again = try await door.http.request("POST", "/v3/lease/revoke", body: #"{"ID":"12"}"#)
            #expect(again.status == 404)
            let members = try await door.http.request("POST", "/v3/cluster/member/list")
            #expect(
                members.body == #"{"header":{"cluster_id":"193","member_id":"161","raft_term":"7"},"#
                    + #""members":[{"ID":"161","name":"memory","peerURLs":["http://127.0.0.1:2380"],"#
                    + #""clientURLs":["http://127.0.0.1:2379"]}]}"#)
            let status = try await door.http.request("POST", "/v3/maintenance/status", body: "null")
            for part in [
                #""version":"3.6.9""#, #""dbSize":"4096""#, #""leader":"161""#, #""raftAppliedIndex":"12""#,
                #""dbSizeInUse":"1024""#, #""storageVersion":"3.6.0""#, #""dbSizeQuota":"2147483648""#,
                #""downgradeInfo":{}"#,
            ] { #expect(status.body.contains(part), "\(part) in \(status.body)") }
        }
    }

    @Test("Input is taken in every form grpc-gateway takes")
    func input() async throws {
        try await LoopbackDoor.with { door async throws in
            func key(_ body: String) async throws -> RangeRequest? {
                let answer = try await door.http.request("POST", "/v3/kv/range", body: body)
                guard answer.status == 200, case .range(let request)? = door.registry.submitted.last?.request
                else { return nil }
                return request
            }
            #expect(try await key(#"{"key":"Zm9v","range_end":"AA=="}"#)?.range.end == .unbounded)
            #expect(try await key(#"{"key":"Zm9v","rangeEnd":"AA=="}"#)?.range.end == .unbounded)
            #expect(try await key(#"{"key":"_-8"}"#)?.range.start.bytes == [0xFF, 0xEF])
            #expect(try await key(#"{"key":"/+8="}"#)?.range.start.bytes == [0xFF, 0xEF])
            #expect(try await key(#"{"key":"YQ","limit":3}"#)?.limit == 3)
            #expect(try await key(#"{"key":"YQ","limit":"3","Limit":9,"nonsense":{"a":[1,{}]}}"#)?.limit == 3)
            #expect(try await key(#"{"key":"YQ","sort_order":"DESCEND","sortTarget":"MOD"}"#)?.sortOrder == .descending)
            #expect(try await key(#"{"key":"YQ","sort_order":2}"#)?.sortOrder == .descending)
            #expect(try await key(#" {"key":"YQ"} trailing garbage"#)?.range.start == Key("a"))
            #expect(try await key(#"{"key":"YQ","limit":null}"#)?.limit == 0)
        }
    }

    @Test("What is not JSON of the right shape is refused with code 3 and 400")
    func badInput() async throws {
        try await LoopbackDoor.with { door async throws in
            for body in [
                "{", "[]", "7", #"{"key":5}"#, #"{"key":"!!"}"#, #"{"key":"YQ","limit":"x"}"#, #"{"key":"YQ""#,
                #"{"key":"YQ","sort_order":"SIDEWAYS"}"#, #"{"key":"YQ","sort_order":"SIDEWAYS","other":1}"#,
            ] {
                let answer = try await door.http.request("POST", "/v3/kv/range", body: body)
                #expect(answer.status == 400 && answer.body.hasSuffix(#","code":3}"#), "\(body): \(answer)")
            }
            for body in ["", "null", "{}", "  "] {
                let answer = try await door.http.request("POST", "/v3/kv/range", body: body)
                let text = "etcdserver: key is not provided"
                #expect(answer.status == 400)
                #expect(answer.body == "{\"error\":\"\(text)\",\"message\":\"\(text)\",\"code\":3}")
            }
            #expect(door.registry.submitted.isEmpty)
        }
    }

    @Test("Refusals have the HTTP status of their code")
    func refusals() async throws {
        try await LoopbackDoor.with { door async throws in
            let expected: [(Rejection.Code, Int)] = [
                (.keyNotFound, 400), (.leaseExists, 400), (.compacted, 400), (.leaseNotFound, 404), (.noSpace, 429),
                (.internalError, 500), (.corrupt, 500), (.noLeader, 503), (.cancelled, 499),
            ]
            for (code, status) in expected {
                door.registry.script { _ in .failure(Rejection(code)) }
                let answer = try await door.http.request("POST", "/v3/kv/range", body: #"{"key":"YQ"}"#)
                #expect(answer.status == status, "\(code)")
                #expect(answer.body.contains(ErrorTable.status(Rejection(code)).message))
            }
        }
    }

    @Test("Wrong paths, wrong verbs and methods not served are told apart")
    func paths() async throws {
        try await LoopbackDoor.with { door async throws in
            let expected: [(String, String, Int)] = [
                ("POST", "/v3/kv/nothing", 404), ("POST", "/v3/kv/range/", 404), ("GET", "/v3/kv/range", 501),
                ("GET", "/v3/watch", 501), ("GET", "/v3/watch/", 404), ("GET", "/", 404),
                ("POST", "/v2/keys", 404), ("POST", "/health", 405), ("HEAD", "/version", 405),
                ("PUT", "/livez", 405), ("POST", "/readyz/non_learner", 405), ("GET", "/livez/non_learner", 404),
                ("GET", "/readyz/", 404), ("GET", "/readyz/data_corruption/x", 404), ("OPTIONS", "/v3/kv/range", 200),
                ("OPTIONS", "/anything", 200),
            ]
            for (method, path, status) in expected {
                let answer = try await door.http.request(method, path)
                #expect(answer.status == status, "\(method) \(path): \(answer)")
                #expect(answer.headers["access-control-allow-origin"] == "*")
                #expect(answer.headers["access-control-allow-methods"] == "POST, GET, OPTIONS, PUT, DELETE")
            }
            let missing = try await door.http.request("POST", "/v3/nothing")
            #expect(missing.body == #"{"error":"Not Found","message":"Not Found","code":5}"#)
            #expect(try await door.http.request("GET", "/").body == "404 page not found\n")
            #expect(try await door.http.request("DELETE", "/version").headers["allow"] == "GET")
        }
    }

    @Test("Health reads through the leader; alarms and a missing leader come first")
    func health() async throws {
        try await LoopbackDoor.with { door async throws in
            let healthy = try await door.http.request("GET", "/health")
            #expect(healthy.status == 200 && healthy.body == #"{"health":"true","reason":""}"#)
            #expect(healthy.headers["content-type"] == "text/plain; charset=utf-8")

            let full = Alarm(member: MemberID(161), kind: .noSpace)
            func reason(_ target: String, _ change: @escaping @Sendable (inout MemberStatus) -> Void) async throws
                -> String
            {
                door.registry.script { request in
                    guard case .status = request else { return nil }
                    var status = MemoryStore.status
                    change(&status)
                    return .success(.status(status))
                }
                let answer = try await door.http.request("GET", target)
                #expect(answer.status == (answer.body.contains("true") ? 200 : 503))
                return answer.body
            }
            #expect(
                try await reason("/health") { $0.alarms = [full] }
                    == "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n")
            #expect(
                try await reason("/health?exclude=NOSPACE") { $0.alarms = [full] }.contains("true"))
            #expect(
                try await reason("/health?exclude=NOSPACE") {
                    $0.alarms = [full, Alarm(member: MemberID(0), kind: .corrupt)]
                }.contains("ALARM CORRUPT"))
            #expect(
                try await reason("/health?exclude=NOSPACE&exclude=CORRUPT") {
                    $0.alarms = [full, Alarm(member: MemberID(0), kind: .corrupt)]
                }.contains("true"))
            #expect(
                try await reason("/health") { $0.divergedAt = LogIndex(42) }
                    == "{\"health\":\"false\",\"reason\":\"STATE DIVERGED AT INDEX 42\"}\n")
            #expect(try await reason("/health") { $0.leader = nil }.contains("RAFT NO LEADER"))
            #expect(try await reason("/health?serializable=true") { $0.leader = nil }.contains("true"))
            door.registry.script { request in
                if case .readBarrier = request { return .failure(Rejection(.timedOut)) }
                return nil
            }
            let slow = try await door.http.request("GET", "/health")
            #expect(slow.body == "{\"health\":\"false\",\"reason\":\"RANGE ERROR:etcdserver: request timed out\"}\n")
            #expect(try await door.http.request("GET", "/health?serializable=true").status == 200)
        }
    }

    @Test("Version is what clients parse")
    func version() async throws {
        try await LoopbackDoor.with { door async throws in
            let answer = try await door.http.request("GET", "/version")
            #expect(answer.body == #"{"etcdserver":"3.6.9","etcdcluster":"3.6.0","storage":"3.6.0"}"#)
            #expect(answer.headers["content-type"] == "application/json")
        }
    }

    @Test("A gateway call may require a leader")
    func metadata() async throws {
        try await LoopbackDoor.with { door async throws in
            _ = try await door.http.request(
                "POST", "/v3/kv/range", headers: ["Grpc-Metadata-hasleader": "true"], body: #"{"key":"YQ"}"#)
            #expect(door.registry.submitted.last?.context.requiresLeader == true)
            #expect(door.registry.submitted.last?.context.peer.hasPrefix("127.0.0.1:") == true)
        }
    }

    // MARK: Metrics

    private final class Source: MetricsSource {
        func renderMetrics(on eventLoop: any EventLoop) -> EventLoopFuture<String> {
            eventLoop.makeSucceededFuture("# HELP member_x X.\n# TYPE member_x gauge\nmember_x 5\n")
        }
    }

    private final class FailingSource: MetricsSource {
        func renderMetrics(on eventLoop: any EventLoop) -> EventLoopFuture<String> {
            eventLoop.makeFailedFuture(ChannelError.eof)
        }
    }

    @Test("Metrics that cannot be had are answered all the same")
    func noMetrics() async throws {
        try await LoopbackDoor.with(metricsSource: FailingSource()) { door async throws in
            let answer = try await door.http.request("GET", "/metrics")
            #expect(answer.status == 503)
            #expect(answer.body.hasPrefix("no metrics now: "))
        }
    }

    @Test("Metrics count calls over all doors by method and code, every method from the start")
    func metrics() async throws {
        try await LoopbackDoor.with(metricsSource: Source()) { door async throws in
            for _ in 0..<3 {
                _ = try await door.failure(
                    "/etcdserverpb.KV/Put", Etcdserverpb_PutRequest.with { $0.key = Data([1]) })
            }
            _ = try await door.failure("/etcdserverpb.KV/Put", Etcdserverpb_PutRequest())
            _ = try await door.failure("/etcdserverpb.KV/RangeStream", Etcdserverpb_RangeRequest())
            let text = try await door.http.request("GET", "/metrics").body
            let put = #"grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary""#
            for line in [
                "grpc_server_started_total{\(put)} 4", "grpc_server_msg_received_total{\(put)} 4",
                "grpc_server_msg_sent_total{\(put)} 3", "grpc_server_handled_total{grpc_code=\"OK\",\(put)} 3",
                "grpc_server_handled_total{grpc_code=\"InvalidArgument\",\(put)} 1",
                "grpc_server_handled_total{grpc_code=\"Unavailable\",\(put)} 0",
                #"grpc_server_handled_total{grpc_code="Unimplemented",grpc_method="RangeStream","#
                    + #"grpc_service="etcdserverpb.KV",grpc_type="server_stream"} 1"#,
                #"grpc_server_started_total{grpc_method="Observe",grpc_service="v3electionpb.Election","#
                    + #"grpc_type="server_stream"} 0"#,
                "etcd_network_client_grpc_received_bytes_total 9", #"etcd_server_version{server_version="3.6.9"} 1"#,
                #"etcd_cluster_version{cluster_version="3.6"} 1"#, #"etcd_server_id{server_id="a1"} 1"#,
                "etcd_server_quota_backend_bytes 2147483648", "etcd_debugging_mvcc_watch_stream_total 0",
                "member_x 5", #"etcd_server_client_requests_total{type="unary",client_api_version="unknown"} 4"#,
                "etcd_debugging_mvcc_events_total 0", "etcd_server_learner_promote_successes 0",
            ] { #expect(text.contains("\n" + line + "\n"), "\(line)") }
            let families = text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }
            #expect(Set(families).count == families.count)
        }
    }

    @Test("Durations of calls are shown when asked for, the checks of probes once there was one, the process always")
    func moreMetrics() async throws {
        var options = EtcdDoorOptions()
        options.hasExtensiveMetrics = true
        try await LoopbackDoor.with(options: options) { door async throws in
            #expect(try await door.http.request("GET", "/metrics").body.contains("healthcheck") == false)
            _ = try await door.http.request("GET", "/livez")
            _ = try await door.http.request("POST", "/v3/kv/range", body: #"{"key":"YQ=="}"#)
            let text = try await door.http.request("GET", "/metrics").body
            let range = #"grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary""#
            for line in [
                "grpc_server_handling_seconds_bucket{\(range),le=\"+Inf\"} 1",
                "grpc_server_handling_seconds_count{\(range)} 1",
                #"etcd_server_healthcheck{type="livez",name="serializable_read"} 1"#,
                #"etcd_server_healthchecks_total{type="livez",name="serializable_read",status="success"} 1"#,
            ] { #expect(text.contains("\n" + line + "\n"), "\(line)") }
            #expect(text.contains("grpc_server_handling_seconds_bucket{\(range),le=\"0.005\"} "))
            func value(_ name: String) -> Double? {
                text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
                    .flatMap { Double($0.dropFirst(name.count + 1)) }
            }
            #expect(try #require(value("process_resident_memory_bytes")) > 1_000_000)
            #expect(try #require(value("process_virtual_memory_bytes")) > 1_000_000)
            #expect(try #require(value("process_cpu_seconds_total")) > 0)
            #expect(abs(try #require(value("process_start_time_seconds")) - Date().timeIntervalSince1970) < 3_600)
            #expect(try #require(value("os_fd_used")) > 3)
            #expect(value("os_fd_limit") != nil && value("os_fd_limit") == value("process_max_fds"))
        }
    }

    @Test("Other services come through the gateway by the table alone")
    func services() async throws {
        try await LoopbackDoor.with { door async throws in
            let lock = try await door.http.request("POST", "/v3/lock/lock", body: #"{"name":"bA==","lease":"0"}"#)
            #expect(lock.status == 200 && lock.body.contains("\"key\":\"bC8"), "\(lock)")
            let leader = try await door.http.request("POST", "/v3/election/leader", body: #"{"name":"bA=="}"#)
            #expect(leader.status != 501 && leader.body.hasPrefix("{"), "\(leader)")
            let unserved = try await door.http.request("POST", "/v3/kv/rangestream", body: "{}")
            #expect(unserved.status == 404)
        }
    }

    @Test("Calls that clients give up are counted as cancelled, and open watch streams are shown")
    func cancelledCalls() async throws {
        try await LoopbackDoor.with { door async throws in
            let stream = door.stream(
                "/etcdserverpb.Watch/Watch", Etcdserverpb_WatchRequest.self, Etcdserverpb_WatchResponse.self)
            try stream.send(.with { $0.createRequest.key = Data([1]) })
            _ = try await stream.next()
            var text = try await door.http.request("GET", "/metrics").body
            #expect(text.contains("\netcd_debugging_mvcc_watch_stream_total 1\n"))
            stream.cancel()
            _ = await stream.end()
            repeat {
                text = try await door.http.request("GET", "/metrics").body
            } while !text.contains("\netcd_debugging_mvcc_watch_stream_total 0\n")
            #expect(text.contains(#"handled_total{grpc_code="Canceled",grpc_method="Watch""#))
            let line = text.split(separator: "\n").first {
                $0.hasPrefix(#"grpc_server_handled_total{grpc_code="Canceled",grpc_method="Watch""#)
            }
            #expect(line?.hasSuffix(" 1") == true)
        }
    }
}
