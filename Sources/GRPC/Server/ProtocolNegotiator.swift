import LinkSecurity
import NIOCore

/// Decides by the first bytes of a connection what it speaks: HTTP/2 begins with a fixed preface, everything else is
/// taken for HTTP/1.1. Works the same over TLS, whose negotiated protocol sends the same first bytes; who begins a TLS
/// handshake with a plaintext port is told so and goes.
final class ProtocolNegotiator: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    enum Kind {
        case http2
        case http1
    }

    /// RFC 9113 §3.4.
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// The record type with which a TLS handshake begins (RFC 8446 §5.1).
    private static let handshake: UInt8 = 22
    private static let plaintextOnly =
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n"
        + "Client began a TLS handshake with a server that does not speak TLS.\n"

    private let timeout: TimeAmount
    private let install: (Kind, TLSEstablished?, any Channel) throws -> Void
    private var tls: TLSEstablished?
    private var received = ByteBuffer()
    private var timer: Scheduled<Void>?
    private var isDecided = false

    /// - Parameter install: adds the handlers of the protocol at the end of the pipeline; gets what TLS has
    ///   established, nil on a plaintext connection.
    init(timeout: TimeAmount, install: @escaping (Kind, TLSEstablished?, any Channel) throws -> Void) {
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
        if let event = event as? TLSEstablished {
            tls = event
        } else if event is ShutdownRequested || event is ShutdownDeadlinePassed {
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
        if tls == nil, received.readableBytesView.first == Self.handshake {
            refuseHandshake(context)
            return
        }
        guard let kind = Self.decide(received.readableBytesView) else { return }
        isDecided = true
        do {
            try install(kind, tls, context.channel)
        } catch {
            context.close(promise: nil)
            return
        }
        let received = self.received
        self.received = ByteBuffer()
        context.fireChannelRead(wrapInboundOut(received))
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// In plain text: TLS clients say then that there is no TLS here, instead of nothing but "closed".
    private func refuseHandshake(_ context: ChannelHandlerContext) {
        received = ByteBuffer()
        isDecided = true
        let channel = context.channel
        channel.writeAndFlush(ByteBuffer(string: Self.plaintextOnly)).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    /// nil: more bytes are needed.
    static func decide(_ bytes: some Collection<UInt8>) -> Kind? {
        for (byte, expected) in zip(bytes, preface) where byte != expected {
            return .http1
        }
        return bytes.count >= preface.count ? .http2 : nil
    }
}
