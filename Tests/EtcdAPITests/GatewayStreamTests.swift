import EtcdProto
import GRPC
import Primitives
import RegistryModel
import Synchronization
import Testing

@testable import EtcdAPI

/// Streaming methods as JSON over HTTP.
@Suite struct GatewayStreamTests {
    private static func header(_ revision: Int) -> String {
        #""header":{"cluster_id":"193","member_id":"161","revision":"\#(revision)","raft_term":"7"}"#
    }

    private func put(_ door: LoopbackDoor, _ key: String) async throws {
        _ = try await door.http.request("POST", "/v3/kv/put", body: #"{"key":"\#(key)","value":"YmFy"}"#)
    }

    @Test("A watch answers with one line for each message, at once, and outlives the end of the request's body")
    func watch() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.http.stream("/v3/watch", body: #"{"create_request":{"key":"Zm9v"}}"#) { watch in
                #expect(try await watch.line() == "{\"result\":{\(Self.header(1)),\"created\":true}}")
                #expect(watch.status == 200 && watch.headers["content-type"] == "application/json")
                #expect(watch.headers["transfer-encoding"] == "chunked")
                try await put(door, "Zm9v")
                let event = try #require(await watch.line())
                #expect(
                    event == "{\"result\":{\(Self.header(2)),\"events\":[{\"kv\":{\"key\":\"Zm9v\","
                        + #""create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"}}]}}"#)
            }
        }
    }

    @Test("Requests of a watch are heard as they come, wherever the pieces of the body end")
    func requestsInPieces() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.http.stream("/v3beta/watch", chunks: [#"{"createRequest":{"ke"#]) { watch in
                try await watch.send(#"y":"YQ=="}}"# + "\n" + #"{"create_re"#)
                #expect(try await watch.line() == "{\"result\":{\(Self.header(1)),\"created\":true}}")
                try await watch.send(#"quest":{"key":"Yg=="}} {"cancel_request":{"watch_id":"0"}}"#)
                #expect(
                    try await watch.line() == "{\"result\":{\(Self.header(1)),\"watch_id\":\"1\",\"created\":true}}")
                #expect(try await watch.line() == "{\"result\":{\(Self.header(1)),\"canceled\":true}}")
                // What cannot be read later on only ends the client's side.
                try await watch.send(" nonsense ")
                try await put(door, "Yg==")
                #expect(try await watch.line()?.contains("\"watch_id\":\"1\",\"events\":[") == true)
            }
        }
    }

    @Test("A call that is refused as it opens takes no body, and its connection ends", .timeLimit(.minutes(1)))
    func refusedAtOpening() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.deliver([.learner(true), .leaderKnown(true)])
            try await door.http.stream("/v3/watch", chunks: ["{"]) { watch in
                let line = try await watch.line()
                #expect(line == nil, "the answer is no stream")
                #expect(watch.status == 400 && watch.headers["connection"] == "close")
            }
        }
    }

    @Test("Values of any number are cut from one piece of a body")
    func manyValues() {
        var splitter = JSONSplitter()
        splitter.append(Array(String(repeating: "{}", count: 1_000).utf8) + Array("[1".utf8))
        var count = 0
        while splitter.next() != nil { count += 1 }
        #expect(count == 1_000 && splitter.heldBytes == 2)
        splitter.append(Array(",2] 7".utf8))
        #expect(splitter.next() == Array("[1,2]".utf8))
        #expect(splitter.next() == nil)
        #expect(splitter.rest() == Array("7".utf8))
    }

    @Test("A keep-alive answers each lease and ends with the requests")
    func keepAlive() async throws {
        try await LoopbackDoor.with { door async throws in
            _ = try await door.http.request("POST", "/v3/lease/grant", body: #"{"TTL":5,"ID":"12"}"#)
            let answer = try await door.http.request("POST", "/v3/lease/keepalive", body: #"{"ID":"12"}{"ID":13}"#)
            #expect(answer.status == 200)
            let lines = PlainHTTP.unchunk(answer.body).split(separator: "\n")
            #expect(
                lines == [
                    "{\"result\":{\(Self.header(1)),\"ID\":\"12\",\"TTL\":\"5\"}}",
                    "{\"result\":{\(Self.header(1)),\"ID\":\"13\"}}",
                ])
            let nothing = try await door.http.request("POST", "/v3/lease/keepalive")
            #expect(nothing.status == 200 && nothing.body.isEmpty)
        }
    }

    @Test("A backup comes in lines, and a failure in the middle of it is the last one")
    func snapshot() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.backups.state.withLock { $0.bytes = Array("0123456789abc".utf8) }
            let whole = try await door.http.request("POST", "/v3/maintenance/snapshot", body: "{}")
            #expect(
                PlainHTTP.unchunk(whole.body).split(separator: "\n") == [
                    #"{"result":{"remaining_bytes":"3","blob":"MDEyMzQ1Njc4OQ==","version":"3.6.0"}}"#,
                    #"{"result":{"blob":"YWJj","version":"3.6.0"}}"#,
                ])
            door.registry.backups.state.withLock { state in
                state.wants = 0
                state.failsAfter = 1
            }
            let cut = try await door.http.request("POST", "/v3/maintenance/snapshot", body: "{}")
            #expect(cut.status == 200)
            let last = PlainHTTP.unchunk(cut.body).split(separator: "\n").last ?? ""
            #expect(last.hasPrefix(#"{"error":{"code":"#) && last.contains("\"http_code\":500"), "\(last)")
        }
    }

    @Test("What fails before the first message has the status of its code")
    func earlyFailures() async throws {
        try await LoopbackDoor.with { door async throws in
            let unreadable = try await door.http.request("POST", "/v3/watch", body: "{]")
            #expect(unreadable.status == 500 && unreadable.body.hasSuffix(#","code":2}"#), "\(unreadable)")
            let backup = try await door.http.request("POST", "/v3/maintenance/snapshot", body: "{]")
            #expect(backup.status == 400 && backup.body.hasSuffix(#","code":3}"#), "\(backup)")
            let enumName = #"{"create_request":{"key":"YQ==","filters":["NOPUT","NOTHING"]}}"#
            #expect(try await door.http.request("POST", "/v3/watch", body: enumName).status == 500)
            door.registry.announce(leaderKnown: false)
            let leaderless = try await door.http.request(
                "POST", "/v3/watch", headers: ["grpc-metadata-hasleader": "true"],
                body: #"{"create_request":{"key":"YQ=="}}"#)
            #expect(leaderless.status == 503)
            #expect(
                leaderless.body == #"{"error":{"code":14,"message":"etcdserver: no leader","grpc_code":14,"#
                    + #""http_code":503,"http_status":"Service Unavailable"}}"# + "\n")
        }
    }

    @Test("A watch ends with its client, and is counted as given up")
    func departure() async throws {
        try await LoopbackDoor.with { door async throws in
            try await door.http.stream("/v3/watch", body: #"{"create_request":{"key":"Zm9v"}}"#) { watch in
                _ = try await watch.line()
            }
            var text = ""
            repeat {
                text = try await door.http.request("GET", "/metrics").body
            } while !text.contains("\netcd_debugging_mvcc_watch_stream_total 0\n")
            #expect(
                text.contains(
                    #"grpc_server_handled_total{grpc_code="Canceled",grpc_method="Watch","#
                        + #"grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 1"#))
        }
    }

    @Test("HTTP headers become metadata: the token, and whatever has the prefix")
    func metadata() {
        let request = HTTPRequest(
            method: "POST", target: "/v3/watch", host: "",
            headers: Metadata(["Authorization": "secret", "Grpc-Metadata-Client-Api-Version": "3.6", "cookie": "x"]),
            body: [])
        let metadata = GatewayCall.metadata(of: request)
        #expect(metadata["authorization"] == "secret" && metadata["client-api-version"] == "3.6")
        #expect(metadata["cookie"] == nil && metadata["grpcgateway-accept"] != nil)
    }
}
