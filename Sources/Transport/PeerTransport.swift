package import Logging
package import NIOCore
import NIOPosix
package import Primitives
import Synchronization

/// All links of one member: it dials every peer to send, and accepts every peer to receive. One event loop serves
/// all of them.
package final class PeerTransport: Sendable {
    private struct State {
        var policy: LinkPolicy
        var links: [MemberID: DialedLink] = [:]
        var listeners: [any Channel] = []
        var accepted: [ObjectIdentifier: any Channel] = [:]
    }

    private let loop: any EventLoop
    private let incarnation: Incarnation
    private let logger: Logger
    private let report: @Sendable (TransportEvent) -> Bool
    private let state: Mutex<State>

    /// - Parameter report: called on `loop`; must not block. False closes the link that the frames came over: they
    ///   cannot be read.
    package init(
        cluster: ClusterID, member: MemberID, incarnation: Incarnation, loop: any EventLoop, logger: Logger,
        report: @escaping @Sendable (TransportEvent) -> Bool
    ) {
        self.loop = loop
        self.incarnation = incarnation
        self.logger = logger
        self.report = report
        state = Mutex(State(policy: LinkPolicy(cluster: cluster, member: member, peers: [])))
    }

    /// Binds one address; returns the port (of interest when 0 was asked for).
    ///
    /// - Throws: `TransportError` naming the address and the system's reason.
    package func listen(on address: PeerAddress) async throws -> Int {
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [self] channel in
                remember(channel)
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptedLink(
                            policy: { self.state.withLock { $0.policy } }, helloTimeout: .seconds(5),
                            logger: self.logger, report: self.report))
                }
            }
        do {
            let channel = try await bootstrap.bind(host: address.host, port: address.port).get()
            state.withLock { $0.listeners.append(channel) }
            return channel.localAddress?.port ?? address.port
        } catch {
            throw TransportError(description: "cannot listen for members on \(address): \(error)")
        }
    }

    /// Dials these peers from now on and accepts links from them; call again when membership changes.
    package func setPeers(_ peers: [(MemberID, PeerAddress)]) {
        var started: [DialedLink] = []
        var stopped: [DialedLink] = []
        state.withLock { state in
            let cluster = state.policy.cluster
            let member = state.policy.member
            state.policy.peers = peers.map(\.0)
            for (peer, link) in state.links where !peers.contains(where: { $0.0 == peer }) {
                stopped.append(link)
                state.links[peer] = nil
            }
            for (peer, address) in peers where state.links[peer] == nil && peer != member {
                let hello = Hello(cluster: cluster, from: member, to: peer, incarnation: incarnation)
                let link = DialedLink(
                    peer: peer, address: address, hello: hello, loop: loop, logger: logger, report: report)
                state.links[peer] = link
                started.append(link)
            }
        }
        for link in stopped { _ = link.stop() }
        for link in started { link.start() }
    }

    /// Sends payloads to members; `encode` runs on the transport's loop, so that encoding costs the caller nothing.
    ///
    /// Never blocks; payloads for a member whose link is down are dropped.
    package func send<Batch: Sendable>(_ batch: Batch, encode: @escaping @Sendable (Batch) -> [(MemberID, [[UInt8]])]) {
        loop.execute { [self] in
            for (member, payloads) in encode(batch) {
                let link = state.withLock { $0.links[member] }
                link?.send(payloads)
            }
        }
    }

    /// Stops dialing, listening and every open link.
    package func shutdown() async {
        let (links, channels) = state.withLock { state in
            let links = Array(state.links.values)
            let channels = state.listeners + Array(state.accepted.values)
            state.links = [:]
            state.listeners = []
            state.accepted = [:]
            return (links, channels)
        }
        for link in links { try? await link.stop().get() }
        for channel in channels { try? await channel.close().get() }
    }

    private func remember(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        state.withLock { $0.accepted[id] = channel }
        channel.closeFuture.whenComplete { [weak self] _ in
            self?.state.withLock { _ = $0.accepted.removeValue(forKey: id) }
        }
    }
}
