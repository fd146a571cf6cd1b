package import Primitives

/// What the transport reports; called on its event loop, must not block.
package enum TransportEvent: Sendable {
    /// Our link to this member stands.
    case up(MemberID)
    /// Its host closed an established link (end of stream or reset), in either direction.
    case closed(MemberID)
    /// Messages to it are being dropped: cannot connect, refused, or too much is waiting.
    case unreachable(MemberID)
    /// Payloads in the order they were sent on one connection.
    case frames(MemberID, [[UInt8]])
    /// This member says that we were removed from the cluster. May come more than once.
    case removed(by: MemberID)
}

/// Where a member listens.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int
    /// Whether links there are encrypted.
    package var isSecure: Bool

    package init(host: String, port: Int, isSecure: Bool = false) {
        self.host = host
        self.port = port
        self.isSecure = isSecure
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A member and where it can be dialed.
package struct Peer: Hashable, Sendable {
    package var member: MemberID
    /// Tried in turn.
    package var addresses: [PeerAddress]

    package init(_ member: MemberID, _ addresses: [PeerAddress]) {
        self.member = member
        self.addresses = addresses
    }
}

package struct TransportError: Error, Hashable, CustomStringConvertible {
    package var description: String
}
