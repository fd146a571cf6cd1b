import KVStore
import Logging
import Primitives
import Raft
import RegistryModel
import Replica
import Storage

/// A member's directory, opened and checked, with everything the core starts from.
struct MemberFoundation {
    var directory: MemberDirectory
    var stores: OpenedStores
    var replica: MemberReplica
    /// The other members and where they listen.
    var peers: [(MemberID, Endpoint)]

    /// Recovers the directory, or founds the cluster in it when it is empty.
    ///
    /// - Throws: `ConfigurationError` or `StorageError`; the text names what was wrong and where.
    init(_ configuration: MemberConfiguration, logger: Logger) throws {
        let identity = try BootstrapIdentity(
            initialCluster: configuration.initialCluster, token: configuration.initialClusterToken)
        let ownURLs = configuration.initialCluster.filter { $0.name == configuration.name }.map(\.url)
        guard let own = identity.member(withPeerURLs: ownURLs) else {
            throw ConfigurationError("--initial-cluster does not contain --name \(configuration.name)")
        }
        let files = PosixFileSystem()
        try MemberFoundation.createParents(of: configuration.dataDirectory, on: files)
        try MemberFoundation.bootstrapIfEmpty(configuration, identity, own, files)
        directory = try MemberDirectory.open(
            configuration.dataDirectory, on: files, cluster: identity.cluster, member: own.id,
            options: StorageOptions())
        do {
            stores = try directory.openStores()
            MemberFoundation.logRecovery(stores.recovered.report, logger)
            var description = own
            description.name = configuration.name
            description.clientURLs = configuration.advertiseClientURLs
            let moment = Moment(now: MonotonicClock.now(), wallMilliseconds: MonotonicClock.wallMilliseconds())
            replica = try MemberReplica(
                configuration: MemberFoundation.replicaConfiguration(
                    configuration, cluster: identity.cluster, description: description,
                    incarnation: directory.incarnation),
                log: stores.recovered.log, state: stores.restored, at: moment)
        } catch {
            directory.close()
            throw error
        }
        // Addresses come from the flags for the founding members; the next members' come with the configuration.
        peers = try identity.members.filter { $0.id != own.id }.map { member in
            (member.id, try Endpoint(url: member.peerURLs[0], setting: "--initial-cluster"))
        }
    }

    /// Directories above the data directory are made as needed, as etcd does.
    private static func createParents(of path: String, on files: PosixFileSystem) throws(StorageError) {
        var parent = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/").dropLast() {
            parent += part
            try files.createDirectory(parent)
            parent += "/"
        }
    }

    private static func bootstrapIfEmpty(
        _ configuration: MemberConfiguration, _ identity: BootstrapIdentity, _ own: MemberDescription,
        _ files: PosixFileSystem
    ) throws {
        guard try !MemberDirectory.isBootstrapped(configuration.dataDirectory, on: files) else { return }
        guard configuration.initialClusterState == .new else {
            throw ConfigurationError(
                "\(configuration.dataDirectory) holds no member, and --initial-cluster-state is existing: joining a "
                    + "running cluster is not supported yet")
        }
        let base = LogBase(
            position: LogPosition(index: LogIndex(1), term: Term(1)),
            configuration: Configuration(voters: identity.members.map(\.id)))
        var state = RestoredState(header: .initial, live: [], leases: [], members: identity.members)
        state.header.configuration = base.configuration.encoded()
        let founded = try RegistryStore(restoring: state)
        try MemberDirectory.bootstrap(
            configuration.dataDirectory, on: files, cluster: identity.cluster, member: own.id, base: base,
            members: identity.members, liveDigest: founded.header.liveDigest, options: StorageOptions())
    }

    private static func replicaConfiguration(
        _ configuration: MemberConfiguration, cluster: ClusterID, description: MemberDescription,
        incarnation: Incarnation
    ) -> ReplicaConfiguration {
        // Elections must not be drawn alike by members that start together.
        var seeds = SystemRandomNumberGenerator()
        var replica = ReplicaConfiguration(
            member: description.id, cluster: cluster, incarnation: incarnation, description: description,
            seed: seeds.next())
        replica.timings.heartbeat = .milliseconds(configuration.heartbeatMilliseconds)
        replica.timings.election = .milliseconds(configuration.electionMilliseconds)
        replica.requestTimeout = .seconds(5) + replica.timings.election * 2
        replica.minLeaseTTLMilliseconds = configuration.minLeaseTTLSeconds * 1_000
        replica.snapshotCount = configuration.snapshotCount
        replica.watchProgressInterval = .seconds(configuration.watchProgressNotifySeconds)
        switch configuration.autoCompaction {
        case .off: replica.retention = .off
        case .periodic(let seconds): replica.retention = .period(milliseconds: seconds * 1_000, revisionsMin: 10_000)
        case .revisions(let count): replica.retention = .revisions(count)
        }
        return replica
    }

    private static func logRecovery(_ report: LogReport, _ logger: Logger) {
        logger.info("log recovered", metadata: ["entries": "\(report.entries)"])
        if report.tornRecords > 0 {
            logger.warning("dropped \(report.tornRecords) entries that were being written when the member stopped")
        }
        if report.damagedHeaders > 0 {
            logger.warning("\(report.damagedHeaders) entry headers were damaged; their copies are intact")
        }
        for finding in report.findings { logger.error("log: \(finding)") }
    }
}
