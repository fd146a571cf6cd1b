import EtcdAPI
import GRPC
import LinkSecurity
public import Logging
import NIOCore
import NIOPosix
import Primitives
import Raft
import RegistryModel
import Replica
import Storage
import Synchronization
import Transport

/// One running member of a registry: in `registryd`, or embedded in another program.
///
/// ```swift
/// var configuration = MemberConfiguration(dataDirectory: "/var/lib/ganglion")
/// configuration.name = "one"
/// configuration.initialCluster = [("one", "http://127.0.0.1:2380")]
/// let member = try await RegistryMember.start(configuration)
/// try await member.client.put(Array("greeting".utf8), Array("hello".utf8))
/// await member.stop()
/// ```
public final class RegistryMember: Sendable {
    /// The program's own version.
    public static let version = "0.1.0"
    /// All of what `--version` prints: scripts look for etcd's line, and for the version it is as.
    public static let versionText = "etcd Version: \(EtcdIdentity().serverVersion)\nregistryd \(version)"

    /// Requests without a network.
    public let client: LocalClient
    /// This member's id, as clients see it.
    public let memberID: UInt64
    /// The cluster's id, as clients see it.
    public let clusterID: UInt64

    private let core: MemberCore
    private let transport: PeerTransport
    private let doors: EtcdFrontDoors
    private let listener: GRPCServer
    /// For `https` client URLs.
    private let clientCredentials: TLSCredentials?
    private let directory: MemberDirectory
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let election: TimeSpan
    private let addresses = Mutex<[String]>([])
    private let httpAddresses = Mutex<[String]>([])
    private let metricsAddresses = Mutex<[String]>([])
    private let hasStopped = Mutex(false)

    /// Starts a member: recovers its directory (or founds the cluster, or joins it), binds its ports, joins the others.
    ///
    /// - Parameters:
    ///   - logger: gets role changes, refused links and storage reports.
    ///   - onFailure: called when the member cannot go on (its disk failed, an entry cannot be read). The program
    ///     should end: the member answers nothing any more.
    ///   - onRemoval: called when the cluster has removed this member; it will never be let in again. The program should
    ///     stop it; its data stays. nil: counts as a failure.
    /// - Throws: `ConfigurationError`, or an error whose text names the directory, port or file and what was wrong.
    public static func start(
        _ configuration: MemberConfiguration, logger: Logger = Logger(label: "registry"),
        onFailure: @escaping @Sendable (String) -> Void = { fatalError("registry member: \($0)") },
        onRemoval: (@Sendable (String) -> Void)? = nil
    ) async throws -> RegistryMember {
        try configuration.validate()
        let credentials = try MemberCredentials(
            configuration, clientProtocols: GRPCServer.applicationProtocols, logger: logger)
        try await MemberFoundation.prepare(configuration, credentials: credentials.links, logger: logger)
        let foundation = try MemberFoundation(configuration, logger: logger)
        let removal = RemovalNotice(logger: logger, onRemoval: onRemoval ?? onFailure)
        let member = RegistryMember(
            foundation, configuration, credentials, logger: logger, removal: removal, onFailure: onFailure)
        do {
            try await member.open(configuration)
            return member
        } catch {
            await member.stop()
            throw error
        }
    }

    private init(
        _ foundation: MemberFoundation, _ configuration: MemberConfiguration, _ credentials: MemberCredentials,
        logger: Logger, removal: RemovalNotice, onFailure: @escaping @Sendable (String) -> Void
    ) {
        let loops = configuration.clientLoops > 0 ? configuration.clientLoops : max(1, System.coreCount / 2)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        let settings = foundation.replica.configuration
        // The first loop also serves the member links.
        let peerLoop = group.next()
        var made: PeerTransport?
        let core = MemberCore(
            replica: foundation.replica, stores: foundation.stores, directory: foundation.directory, loops: group,
            logger: logger,
            makeTransport: { report in
                let transport = PeerTransport(
                    cluster: settings.cluster, member: settings.member, incarnation: settings.incarnation,
                    credentials: credentials.links, loop: peerLoop, logger: logger,
                    report: { event in
                        if case .removed(let by) = event { removal.give(by: by) }
                        return report(event)
                    })
                made = transport
                return transport
            }, slowStep: .milliseconds(configuration.warningApplyMilliseconds), failed: onFailure,
            removed: { removal.give() })
        guard let transport = made else { preconditionFailure("the core made no transport") }
        var options = configuration.doorOptions(logger)
        options.tokens = credentials.tokens
        doors = EtcdFrontDoors(service: core, group: group, options: options, metricsSource: core)
        listener = GRPCServer(group: group, options: configuration.serverOptions(options))
        clientCredentials = credentials.clients
        client = LocalClient(service: core)
        memberID = settings.member.number
        clusterID = settings.cluster.number
        election = settings.timings.election
        directory = foundation.directory
        self.core = core
        self.transport = transport
        self.group = group
        self.logger = logger
    }

    private func open(_ configuration: MemberConfiguration) async throws {
        let (client, cluster) = (client, ClusterID(clusterID))
        transport.answerIntroductions { try await RegistryMember.introduction(of: cluster, by: client) }
        for url in configuration.listenPeerURLs {
            let endpoint = try Endpoint(url: url, setting: "--listen-peer-urls")
            _ = try await transport.listen(
                on: PeerAddress(host: endpoint.host, port: endpoint.port, isSecure: endpoint.isSecure))
        }
        core.start()
        let isSplit = !configuration.listenClientHTTPURLs.isEmpty
        let clients = try await bind(configuration.listenClientURLs, "--listen-client-urls", isSplit ? .calls : .all)
        addresses.withLock { $0 = clients }
        let web = try await bind(configuration.listenClientHTTPURLs, "--listen-client-http-urls", .http)
        httpAddresses.withLock { $0 = web }
        let observers = try await bind(configuration.listenMetricsURLs, "--listen-metrics-urls", .monitoring)
        metricsAddresses.withLock { $0 = observers }
        logger.info(
            "member started",
            metadata: [
                "name": "\(configuration.name)", "member": "\(String(memberID, radix: 16))",
                "cluster": "\(String(clusterID, radix: 16))",
                "clients": "\(clientAddresses.joined(separator: ","))",
            ])
    }

    /// - Returns: the addresses, with the ports that were really bound.
    private func bind(_ urls: [String], _ setting: String, _ service: ListenerService) async throws -> [String] {
        var bound: [String] = []
        for url in urls {
            let endpoint = try Endpoint(url: url, setting: setting)
            let doors = doors
            let tls = endpoint.isSecure ? clientCredentials : nil
            let address = try await listener.bind(host: endpoint.host, port: endpoint.port, tls: tls) { loop in
                service.services(of: doors, on: loop)
            }
            bound.append("\(endpoint.host):\(address.port ?? endpoint.port)")
        }
        return bound
    }

    /// What this member tells strangers: its own view, so that it can be told without a leader as well.
    private static func introduction(of cluster: ClusterID, by client: LocalClient) async throws -> Introduction {
        let members = try await client.members().map { member in
            IntroducedMember(
                id: member.id, name: member.name, peerURLs: member.peerURLs, isLearner: member.isLearner)
        }
        return Introduction(cluster: cluster, members: members)
    }

    /// Where clients can connect, `HOST:PORT`, with the ports that were really bound.
    public var clientAddresses: [String] { addresses.withLock { $0 } }

    /// Where HTTP is served when it has listeners of its own.
    public var clientHTTPAddresses: [String] { httpAddresses.withLock { $0 } }

    /// Where only metrics, health and version are served.
    public var monitoringAddresses: [String] { metricsAddresses.withLock { $0 } }

    /// Whether this member leads now.
    public var isLeader: Bool { core.isLeader }

    /// Stops gracefully: hands leadership over, lets calls finish, makes everything durable. Safe to call twice.
    public func stop() async {
        let isSecond = hasStopped.withLock { stopped in
            defer { stopped = true }
            return stopped
        }
        guard !isSecond else { return }
        await handOver()
        await listener.shutdown(grace: .milliseconds(500))
        await doors.detach()
        client.close()
        await transport.shutdown()
        core.stop()
        directory.close()
        try? await group.shutdownGracefully()
        logger.info("member stopped")
    }

    /// Waits until another member leads, at most one election timeout.
    private func handOver() async {
        guard core.isLeader else { return }
        core.handOver()
        let patience = MonotonicClock.now() + election
        while core.isLeader, MonotonicClock.now() < patience {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
