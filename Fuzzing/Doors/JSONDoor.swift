@testable import EtcdAPI

/// HTTP/1.1 at the client port: pages and the JSON gateway, unary methods and streams.
///
/// The first byte tells how the rest is read: as bytes of the connection, or as requests to the gateway whose bodies
/// come in pieces.
enum JSONDoor: Door {
    static let name = "json"

    static func take(_ input: [UInt8]) {
        var script = Script(input)
        let line = Line()
        let mode = script.byte()
        if mode & 1 == 0 {
            let bytes = script.rest()
            let step = mode >> 1 == 0 ? bytes.count : Int(mode >> 1)
            for start in stride(from: 0, to: bytes.count, by: max(step, 1)) {
                line.feed(Array(bytes[start..<min(bytes.count, start + step)]))
            }
        } else {
            while !script.isOver, line.isOpen { request(&script, line) }
        }
        line.close()
    }

    private static let prefixes = ["/v3", "/v3beta", "/v3alpha", ""]
    private static let paths =
        GatewayRoute.routes.keys.sorted() + ["/health", "/version", "/livez", "/readyz", "/nothing", "/%zz", ""]

    private static func request(_ script: inout Script, _ line: Line) {
        let choices = script.byte()
        let path = script.pick(prefixes) + script.pick(paths)
        let method = choices & 7 == 7 ? script.pick(["GET", "OPTIONS", "HEAD", "PUT"]) : "POST"
        var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if choices & 8 != 0 { head += "Grpc-Metadata-Token: a.1\r\nAuthorization: Bearer b\r\n" }
        if choices & 16 != 0 { head += "Expect: 100-continue\r\n" }
        guard choices & 32 != 0 else {
            let body = script.chunk()
            line.feed(Array("\(head)Content-Length: \(body.count)\r\n\r\n".utf8) + body)
            return
        }
        line.feed(Array("\(head)Transfer-Encoding: chunked\r\n\r\n".utf8))
        for _ in 0..<Int(script.byte() & 7) where line.isOpen {
            let piece = script.chunk()
            guard !piece.isEmpty else { continue }
            line.feed(Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + Array("\r\n".utf8))
            let pause = script.byte()
            if pause & 3 == 1 { line.advance(milliseconds: 1_000) }
            if pause & 3 == 2 { line.setWritable(pause & 4 == 0) }
        }
        if choices & 64 == 0 { line.feed(Array("0\r\n\r\n".utf8)) }
    }

    static let words: [[UInt8]] = texts.map { Array($0.utf8) }

    private static let texts = [
        "{", "}", "[", "]", "\"", "\\", "\\u0000", "\\ud800", "null", "true", "1e999", "-0", "18446744073709551615",
        "-9223372036854775808", "\"9223372036854775807\"", "NaN", "\"key\":", "\"range_end\":", "\"create_request\":",
        "\"sort_order\":\"ASCEND\"", "\"lease\":", "\"TTL\":", "\"ID\":", "YQ==", "\"compare\":[", "\"success\":[",
        "\"request_put\":", "\"permType\":", "\r\n\r\n", "Content-Length: ", "Transfer-Encoding: chunked", "HTTP/1.1",
        "GET /health", "POST /v3/watch", "Connection: close", "Expect: 100-continue", "\u{FEFF}", "[[[[[[[[", "{\"a\":",
    ]

    static var seeds: [Seed] {
        bodies.map { body in
            var writer = ScriptWriter()
            writer.raw([1, 0, 0, UInt8(paths.firstIndex(of: body.path) ?? 0)])
            writer.chunk(Array(body.json.utf8))
            return Seed(String(body.path.dropFirst().map { $0 == "/" ? "-" : $0 }), writer.bytes)
        } + [streamed, raw, pages]
    }

    private static let streamed: Seed = {
        var writer = ScriptWriter()
        writer.raw([1, 32, 0, UInt8(paths.firstIndex(of: "/watch") ?? 0), 3])
        for piece in [
            #"{"create_request":{"key":"YQ==","#, #""start_revision":"1"}}{"progress_request":{}}"#,
            #"{"cancel_request":{"watch_id":0}}"#,
        ] {
            writer.chunk(Array(piece.utf8))
            writer.byte(1)
        }
        return Seed("watch-in-pieces", writer.bytes)
    }()

    private static let raw = Seed(
        "bytes",
        [0]
            + Array(
                """
                POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{"key":"YQ=="}\
                GET /version HTTP/1.1\r\nHost: a\r\n\r\nGET /health?serializable=true HTTP/1.0\r\n\r\n
                """.utf8))

    private static let pages = Seed(
        "pages-in-steps-of-5",
        [10]
            + Array(
                """
                GET /readyz?verbose HTTP/1.1\r\nHost: a\r\n\r\nGET /livez/serializable_read HTTP/1.1\r\nHost: a\r\n\r\n\
                OPTIONS /v3/kv/put HTTP/1.1\r\nHost: a\r\nOrigin: b\r\n\r\n
                """.utf8))

    private static let bodies: [(path: String, json: String)] = [
        ("/kv/range", #"{"key":"YQ==","range_end":"AA==","sort_order":"DESCEND","sortTarget":"MOD","limit":"2"}"#),
        ("/kv/put", #"{"key":"YQ==","value":"Yg==","lease":"7","prev_kv":true}"#),
        ("/kv/deleterange", #"{"key":"YQ==","rangeEnd":"eg==","prevKv":true}"#),
        (
            "/kv/txn",
            #"{"compare":[{"key":"YQ==","target":"VERSION","result":"EQUAL","version":"1"}],"success":[{"request_put":{"key":"eA=="}}],"failure":[{"requestTxn":{"success":[{"request_range":{"key":"YQ=="}}]}}]}"#
        ),
        ("/kv/compaction", #"{"revision":"2","physical":true}"#),
        ("/watch", #"{"create_request":{"key":"YQ==","filters":["NOPUT"],"watch_id":"3"}}"#),
        ("/lease/grant", #"{"TTL":"5","ID":"9"}"#), ("/lease/keepalive", #"{"ID":7}"#),
        ("/lease/timetolive", #"{"ID":"7","keys":true}"#), ("/lease/revoke", #"{"ID":"7"}"#), ("/lease/leases", "{}"),
        ("/cluster/member/add", #"{"peerURLs":["http://127.0.0.2:2380"],"isLearner":true}"#),
        ("/cluster/member/list", #"{"linearizable":true}"#), ("/maintenance/status", "null"),
        ("/maintenance/alarm", #"{"action":"GET","memberID":"1","alarm":"NOSPACE"}"#),
        ("/maintenance/snapshot", "{}"), ("/maintenance/hashkv", #"{"revision":"3"}"#),
        ("/auth/user/add", #"{"name":"root","options":{"no_password":true}}"#),
        ("/auth/role/grant", #"{"name":"r","perm":{"permType":"READWRITE","key":"YQ==","range_end":"AA=="}}"#),
        ("/auth/authenticate", #"{"name":"root","password":"p"}"#), ("/lock/lock", #"{"name":"bG9jaw==","lease":"7"}"#),
        ("/election/campaign", #"{"name":"ZQ==","lease":"7","value":"dg=="}"#),
        ("/election/observe", #"{"name":"ZQ=="}"#),
    ]
}
