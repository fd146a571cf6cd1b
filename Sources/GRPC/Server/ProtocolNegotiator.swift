import NIOCore

/// Decides by the first bytes of a connection what it speaks: HTTP/2 begins with a fixed preface, everything else is
/// taken for HTTP/1.1. Works the same over TLS, whose negotiated protocol sends the same first bytes.
final class ProtocolNegotiator: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    enum Kind {
        case http2
        case http1
    }

    /// RFC 9113 §3.4.
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let timeout: TimeAmount
    private let install: (Kind, any Channel) throws -> Void
    private var received = ByteBuffer()
    private var timer: Scheduled<Void>?
    private var isDecided = false

    /// - Parameter install: adds the handlers of the protocol at the end of the pipeline.
    init(timeout: TimeAmount, install: @escaping (Kind, any Channel) throws -> Void) {
        self.timeout = timeout
        self.install = install
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            channel.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ShutdownRequested || event is ShutdownDeadlinePassed {
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isDecided {
            context.fireChannelRead(data)
            return
        }
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        guard let kind = Self.decide(received.readableBytesView) else { return }
        isDecided = true
        do {
            try install(kind, context.channel)
        } catch {
            context.close(promise: nil)
            return
        }
        let received = self.received
        self.received = ByteBuffer()
        context.fireChannelRead(wrapInboundOut(received))
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// nil: more bytes are needed.
    static func decide(_ bytes: some Collection<UInt8>) -> Kind? {
        for (byte, expected) in zip(bytes, preface) where byte != expected {
            return .http1
        }
        return bytes.count >= preface.count ? .http2 : nil
    }
}
