import KVStore
import Logging
import NIOCore
import NIOPosix
import Primitives
import Raft
import RegistryModel
import Replica
import Storage
import Transport

/// A member's directory, opened and checked, with everything the core starts from.
struct MemberFoundation {
    var directory: MemberDirectory
    var stores: OpenedStores
    var replica: MemberReplica

    /// Makes an empty directory a member's: founds the cluster, or joins it. A directory that holds data is left as
    /// it is.
    ///
    /// - Throws: `ConfigurationError` or `StorageError`; the text names what was wrong and where.
    static func prepare(
        _ configuration: MemberConfiguration, credentials: LinkCredentials = .none, logger: Logger
    ) async throws {
        let files = PosixFileSystem()
        try createParents(of: configuration.dataDirectory, on: files)
        guard try !MemberDirectory.isBootstrapped(configuration.dataDirectory, on: files) else { return }
        try configuration.validateCluster()
        switch configuration.initialClusterState {
        case .new:
            try found(configuration, on: files)
        case .existing:
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let found: Result<JoinedCluster, any Error>
            do {
                found = .success(
                    try await Joining(configuration: configuration, logger: logger, credentials: credentials)
                        .find(on: group.next()))
            } catch {
                found = .failure(error)
            }
            try? await group.shutdownGracefully()
            try join(try found.get(), configuration, on: files)
        }
    }

    /// Recovers the directory. What it holds counts; flags that say otherwise are only warned about.
    ///
    /// - Throws: `ConfigurationError` or `StorageError`; the text names what was wrong and where.
    init(_ configuration: MemberConfiguration, logger: Logger) throws {
        let files = PosixFileSystem()
        let identity = try MemberDirectory.identity(of: configuration.dataDirectory, on: files)
        directory = try MemberDirectory.open(
            configuration.dataDirectory, on: files, cluster: identity.cluster, member: identity.member,
            options: MemberFoundation.storageOptions(configuration))
        do {
            // Made of the state to see whether it can be used: once is enough.
            var made: RegistryStore?
            let founding = MemberFoundation.founding(configuration, identity)
            stores = try directory.openStores(founding: founding) { RegistryStore.objection(to: $0, made: &made) }
            MemberFoundation.logRecovery(stores, logger)
            let own = stores.restored.members.first { $0.id == identity.member }
            for warning in MemberFoundation.contradictions(configuration, identity, own) {
                logger.warning("\(warning)")
            }
            let description = MemberDescription(
                id: identity.member, name: configuration.name,
                peerURLs: own?.peerURLs ?? configuration.ownPeerURLs,
                clientURLs: configuration.advertiseClientURLs)
            let moment = Moment(now: MonotonicClock.now(), wallMilliseconds: MonotonicClock.wallMilliseconds())
            replica = try MemberReplica(
                configuration: MemberFoundation.replicaConfiguration(
                    configuration, cluster: identity.cluster, description: description,
                    incarnation: directory.incarnation),
                log: stores.recovered.log, state: stores.restored, made: made, at: moment)
        } catch {
            directory.close()
            throw error
        }
    }

    /// What the flags say about the cluster and the directory does not.
    static func contradictions(
        _ configuration: MemberConfiguration, _ identity: DirectoryIdentity, _ own: MemberDescription?
    ) -> [String] {
        func hex(_ number: UInt64) -> String { String(number, radix: 16) }
        let holds = "\(configuration.dataDirectory) holds member \(hex(identity.member.number)) of cluster "
        let ignored = "\(holds)\(hex(identity.cluster.number)), and that counts"
        var warnings: [String] = []
        if configuration.initialClusterState == .new {
            // Members that joined, or clusters that changed since they were founded, have other ids than flags give.
            let flags = try? BootstrapIdentity(
                initialCluster: configuration.initialCluster, token: configuration.initialClusterToken)
            if let flags, flags.cluster != identity.cluster {
                warnings.append(
                    "--initial-cluster and --initial-cluster-token describe cluster \(hex(flags.cluster.number)), but "
                        + ignored)
            }
        }
        let advertised = configuration.initialAdvertisePeerURLs
        let urls = (advertised.isEmpty ? configuration.ownPeerURLs : advertised).sorted()
        if let own, !urls.isEmpty, own.peerURLs.sorted() != urls {
            warnings.append(
                "the flags give this member the peer URLs \(urls.joined(separator: ",")), but the cluster knows "
                    + "\(own.peerURLs.joined(separator: ",")); change that with registryctl member update")
        }
        return warnings
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

    /// Every founding member writes the same record: the configuration, as if it had been entry 1.
    private static func found(_ configuration: MemberConfiguration, on files: PosixFileSystem) throws {
        let identity = try BootstrapIdentity(
            initialCluster: configuration.initialCluster, token: configuration.initialClusterToken)
        guard let own = identity.member(withPeerURLs: configuration.ownPeerURLs) else {
            throw configuration.missingOwnName
        }
        try bootstrap(
            configuration, cluster: identity.cluster, member: own.id, base: foundingBase(identity),
            members: identity.members, files)
    }

    private static func foundingBase(_ identity: BootstrapIdentity) -> LogBase {
        LogBase(
            position: LogPosition(index: LogIndex(1), term: Term(1)),
            configuration: Configuration(voters: identity.members.map(\.id)))
    }

    /// What this member began with, if it founded the cluster that the flags describe: from it and a whole log a lost
    /// state can be made again.
    private static func founding(_ configuration: MemberConfiguration, _ identity: DirectoryIdentity) -> FoundingState?
    {
        let flags = try? BootstrapIdentity(
            initialCluster: configuration.initialCluster, token: configuration.initialClusterToken)
        guard let flags, flags.cluster == identity.cluster,
            let store = try? foundingStore(foundingBase(flags), flags.members)
        else { return nil }
        return FoundingState(
            base: foundingBase(flags), members: flags.members, liveDigest: store.header.liveDigest)
    }

    private static func foundingStore(_ base: LogBase, _ members: [MemberDescription]) throws -> RegistryStore {
        var state = RestoredState(header: .initial, live: [], leases: [], members: members)
        state.header.configuration = base.configuration.encoded()
        return try RegistryStore(restoring: state)
    }

    /// A member that joins knows nothing yet, not even who votes: it begins before the first entry, and the leader
    /// sends it a snapshot.
    static func join(
        _ joined: JoinedCluster, _ configuration: MemberConfiguration, on files: PosixFileSystem
    ) throws {
        let base = LogBase(position: .zero, configuration: Configuration(voters: []))
        try bootstrap(
            configuration, cluster: joined.cluster, member: joined.member, base: base, members: joined.members, files)
    }

    private static func bootstrap(
        _ configuration: MemberConfiguration, cluster: ClusterID, member: MemberID, base: LogBase,
        members: [MemberDescription], _ files: PosixFileSystem
    ) throws {
        let founded = try foundingStore(base, members)
        try MemberDirectory.bootstrap(
            configuration.dataDirectory, on: files, cluster: cluster, member: member, base: base, members: members,
            liveDigest: founded.header.liveDigest, options: storageOptions(configuration))
    }

    private static func storageOptions(_ configuration: MemberConfiguration) -> StorageOptions {
        var options = StorageOptions()
        options.reserveBytes = configuration.diskReserveBytes ?? StorageOptions.automaticReserve
        return options
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
        replica.timings.leaseReads = configuration.leaseReads
        replica.timings.earlyElection = !configuration.leaseReads
        replica.requestTimeout = .seconds(5) + replica.timings.election * 2
        replica.minLeaseTTLMilliseconds = configuration.minLeaseTTLSeconds * 1_000
        replica.tokenLifetime = .seconds(configuration.authTokenTTLSeconds)
        replica.snapshotCount = configuration.snapshotCount
        replica.limits.trailingEntries = configuration.snapshotCatchupEntries
        replica.quotaBytes = configuration.quotaBytes
        replica.historyBytesMax = configuration.historyBytesMax
        replica.strictReconfigCheck = configuration.strictReconfigCheck
        replica.learnersMax = configuration.maxLearners
        replica.watchProgressInterval = .seconds(configuration.watchProgressNotifySeconds)
        switch configuration.autoCompaction {
        case .off: replica.retention = .off
        case .periodic(let seconds): replica.retention = .period(milliseconds: seconds * 1_000, revisionsMin: 10_000)
        case .revisions(let count): replica.retention = .revisions(count)
        }
        return replica
    }

    private static func logRecovery(_ stores: OpenedStores, _ logger: Logger) {
        let report = stores.recovered.report
        logger.info("log recovered", metadata: ["entries": "\(report.entries)"])
        if report.tornRecords > 0 {
            logger.warning("dropped \(report.tornRecords) entries that were being written when the member stopped")
        }
        if report.damagedHeaders > 0 {
            logger.warning("\(report.damagedHeaders) entry headers were damaged; their copies are intact")
        }
        for finding in report.findings { logger.error("log: \(finding)") }
        for notice in stores.notices { logger.critical("\(notice)") }
        guard let recovery = stores.recovered.log.recovery else { return }
        let vote = recovery.claimed == nil ? "gives no votes" : "votes only for logs as long as its own was"
        logger.critical(
            "this member lost entries it had acknowledged: it follows, \(vote) and does not count until a leader has given them back"
        )
    }
}
