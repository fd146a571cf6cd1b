import NIOCore
import Testing

@testable import GRPC

@Suite struct WireTests {
    @Test("Percent-encoding round-trips and leaves printable ASCII alone")
    func percentEncoding() {
        #expect(PercentEncoding.encode("a b~%é\n") == Array("a b~%25%C3%A9%0A".utf8))
        for text in ["", "etcdserver: no leader", "%", "%%41", "日本\r\n\u{0}", "100%zz"] {
            #expect(PercentEncoding.decode(PercentEncoding.encode(text)) == text)
        }
        #expect(PercentEncoding.decode("%4".utf8) == "%4")
        #expect(PercentEncoding.decode("%zz%41".utf8) == "%zzA")
        #expect(PercentEncoding.decode("%ff".utf8) == "\u{FFFD}")
    }

    @Test(
        "grpc-timeout values are read with all units",
        arguments: [
            ("1n", 1), ("2u", 2_000), ("3m", 3_000_000), ("4S", 4_000_000_000), ("5M", 300_000_000_000),
            ("1H", 3_600_000_000_000), ("99999999H", Int64.max), ("0m", 0),
        ])
    func timeoutParse(text: String, nanoseconds: Int64) {
        let bytes = Array(text.utf8)
        #expect(bytes.withUnsafeBufferPointer { GRPCTimeout.parse($0) } == .nanoseconds(nanoseconds))
    }

    @Test(
        "Malformed grpc-timeout values are refused",
        arguments: ["", "1", "S", "123456789S", "1x", "-1S", "1 S", "1.5S"])
    func timeoutMalformed(text: String) {
        let bytes = Array(text.utf8)
        #expect(bytes.withUnsafeBufferPointer { GRPCTimeout.parse($0) } == nil)
    }

    @Test("grpc-timeout is written in the finest unit that fits, rounded up")
    func timeoutFormat() {
        #expect(GRPCTimeout.format(.nanoseconds(0)) == "1n")
        #expect(GRPCTimeout.format(.milliseconds(50)) == "50000000n")
        #expect(GRPCTimeout.format(.seconds(5)) == "5000000u")
        #expect(GRPCTimeout.format(.nanoseconds(99_999_999_001)) == "100000m")
        #expect(GRPCTimeout.format(.nanoseconds(.max)) == "99999999S")
    }

    @Test("Metadata keeps order, compares names without case and cannot smuggle line ends")
    func metadata() {
        var metadata = Metadata(["Token": "a", "x": "", "TOKEN": "b"])
        #expect(metadata["token"] == "a")
        #expect(metadata.values("tokeN") == ["a", "b"])
        #expect(metadata["x"] == "")
        #expect(metadata["toke"] == nil)
        metadata.add("bad\r\nname", "v\r\nx: y\u{0}")
        #expect(metadata.fields.last?.name == "bad__name")
        #expect(metadata.fields.last?.value == "v??x: y?")
        metadata.add("k-bin", "not base64!")
        #expect(metadata.binary("k-bin") == nil)
    }

    @Test("The assembler finds the same messages however the bytes are cut")
    func assembler() throws {
        let messages = [[], [1], pattern(300), [], pattern(5)]
        var bytes: [UInt8] = []
        for message in messages {
            bytes += [0, 0, 0, UInt8(message.count >> 8), UInt8(message.count & 255)] + message
        }
        for piece in 1...bytes.count {
            var assembler = MessageAssembler()
            var found: [[UInt8]] = []
            for start in stride(from: 0, to: bytes.count, by: piece) {
                try Array(bytes[start..<min(start + piece, bytes.count)]).withUnsafeBytes { raw in
                    var rest = raw
                    while !rest.isEmpty, let message = try assembler.next(from: &rest, messageBytesMax: 300) {
                        found.append(message)
                    }
                }
            }
            #expect(found == messages)
            #expect(assembler.isAtBoundary)
            #expect(assembler.partialCount == 0)
        }
    }

    @Test("The assembler refuses flags and lengths at the prefix, before any byte of the message")
    func assemblerRefusals() {
        func feed(_ bytes: [UInt8]) throws(MessageAssembler.Failure) {
            var assembler = MessageAssembler()
            var failure: MessageAssembler.Failure?
            bytes.withUnsafeBytes { raw in
                var rest = raw
                do throws(MessageAssembler.Failure) {
                    _ = try assembler.next(from: &rest, messageBytesMax: 100)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        }
        #expect(throws: MessageAssembler.Failure.tooLarge(length: 101)) { try feed([0, 0, 0, 0, 101]) }
        #expect(throws: MessageAssembler.Failure.tooLarge(length: 0xFFFF_FFFF)) { try feed([0, 255, 255, 255, 255]) }
        #expect(throws: MessageAssembler.Failure.compressed) { try feed([1, 0, 0, 0, 1]) }
        #expect(throws: MessageAssembler.Failure.badFlag(2)) { try feed([2, 0, 0, 0, 1]) }
    }

    @Test("The output queue gives the same bytes however they are taken")
    func outputQueue() {
        var expected: [UInt8] = []
        for piece in [1, 2, 3, 4, 5, 6, 7, 64, 1000] {
            var queue = OutputQueue()
            expected = []
            for count in 0..<300 {
                queue.append(message: pattern(count % 9))
                expected += [0, 0, 0, 0, UInt8(count % 9)] + pattern(count % 9)
                queue.append(messageParts: [[7], pattern(count)])
                expected += [0, 0, 0, UInt8((count + 1) >> 8), UInt8((count + 1) & 255), 7] + pattern(count)
                queue.append(raw: [9])
                expected.append(9)
            }
            var taken = ByteBuffer()
            #expect(queue.count == expected.count)
            while !queue.isEmpty {
                queue.write(min(piece, queue.count), into: &taken)
            }
            #expect(Array(taken.readableBytesView) == expected)
        }
    }

    @Test("The protocol is decided by the preface and by nothing shorter")
    func negotiation() {
        let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        for count in 0..<preface.count {
            #expect(ProtocolNegotiator.decide(preface[..<count]) == nil)
        }
        #expect(ProtocolNegotiator.decide(preface) == .http2)
        #expect(ProtocolNegotiator.decide(preface + [0]) == .http2)
        #expect(ProtocolNegotiator.decide(Array("P".utf8)) == nil)
        #expect(ProtocolNegotiator.decide(Array("PO".utf8)) == .http1)
        #expect(ProtocolNegotiator.decide(Array("GET".utf8)) == .http1)
        #expect(ProtocolNegotiator.decide([0x16, 3, 1]) == .http1)
    }

    @Test("Request targets are cut into path and query")
    func targets() {
        func request(_ target: String) -> HTTPRequest {
            HTTPRequest(method: "GET", target: target, host: "", headers: Metadata(), body: [])
        }
        #expect(request("/a/b?x=1?y").path == "/a/b")
        #expect(request("/a/b?x=1?y").query == "x=1?y")
        #expect(request("http://host:1/a?b").path == "/a")
        #expect(request("http://host").path == "/")
        #expect(request("/a?u=http://x/y").path == "/a")
        #expect(request("*").path == "*")
    }
}
