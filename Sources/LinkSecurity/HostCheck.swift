import NIOCore
import NIOSSL
import NIOTLS

/// Stands behind the TLS of a dialed channel and compares the server's certificate with the host that was meant.
///
/// The TLS library's own comparison takes the CommonName of a certificate without other names, and compares an address
/// with the socket's instead of the one that was asked for. Until the certificate is known to be right nothing passes:
/// what is written waits here, whatever the library does with it between the handshake and the end of a channel.
final class HostCheck: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private enum State {
        case waiting
        case admitted
        case refused
    }

    private let host: String
    private var state = State.waiting
    private var held: [(data: NIOAny, promise: EventLoopPromise<Void>?)] = []
    private var wantsFlush = false

    init(_ host: String) {
        self.host = host
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted = event as? TLSUserEvent, state == .waiting else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLClientHandler.self)
        guard let certificate = handler?.peerCertificate, PeerCertificate(certificate).isFor(host) else {
            return refuse(context)
        }
        context.fireUserInboundEventTriggered(event)
        release(context)
    }

    private func release(_ context: ChannelHandlerContext) {
        // Whoever hears of a write may write again, behind what waits.
        var next = 0
        while next < held.count {
            context.write(held[next].data, promise: held[next].promise)
            next += 1
        }
        held = []
        state = .admitted
        if wantsFlush { context.flush() }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func refuse(_ context: ChannelHandlerContext) {
        state = .refused
        fail(NIOSSLExtraError.failedToValidateHostname)
        context.fireErrorCaught(NIOSSLExtraError.failedToValidateHostname)
        context.close(promise: nil)
    }

    private func fail(_ error: any Error) {
        let held = held
        self.held = []
        for write in held { write.promise?.fail(error) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if state != .refused { context.fireChannelRead(data) }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch state {
        case .waiting: held.append((data, promise))
        case .admitted: context.write(data, promise: promise)
        case .refused: promise?.fail(NIOSSLExtraError.failedToValidateHostname)
        }
    }

    func flush(context: ChannelHandlerContext) {
        switch state {
        case .waiting: wantsFlush = true
        case .admitted: context.flush()
        case .refused: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        fail(ChannelError.ioOnClosedChannel)
    }
}
