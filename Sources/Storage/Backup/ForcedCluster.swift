package import Primitives
internal import Raft
package import RegistryModel

/// What a stopped member has, and what making it the only one does to its cluster.
package struct ForcedCluster: Hashable, Sendable {
    package var cluster: ClusterID
    package var member: MemberID
    /// Everybody else who is, or is about to be, in the cluster, ascending.
    package var others: [MemberID]
    /// The last entry that this member knows to be committed.
    package var known: LogIndex
    /// The end of its log.
    package var last: LogPosition
    package var revision: Revision
    /// Whether its log lost entries that it had acknowledged.
    package var isRecovering: Bool
}

/// Makes one member of a cluster that has lost its quorum a cluster of its own, with everything its log holds.
///
/// What only the others had is lost, acknowledged or not; what was in this log and not committed counts from now on.
package enum ClusterForcing {
    /// What `force` would do, from the directory of a stopped member.
    ///
    /// - Throws: as `force`.
    package static func inspect(
        _ path: String, on fileSystem: any FileSystem, options: StorageOptions
    ) throws(StorageError) -> ForcedCluster {
        try withStores(path, on: fileSystem, options) { (_, found, _) throws(StorageError) in found }
    }

    /// Gives the directory's cluster another id, durably, then appends entries that leave this member alone: in its
    /// next life it needs nobody's vote. The old members refuse it, and it them. An interruption between the two
    /// leaves a member that reaches nobody; do it again.
    ///
    /// - Parameters:
    ///   - cluster: a number that no cluster has had.
    ///   - wallMilliseconds: the wall clock's time.
    /// - Returns: what there was before.
    /// - Throws: `otherMember` when the member was removed from its cluster; `alreadyExists` when it is alone already;
    ///   `notFound`, `inUse`, `damaged`, `newerFormat`, `full`, `io`.
    package static func force(
        _ path: String, cluster: ClusterID, wallMilliseconds: Int64, on fileSystem: any FileSystem,
        options: StorageOptions
    ) throws(StorageError) -> ForcedCluster {
        _ = try inspect(path, on: fileSystem, options: options)
        let before = try rename(path, cluster, fileSystem)
        return try withStores(path, on: fileSystem, options) { (directory, found, stores) throws(StorageError) in
            let wall = max(wallMilliseconds, stores.restored.header.wallMilliseconds)
            let term = Term(max(stores.log.hardState.term, found.last.term).number + 1)
            let entries = entries(
                for: found, term: term, isLearner: isLearner(found.member, stores.restored),
                incarnation: directory.incarnation, wallMilliseconds: wall)
            let state = HardState(term: term, votedFor: found.member, commit: stores.log.hardState.commit)
            try stores.log.write(LogBatch(number: BatchNumber(1), entries: entries, hardState: state))
            // There is nobody left to get lost entries from.
            try stores.log.clearRecovering()
            var result = found
            result.cluster = before
            return result
        }
    }

    private static func withStores<Result>(
        _ path: String, on fileSystem: any FileSystem, _ options: StorageOptions,
        _ body: (MemberDirectory, ForcedCluster, OpenedStores) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        let directory = try StoppedMember.open(path, on: fileSystem, options: options)
        defer { directory.close() }
        let stores = try directory.openStores(rebuilds: false)
        defer {
            stores.log.close()
            stores.state.close()
        }
        return try body(directory, try found(directory, stores, path), stores)
    }

    private static func found(
        _ directory: MemberDirectory, _ stores: OpenedStores, _ path: String
    ) throws(StorageError) -> ForcedCluster {
        let restored = stores.restored
        let log = stores.recovered.log
        guard !restored.removedMembers.contains(directory.member) else {
            throw StorageError(
                .otherMember, "make the only member", path,
                "its cluster has removed it. Use the directory of one that still belongs to it")
        }
        var configuration = log.base.configuration
        var everybody = restored.members.map(\.id) + configuration.members
        for entry in log.entries where entry.kind == .configuration {
            do throws(DecodingFailure) {
                configuration = try ConfigurationEntry.decode(entry.payload).configuration
            } catch {
                throw .undecodable(path, error)
            }
            everybody += configuration.members
        }
        let others = Set(everybody).subtracting([directory.member]).sorted()
        if configuration == Configuration(voters: [directory.member]) {
            throw StorageError(.alreadyExists, "make the only member", path, "it is the only member already")
        }
        return ForcedCluster(
            cluster: directory.cluster, member: directory.member, others: others,
            known: max(stores.log.hardState.commit, restored.header.applied.index),
            last: log.entries.last?.position ?? log.base.position, revision: restored.header.revision,
            isRecovering: log.recovery != nil)
    }

    private static func isLearner(_ member: MemberID, _ state: RestoredState) -> Bool {
        state.members.first { $0.id == member }?.isLearner ?? false
    }

    /// The configuration of this member alone, once for each change of the list of members that goes with it.
    private static func entries(
        for found: ForcedCluster, term: Term, isLearner: Bool, incarnation: Incarnation, wallMilliseconds: Int64
    ) -> [Entry] {
        var operations: [Command.Operation] = found.others.map { .memberRemove($0) }
        if isLearner { operations.append(.memberPromote(found.member)) }
        let configuration = Configuration(voters: [found.member])
        let origin = Origin(member: found.member, incarnation: incarnation, serial: 0, reason: .system)
        var contexts: [[UInt8]] = []
        for operation in operations {
            let command = Command(wallMilliseconds: wallMilliseconds, origin: origin, operation: operation)
            contexts.append(command.encoded())
        }
        if contexts.isEmpty { contexts = [[]] }
        return contexts.enumerated().map { place, context in
            let change = ConfigurationEntry(configuration: configuration, context: context)
            return Entry(
                index: LogIndex(found.last.index.number + 1 + UInt64(place)), term: term, kind: .configuration,
                payload: change.encoded())
        }
    }

    /// - Returns: the cluster's id until now.
    private static func rename(
        _ path: String, _ cluster: ClusterID, _ fileSystem: any FileSystem
    ) throws(StorageError) -> ClusterID {
        let lock = try fileSystem.lock("\(path)/LOCK")
        defer { lock.release() }
        let metaPath = "\(path)/member/\(MetaRecord.fileName)"
        let file = try SlotFile.open(
            metaPath, on: fileSystem, magic: MetaRecord.magic, slotBytes: MetaRecord.slotBytes)
        defer { file.close() }
        var meta: MetaRecord
        do throws(DecodingFailure) {
            meta = try MetaRecord.decode(file.payload)
        } catch {
            throw .undecodable(metaPath, error)
        }
        let before = meta.cluster
        meta.cluster = cluster
        try file.write(meta.encoded)
        return before
    }
}
