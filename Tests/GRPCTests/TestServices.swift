import GRPC
import NIOCore

/// The methods and pages the tests call.
final class TestServices: CallRouter, HTTPRouter {
    private let log: CallLog
    private let methods: [String: any ServerCallHandler]

    init(_ log: CallLog) {
        self.log = log
        methods = [
            "/test.Echo/Unary": UnaryCallHandler { call, message in call.respond(message) },
            "/test.Echo/Stream": StreamEcho(log),
            "/test.Echo/Never": Never(log),
            "/test.Echo/Early": Early(),
            "/test.Echo/Paused": Paused(log),
            "/test.Echo/Flood": Flood(log),
            "/test.Echo/Big": UnaryCallHandler { call, message in call.respond(pattern(Self.number(message))) },
            "/test.Echo/Parts": UnaryCallHandler { call, _ in
                call.send(parts: [[1, 2], [], [3], [4, 5]])
                call.send(parts: [])
                call.send(messages: [[6], [7, 8]])
                call.finish()
            },
            "/test.Echo/Headers": UnaryCallHandler { call, _ in Self.answerHeaders(call) },
            "/test.Echo/Fail": UnaryCallHandler { call, message in
                let code = GRPCStatus.Code(rawValue: Int(message.first ?? 2)) ?? .unknown
                let text = String(decoding: message.dropFirst(), as: UTF8.self)
                call.finish(GRPCStatus(code, text), trailers: Metadata(["x-why": "because"]))
            },
        ]
    }

    func open(_ call: ServerCall) -> (any ServerCallHandler)? {
        if call.path == "/test.Echo/Refused" {
            call.finish(GRPCStatus(.unauthenticated, "no"))
            return nil
        }
        return methods[call.path]
    }

    func hasService(_ name: String) -> Bool {
        name == "test.Echo"
    }

    /// A number in decimal text.
    static func number(_ message: [UInt8]) -> Int {
        Int(String(decoding: message, as: UTF8.self)) ?? 0
    }

    private static func answerHeaders(_ call: ServerCall) {
        var headers = Metadata()
        for value in call.metadata.values("x-echo") {
            headers.add("X-Echo", value)
        }
        call.sendHeaders(headers)
        var trailers = Metadata(["x-trail": call.metadata["X-ECHO"] ?? "none"])
        if let bytes = call.metadata.binary("x-data-bin") {
            trailers.addBinary("x-data-bin", bytes)
        }
        call.send(Array("\(call.deadline != nil) \(call.metadata[":authority"] ?? "") \(call.peer != nil)".utf8))
        call.finish(trailers: trailers)
    }

    func open(_ request: HTTPRequest, _ responder: HTTPResponder) -> (any HTTPBodyReader)? {
        request.path == "/pieces" ? Pieces(log, responder) : nil
    }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        let plain = Metadata(["content-type": "text/plain"])
        switch request.path {
        case "/stream":
            responder.start(status: 200, headers: plain)
            for index in 0..<3 {
                responder.send(Array("line \(index)\n".utf8))
            }
            responder.end()
        case "/hang":
            responder.onClosed = { [log] complete in log.add("http closed complete=\(complete)") }
            responder.onShutdown = { [log] in log.add("http shutdown") }
            log.add("http hang")
        case "/large":
            let size = Int(request.query) ?? 0
            responder.respond(status: 200, headers: plain, body: pattern(size))
        case "/later":
            responder.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(5)) {
                responder.respond(status: 202, headers: plain, body: Array("later\n".utf8))
            }
        default:
            let text = "\(request.method) \(request.path)?\(request.query) \(request.body.count) \(request.host)\n"
            responder.respond(status: 200, headers: plain, body: Array(text.utf8))
        }
    }
}

/// Notes what comes of a body, and answers at its end.
private final class Pieces: HTTPBodyReader {
    private let log: CallLog
    private let responder: HTTPResponder

    init(_ log: CallLog, _ responder: HTTPResponder) {
        self.log = log
        self.responder = responder
    }

    func bodyReceived(_ bytes: [UInt8]) {
        log.add("piece \(String(decoding: bytes, as: UTF8.self))")
    }

    func bodyEnded() {
        log.add("body ended")
        responder.respond(status: 200, body: Array("done\n".utf8))
    }
}

/// Sends every message back.
private final class StreamEcho: ServerCallHandler {
    private let log: CallLog

    init(_ log: CallLog) {
        self.log = log
    }

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        call.send(message)
    }

    func halfClosed(_ call: ServerCall) {
        call.finish()
    }

    func shutdownStarted(_ call: ServerCall) {
        log.add("stream shutdown")
    }

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        log.add("stream closed \(end)")
    }
}

/// Never answers.
private final class Never: ServerCallHandler {
    private let log: CallLog

    init(_ log: CallLog) {
        self.log = log
    }

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        log.add("never got \(message.count)")
    }

    func halfClosed(_ call: ServerCall) {}

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        log.add("never closed \(end)")
        // Late answers are ignored.
        call.respond([1])
    }
}

/// Answers at the first message, whatever else the client wants to send.
private final class Early: ServerCallHandler {
    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        call.respond([42])
    }

    func halfClosed(_ call: ServerCall) {}
    func closed(_ call: ServerCall, _ end: ServerCallEnd) {}
}

/// Stops reading after the first message until 100 ms later, then counts the rest.
private final class Paused: ServerCallHandler {
    private final class Count {
        var bytes = 0
    }

    private let log: CallLog

    init(_ log: CallLog) {
        self.log = log
    }

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        if let count = call.state as? Count {
            count.bytes += message.count
            return
        }
        call.state = Count()
        call.pauseReading()
        call.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(100)) {
            self.log.add("paused \((call.state as? Count)?.bytes ?? -1)")
            call.resumeReading()
        }
    }

    func halfClosed(_ call: ServerCall) {
        call.respond(Array("\((call.state as? Count)?.bytes ?? -1)".utf8))
    }

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {}
}

/// Sends as many messages of 1000 bytes as asked for, keeping no more than 100 KB waiting.
private final class Flood: ServerCallHandler {
    private final class Progress {
        var left = 0
        var bufferedMax = 0
        var drains = 0
    }

    private let log: CallLog

    init(_ log: CallLog) {
        self.log = log
    }

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        let progress = Progress()
        progress.left = TestServices.number(message)
        call.state = progress
        call.drainMark = 50_000
        pump(call, progress)
    }

    func drained(_ call: ServerCall) {
        guard let progress = call.state as? Progress else { return }
        progress.drains += 1
        pump(call, progress)
    }

    private func pump(_ call: ServerCall, _ progress: Progress) {
        while progress.left > 0, call.bufferedBytes < 100_000 {
            progress.left -= 1
            call.send(pattern(1000))
            progress.bufferedMax = max(progress.bufferedMax, call.bufferedBytes)
        }
        if progress.left == 0, call.isOpen {
            log.add("flood bounded=\(progress.bufferedMax < 102_000) drained=\(progress.drains > 10)")
            call.finish()
        }
    }

    func halfClosed(_ call: ServerCall) {}

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        log.add("flood closed \(end)")
    }
}
