import Logging
import NIOCore
import Primitives

/// The receiving end of a member link: judges the hello, then takes frames. Never sends after its answer.
final class AcceptedLink: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// Goes to `open` on an agreeable hello, else the channel is closed.
        case waitingForHello
        case open(MemberID)
        case closed
    }

    private let policy: @Sendable () -> LinkPolicy
    private let logger: Logger
    private let report: @Sendable (TransportEvent) -> Bool
    private let helloTimeout: TimeAmount
    private var state = State.waitingForHello
    private var buffer = ByteBuffer()
    private var frames: [[UInt8]] = []
    private var timeout: Scheduled<Void>?

    init(
        policy: @escaping @Sendable () -> LinkPolicy, helloTimeout: TimeAmount, logger: Logger,
        report: @escaping @Sendable (TransportEvent) -> Bool
    ) {
        self.policy = policy
        self.helloTimeout = helloTimeout
        self.logger = logger
        self.report = report
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        timeout = context.eventLoop.scheduleTask(in: helloTimeout) { channel.close(promise: nil) }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var incoming = unwrapInboundIn(data)
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
            if !report(.frames(peer, batch)) { close(context: context, because: "a message cannot be read") }
        }
        buffer.discardReadBytes()
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        if case .open(let peer) = state { _ = report(.closed(peer)) }
        state = .closed
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func parse(context: ChannelHandlerContext) throws(DecodingFailure) {
        if case .waitingForHello = state {
            // Foreign bytes are refused by their first eight, not only once a whole hello has come.
            let seen = buffer.getBytes(at: buffer.readerIndex, length: min(8, buffer.readableBytes)) ?? []
            guard Hello.magic.starts(with: seen) else { throw .invalid("hello.magic") }
            guard let bytes = buffer.readBytes(length: Hello.byteCount) else { return }
            answer(try Hello.decode(bytes), context: context)
        }
        guard case .open = state else { return }
        while let payload = try Frame.read(from: &buffer) {
            frames.append(payload)
        }
    }

    private func answer(_ hello: Hello, context: ChannelHandlerContext) {
        let answer = policy().judge(hello)
        timeout?.cancel()
        let bytes = ByteBuffer(bytes: answer.encoded())
        if answer.refusal == .none {
            state = .open(hello.from)
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        } else {
            state = .closed
            logger.warning("refused a member link: \(answer.text)", metadata: ["from": "\(address(context))"])
            let channel = context.channel
            context.writeAndFlush(wrapOutboundOut(bytes)).whenComplete { _ in channel.close(promise: nil) }
        }
    }

    private func close(context: ChannelHandlerContext, because reason: String) {
        logger.warning("closing a member link: \(reason)", metadata: ["from": "\(address(context))"])
        if case .open(let peer) = state { _ = report(.unreachable(peer)) }
        state = .closed
        buffer.clear(minimumCapacity: 0)
        frames.removeAll()
        context.close(promise: nil)
    }

    private func address(_ context: ChannelHandlerContext) -> String {
        context.remoteAddress.map { "\($0)" } ?? "unknown"
    }
}
