@testable import EtcdAPI
@testable import GRPC

/// Calls of gRPC over HTTP/2 that is in order: which call, its metadata, how its messages are framed and cut, who ends
/// it and how.
enum GRPCDoor: Door {
    static let name = "grpc"

    static func take(_ input: [UInt8]) {
        var client = Client(line: Line())
        var script = Script(input)
        while !script.isOver, client.line.isOpen { client.perform(&script) }
        client.line.close()
    }

    private struct Client {
        let line: Line
        /// Of the streams opened.
        var count: UInt32 = 0

        init(line: Line) {
            self.line = line
            line.feed(Frames.preface + Frames.frame(type: 4, flags: 0, stream: 0, []))
            line.feed(Frames.frame(type: 4, flags: 1, stream: 0, []))
        }

        /// One that is or was open.
        private func stream(_ script: inout Script) -> UInt32 {
            count == 0 ? 1 : UInt32(script.byte()) % count * 2 + 1
        }

        mutating func perform(_ script: inout Script) {
            switch script.choice(11) {
            case 0, 1: open(&script)
            case 2, 3: send(&script)
            case 4: sendPrefix(&script)
            case 5: line.feed(Frames.frame(type: 0, flags: 0, stream: stream(&script), script.word()))
            case 6: line.feed(Frames.frame(type: 0, flags: 1, stream: stream(&script), []))
            case 7: line.feed(Frames.frame(type: 3, flags: 0, stream: stream(&script), [0, 0, 0, script.byte()]))
            case 8: changeWindow(&script)
            case 9: line.advance(milliseconds: script.pick([1, 50, 400, 3_000, 8_000, 700_000]))
            default:
                switch script.choice(4) {
                case 0: line.setWritable(false)
                case 1: line.setWritable(true)
                case 2: line.shutDown()
                default: line.feed(Frames.frame(type: 6, flags: 0, stream: 0, [0, 0, 0, 0, 0, 0, 0, 1]))
                }
            }
        }

        private mutating func open(_ script: inout Script) {
            let method = script.pick(EtcdMethods.all)
            let choices = script.byte()
            var block = Frames.head(path: method.path)
            for _ in 0..<Int(choices & 3) { block += Frames.extraField(&script) }
            let flags: UInt8 = choices & 0x80 == 0 ? 4 : 5
            line.feed(Frames.frame(type: 1, flags: flags, stream: count * 2 + 1, block))
            count += 1
        }

        private mutating func send(_ script: inout Script) {
            let stream = stream(&script)
            let choices = script.byte()
            let message = script.chunk()
            let framed = [0] + Frames.uint32(UInt32(message.count)) + message
            let cut = choices & 2 == 0 ? framed.count : framed.count * Int(choices >> 2) / 64
            line.feed(Frames.frame(type: 0, flags: 0, stream: stream, Array(framed[..<cut])))
            line.feed(Frames.frame(type: 0, flags: choices & 1, stream: stream, Array(framed[cut...])))
        }

        /// Flag and length as they come.
        private mutating func sendPrefix(_ script: inout Script) {
            let stream = stream(&script)
            let flag = script.byte() % 4
            line.feed(
                Frames.frame(
                    type: 0, flags: 0, stream: stream, [flag] + Frames.uint32(script.uint32()) + script.word()))
        }

        private mutating func changeWindow(_ script: inout Script) {
            let value = script.uint32()
            switch script.choice(3) {
            case 0: line.feed(Frames.frame(type: 8, flags: 0, stream: 0, Frames.uint32(value)))
            case 1: line.feed(Frames.frame(type: 8, flags: 0, stream: stream(&script), Frames.uint32(value)))
            default: line.feed(Frames.frame(type: 4, flags: 0, stream: 0, [0, 4] + Frames.uint32(value)))
            }
        }
    }

    static let words: [[UInt8]] = Frames.words + ProtobufDoor.words

    /// Every method with a request it understands, and two streams at once.
    static var seeds: [Seed] {
        let calls = ProtobufDoor.requests.map { request -> Seed in
            var writer = ScriptWriter()
            writer.open(request.method)
            writer.send(0, request.messages, ends: true)
            writer.raw([9, 2])
            return Seed(request.name, writer.bytes)
        }
        var busy = ScriptWriter()
        busy.open(ProtobufDoor.index(of: "Watch"))
        busy.send(0, [[0x0A, 4, 0x0A, 2, 0, 0x12]], ends: false)
        for number in 1..<6 {
            busy.open(ProtobufDoor.index(of: "Put"))
            busy.send(number, [[0x0A, 1, 0x61, 0x12, 1, UInt8(number)]], ends: true)
        }
        busy.raw([10, 0, 7, 0, 8, 10, 1])
        return calls + [Seed("watch-and-puts", busy.bytes)]
    }
}

extension ScriptWriter {
    fileprivate mutating func open(_ method: Int) {
        raw([0, UInt8(method), 0])
    }

    fileprivate mutating func send(_ stream: Int, _ messages: [[UInt8]], ends: Bool) {
        for (index, message) in messages.enumerated() {
            raw([2, UInt8(stream), ends && index == messages.count - 1 ? 1 : 0])
            chunk(message)
        }
    }
}
