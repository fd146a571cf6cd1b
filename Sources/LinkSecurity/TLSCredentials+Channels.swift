import Glibc
package import NIOCore
import NIOSSL
import NIOTLS

/// Fired through the pipeline of an accepted connection once its handshake is done and its certificate is welcome.
package struct TLSEstablished: Sendable {
    /// nil when the server demands none.
    package var certificate: PeerCertificate?
}

extension TLSCredentials {
    /// Puts TLS under an accepted channel; call it from the initializer, before other handlers are added.
    ///
    /// What is not TLS, and certificates that are not welcome, end the channel. Everybody else gets `TLSEstablished`
    /// as a user event before the first byte.
    ///
    /// - Returns: when the handlers are in place; fails when there is no usable certificate.
    package func secure(accepted channel: any Channel) -> EventLoopFuture<Void> {
        material(on: channel.eventLoop).flatMapThrowing { material in
            let demands = self.settings.trustedCA != nil
            try channel.pipeline.syncOperations.addHandlers([
                PlaintextRefusal(credentials: self),
                NIOSSLServerHandler(context: material.context, configuration: .bounded),
                Admission(credentials: self, rules: material.rules, demandsCertificate: demands),
            ])
        }
    }

    /// Puts TLS under a channel that is being connected; call it from the initializer, before other handlers are added.
    ///
    /// - Parameter host: as dialed; the certificate must be for it, unless the settings say otherwise.
    /// - Returns: when the handlers are in place; fails when the files cannot be used.
    package func secure(dialed channel: any Channel, host: String) -> EventLoopFuture<Void> {
        let name = settings.serverName ?? host
        return material(on: channel.eventLoop).flatMapThrowing { material in
            // An address is never sent as the server's name (RFC 6066 §3).
            let isAddress = PeerCertificate.canonical(name) != nil
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(
                NIOSSLClientHandler(
                    context: material.context, serverHostname: isAddress ? nil : name, configuration: .bounded))
            // The library has compared no name: see TLSMaterial.
            if !self.settings.skipsVerification { try pipeline.addHandler(HostCheck(name)) }
        }
    }
}

extension NIOSSLHandler.Configuration {
    /// Keeps no large buffer for a connection that has nothing to say.
    fileprivate static var bounded: NIOSSLHandler.Configuration {
        var configuration = NIOSSLHandler.Configuration()
        configuration.maximumPreservedOutboundBufferCapacity = 16 * 1024
        return configuration
    }
}

/// Looks at the first byte: whoever does not begin a TLS handshake is told so if that is possible, and goes.
private final class PlaintextRefusal: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The record type of a handshake (RFC 8446 §5.1).
    private static let handshake: UInt8 = 22
    private static let text = "Client sent an HTTP request to an HTTPS server.\n"
    private static let answer =
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        + "content-length: \(text.utf8.count)\r\n\r\n\(text)"

    private let credentials: TLSCredentials
    private var isOver = false

    init(credentials: TLSCredentials) {
        self.credentials = credentials
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        let bytes = unwrapInboundIn(data)
        guard let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) else { return }
        guard first != PlaintextRefusal.handshake else {
            context.fireChannelRead(data)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
            return
        }
        isOver = true
        credentials.refused(context.remoteText, "it does not speak TLS, this port does")
        // Letters begin HTTP/1; the preface of HTTP/2 begins with PRI and has no answer in plain text.
        let begin = bytes.getString(at: bytes.readerIndex, length: min(4, bytes.readableBytes)) ?? ""
        let isHTTP1 = begin.utf8.allSatisfy { (65...90).contains($0) || $0 == 32 } && begin != "PRI "
        guard isHTTP1, !begin.hasPrefix("GNGL") else { return context.close(promise: nil) }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: PlaintextRefusal.answer))).whenComplete { _ in
            channel.close(promise: nil)
        }
    }
}

/// Waits for the end of the handshake and judges the certificate.
private final class Admission: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let credentials: TLSCredentials
    private let rules: AdmissionRules
    private let demandsCertificate: Bool
    private var isOver = false

    init(credentials: TLSCredentials, rules: AdmissionRules, demandsCertificate: Bool) {
        self.credentials = credentials
        self.rules = rules
        self.demandsCertificate = demandsCertificate
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted = event as? TLSUserEvent, !isOver else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        guard demandsCertificate else { return admit(nil, context) }
        let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
        guard let certificate = handler?.peerCertificate else {
            return refuse("no client certificate was shown", context)
        }
        let peer = PeerCertificate(certificate)
        if let obstacle = rules.obstacle(to: peer, at: Int64(time(nil))) {
            refuse(obstacle, context)
        } else {
            admit(peer, context)
        }
    }

    /// Nothing passes between a refusal and the end of the channel.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isOver { context.fireChannelRead(data) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isOver else { return }
        isOver = true
        if !TLSFailure.isDeparture(error) { credentials.refused(context.remoteText, TLSFailure.text(error)) }
        context.close(promise: nil)
    }

    private func admit(_ certificate: PeerCertificate?, _ context: ChannelHandlerContext) {
        context.fireUserInboundEventTriggered(TLSEstablished(certificate: certificate))
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func refuse(_ reason: String, _ context: ChannelHandlerContext) {
        isOver = true
        credentials.refused(context.remoteText, reason)
        context.close(promise: nil)
    }
}

extension ChannelHandlerContext {
    fileprivate var remoteText: String { remoteAddress.map { "\($0)" } ?? "unknown" }
}
