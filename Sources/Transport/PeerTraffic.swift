package import NIOCore
package import Primitives
import Synchronization

/// What the links with one member have carried since this member first heard of it; outlives the links. Confined to
/// the transport's loop.
final class PeerTraffic: @unchecked Sendable {
    // Safe: touched on the transport's loop only.
    /// Frames with their headers, on the link that this member dials.
    private(set) var sentBytes: UInt64 = 0
    /// Messages that were dropped, or that the system would not take.
    private(set) var sendFailures: UInt64 = 0
    /// Frames with their headers, on links that the other member dials.
    private(set) var receivedBytes: UInt64 = 0
    /// Times that something came which could not be read.
    private(set) var receiveFailures: UInt64 = 0
    /// Whether the link that this member dials stands.
    private(set) var isConnected = false
    /// How often it ended without this member's doing.
    private(set) var losses: UInt64 = 0
    private(set) var roundTrips = Histogram.roundTrip

    func sent(bytes: Int) { sentBytes += UInt64(bytes) }
    func failedToSend(_ messages: Int) { sendFailures += UInt64(messages) }
    func received(bytes: Int) { receivedBytes += UInt64(bytes) }
    func failedToReceive() { receiveFailures += 1 }
    func connected() { isConnected = true }

    /// The dialed link ended.
    func disconnected(isLoss: Bool) {
        if isConnected, isLoss { losses += 1 }
        isConnected = false
    }

    func measured(roundTrip: TimeAmount) {
        roundTrips.observe(TimeSpan(nanoseconds: roundTrip.nanoseconds))
    }
}

/// `PeerTraffic` of one member at one moment.
package struct PeerTrafficSnapshot: Sendable {
    package var member: MemberID
    package var sentBytes: UInt64
    package var sendFailures: UInt64
    package var receivedBytes: UInt64
    package var receiveFailures: UInt64
    package var isConnected: Bool
    package var losses: UInt64
    /// From here to the other member's transport and back, over the link that carries its messages.
    package var roundTrips: Histogram

    init(_ member: MemberID, _ traffic: PeerTraffic) {
        self.member = member
        sentBytes = traffic.sentBytes
        sendFailures = traffic.sendFailures
        receivedBytes = traffic.receivedBytes
        receiveFailures = traffic.receiveFailures
        isConnected = traffic.isConnected
        losses = traffic.losses
        roundTrips = traffic.roundTrips
    }
}

extension PeerTransport {
    /// What was carried from and to each peer, in id order. Never blocks: the links' own loop looks it up.
    package func traffic() -> EventLoopFuture<[PeerTrafficSnapshot]> {
        loop.submit { [self] in
            state.withLock { state in
                state.policy.peers.sorted().compactMap { peer in
                    state.traffic[peer].map { PeerTrafficSnapshot(peer, $0) }
                }
            }
        }
    }
}
