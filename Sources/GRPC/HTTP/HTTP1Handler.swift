import NIOCore
import NIOHTTP1

/// Requests over HTTP/1.1, one at a time per connection (the pipelining handler in front holds the next one back).
final class HTTP1Handler: ChannelInboundHandler, HTTPResponseSink {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private static let drainMark = 64 * 1024

    private let router: (any HTTPRouter)?
    private let info: ConnectionInfo
    private let bodyBytesMax: Int
    private let idleTimeout: TimeAmount
    private var context: ChannelHandlerContext?
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    /// Takes the body of the request that is coming in, which already has its responder.
    private var reader: (any HTTPBodyReader)?
    private var responder: HTTPResponder?
    private var keepAlive = true
    /// The router is asked before the body came: an answer now ends the connection, nobody takes the body.
    private var isOpening = false
    private var isShuttingDown = false
    private var lastActivity = NIODeadline.distantPast
    private var idleTimer: Scheduled<Void>?
    private(set) var bufferedBytes = 0

    init(router: (any HTTPRouter)?, info: ConnectionInfo, bodyBytesMax: Int, idleTimeout: TimeAmount) {
        self.router = router
        self.info = info
        self.bodyBytesMax = bodyBytesMax
        self.idleTimeout = idleTimeout
    }

    /// Adds the codec of HTTP/1.1 and this handler behind what the channel has.
    func install(on channel: any Channel) throws {
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withPipeliningAssistance: true, withErrorHandling: true)
        try channel.pipeline.syncOperations.addHandler(self)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        lastActivity = context.eventLoop.now
        scheduleIdleCheck(context, after: idleTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        teardown()
    }

    func channelInactive(context: ChannelHandlerContext) {
        teardown()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ShutdownRequested {
            isShuttingDown = true
            if let responder {
                responder.onShutdown?()
            } else if head == nil {
                context.close(promise: nil)
            }
        } else if event is ShutdownDeadlinePassed {
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastActivity = context.eventLoop.now
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
            keepAlive = head.isKeepAlive
            if head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
                context.writeAndFlush(
                    wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .continue))), promise: nil)
            }
            openReader()
        case .body(let buffer):
            if let reader {
                reader.bodyReceived(Array(buffer.readableBytesView))
                return
            }
            guard head != nil else { return }
            guard body.count + buffer.readableBytes <= bodyBytesMax else {
                refuseBody()
                return
            }
            body.append(contentsOf: buffer.readableBytesView)
        case .end:
            if let reader {
                self.reader = nil
                reader.bodyEnded()
                return
            }
            route()
        }
    }

    private func request(_ head: HTTPRequestHead) -> HTTPRequest {
        var headers = Metadata()
        for (name, value) in head.headers {
            headers.add(name, value)
        }
        return HTTPRequest(
            method: head.method.rawValue, target: head.uri, host: headers["host"] ?? "", headers: headers, body: body)
    }

    private func openReader() {
        guard let head, let router, let context, head.method == .POST else { return }
        let responder = HTTPResponder(self, eventLoop: context.eventLoop, connection: info, isHead: false)
        self.responder = responder
        isOpening = true
        let reader = router.open(request(head), responder)
        isOpening = false
        guard let reader else {
            self.responder = nil
            return
        }
        self.head = nil
        if responder.isOpen { self.reader = reader }
    }

    private func route() {
        guard let head else { return }
        let request = request(head)
        self.head = nil
        body = []
        guard let responder = makeResponder(isHead: request.method == "HEAD") else { return }
        guard let router else {
            responder.respond(
                status: 404, headers: Metadata(["content-type": "text/plain; charset=utf-8"]),
                body: Array("404 page not found\n".utf8))
            return
        }
        router.handle(request, responder)
    }

    private func refuseBody() {
        head = nil
        body = []
        keepAlive = false
        makeResponder(isHead: false)?.respond(
            status: 413, headers: Metadata(["content-type": "text/plain; charset=utf-8"]),
            body: Array("request body too large\n".utf8))
    }

    private func makeResponder(isHead: Bool) -> HTTPResponder? {
        guard let context else { return nil }
        let responder = HTTPResponder(self, eventLoop: context.eventLoop, connection: info, isHead: isHead)
        self.responder = responder
        return responder
    }

    private func teardown() {
        idleTimer?.cancel()
        context = nil
        reader = nil
        let responder = self.responder
        self.responder = nil
        responder?.closed(isComplete: false)
    }

    private func scheduleIdleCheck(_ context: ChannelHandlerContext, after delay: TimeAmount) {
        idleTimer = context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
            guard let context = self.context else { return }
            let idle = context.eventLoop.now - self.lastActivity
            if self.responder == nil, idle >= self.idleTimeout {
                context.close(promise: nil)
            } else {
                self.scheduleIdleCheck(context, after: max(self.idleTimeout - idle, .milliseconds(10)))
            }
        }
    }

    // MARK: HTTPResponseSink

    func writeHead(status: Int, headers: Metadata) {
        guard let context else { return }
        if isShuttingDown || isOpening {
            keepAlive = false
        }
        var head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status))
        for (name, value) in headers.fields {
            head.headers.add(name: name, value: value)
        }
        if !keepAlive {
            head.headers.replaceOrAdd(name: "connection", value: "close")
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
    }

    func writeBody(_ bytes: [UInt8]) {
        guard let context else { return }
        bufferedBytes += bytes.count
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in
            let before = self.bufferedBytes
            self.bufferedBytes -= bytes.count
            if before > Self.drainMark, self.bufferedBytes <= Self.drainMark {
                self.responder?.onDrained?()
            }
        }
        context.writeAndFlush(
            wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: bytes)))), promise: written)
    }

    func writeEnd() {
        guard let context else { return }
        lastActivity = context.eventLoop.now
        let responder = self.responder
        self.responder = nil
        // Nobody takes the rest of a body whose answer is complete.
        let closes = !keepAlive || reader != nil
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { result in
            responder?.closed(isComplete: (try? result.get()) != nil)
            if closes {
                self.context?.close(promise: nil)
            }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }
}
