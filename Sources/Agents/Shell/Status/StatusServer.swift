import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

/// The local status endpoint: `GET /` answers what the agent knows and decided, `GET /health` that its loop runs.
/// Confined to the foundation's loop.
///
/// An address that is taken is tried again: the agent does not end for it.
final class StatusServer: @unchecked Sendable {
    private static let retryInterval = TimeAmount.seconds(5)
    fileprivate static let connectionsMax = 64
    fileprivate static let idleLimit = TimeAmount.seconds(30)

    private let loop: any EventLoop
    private let logger: Logger
    private let content: () -> [UInt8]
    private var address: String?
    private var channel: (any Channel)?
    /// Counts calls of `listen`, so that an older attempt does not win.
    private var attempt = 0
    fileprivate var connections = 0

    /// - Parameter content: JSON; called on the loop for each request.
    init(foundation: AgentFoundation, logger: Logger, content: @escaping () -> [UInt8]) {
        loop = foundation.loop
        self.logger = logger
        self.content = content
    }

    /// Listens at `address`, `host:port`, and nowhere else; nil is nowhere.
    func listen(at address: String?) {
        guard address != self.address else { return }
        self.address = address
        close()
        if let address { bind(address) }
    }

    func close() {
        attempt += 1
        channel?.close(promise: nil)
        channel = nil
    }

    private func bind(_ address: String) {
        guard let (host, port) = Self.split(address) else {
            return logger.error("status_address: \"\(address)\" is not host:port; there is no status endpoint")
        }
        let number = attempt
        ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false)
                    try pipeline.addHandler(StatusHandler(self))
                }
            }
            .bind(host: host, port: port)
            .whenComplete { result in self.bound(result, address, number) }
    }

    private func bound(_ result: Result<any Channel, any Error>, _ address: String, _ number: Int) {
        switch result {
        case .success(let channel) where number == attempt:
            self.channel = channel
            logger.info("status at http://\(address)/")
        case .success(let channel): channel.close(promise: nil)
        case .failure(let error) where number == attempt:
            logger.error("cannot listen at \(address), trying again: \(ProbeText.text(error))")
            _ = loop.scheduleTask(in: Self.retryInterval) { [weak self] in
                guard let self, number == self.attempt else { return }
                self.bind(address)
            }
        case .failure: break
        }
    }

    static func split(_ address: String) -> (host: String, port: Int)? {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = address[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return host.isEmpty ? nil : (String(host), port)
    }

    fileprivate func answer(_ head: HTTPRequestHead) -> (status: HTTPResponseStatus, body: [UInt8]) {
        guard head.method == .GET || head.method == .HEAD else {
            return (.methodNotAllowed, Array("{\"error\":\"only GET is answered\"}".utf8))
        }
        switch head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first {
        case "/": return (.ok, content())
        case "/health": return (.ok, Array("{\"health\":\"true\"}".utf8))
        default: return (.notFound, Array("{\"error\":\"there are / and /health\"}".utf8))
        }
    }
}

/// One connection to the status endpoint: one request at a time, bodies ignored.
private final class StatusHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let server: StatusServer
    private var head: HTTPRequestHead?
    private var idle: Scheduled<Void>?

    init(_ server: StatusServer) {
        self.server = server
    }

    func channelActive(context: ChannelHandlerContext) {
        server.connections += 1
        if server.connections > StatusServer.connectionsMax { return context.close(promise: nil) }
        waitForRequest(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        server.connections -= 1
        idle?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            respond(to: head, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func respond(to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let (status, body) = server.answer(head)
        var response = HTTPResponseHead(version: .http1_1, status: status)
        response.headers.add(name: "Content-Type", value: "application/json")
        response.headers.add(name: "Content-Length", value: String(body.count))
        let staysOpen = head.isKeepAlive
        if !staysOpen { response.headers.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        if head.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        }
        let isWritten = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: isWritten)
        if staysOpen { return waitForRequest(context) }
        let channel = context.channel
        isWritten.futureResult.whenComplete { _ in channel.close(promise: nil) }
    }

    /// The whole next request has to come within the limit.
    private func waitForRequest(_ context: ChannelHandlerContext) {
        idle?.cancel()
        let channel = context.channel
        idle = context.eventLoop.scheduleTask(in: StatusServer.idleLimit) { channel.close(promise: nil) }
    }
}
