import Glibc
import LinkSecurity
import Logging
import NIOCore
import NIOPosix
import Primitives

/// The sending end of a member link: dials, says hello, then sends frames; dials again after a loss, the next address
/// each time. Confined to its event loop.
///
/// What is handed in while the link is down is dropped: the core repeats what matters.
final class DialedLink: @unchecked Sendable {
    // Safe: every stored variable is touched on `loop` only.
    private enum State {
        /// Goes to `dialing` after the pause; without a timer it waits for an address.
        case waiting(Scheduled<Void>?)
        case dialing
        case up(any Channel, Life)
        case stopped
    }

    private static let firstPause = TimeAmount.milliseconds(20)
    private static let lastPause = TimeAmount.milliseconds(500)
    /// More than this waiting in the channel: the peer does not read, frames are dropped.
    private static let waitingBytesMax = 64 * 1024 * 1024

    let peer: MemberID
    let loop: any EventLoop
    private let credentials: LinkCredentials
    private let hello: @Sendable () -> Hello
    /// Why the life that answered cannot be the peer's.
    private let learn: @Sendable (Life) -> String?
    private let logger: Logger
    private let report: @Sendable (TransportEvent) -> Bool
    private let traffic: PeerTraffic
    private var addresses: [PeerAddress] = []
    /// The address that is dialed, or to be dialed next.
    private var cursor = 0
    /// Tells events of the present connection from those of an abandoned one.
    private var attempt: UInt64 = 0
    private var state = State.waiting(nil)
    private var pause = DialedLink.firstPause
    private var waitingBytes = 0
    private var reportedUnreachable = false
    /// What was said last about each address: nothing is said twice in a row.
    private var complaints: [PeerAddress: String] = [:]

    init(
        peer: MemberID, loop: any EventLoop, credentials: LinkCredentials, traffic: PeerTraffic, logger: Logger,
        hello: @escaping @Sendable () -> Hello,
        learn: @escaping @Sendable (Life) -> String?, report: @escaping @Sendable (TransportEvent) -> Bool
    ) {
        self.peer = peer
        self.loop = loop
        self.logger = logger
        self.credentials = credentials
        self.traffic = traffic
        self.hello = hello
        self.learn = learn
        self.report = report
    }

    /// Dials these from now on. A connection to one of them is kept, any other ends.
    func setAddresses(_ addresses: [PeerAddress]) {
        loop.execute { self.replaceAddresses(addresses) }
    }

    func stop() -> EventLoopFuture<Void> {
        loop.flatSubmit {
            let before = self.state
            self.state = .stopped
            switch before {
            case .up(let channel, _):
                self.traffic.disconnected(isLoss: false)
                return channel.close().flatMapError { _ in self.loop.makeSucceededVoidFuture() }
            case .waiting(let timer):
                timer?.cancel()
                return self.loop.makeSucceededVoidFuture()
            case .dialing, .stopped:
                return self.loop.makeSucceededVoidFuture()
            }
        }
    }

    /// Ends a connection to an earlier life of the peer than this one, and dials again.
    func leaveLives(before latest: Life) {
        loop.preconditionInEventLoop()
        guard case .up(_, let life) = state, life != latest else { return }
        dialAnew()
    }

    /// Sends payloads as one write; drops them when the link is down or clogged.
    func send(_ payloads: [[UInt8]]) {
        loop.preconditionInEventLoop()
        guard case .up(let channel, _) = state, waitingBytes <= DialedLink.waitingBytesMax else {
            traffic.failedToSend(payloads.count)
            complainOnce()
            return
        }
        let size = payloads.reduce(0) { $0 + $1.count + Frame.headerByteCount }
        var buffer = channel.allocator.buffer(capacity: size)
        for payload in payloads { Frame.write(payload, into: &buffer) }
        waitingBytes += size
        let sent = channel.eventLoop.makePromise(of: Void.self)
        let count = payloads.count
        sent.futureResult.whenComplete { result in
            self.waitingBytes -= size
            switch result {
            case .success: self.traffic.sent(bytes: size)
            case .failure: self.traffic.failedToSend(count)
            }
        }
        channel.writeAndFlush(buffer, promise: sent)
    }

    private func replaceAddresses(_ new: [PeerAddress]) {
        if case .stopped = state { return }
        if new.isEmpty { complainOnce() }
        guard new != addresses else { return }
        let present = addresses.isEmpty ? nil : addresses[cursor]
        addresses = new
        if let present, let place = new.firstIndex(of: present) {
            cursor = place
            if case .waiting = state {} else { return }
        } else {
            cursor = 0
        }
        dialAnew()
    }

    /// Dials now, whatever was before.
    private func dialAnew() {
        switch state {
        case .stopped: return
        case .waiting(let timer): timer?.cancel()
        case .dialing: break
        case .up(let channel, _):
            // Counts as abandoned before its end is heard of.
            attempt += 1
            traffic.disconnected(isLoss: true)
            channel.close(promise: nil)
            complainOnce()
        }
        pause = DialedLink.firstPause
        dial()
    }

    private func dial() {
        if case .stopped = state { return }
        attempt += 1
        guard !addresses.isEmpty else {
            state = .waiting(nil)
            complainOnce()
            return
        }
        state = .dialing
        let address = addresses[cursor]
        let attempt = attempt
        let handler = HelloHandler(link: self, attempt: attempt, hello: hello())
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.seconds(1))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            // A silently cut link must not hold frames for minutes.
            .channelOption(
                ChannelOptions.socket(SocketOptionLevel(IPPROTO_TCP), SocketOptionName(TCP_USER_TIMEOUT)), value: 3_000
            )
            .channelInitializer { [credentials] channel in
                credentials.secure(channel, to: address).flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        bootstrap.connect(host: address.host, port: address.port).whenFailure { error in
            let end = HelloHandler.End(complaint: "cannot connect: \(TLSFailure.text(error))")
            self.down(attempt, end)
        }
    }

    /// - Returns: why this connection cannot be the link; nil when it is from now on.
    fileprivate func established(_ attempt: UInt64, _ channel: any Channel, _ answer: HelloAnswer) -> String? {
        guard attempt == self.attempt, case .dialing = state else { return "not wanted any more" }
        if let obstacle = learn(answer.life) { return obstacle }
        state = .up(channel, answer.life)
        pause = DialedLink.firstPause
        waitingBytes = 0
        reportedUnreachable = false
        complaints = [:]
        traffic.connected()
        _ = report(.up(peer))
        return nil
    }

    /// The acceptor measures how long the way to us and back takes.
    fileprivate func pinged(_ attempt: UInt64, number: UInt8) {
        // A peer that does not read gets no answers to collect.
        guard attempt == self.attempt, case .up(let channel, _) = state, channel.isWritable else { return }
        var buffer = channel.allocator.buffer(capacity: Frame.headerByteCount)
        Frame.writePong(number, into: &buffer)
        channel.writeAndFlush(buffer, promise: nil)
    }

    fileprivate func refused(_ attempt: UInt64, _ answer: HelloAnswer) {
        guard attempt == self.attempt, answer.refusal == .removed else { return }
        _ = report(.removed(by: peer))
    }

    fileprivate func down(_ attempt: UInt64, _ end: HelloHandler.End) {
        if case .stopped = state { return }
        guard attempt == self.attempt else { return }
        let address = addresses[cursor]
        if let complaint = end.complaint, complaint != complaints[address] {
            complaints[address] = complaint
            logger.warning("link to member \(String(peer.number, radix: 16)) at \(address): \(complaint)")
        }
        traffic.disconnected(isLoss: true)
        if end.isUp { _ = report(end.closedByHost ? .closed(peer) : .unreachable(peer)) } else { complainOnce() }
        // The link that broke is tried first, then the others in turn.
        if !end.isUp { cursor = (cursor + 1) % addresses.count }
        let wait = pause
        if cursor == 0 { pause = min(TimeAmount.nanoseconds(pause.nanoseconds * 2), DialedLink.lastPause) }
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

    /// How a connection ended.
    struct End {
        var isUp = false
        var complaint: String?
        var closedByHost = true
    }

    private struct Progress {
        var answer: [UInt8] = []
        var end = End()
        var isOver = false
        var timeout: Scheduled<Void>?
    }

    private let link: DialedLink
    private let attempt: UInt64
    private let hello: Hello
    private let progress: NIOLoopBoundBox<Progress>

    init(link: DialedLink, attempt: UInt64, hello: Hello) {
        self.link = link
        self.attempt = attempt
        self.hello = hello
        progress = NIOLoopBoundBox.makeBoxSendingValue(Progress(), eventLoop: link.loop)
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: hello.encoded())), promise: nil)
        let channel = context.channel
        progress.value.timeout = context.eventLoop.scheduleTask(in: .seconds(2)) {
            self.progress.value.end.complaint = "no answer to the hello"
            channel.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !progress.value.isOver else { return }
        var buffer = unwrapInboundIn(data)
        guard !progress.value.end.isUp else {
            // Only the latest ping waits for an answer.
            if let number = buffer.readableBytesView.last { link.pinged(attempt, number: number) }
            return
        }
        progress.value.answer += buffer.readBytes(length: buffer.readableBytes) ?? []
        do throws(DecodingFailure) {
            guard let answer = try HelloAnswer.decode(progress.value.answer) else { return }
            progress.value.timeout?.cancel()
            guard let complaint = judge(answer, context: context) else {
                progress.value.end.isUp = true
                return
            }
            end(complaint, context: context)
        } catch {
            end("not a member of ours: \(error)", context: context)
        }
    }

    /// - Returns: why this is not the link; nil when it stands.
    private func judge(_ answer: HelloAnswer, context: ChannelHandlerContext) -> String? {
        guard answer.refusal == .none else {
            link.refused(attempt, answer)
            return "refused: \(answer.text)"
        }
        guard hello.versions.agreed(with: answer.versions) != nil else {
            return hello.versions.refusal(of: answer.versions)
        }
        return link.established(attempt, context.channel, answer)
    }

    private func end(_ complaint: String, context: ChannelHandlerContext) {
        progress.value.isOver = true
        progress.value.end.complaint = complaint
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let failure = error as? IOError {
            if failure.errnoCode == ETIMEDOUT { progress.value.end.closedByHost = false }
        } else if !progress.value.end.isUp {
            progress.value.end.complaint = TLSFailure.text(error)
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        progress.value.timeout?.cancel()
        link.down(attempt, progress.value.end)
    }
}
