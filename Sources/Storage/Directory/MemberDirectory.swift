package import Primitives
package import Raft
package import RegistryModel

/// The data directory of one member.
///
/// ```
/// LOCK                     held while the member runs
/// reserve                  space for a full disk
/// member/meta              identity, incarnation, which database counts
/// member/log/              base, hardstate, <number>.segment
/// member/state-<n>.db      the state, with SQLite's -wal and its -mark beside it
/// member/state-<n>.db.damaged  a state that was rebuilt, until the member has recovered
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
            let metaFile = try openMeta(metaPath, on: fileSystem)
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
            _ = try directory.restoreReserve()
            return directory
        } catch {
            lock.release()
            throw error
        }
    }

    private static func openMeta(
        _ path: String, on fileSystem: any FileSystem
    ) throws(StorageError) -> SlotFile {
        do throws(StorageError) {
            return try SlotFile.open(
                path, on: fileSystem, magic: MetaRecord.magic, slotBytes: MetaRecord.slotBytes)
        } catch {
            guard error.kind == .damaged || error.kind == .notFound else { throw error }
            throw StorageError(
                .damaged, "read", path,
                "\(error.detail): whose data this is, is not known. \(StorageError.replaceMember)")
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

    /// A further read-only connection to the state database.
    package func openReader() throws(StorageError) -> StateReader {
        try StateReader(databasePath(meta.database), options: options)
    }

    /// Bytes this process may still write to the disk that holds the directory; the reserve is not among them.
    package func freeBytes() throws(StorageError) -> Int64 {
        try fileSystem.freeBytes(home)
    }

    /// Lets another process have the directory. Stores opened from it must be closed before.
    package func close() {
        metaFile.close()
        lock.release()
    }

    /// Names another database durably: the moment at which an installed snapshot counts.
    ///
    /// - Parameter installed: where it stands when it came from another member; zero when it begins where this member
    ///   began.
    func nameDatabase(_ number: UInt64, installed: LogPosition) throws(StorageError) {
        var next = meta
        next.database = number
        next.installed = installed
        next.wantsRebuild = false
        try write(next)
    }

    func write(_ next: MetaRecord) throws(StorageError) {
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

    /// A database that was set aside.
    func isDamaged(_ name: String) -> Bool { name.hasSuffix(MemberDirectory.damagedSuffix) }

    static let damagedSuffix = ".db.damaged"

    private func removeLeftovers() throws(StorageError) {
        let database = "state-\(meta.database).db"
        let kept: Set<String> = [
            MetaRecord.fileName, "log", database, database + "-wal", database + "-shm",
            database + WriteAheadMark.suffix,
            SnapshotReceiver.fileName, SnapshotReceiver.recordName,
        ]
        for name in try fileSystem.list(home) where !kept.contains(name) && !isDamaged(name) {
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
