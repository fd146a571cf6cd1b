import Glibc
import LinkSecurity
package import Logging
package import NIOCore
import NIOPosix
package import Primitives
import Synchronization

/// All links of one member: it dials every peer to send, and accepts every peer to receive. One event loop serves
/// all of them.
///
/// The transport remembers the latest life (incarnation) of each member that it saw on any link. Whatever comes from
/// an earlier one is dropped, and that life is refused: two processes never count as one member.
package final class PeerTransport: Sendable {
    /// Tells a stranger who the members are; fails when this member cannot say now.
    package typealias Introducer = @Sendable () async throws -> Introduction

    struct Accepted {
        var link: AcceptedLink
        var peer: MemberID
        var life: Life
    }

    struct State {
        var policy: LinkPolicy
        var ownAddresses: [PeerAddress] = []
        var introducer: Introducer?
        /// Questions that are being answered.
        var introductions = 0
        var links: [MemberID: DialedLink] = [:]
        /// Members with a link in `links` that are not among the peers: they dialed us first.
        var strangers: [MemberID] = []
        /// As `setPeers` was told, and as the members themselves say: the latter may be newer.
        var configured: [MemberID: [PeerAddress]] = [:]
        var told: [MemberID: [PeerAddress]] = [:]
        /// The latest life seen of each member.
        var lives: [MemberID: Life] = [:]
        var listeners: [any Channel] = []
        var channels: [ObjectIdentifier: any Channel] = [:]
        var accepted: [ObjectIdentifier: Accepted] = [:]
        /// Of the members that are dialed.
        var traffic: [MemberID: PeerTraffic] = [:]

        func addresses(of member: MemberID) -> [PeerAddress] {
            let configured = configured[member] ?? []
            return configured + (told[member] ?? []).filter { !configured.contains($0) }
        }
    }

    /// Members that dialed us and that we have not heard of otherwise; more are refused.
    static let strangersMax = 16
    /// Questions answered at a time; more are refused.
    static let introductionsMax = 8

    let loop: any EventLoop
    let logger: Logger
    private let pingInterval: TimeAmount
    private let credentials: LinkCredentials
    let report: @Sendable (TransportEvent) -> Bool
    let state: Mutex<State>

    /// - Parameters:
    ///   - versions: what this member speaks.
    ///   - credentials: for addresses that are `isSecure`.
    ///   - pingInterval: between measurements of the round trip to each peer.
    ///   - report: called on `loop`; must not block. False closes the link that the frames came over: they cannot be
    ///     read.
    package init(
        cluster: ClusterID, member: MemberID, incarnation: Incarnation, versions: ProtocolVersions = .supported,
        credentials: LinkCredentials = .none, pingInterval: TimeAmount = .seconds(4), loop: any EventLoop,
        logger: Logger, report: @escaping @Sendable (TransportEvent) -> Bool
    ) {
        self.loop = loop
        self.logger = logger
        self.credentials = credentials
        self.pingInterval = pingInterval
        self.report = report
        let life = Life(incarnation, nonce: UInt64.random(in: .min ... .max))
        let policy = LinkPolicy(cluster: cluster, member: member, life: life, versions: versions)
        state = Mutex(State(policy: policy))
    }

    /// Answers strangers that want to join from now on; before that they are told to come again.
    package func answerIntroductions(with introducer: @escaping Introducer) {
        state.withLock { $0.introducer = introducer }
    }

    /// Binds one address; returns the port (of interest when 0 was asked for).
    ///
    /// - Throws: `TransportError` naming the address and the system's reason.
    package func listen(on address: PeerAddress) async throws -> Int {
        guard !address.isSecure || credentials.accepting != nil else {
            throw TransportError(description: "cannot listen for members on \(address): there is no certificate")
        }
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            // On an accepted link nothing but pings is sent: without probes one whose host vanished would stay for ever,
            // and with a ping in flight the system would go on repeating that instead, for a quarter of an hour.
            .childChannelOption(PeerTransport.tcp(TCP_USER_TIMEOUT), value: 25_000)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(PeerTransport.tcp(TCP_KEEPIDLE), value: 10)
            .childChannelOption(PeerTransport.tcp(TCP_KEEPINTVL), value: 5)
            .childChannelOption(PeerTransport.tcp(TCP_KEEPCNT), value: 3)
            .childChannelInitializer { [self] channel in
                remember(channel)
                return secure(channel, acceptedAt: address).flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptedLink(
                            host: self, helloTimeout: .seconds(5), pingInterval: self.pingInterval,
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

    /// Dials these members from now on and accepts links from them; call again when the members or their addresses
    /// change. A member whose addresses changed is dialed anew unless the present connection leads to one of them.
    ///
    /// - Parameters:
    ///   - peers: may contain this member itself: its addresses are told to those it dials.
    ///   - removed: links from these end, and they are told that they were removed.
    package func setPeers(_ peers: [Peer], removed: [MemberID] = []) {
        var unwanted: [DialedLink] = []
        var refused: [AcceptedLink] = []
        let wanted = state.withLock { state -> [(DialedLink, [PeerAddress])] in
            let own = state.policy.member
            let others = peers.filter { $0.member != own && !removed.contains($0.member) }
            state.ownAddresses = peers.first { $0.member == own }?.addresses ?? state.ownAddresses
            let before = state.policy.peers
            state.policy.peers = others.map(\.member)
            state.policy.removed = removed
            state.strangers.removeAll { stranger in
                removed.contains(stranger) || others.contains { $0.member == stranger }
            }
            for (member, link) in state.links
            where !state.policy.peers.contains(member) && !state.strangers.contains(member) {
                unwanted.append(link)
                state.links[member] = nil
                state.traffic[member] = nil
            }
            // Who was a peer and is none any more shall dial again and be told why.
            let leaving = removed + before.filter { !state.policy.peers.contains($0) }
            refused = state.accepted.values.filter { leaving.contains($0.peer) }.map(\.link)
            for member in removed { state.told[member] = nil }
            state.configured = [:]
            return others.map { peer in
                state.configured[peer.member] = peer.addresses
                let known = state.links[peer.member]
                let link: DialedLink
                if let known { link = known } else { link = makeLink(to: peer.member, in: &state) }
                state.links[peer.member] = link
                return (link, state.addresses(of: peer.member))
            }
        }
        for link in unwanted { _ = link.stop() }
        for (link, addresses) in wanted { link.setAddresses(addresses) }
        guard !refused.isEmpty else { return }
        loop.execute { [refused] in
            for link in refused { link.end(because: "its member left the cluster", closedByHost: false) }
        }
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
            let channels = state.listeners + Array(state.channels.values)
            state.links = [:]
            state.strangers = []
            state.listeners = []
            state.channels = [:]
            return (links, channels)
        }
        for link in links { try? await link.stop().get() }
        for channel in channels { try? await channel.close().get() }
    }

    func makeLink(to peer: MemberID, in state: inout State) -> DialedLink {
        let traffic = PeerTraffic()
        state.traffic[peer] = traffic
        return DialedLink(
            peer: peer, loop: loop, credentials: credentials, traffic: traffic, logger: logger,
            hello: { [owner = WeakTransport(self)] in owner.hello(to: peer) },
            learn: { [owner = WeakTransport(self)] life in owner.learn(life, of: peer) },
            report: report)
    }

    private func secure(_ channel: any Channel, acceptedAt address: PeerAddress) -> EventLoopFuture<Void> {
        guard address.isSecure, let accepting = credentials.accepting else {
            return channel.eventLoop.makeSucceededVoidFuture()
        }
        return accepting.secure(accepted: channel)
    }

    private func remember(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        state.withLock { $0.channels[id] = channel }
        channel.closeFuture.whenComplete { [weak self] _ in
            self?.state.withLock { _ = $0.channels.removeValue(forKey: id) }
        }
    }

    private static func tcp(_ option: Int32) -> ChannelOptions.Types.SocketOption {
        ChannelOptions.socket(SocketOptionLevel(IPPROTO_TCP), SocketOptionName(option))
    }
}
