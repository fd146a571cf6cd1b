import AgentCore
import Primitives
import Testing

@Suite struct JSONTests {
    @Test("A registration has its members in the fixed order, without white space, with the port's type kept")
    func payloadBytes() throws {
        let registry = RegistryEndpoints(["r1:2379"])
        var service = NerveService(
            name: "web", host: "10.1.2.3", port: .number("8080"), registry: registry, path: "/svc/api", weight: 2,
            labels: .object([JSONMember("az", .string("b"))]))
        #expect(
            text(service.payload(instanceID: "web-17"))
                == #"{"host":"10.1.2.3","port":8080,"name":"web-17","weight":2,"labels":{"az":"b"}}"#)
        service.port = .string("8080")
        service.weight = nil
        service.labels = .object([])
        service.haproxyServerOptions = .null
        #expect(
            text(service.payload(instanceID: "n"))
                == #"{"host":"10.1.2.3","port":"8080","name":"n","haproxy_server_options":null,"labels":{}}"#)
        service.isDraining = true
        service.labels = nil
        service.haproxyServerOptions = .string("backup")
        #expect(
            text(service.payload(instanceID: "n"))
                == #"{"host":"10.1.2.3","port":"8080","name":"n","haproxy_server_options":"backup","drain":true}"#)
    }

    @Test("Payloads of other writers are read: text ports, no name, unknown members")
    func foreignPayloads() throws {
        let old = try Backend.decode(payload: Array(#"{"host":"h1.example","port":"80"}"#.utf8), createRevision: 5)
        #expect(old == Backend(host: "h1.example", port: "80", createRevision: 5))
        let new = try Backend.decode(
            payload: Array(
                #" {"name":"i","host":"::1","port":81,"weight":3,"labels":{"a":""},"future":[1,{"x":null}],"haproxy_server_options":"backup"} "#
                    .utf8), createRevision: nil)
        #expect(new.address == "[::1]:81")
        #expect(new.serverName == "i_::1:81")
        #expect(new.weight == 3 && new.serverOptions == "backup" && new.labels?["a"] == .string(""))
        let textWeight = try Backend.decode(
            payload: Array(#"{"host":"h","port":1,"weight":"3"}"#.utf8), createRevision: nil)
        #expect(textWeight.weight == nil)
    }

    @Test(
        "Junk payloads are refused with a reason",
        arguments: [
            "", "junk", "[]", "{}", #"{"host":"h"}"#, #"{"port":1}"#, #"{"host":"h","port":0}"#,
            #"{"host":"h","port":65536}"#,
            #"{"host":"a b","port":1}"#, #"{"host":"h\nserver evil","port":1}"#, #"{"host":"","port":1}"#,
            #"{"host":"h","port":"1; quit"}"#,
            #"{"host":"h","port":1,"haproxy_server_options":"x\n\tserver evil 1.1.1.1:1"}"#,
            #"{"host":"h","port":1.5}"#,
        ])
    func junk(value: String) {
        #expect(throws: PayloadFailure.self) { try Backend.decode(payload: Array(value.utf8), createRevision: nil) }
    }

    @Test("What is written is read back equal, escapes included")
    func roundTrip() throws {
        let value = JSONValue.object([
            JSONMember("a\"\\\u{1}\n\t", .array([.null, .bool(true), .number("-1.5e3"), .string("é😀/")])),
            JSONMember("", .object([])),
        ])
        #expect(try JSONReader.read(value.bytes, limits: .payload) == value)
        #expect(try JSONReader.read(Array(#""é😀""#.utf8), limits: .payload) == .string("é😀"))
    }

    @Test("Truncation at each byte and each flipped bit neither trap nor pass for the whole")
    func damage() throws {
        let bytes = Array(#"{"host":"10.0.0.1","port":80,"labels":{"a":[1,2.5e1,"é\n"]},"x":null}"#.utf8)
        for length in 0..<bytes.count {
            #expect(throws: JSONFailure.self) { try JSONReader.read(Array(bytes[..<length]), limits: .payload) }
        }
        for place in bytes.indices {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[place] ^= 1 << UInt8(bit)
                _ = try? JSONReader.read(flipped, limits: .payload)
            }
        }
    }

    @Test("Limits hold: depth, size, and strictness about numbers, escapes and text after the value")
    func limits() {
        let deep = Array(String(repeating: "[", count: 10_000).utf8)
        #expect(throws: JSONFailure.self) { try JSONReader.read(deep, limits: .payload) }
        #expect(throws: JSONFailure.self) { try JSONReader.read([0x31, 0x31], limits: JSONLimits(bytes: 1, depth: 2)) }
        for bad in [
            "01", "1.", "+1", "NaN", "tru", #""\x""#, #""\ud800""#, "1 2", "{\"a\" 1}", "[1,]", "\"\u{1}\"", "-",
        ] {
            #expect(throws: JSONFailure.self, "\(bad)") { try JSONReader.read(Array(bad.utf8), limits: .payload) }
        }
        #expect(throws: JSONFailure.self) { try JSONReader.read([0x22, 0xFF, 0x22], limits: .payload) }
    }

    @Test("The decision log keeps the newest and counts all")
    func decisionLog() {
        var log = DecisionLog(capacity: 3)
        for number in 0..<5 { log.record(Decision(at: at(Int64(number)), subject: "s\(number)", code: .registered)) }
        #expect(log.decisions.map(\.subject) == ["s2", "s3", "s4"])
        #expect(log.total == 5)
        #expect(
            Set(ReasonCode.allCases.map(\.text)).count == ReasonCode.allCases.count, "each reason has its own sentence")
    }
}
