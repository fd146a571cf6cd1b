import Glibc
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Storage

/// The real disk, in a directory of its own.
@Suite("POSIX file system")
struct PosixFileSystemTests {
    private let disk = PosixFileSystem()
    private let root: String

    init() throws {
        var template = Array("/tmp/ganglion-storage-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        root = try #require(made)
    }

    @Test("Files, directories and locks behave as the protocol says")
    func files() throws {
        defer { try? disk.removeTree(root) }
        try disk.createDirectory("\(root)/d")
        try disk.createDirectory("\(root)/d")
        let file = try disk.open("\(root)/d/f", .create)
        #expect { _ = try disk.open("\(root)/d/f", .create) } throws: {
            ($0 as? StorageError)?.kind == .alreadyExists
        }
        try file.allocate(10_000)
        #expect(try file.size() == 10_000)
        try file.write([1, 2, 3], at: 9_999)
        #expect(try file.read(at: 9_998, count: 100) == [0, 1, 2, 3])
        #expect(try file.read(at: 20_000, count: 5) == [])
        try file.truncate(to: 10_001)
        try file.sync()
        try disk.rename("\(root)/d/f", to: "\(root)/d/b")
        _ = try disk.open("\(root)/d/a", .openOrCreate)
        #expect(try disk.list("\(root)/d") == ["a", "b"])
        try disk.syncDirectory("\(root)/d")
        #expect(try disk.exists("\(root)/d/b"))
        #expect(try !disk.exists("\(root)/d/f"))
        #expect { try disk.remove("\(root)/d/f") } throws: { ($0 as? StorageError)?.kind == .notFound }
        #expect { _ = try disk.open("\(root)/none/f", .readOnly) } throws: { error in
            guard let error = error as? StorageError else { return false }
            return error.kind == .notFound && error.code == ENOENT
                && error.description == "cannot open \(root)/none/f: No such file or directory"
        }
        let lock = try disk.lock("\(root)/LOCK")
        #expect { _ = try disk.lock("\(root)/LOCK") } throws: { ($0 as? StorageError)?.kind == .inUse }
        lock.release()
        try disk.lock("\(root)/LOCK").release()
        #expect(try disk.freeBytes(root) > 0)
    }

    @Test("A member bootstraps, writes, sends a snapshot to another and both restart with what they had")
    func member() throws {
        defer { try? disk.removeTree(root) }
        var options = StorageOptions()
        options.segmentBytes = 64 * 1024
        var sent: SnapshotIdentity?
        var expected: RestoredState?
        for (number, path) in ["\(root)/one", "\(root)/two"].enumerated() {
            let id = MemberID(0xA1 + UInt64(number))
            try MemberDirectory.bootstrap(
                path, on: disk, cluster: MemberBench.cluster, member: id, base: MemberBench.base,
                members: MemberBench.members, liveDigest: Digest128(), options: options)
            let directory = try MemberDirectory.open(
                path, on: disk, cluster: MemberBench.cluster, member: id, options: options)
            let stores = try directory.openStores()
            if number == 0 {
                var generator = SeededGenerator(seed: 4)
                var model = StateModel()
                model.header = stores.restored.header
                model.members = stores.restored.members
                for index in 2...200 {
                    let entry = Entry(
                        index: LogIndex(UInt64(index)), term: Term(1), kind: .command,
                        payload: [UInt8](repeating: 1, count: index * 3))
                    try stores.log.write(LogBatch(number: BatchNumber(UInt64(index)), entries: [entry]))
                    var batch = model.batch(&generator)
                    batch.header.applied = entry.position
                    batch.header.configuration = MemberBench.base.configuration.encoded()
                    model.header = batch.header
                    try stores.state.apply([batch])
                }
                #expect(try stores.state.makeDurable() == LogIndex(200))
                let reader = try directory.openReader()
                let snapshot = try directory.exportSnapshot(from: reader)
                sent = snapshot.identity
                expected = model.restored
                try copy(snapshot, to: "\(root)/copy")
                reader.close()
                stores.state.close()
            } else {
                let identity = try #require(sent)
                let receiver = try directory.receiver()
                let bytes = try disk.open("\(root)/copy", .readOnly).read(at: 0, count: Int(identity.bytes))
                #expect(try receiver.receive(identity, offset: 0, bytes: bytes) == identity.bytes)
                let (state, _) = try directory.install(identity, log: stores.log)
                stores.state.close()
                state.close()
                try directory.removeOldDatabases()
            }
            stores.log.close()
            directory.close()
            let again = try MemberDirectory.open(
                path, on: disk, cluster: MemberBench.cluster, member: id, options: options)
            #expect(again.incarnation == Incarnation(2))
            let reopened = try again.openStores()
            #expect(reopened.restored.difference(from: try #require(expected)) == nil)
            #expect(reopened.log.lastIndex == LogIndex(200))
            #expect(reopened.recovered.log.entries.count == (number == 0 ? 199 : 0))
            reopened.state.close()
            reopened.log.close()
            again.close()
        }
    }

    @Test("Nobody else gets at a database that is open for writing")
    func exclusion() throws {
        try disk.createDirectory(root)
        defer { try? disk.removeTree(root) }
        let path = "\(root)/state.db"
        try StateStore.create(path, header: .initial, members: [], on: disk, options: StorageOptions())
        let store = try StateStore(path, options: StorageOptions())
        #expect { _ = try StateStore(path, options: StorageOptions()) } throws: {
            ($0 as? StorageError)?.kind == .inUse
        }
        // Readers of this process share the log's index with it.
        let reader = try StateReader(path, options: StorageOptions())
        #expect(try reader.header() == .initial)
        reader.close()
        #expect { _ = try StateStore(path, options: StorageOptions()) } throws: {
            ($0 as? StorageError)?.kind == .inUse
        }
        store.close()
        try StateStore(path, options: StorageOptions()).close()
    }

    private func copy(_ snapshot: SnapshotFile, to path: String) throws {
        let target = try disk.open(path, .create)
        var offset: Int64 = 0
        while offset < snapshot.identity.bytes {
            let chunk = try snapshot.read(at: offset, count: 4096)
            try target.write(chunk, at: offset)
            offset += Int64(chunk.count)
        }
        target.close()
    }
}
