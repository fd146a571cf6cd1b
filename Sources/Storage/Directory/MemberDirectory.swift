package import Primitives
package import Raft
package import RegistryModel

/// Log and state of a member as they stand after recovery, fitted to each other.
package struct OpenedStores: Sendable {
    package var log: LogStore
    package var recovered: RecoveredLog
    package var state: StateStore
    package var restored: RestoredState
}

/// The data directory of one member.
///
/// ```
/// LOCK                     held while the member runs
/// member/meta              identity, incarnation, which database counts
/// member/log/              base, hardstate, <number>.segment
/// member/state-<n>.db      the state, with SQLite's -wal and -shm beside it
/// member/incoming*         a snapshot being received
/// member/outgoing-*        snapshots being sent
/// member.new/              an unfinished bootstrap
/// ```
/// `member` appears, complete and durable, by one rename.
package final class MemberDirectory: @unchecked Sendable {
    // @unchecked: no locks; its owner hands it over between lanes through a queue.

    package let cluster: ClusterID
    package let member: MemberID
    /// Of this life: one more than the last one's, durably.
    package let incarnation: Incarnation
    let path: String
    let fileSystem: any FileSystem
    let options: StorageOptions
    private let lock: any FileLock
    private let metaFile: SlotFile
    var meta: MetaRecord

    private init(
        path: String, fileSystem: any FileSystem, options: StorageOptions, lock: any FileLock, metaFile: SlotFile,
        meta: MetaRecord
    ) {
        self.path = path
        self.fileSystem = fileSystem
        self.options = options
        self.lock = lock
        self.metaFile = metaFile
        self.meta = meta
        cluster = meta.cluster
        member = meta.member
        incarnation = meta.incarnation
    }

    var home: String { "\(path)/member" }

    func databasePath(_ number: UInt64) -> String { "\(home)/state-\(number).db" }

    /// Whether `bootstrap` was completed here.
    package static func isBootstrapped(_ path: String, on fileSystem: any FileSystem) throws(StorageError) -> Bool {
        guard try fileSystem.exists(path) else { return false }
        return try fileSystem.exists("\(path)/member")
    }

    /// Makes the directory a member's, exactly once: an empty log after `base`, a database with the initial members
    /// and configuration. One that was cut short is done again from the start.
    ///
    /// - Parameters:
    ///   - path: created if needed; its parent must exist.
    ///   - base: where the log begins; every initial member gets the same.
    ///   - liveDigest: the state machine's digest over the initial members.
    /// - Throws: `alreadyExists` when it was done, `inUse`, `full`, `io`.
    package static func bootstrap(
        _ path: String, on fileSystem: any FileSystem, cluster: ClusterID, member: MemberID, base: LogBase,
        members: [MemberDescription], liveDigest: Digest128, options: StorageOptions
    ) throws(StorageError) {
        try fileSystem.createDirectory(path)
        let lock = try fileSystem.lock("\(path)/LOCK")
        defer { lock.release() }
        guard !(try fileSystem.exists("\(path)/member")) else {
            throw StorageError(.alreadyExists, "bootstrap", path, "it already holds a member's data")
        }
        let new = "\(path)/member.new"
        try fileSystem.removeTree(new)
        try fileSystem.createDirectory(new)
        try fileSystem.createDirectory("\(new)/log")
        try LogStore.create("\(new)/log", on: fileSystem, base: base, options: options)
        var header = StateHeader.initial
        header.applied = base.position
        header.configuration = base.configuration.encoded()
        header.liveDigest = liveDigest
        try StateStore.create(
            "\(new)/state-1.db", header: header, members: members, on: fileSystem, options: options)
        let meta = MetaRecord(cluster: cluster, member: member, incarnation: Incarnation(0), database: 1)
        try SlotFile.create(
            "\(new)/\(MetaRecord.fileName)", on: fileSystem, magic: MetaRecord.magic,
            slotBytes: MetaRecord.slotBytes, payload: meta.encoded
        ).close()
        try fileSystem.syncDirectory(new)
        try fileSystem.rename(new, to: "\(path)/member")
        try fileSystem.syncDirectory(path)
        try fileSystem.syncDirectory(parent(of: path))
    }

    /// Takes the directory for this process: checks whose it is, counts the incarnation up durably, removes files
    /// that an interrupted installation left.
    ///
    /// - Throws: `notFound` when it was never bootstrapped; `inUse`; `otherMember`; `newerFormat`; `damaged`; `io`.
    package static func open(
        _ path: String, on fileSystem: any FileSystem, cluster: ClusterID, member: MemberID, options: StorageOptions
    ) throws(StorageError) -> MemberDirectory {
        guard try isBootstrapped(path, on: fileSystem) else {
            throw StorageError(.notFound, "open", path, "it holds no member's data")
        }
        let lock = try fileSystem.lock("\(path)/LOCK")
        do throws(StorageError) {
            let metaPath = "\(path)/member/\(MetaRecord.fileName)"
            let metaFile = try SlotFile.open(
                metaPath, on: fileSystem, magic: MetaRecord.magic, slotBytes: MetaRecord.slotBytes)
            var meta: MetaRecord
            do throws(DecodingFailure) {
                meta = try MetaRecord.decode(metaFile.payload)
            } catch {
                throw .undecodable(metaPath, error)
            }
            try check(meta, cluster: cluster, member: member, path: path)
            meta.incarnation = Incarnation(meta.incarnation.number + 1)
            try metaFile.write(meta.encoded)
            let directory = MemberDirectory(
                path: path, fileSystem: fileSystem, options: options, lock: lock, metaFile: metaFile, meta: meta)
            try directory.removeLeftovers()
            return directory
        } catch {
            lock.release()
            throw error
        }
    }

    private static func check(
        _ meta: MetaRecord, cluster: ClusterID, member: MemberID, path: String
    ) throws(StorageError) {
        func hexadecimal(_ number: UInt64) -> String { String(number, radix: 16) }
        guard meta.cluster == cluster else {
            throw StorageError(
                .otherMember, "open", path,
                "it belongs to cluster \(hexadecimal(meta.cluster.number)), not \(hexadecimal(cluster.number))")
        }
        guard meta.member == member else {
            throw StorageError(
                .otherMember, "open", path,
                "it belongs to member \(hexadecimal(meta.member.number)), not \(hexadecimal(member.number))")
        }
    }

    /// Recovers log and state and fits them to each other. A state ahead of the log, or one whose position the log
    /// contradicts (an installed snapshot, a commit that reached the quorum before this disk), resets the log to it.
    ///
    /// - Throws: `damaged` when either cannot be trusted or entries between them are missing.
    package func openStores() throws(StorageError) -> OpenedStores {
        let state = try StateStore(databasePath(meta.database), options: options)
        do throws(StorageError) {
            let restored = try state.restore()
            var (log, recovered) = try LogStore.open("\(home)/log", on: fileSystem, options: options)
            let base = try logBase(of: restored.header, path: databasePath(meta.database))
            guard base.position.index >= log.base.position.index else {
                throw StorageError(
                    .damaged, "open", home,
                    "the state stands at entry \(base.position.index.number), the log begins only after "
                        + "\(log.base.position.index.number). Remove the member from the cluster, delete its data "
                        + "directory and add it again as a new member")
            }
            if !(try log.adopt(base)) {
                recovered.log = RestoredLog(base: base, entries: [], hardState: log.hardState)
                recovered.report.entries = 0
            }
            return OpenedStores(log: log, recovered: recovered, state: state, restored: restored)
        } catch {
            state.close()
            throw error
        }
    }

    /// A further read-only connection to the state database.
    package func openReader() throws(StorageError) -> StateReader {
        try StateReader(databasePath(meta.database), options: options)
    }

    package func freeBytes() throws(StorageError) -> Int64 {
        try fileSystem.freeBytes(home)
    }

    /// Lets another process have the directory. Stores opened from it must be closed before.
    package func close() {
        metaFile.close()
        lock.release()
    }

    /// Names another database durably: the moment at which an installed snapshot counts.
    func nameDatabase(_ number: UInt64) throws(StorageError) {
        var next = meta
        next.database = number
        try metaFile.write(next.encoded)
        meta = next
    }

    func logBase(of header: StateHeader, path: String) throws(StorageError) -> LogBase {
        do throws(DecodingFailure) {
            return LogBase(
                position: header.applied, configuration: try Configuration.decode(header.configuration))
        } catch {
            throw .undecodable(path, error)
        }
    }

    private func removeLeftovers() throws(StorageError) {
        let database = "state-\(meta.database).db"
        let kept: Set<String> = [
            MetaRecord.fileName, "log", database, database + "-wal", database + "-shm",
            SnapshotReceiver.fileName, SnapshotReceiver.recordName,
        ]
        for name in try fileSystem.list(home) where !kept.contains(name) {
            let isOurs = name.hasPrefix("state-") || name.hasPrefix("outgoing-")
            if isOurs { try fileSystem.removeIfPresent("\(home)/\(name)") }
        }
        try fileSystem.removeTree("\(path)/member.new")
    }

    private static func parent(of path: String) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        let joined = parts.dropLast().joined(separator: "/")
        if path.hasPrefix("/") { return "/" + joined }
        return joined.isEmpty ? "." : joined
    }
}
