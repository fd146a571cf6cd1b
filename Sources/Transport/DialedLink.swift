import Glibc
import Logging
import NIOCore
import NIOPosix
import Primitives

/// The sending end of a member link: dials, says hello, then sends frames; dials again after a loss. Confined to its
/// event loop.
///
/// What is handed in while the link is down is dropped: the core repeats what matters.
final class DialedLink: @unchecked Sendable {
    // Safe: every stored variable is touched on `loop` only.
    private enum State {
        /// Goes to `dialing` after the pause.
        case waiting(Scheduled<Void>?)
        case dialing
        case up(any Channel)
        case stopped
    }

    private static let firstPause = TimeAmount.milliseconds(20)
    private static let lastPause = TimeAmount.milliseconds(500)
    /// More than this waiting in the channel: the peer does not read, frames are dropped.
    private static let waitingBytesMax = 64 * 1024 * 1024

    private let peer: MemberID
    private let address: PeerAddress
    private let hello: Hello
    private let loop: any EventLoop
    private let logger: Logger
    private let report: @Sendable (TransportEvent) -> Bool
    private var state = State.waiting(nil)
    private var pause = DialedLink.firstPause
    private var waitingBytes = 0
    private var reportedUnreachable = false
    private var lastComplaint = ""

    init(
        peer: MemberID, address: PeerAddress, hello: Hello, loop: any EventLoop, logger: Logger,
        report: @escaping @Sendable (TransportEvent) -> Bool
    ) {
        self.peer = peer
        self.address = address
        self.hello = hello
        self.loop = loop
        self.logger = logger
        self.report = report
    }

    func start() {
        loop.execute { self.dial() }
    }

    func stop() -> EventLoopFuture<Void> {
        loop.flatSubmit {
            let before = self.state
            self.state = .stopped
            switch before {
            case .up(let channel):
                return channel.close().flatMapError { _ in self.loop.makeSucceededVoidFuture() }
            case .waiting(let timer):
                timer?.cancel()
                return self.loop.makeSucceededVoidFuture()
            case .dialing, .stopped:
                return self.loop.makeSucceededVoidFuture()
            }
        }
    }

    /// Sends payloads as one write; drops them when the link is down or clogged.
    func send(_ payloads: [[UInt8]]) {
        loop.preconditionInEventLoop()
        guard case .up(let channel) = state, waitingBytes <= DialedLink.waitingBytesMax else {
            complainOnce()
            return
        }
        let size = payloads.reduce(0) { $0 + $1.count + Frame.headerByteCount }
        var buffer = channel.allocator.buffer(capacity: size)
        for payload in payloads { Frame.write(payload, into: &buffer) }
        waitingBytes += size
        let sent = channel.eventLoop.makePromise(of: Void.self)
        sent.futureResult.whenComplete { _ in self.waitingBytes -= size }
        channel.writeAndFlush(buffer, promise: sent)
    }

    private func dial() {
        if case .stopped = state { return }
        state = .dialing
        let handler = HelloHandler(link: self, hello: hello)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.seconds(1))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            // A silently cut link must not hold frames for minutes.
            .channelOption(
                ChannelOptions.socket(SocketOptionLevel(IPPROTO_TCP), SocketOptionName(TCP_USER_TIMEOUT)), value: 3_000
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler) }
            }
        bootstrap.connect(host: address.host, port: address.port).whenFailure { error in
            self.down(wasUp: false, closedByHost: false, complaint: "cannot connect: \(error)")
        }
    }

    fileprivate func established(_ channel: any Channel) {
        if case .stopped = state {
            channel.close(promise: nil)
            return
        }
        state = .up(channel)
        pause = DialedLink.firstPause
        waitingBytes = 0
        reportedUnreachable = false
        lastComplaint = ""
        _ = report(.up(peer))
    }

    fileprivate func down(wasUp: Bool, closedByHost: Bool, complaint: String?) {
        if case .stopped = state { return }
        if let complaint, complaint != lastComplaint {
            lastComplaint = complaint
            logger.warning("link to member \(String(peer.number, radix: 16)) at \(address): \(complaint)")
        }
        if wasUp { _ = report(closedByHost ? .closed(peer) : .unreachable(peer)) } else { complainOnce() }
        let wait = pause
        pause = min(TimeAmount.nanoseconds(pause.nanoseconds * 2), DialedLink.lastPause)
        state = .waiting(loop.scheduleTask(in: wait) { self.dial() })
    }

    private func complainOnce() {
        guard !reportedUnreachable else { return }
        reportedUnreachable = true
        _ = report(.unreachable(peer))
    }
}

/// Says hello on a fresh connection, waits for the answer, and notices the end of the stream.
private final class HelloHandler: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private struct Progress {
        var answer: [UInt8] = []
        var isUp = false
        var complaint: String?
        var closedByHost = true
        var timeout: Scheduled<Void>?
    }

    private let link: DialedLink
    private let hello: Hello
    private let progress: NIOLoopBoundBox<Progress>

    init(link: DialedLink, hello: Hello) {
        self.link = link
        self.hello = hello
        progress = NIOLoopBoundBox.makeBoxSendingValue(Progress(), eventLoop: link.ownLoop)
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: hello.encoded())), promise: nil)
        let channel = context.channel
        progress.value.timeout = context.eventLoop.scheduleTask(in: .seconds(2)) {
            self.progress.value.complaint = "no answer to the hello"
            channel.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !progress.value.isUp else { return }
        var buffer = unwrapInboundIn(data)
        progress.value.answer += buffer.readBytes(length: buffer.readableBytes) ?? []
        do throws(DecodingFailure) {
            guard let answer = try HelloAnswer.decode(progress.value.answer) else { return }
            progress.value.timeout?.cancel()
            if answer.refusal == .none {
                progress.value.isUp = true
                link.established(context.channel)
            } else {
                progress.value.complaint = "refused: \(answer.text)"
                context.close(promise: nil)
            }
        } catch {
            progress.value.complaint = "not a member of ours: \(error)"
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let failure = error as? IOError, failure.errnoCode == ETIMEDOUT { progress.value.closedByHost = false }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        progress.value.timeout?.cancel()
        let end = progress.value
        link.down(wasUp: end.isUp, closedByHost: end.closedByHost, complaint: end.complaint)
    }
}

extension DialedLink {
    fileprivate var ownLoop: any EventLoop { loop }
}
