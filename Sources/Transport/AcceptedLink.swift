import Glibc
import LinkSecurity
import Logging
import NIOCore
import Primitives

/// What an accepted link asks of the transport. Called on its event loop.
protocol LinkHost: AnyObject, Sendable {
    /// Judges a hello; the link counts as the sender's when the verdict is `none`.
    func admit(_ hello: Hello, over link: AcceptedLink) -> HelloAnswer
    /// The answer to a stranger's question.
    func introduce(to question: IntroductionQuestion, on loop: any EventLoop) -> EventLoopFuture<IntroductionAnswer>
    /// Where what comes from this member is counted; nil when it is not.
    func traffic(with member: MemberID) -> PeerTraffic?
    /// The link is gone.
    func ended(_ link: AcceptedLink)
}

/// The receiving end of a member link: judges the hello, then takes frames. After its answer it only sends pings, a byte
/// each, to measure how long the way there and back takes. Confined to its event loop.
final class AcceptedLink: ChannelInboundHandler, @unchecked Sendable {
    // Safe: every stored variable is touched on the channel's loop only.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// Goes to `open` on an agreeable hello, to `introducing` on a question, else the channel is closed.
        case waitingForHello
        /// Goes to `closed` with the answer.
        case introducing
        case open(MemberID)
        case closed
    }

    /// More than the largest hello or question.
    private static let openingBytesMax = Hello.headerByteCount + Hello.addressBytesMax + 64

    /// Forgets this link when it ends.
    private let host: any LinkHost
    private let logger: Logger
    private let report: @Sendable (TransportEvent) -> Bool
    private let helloTimeout: TimeAmount
    private let pingInterval: TimeAmount
    private var state = State.waitingForHello
    private var channel: (any Channel)?
    private var buffer = ByteBuffer()
    private var frames: [[UInt8]] = []
    private var timeout: Scheduled<Void>?
    private var traffic: PeerTraffic?
    private var nextPing: Scheduled<Void>?
    private var lastPing: UInt8 = 0
    /// When the ping in flight was sent; a second one goes out only once it is answered or given up.
    private var pingedAt: NIODeadline?
    private var wasSilent = false
    /// Whether the link is encrypted. The dialer's own addresses are taken to be so as well.
    private(set) var isSecure = false

    init(
        host: any LinkHost, helloTimeout: TimeAmount, pingInterval: TimeAmount, logger: Logger,
        report: @escaping @Sendable (TransportEvent) -> Bool
    ) {
        self.host = host
        self.helloTimeout = helloTimeout
        self.pingInterval = pingInterval
        self.logger = logger
        self.report = report
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        self.channel = channel
        timeout = context.eventLoop.scheduleTask(in: helloTimeout) { channel.close(promise: nil) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSEstablished { isSecure = true }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var incoming = unwrapInboundIn(data)
        if case .introducing = state { return }
        if case .closed = state { return }
        buffer.writeBuffer(&incoming)
        do throws(DecodingFailure) {
            try parse(context: context)
        } catch {
            close(context: context, because: "\(error)")
        }
        if buffer.readableBytes == 0 { buffer.clear(minimumCapacity: 0) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if case .open(let peer) = state, !frames.isEmpty {
            let batch = frames
            frames.removeAll(keepingCapacity: true)
            traffic?.received(bytes: batch.reduce(0) { $0 + $1.count + Frame.headerByteCount })
            if !report(.frames(peer, batch)) { close(context: context, because: "a message cannot be read") }
        }
        buffer.discardReadBytes()
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        nextPing?.cancel()
        if case .open(let peer) = state { _ = report(wasSilent ? .unreachable(peer) : .closed(peer)) }
        state = .closed
        host.ended(self)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The host did not close: nobody answers there.
        if let failure = error as? IOError, failure.errnoCode == ETIMEDOUT { wasSilent = true }
        context.close(promise: nil)
    }

    /// Ends the link for our own reasons; frames that were not reported yet are dropped.
    ///
    /// - Parameter closedByHost: whether the process at the other end is known to be gone.
    func end(because reason: String, closedByHost: Bool) {
        guard case .open(let peer) = state, let channel else { return }
        logger.info("ending a member link: \(reason)", metadata: ["member": "\(String(peer.number, radix: 16))"])
        state = .closed
        buffer.clear(minimumCapacity: 0)
        frames.removeAll()
        if closedByHost { _ = report(.closed(peer)) }
        channel.close(promise: nil)
    }

    private func parse(context: ChannelHandlerContext) throws(DecodingFailure) {
        if case .waitingForHello = state { try parseOpening(context: context) }
        guard case .open = state else { return }
        while true {
            if let number = Frame.readPong(from: &buffer) {
                answered(number)
            } else if let payload = try Frame.read(from: &buffer) {
                frames.append(payload)
            } else {
                return
            }
        }
    }

    private func schedulePing(in time: TimeAmount) {
        guard let channel else { return }
        nextPing = channel.eventLoop.scheduleTask(in: time) { [weak self] in self?.ping() }
    }

    private func ping() {
        guard case .open = state, let channel else { return }
        let now = NIODeadline.now()
        // A dialer of an earlier release never answers.
        let isWaiting = pingedAt.map { now - $0 < TimeAmount.nanoseconds(pingInterval.nanoseconds * 10) } ?? false
        if !isWaiting, channel.isWritable {
            lastPing &+= 1
            pingedAt = now
            channel.writeAndFlush(ByteBuffer(bytes: [lastPing]), promise: nil)
        }
        schedulePing(in: pingInterval)
    }

    private func answered(_ number: UInt8) {
        guard number == lastPing, let sentAt = pingedAt else { return }
        pingedAt = nil
        traffic?.measured(roundTrip: NIODeadline.now() - sentAt)
    }

    /// Foreign bytes are refused by their first eight, not only once a whole hello has come.
    private func parseOpening(context: ChannelHandlerContext) throws(DecodingFailure) {
        let count = min(AcceptedLink.openingBytesMax, buffer.readableBytes)
        let seen = buffer.getBytes(at: buffer.readerIndex, length: count) ?? []
        if IntroductionQuestion.magic.starts(with: seen.prefix(8)), !Hello.magic.starts(with: seen.prefix(8)) {
            guard let question = try IntroductionQuestion.decode(seen) else { return }
            introduce(question, context: context)
        } else {
            guard let (hello, byteCount) = try Hello.decode(seen) else { return }
            buffer.moveReaderIndex(forwardBy: byteCount)
            answer(hello, context: context)
        }
    }

    private func answer(_ hello: Hello, context: ChannelHandlerContext) {
        timeout?.cancel()
        let answer = host.admit(hello, over: self)
        let bytes = ByteBuffer(bytes: answer.encoded())
        if answer.refusal == .none {
            state = .open(hello.from)
            traffic = host.traffic(with: hello.from)
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            // Not right behind the answer, where the dialer would take it for a part of that.
            schedulePing(in: .nanoseconds(pingInterval.nanoseconds / 4))
        } else {
            state = .closed
            logger.warning("refused a member link: \(answer.text)", metadata: ["from": "\(address(context))"])
            let channel = context.channel
            context.writeAndFlush(wrapOutboundOut(bytes)).whenComplete { _ in channel.close(promise: nil) }
        }
    }

    private func introduce(_ question: IntroductionQuestion, context: ChannelHandlerContext) {
        state = .introducing
        buffer.clear(minimumCapacity: 0)
        let channel = context.channel
        logger.info("a stranger asks who the members are", metadata: ["from": "\(address(context))"])
        // The hello's timeout bounds this as well: it closes the channel.
        host.introduce(to: question, on: context.eventLoop).whenSuccess { answer in
            channel.writeAndFlush(ByteBuffer(bytes: answer.encoded())).whenComplete { _ in
                channel.close(promise: nil)
            }
        }
    }

    private func close(context: ChannelHandlerContext, because reason: String) {
        logger.warning("closing a member link: \(reason)", metadata: ["from": "\(address(context))"])
        if case .open(let peer) = state {
            traffic?.failedToReceive()
            _ = report(.unreachable(peer))
        }
        state = .closed
        buffer.clear(minimumCapacity: 0)
        frames.removeAll()
        context.close(promise: nil)
    }

    private func address(_ context: ChannelHandlerContext) -> String {
        context.remoteAddress.map { "\($0)" } ?? "unknown"
    }
}
