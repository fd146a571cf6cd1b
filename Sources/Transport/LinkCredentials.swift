package import LinkSecurity
import NIOCore

/// TLS between members: both ends of a link show certificates.
package struct LinkCredentials: Sendable {
    /// What this member shows, and demands of those who dial its `https` addresses; nil: it cannot listen on any.
    package var accepting: TLSCredentials?
    /// What this member shows, and demands of the `https` addresses that it dials.
    package var dialing: TLSCredentials

    package init(accepting: TLSCredentials?, dialing: TLSCredentials) {
        self.accepting = accepting
        self.dialing = dialing
    }

    /// For plaintext; `https` addresses are dialed without a certificate of our own.
    package static var none: LinkCredentials {
        LinkCredentials(accepting: nil, dialing: .client(TLSSettings()))
    }

    /// Puts TLS under a channel that is being connected, if the address asks for it.
    func secure(_ channel: any Channel, to address: PeerAddress) -> EventLoopFuture<Void> {
        guard address.isSecure else { return channel.eventLoop.makeSucceededVoidFuture() }
        return dialing.secure(dialed: channel, host: address.host)
    }
}
