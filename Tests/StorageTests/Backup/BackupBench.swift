import Primitives
import Raft
import RegistryModel
import Simulator
import Storage
import Testing

/// A member with some random history, and the backup of it as a file on the same simulated disk.
final class BackupBench {
    let bench: MemberBench
    let source: RestoredState
    let model: StateModel
    let header: BackupHeader
    static let file = "data/backup"

    init(_ name: String, seed: UInt64 = 8, batches: Int = 60) throws {
        bench = try MemberBench(name)
        try bench.bootstrap()
        let directory = try bench.open()
        let stores = try directory.openStores()
        var generator = SeededGenerator(seed: seed)
        var model = StateModel()
        model.header = stores.restored.header
        model.members = stores.restored.members
        for _ in 0..<batches {
            var batch = model.batch(&generator)
            batch.header.configuration = MemberBench.base.configuration.encoded()
            model.header = batch.header
            try stores.state.apply([batch])
        }
        // What the state machine would have computed.
        model.header.liveDigest = BackupBench.digest(of: model.restored)
        try stores.state.apply([StateBatch(header: model.header, changes: [])])
        self.model = model
        source = try stores.state.restore()
        let export = try #require(
            try directory.exportBackup(number: 1, createdMilliseconds: 1_700_000_000_123, isWanted: { true }))
        let writer = try BackupFileWriter(BackupBench.file, replaces: false, on: bench.disk)
        try export.save(to: writer)
        header = export.header
        #expect(export.bytes == writer.bytes)
        export.close()
        _ = try writer.finish()
        stores.state.close()
        stores.log.close()
        directory.close()
    }

    deinit { bench.vfs.unregister() }

    static func digest(of state: RestoredState) -> Digest128 {
        var digest = Digest128()
        for pair in state.live { digest.add(RecordDigest.pair(pair)) }
        for lease in state.leases { digest.add(RecordDigest.lease(lease)) }
        for member in state.members { digest.add(RecordDigest.member(member)) }
        for id in state.removedMembers { digest.add(RecordDigest.removedMember(id)) }
        for alarm in state.alarms { digest.add(RecordDigest.alarm(alarm)) }
        digest.add(RecordDigest.auth(state.auth))
        return digest
    }

    func plan(bump: Int64 = 0, marksCompacted: Bool = false, token: String = "second") -> RestorePlan {
        let members = (1...3).map { RestorePlan.Member(name: "m\($0)", peerURLs: ["http://127.0.0.1:238\($0)"]) }
        return RestorePlan(members: members, token: token, bump: bump, marksCompacted: marksCompacted)
    }

    func restore(_ name: String, _ plan: RestorePlan) throws -> RestoredMember {
        try BackupRestore.restore(
            try BackupFile(BackupBench.file, on: bench.disk), as: name, to: "data/\(name)", plan, on: bench.disk,
            options: bench.options)
    }

    func open(_ name: String, _ member: RestoredMember) throws -> (MemberDirectory, OpenedStores) {
        let directory = try MemberDirectory.open(
            "data/\(name)", on: bench.disk, cluster: member.cluster, member: member.member, options: bench.options)
        return (directory, try directory.openStores())
    }

    /// The text of the error that reading a file of these bytes throws; nil when it is accepted.
    func complaint(about bytes: [UInt8]) throws -> (kind: StorageError.Kind, text: String)? {
        let path = "data/changed"
        if try bench.disk.exists(path) { try bench.disk.remove(path) }
        let file = try bench.disk.open(path, .create)
        try file.write(bytes, at: 0)
        file.close()
        do {
            _ = try BackupFile(path, on: bench.disk).verify()
            return nil
        } catch {
            return (error.kind, error.description)
        }
    }

    func bytes() throws -> [UInt8] {
        let file = try bench.disk.open(BackupBench.file, .readOnly)
        defer { file.close() }
        return try file.read(at: 0, count: Int(try file.size()))
    }
}
