@testable import GRPC

/// Bytes and frames at the client port: HTTP/2 as it should not be spoken, beside HTTP/2 as it is.
///
/// The first byte tells how the rest is read: as bytes of the connection, or as a list of frames, so that a mutation
/// changes a frame and not only breaks the connection.
enum HTTP2Door: Door {
    static let name = "http2"

    static func take(_ input: [UInt8]) {
        var script = Script(input)
        let mode = script.byte()
        let line = Line()
        if mode & 2 == 0 { line.feed(Frames.preface) }
        if mode & 1 == 0 {
            feed(&script, line, step: Int(mode >> 2))
        } else {
            line.feed(Frames.frame(type: 4, flags: 0, stream: 0, []))
            while !script.isOver, line.isOpen { perform(&script, line) }
        }
        line.close()
    }

    /// - Parameter step: bytes of one read; 0: all that are left.
    private static func feed(_ script: inout Script, _ line: Line, step: Int) {
        let bytes = script.rest()
        guard step > 0 else { return line.feed(bytes) }
        for start in stride(from: 0, to: bytes.count, by: step) {
            line.feed(Array(bytes[start..<min(bytes.count, start + step)]))
        }
    }

    private static func perform(_ script: inout Script, _ line: Line) {
        switch script.choice(12) {
        case 0, 1:
            let stream = UInt32(script.byte() & 31)
            let flags = script.byte()
            let block = Frames.head(&script)
            line.feed(Frames.frame(type: 1, flags: flags & 0b101, stream: stream, block))
        case 2:
            let stream = UInt32(script.byte() & 31)
            let flags = script.byte()
            line.feed(Frames.frame(type: 0, flags: flags & 9, stream: stream, script.chunk()))
        case 3:
            let type = script.byte()
            let flags = script.byte()
            let stream = script.uint32()
            line.feed(Frames.frame(type: type, flags: flags, stream: stream, script.chunk()))
        case 4:
            line.feed(Frames.frame(type: 3, flags: 0, stream: UInt32(script.byte() & 31), [0, 0, 0, script.byte()]))
        case 5:
            let stream = UInt32(script.byte() & 31)
            line.feed(Frames.frame(type: 8, flags: 0, stream: stream, Frames.uint32(script.uint32())))
        case 6:
            let setting = [0, script.byte() % 9] + Frames.uint32(script.uint32())
            line.feed(Frames.frame(type: 4, flags: 0, stream: 0, setting))
        case 7: line.advance(milliseconds: script.pick([1, 100, 1_500, 11_000, 7_200_000]))
        case 8: line.setWritable(script.byte() & 1 == 0)
        case 9: line.shutDown()
        case 10: line.feed(script.chunk())
        default: repeatFrame(&script, line)
        }
    }

    private static func repeatFrame(_ script: inout Script, _ line: Line) {
        let times = script.uint16() % 3_000
        let type = script.byte()
        let flags = script.byte()
        let stream = script.uint32()
        let rises = script.byte() & 1 == 1
        let payload = Array(script.word().prefix(64))
        var bytes: [UInt8] = []
        for index in 0..<UInt32(times) {
            bytes += Frames.frame(type: type, flags: flags, stream: rises ? stream &+ 2 &* index : stream, payload)
        }
        line.feed(bytes)
    }

    static let words: [[UInt8]] =
        Frames.words + [
            Frames.preface, Frames.frame(type: 4, flags: 1, stream: 0, []), [0, 0, 0, 0, 0],
            [0x7F, 0xFF, 0xFF, 0xFF], [0x80, 0, 0, 0], [0x3F, 0xE1, 0x1F], [0x7F, 0x80, 0x80, 0x80, 0x80, 0x0F],
        ]

    static var seeds: [Seed] {
        let put: [UInt8] = [0, 0, 0, 0, 6, 0x0A, 1, 0x61, 0x12, 1, 0x62]
        let call =
            Frames.frame(type: 1, flags: 4, stream: 1, Frames.head(path: "/etcdserverpb.KV/Put"))
            + Frames.frame(type: 0, flags: 1, stream: 1, put)
        let settings = Frames.frame(type: 4, flags: 0, stream: 0, [0, 4, 0, 0, 0xFF, 0xFF])
        let watch =
            Frames.frame(type: 1, flags: 4, stream: 1, Frames.head(path: "/etcdserverpb.Watch/Watch"))
            + Frames.frame(type: 0, flags: 0, stream: 1, [0, 0, 0, 0, 5, 0x0A, 3, 0x0A, 1, 0x61])
        let page =
            Frames.frame(
                type: 1, flags: 5, stream: 1,
                Frames.field(":method", "GET") + Frames.field(":scheme", "http") + Frames.field(":path", "/health")
                    + Frames.field(":authority", "127.0.0.1:2379"))
        var continued = Frames.frame(type: 1, flags: 0, stream: 1, Frames.head(path: "/etcdserverpb.KV/Put"))
        for _ in 0..<4 { continued += Frames.frame(type: 9, flags: 0, stream: 1, Frames.field("x", "y")) }
        continued += Frames.frame(type: 9, flags: 4, stream: 1, [])
        let others: [UInt8] = [0, 0, 0, 1]
        let mixed =
            settings + Frames.frame(type: 6, flags: 0, stream: 0, [1, 2, 3, 4, 5, 6, 7, 8])
            + Frames.frame(type: 8, flags: 0, stream: 0, others)
            + Frames.frame(type: 2, flags: 0, stream: 3, others + [9])
            + Frames.frame(type: 7, flags: 0, stream: 0, others + others + [0x62, 0x79, 0x65])
        return [
            Seed("put", [0] + settings + call), Seed("put-in-steps-of-7", [28] + settings + call),
            Seed("watch", [0] + settings + watch), Seed("health-page", [0] + settings + page),
            Seed("continuation", [0] + settings + continued), Seed("other-frames", [0] + mixed),
            Seed(
                "frames-put",
                frames {
                    $0.head(stream: 1, path: 1)
                    $0.data(1, put, ends: true)
                }),
            Seed(
                "frames-watch-and-put",
                frames {
                    $0.head(stream: 1, path: 6)
                    $0.head(stream: 3, path: 1)
                    $0.data(1, [0, 0, 0, 0, 5, 0x0A, 3, 0x0A, 1, 0x61], ends: false)
                    $0.data(3, put, ends: true)
                }),
            Seed(
                "frames-floods",
                frames {
                    $0.flood(500, type: 6, stream: 0, [1, 2, 3, 4, 5, 6, 7, 8])
                    $0.flood(500, type: 4, stream: 0, [])
                    $0.flood(500, type: 2, stream: 1, [0, 0, 0, 0, 10])
                }),
            Seed(
                "frames-opened-and-reset",
                frames { writer in
                    for stream in 0..<12 {
                        writer.head(stream: stream * 2 + 1, path: 1)
                        writer.reset(stream * 2 + 1)
                    }
                }),
            Seed(
                "frames-slow-reader",
                frames {
                    $0.byte(8)
                    $0.byte(1)
                    $0.head(stream: 1, path: 0)
                    $0.data(1, [0, 0, 0, 0, 3, 0x0A, 1, 0x61], ends: true)
                    $0.byte(8)
                    $0.byte(0)
                    $0.byte(9)
                }),
        ]
    }

    private static func frames(_ body: (inout ScriptWriter) -> Void) -> [UInt8] {
        var writer = ScriptWriter()
        writer.byte(1)
        body(&writer)
        return writer.bytes
    }
}

extension ScriptWriter {
    fileprivate mutating func head(stream: Int, path: Int) {
        raw([0, UInt8(stream), 4])
        raw(Frames.headChoices(path: path))
    }

    fileprivate mutating func data(_ stream: Int, _ payload: [UInt8], ends: Bool) {
        raw([2, UInt8(stream), ends ? 1 : 0])
        chunk(payload)
    }

    fileprivate mutating func reset(_ stream: Int) {
        raw([4, UInt8(stream), 8])
    }

    fileprivate mutating func flood(_ times: Int, type: UInt8, stream: UInt8, _ payload: [UInt8]) {
        byte(11)
        uint16(times)
        raw([type, 0, 0, 0, 0, stream, 0, UInt8(payload.count)] + payload)
    }
}
