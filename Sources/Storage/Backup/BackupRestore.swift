package import Primitives
internal import Raft
package import RegistryModel

/// What a restoration made.
package struct RestoredMember: Hashable, Sendable {
    package var cluster: ClusterID
    package var member: MemberID
    package var members: [MemberDescription]
    package var revision: Revision
    package var compactRevision: Revision

    package init(
        cluster: ClusterID, member: MemberID, members: [MemberDescription], revision: Revision,
        compactRevision: Revision
    ) {
        self.cluster = cluster
        self.member = member
        self.members = members
        self.revision = revision
        self.compactRevision = compactRevision
    }
}

/// Makes fresh data directories from a backup.
package enum BackupRestore {
    /// Builds the directory of one member. `member` in it appears, complete and durable, by one rename; what an
    /// interrupted restoration left is done again from the start.
    ///
    /// Keys, history, leases, users, roles and the log position are the backup's. Leases get their full TTL from the first leader.
    /// - Parameters:
    ///   - name: of a member of the plan.
    ///   - directory: created if needed; its parent must exist.
    /// - Throws: `alreadyExists` when the directory holds a member; `invalidSnapshot`, `newerFormat` for the backup;
    ///   `notFound` for a name that the plan does not have; `inUse`, `full`, `io`.
    package static func restore(
        _ backup: BackupFile, as name: String, to directory: String, _ plan: RestorePlan,
        on fileSystem: any FileSystem, options: StorageOptions
    ) throws(StorageError) -> RestoredMember {
        let identity = RestoredIdentity(plan, of: backup.header)
        guard let own = identity.member(named: name) else {
            throw StorageError(.notFound, "restore", directory, "the initial cluster has no member named \(name)")
        }
        // Every byte first: nothing of a damaged backup gets into a directory.
        _ = try backup.verify()
        try fileSystem.createDirectory(directory)
        let lock = try fileSystem.lock("\(directory)/LOCK")
        defer { lock.release() }
        guard !(try fileSystem.exists("\(directory)/member")) else {
            throw StorageError(.alreadyExists, "restore to", directory, "it already holds a member's data")
        }
        let new = "\(directory)/member.new"
        try fileSystem.removeTree(new)
        try fileSystem.createDirectory(new)
        try fileSystem.createDirectory("\(new)/log")
        let state = try buildState(backup, "\(new)/state-1.db", identity, plan, fileSystem, options)
        let base = LogBase(
            position: state.applied, configuration: Configuration(voters: identity.members.map(\.description.id)))
        try LogStore.create("\(new)/log", on: fileSystem, base: base, options: options)
        let meta = MetaRecord(
            cluster: identity.cluster, member: own.id, incarnation: identity.incarnation, database: 1)
        try SlotFile.create(
            "\(new)/\(MetaRecord.fileName)", on: fileSystem, magic: MetaRecord.magic,
            slotBytes: MetaRecord.slotBytes, payload: meta.encoded
        ).close()
        try fileSystem.syncDirectory(new)
        try fileSystem.rename(new, to: "\(directory)/member")
        try fileSystem.syncDirectory(directory)
        try fileSystem.syncDirectory(BackupFileWriter.directory(of: directory))
        return RestoredMember(
            cluster: identity.cluster, member: own.id, members: identity.members.map(\.description),
            revision: state.revision, compactRevision: state.compactRevision)
    }

    private static func buildState(
        _ backup: BackupFile, _ path: String, _ identity: RestoredIdentity, _ plan: RestorePlan,
        _ fileSystem: any FileSystem, _ options: StorageOptions
    ) throws(StorageError) -> StateHeader {
        let builder = try StateBuilder(path, on: fileSystem, options: options)
        do throws(StorageError) {
            var header: StoredHeader?
            var replaced = Digest128()
            try backup.scan { (record) throws(StorageError) in
                switch record {
                case .header(let state, let nextRow): header = StoredHeader(state: state, nextRow: nextRow)
                case .row(let row, let id): try builder.add(row, id: id)
                case .lease(let lease): try builder.add(lease)
                // Who was in the lost cluster, or had been, and what ailed its members: not the new one's concern.
                case .member(let member): replaced.add(RecordDigest.member(member))
                case .removedMember(let id): replaced.add(RecordDigest.removedMember(id))
                case .alarm(let alarm): replaced.add(RecordDigest.alarm(alarm))
                case .authSettings(let isEnabled, let revision):
                    try builder.addAuth(isEnabled: isEnabled, revision: revision)
                case .authUser(let user): try builder.add(user)
                case .authRole(let role): try builder.add(role)
                case .end: break
                }
            }
            guard var header else { throw StorageError.backup(backup.path, "it has no contents") }
            // What the compaction before the backup has removed; the rest goes when the member runs.
            header.removedThrough = header.state.compactRevision
            header.removingThrough = header.state.compactRevision
            try advance(&header.state, plan, backup.path)
            header.state.configuration = Configuration(voters: identity.members.map(\.description.id)).encoded()
            header.state.liveDigest.remove(replaced)
            for (_, member) in identity.members {
                try builder.add(member)
                header.state.liveDigest.add(RecordDigest.member(member))
            }
            try builder.finish(header)
            return header.state
        } catch {
            builder.discard()
            throw error
        }
    }

    private static func advance(
        _ state: inout StateHeader, _ plan: RestorePlan, _ path: String
    ) throws(StorageError) {
        let (revision, isTooLarge) = state.revision.number.addingReportingOverflow(plan.bump)
        guard plan.bump >= 0, !isTooLarge else {
            throw .backup(path, "revision \(state.revision.number) cannot be raised by \(plan.bump)")
        }
        state.revision = Revision(revision)
        if plan.marksCompacted { state.compactRevision = state.revision }
    }
}
