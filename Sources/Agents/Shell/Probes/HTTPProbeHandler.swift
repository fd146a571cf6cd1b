import AgentCore
import Glibc
import NIOCore
import NIOHTTP1
import Primitives

/// Sends one GET and judges the answer: a status of 200 to 399, all of the body, and the expected text in it.
final class HTTPProbeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// What of a body is read at most; a longer one counts as complete there.
    static let bodyMax = 1 << 20

    private let http: HTTPCheck
    private let hostHeader: String
    private let completion: (ProbeResult) -> Void
    private var status: HTTPResponseStatus?
    private var body: [UInt8] = []
    private var bodyCount = 0
    private var silence: Scheduled<Void>?
    private var isOver = false

    private init(_ http: HTTPCheck, hostHeader: String, completion: @escaping (ProbeResult) -> Void) {
        self.http = http
        self.hostHeader = hostHeader
        self.completion = completion
    }

    /// - Parameter completion: called once, on the channel's loop.
    static func install(
        _ http: HTTPCheck, check: CheckConfiguration, in channel: any Channel,
        completion: @escaping (ProbeResult) -> Void
    ) throws {
        let host = check.host.contains(":") ? "[\(check.host)]" : check.host
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHTTPClientHandlers()
        try pipeline.addHandler(
            HTTPProbeHandler(
                http, hostHeader: check.port == 80 ? host : "\(host):\(check.port)", completion: completion))
    }

    func channelActive(context: ChannelHandlerContext) {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: http.uri)
        for header in http.headers { head.headers.add(name: header.name, value: header.value) }
        let fallbacks = [
            ("Host", hostHeader), ("Accept", "*/*"), ("User-Agent", "nerve"), ("Connection", "close"),
        ]
        for (name, value) in fallbacks where !head.headers.contains(name: name) {
            head.headers.add(name: name, value: value)
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        awaitBytes(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        awaitBytes(context)
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard (200...399).contains(Int(head.status.code)) else {
                return finish(.failed("status \(head.status.code)"))
            }
            status = head.status
        case .body(let part):
            bodyCount += part.readableBytes
            if http.expect != nil { body += part.readableBytesView.prefix(Self.bodyMax - body.count) }
            if bodyCount >= Self.bodyMax { judge() }
        case .end: judge()
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.failed("the connection was closed before the answer was complete"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? HTTPParserError {
            finish(.failed("the answer is no HTTP: \(error)"))
        } else {
            finish(.failed(ProbeText.text(error)))
        }
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        silence?.cancel()
    }

    /// The server may be silent this long between two pieces of its answer.
    private func awaitBytes(_ context: ChannelHandlerContext) {
        silence?.cancel()
        let limit = http.readTimeout
        silence = context.eventLoop.assumeIsolated().scheduleTask(in: limit.amount) {
            self.finish(.failed("no answer within \(ProbeText.seconds(limit))"))
        }
    }

    private func judge() {
        guard let expect = http.expect, !contains(Array(expect.utf8)) else { return finish(.passed) }
        finish(.failed("the body does not contain \"\(expect)\""))
    }

    private func contains(_ wanted: [UInt8]) -> Bool {
        guard let first = wanted.first else { return true }
        return body.withUnsafeBytes { body in
            var offset = 0
            while let base = body.baseAddress, body.count - offset >= wanted.count {
                guard let found = memchr(base + offset, Int32(first), body.count - offset) else { return false }
                offset = UnsafeRawPointer(found) - base
                if body.count - offset >= wanted.count, memcmp(found, wanted, wanted.count) == 0 { return true }
                offset += 1
            }
            return false
        }
    }

    private func finish(_ result: ProbeResult) {
        guard !isOver else { return }
        isOver = true
        silence?.cancel()
        completion(result)
    }
}
