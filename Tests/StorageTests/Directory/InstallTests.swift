import Primitives
import Raft
import RegistryModel
import Simulator
import Storage
import Testing

/// Installing a received snapshot, with the power failing at every operation.
@Suite("Snapshot installation")
struct InstallTests {
    /// A leader's state and its snapshot's bytes.
    private struct Source {
        let restored: RestoredState
        let identity: SnapshotIdentity
        let bytes: [UInt8]

        init() throws {
            let bench = try MemberBench("source")
            defer { bench.vfs.unregister() }
            try bench.bootstrap()
            let directory = try bench.open()
            let stores = try directory.openStores()
            var generator = SeededGenerator(seed: 8)
            var model = StateModel()
            model.header = stores.restored.header
            model.members = stores.restored.members
            for _ in 0..<40 {
                var batch = model.batch(&generator)
                batch.header.configuration = MemberBench.base.configuration.encoded()
                batch.header.applied.term = Term(3)
                model.header = batch.header
                try stores.state.apply([batch])
            }
            let reader = try directory.openReader()
            let file = try directory.exportSnapshot(from: reader)
            identity = file.identity
            bytes = try file.read(at: 0, count: Int(file.identity.bytes))
            restored = try stores.state.restore()
            reader.close()
            stores.state.close()
        }
    }

    private func entry(_ index: UInt64, _ term: UInt64) -> Entry {
        Entry(index: LogIndex(index), term: Term(term), kind: .command, payload: [1])
    }

    /// A follower with twenty entries of term 2, or with a log that reaches past the snapshot and agrees with it.
    private func follower(_ bench: MemberBench, position: LogPosition, agrees: Bool) throws -> MemberDirectory {
        try bench.bootstrap()
        let directory = try bench.open()
        let stores = try directory.openStores()
        let last = agrees ? position.index.number + 3 : 20
        let entries = (2...last).map { entry($0, agrees ? 3 : 2) }
        try stores.log.write(
            LogBatch(
                number: BatchNumber(1), entries: entries, hardState: HardState(term: Term(3), commit: LogIndex(4))))
        var header = stores.restored.header
        header.applied = LogPosition(index: LogIndex(4), term: Term(agrees ? 3 : 2))
        try stores.state.apply([StateBatch(header: header, changes: [])])
        _ = try stores.state.makeDurable()
        stores.state.close()
        stores.log.close()
        directory.close()
        return directory
    }

    private func receive(_ source: Source, _ directory: MemberDirectory) throws -> SnapshotReceiver {
        let receiver = try directory.receiver()
        var next: Int64 = 0
        while next < source.identity.bytes {
            let end = min(Int(next) + 4096, source.bytes.count)
            next = try receiver.receive(source.identity, offset: next, bytes: Array(source.bytes[Int(next)..<end]))
        }
        return receiver
    }

    private func receiveAndInstall(_ source: Source, _ directory: MemberDirectory, _ stores: OpenedStores) throws {
        let receiver = try receive(source, directory)
        let (state, restored) = try directory.install(source.identity, log: stores.log)
        #expect(restored.difference(from: source.restored) == nil)
        #expect(stores.log.contains(source.identity.position))
        state.close()
        stores.state.close()
        try directory.removeOldDatabases()
        try receiver.discard()
    }

    @Test(
        "When a state rots before the log was fitted to its snapshot, the member knows that it lost what it acknowledged"
    )
    func rotsBeforeFitting() throws {
        let source = try Source()
        var bench = try MemberBench("unfitted")
        defer { bench.vfs.unregister() }
        _ = try follower(bench, position: source.identity.position, agrees: false)
        let directory = try bench.open()
        let stores = try directory.openStores()
        _ = try receive(source, directory)
        let (state, _) = try directory.activate(try directory.prepareInstall(source.identity))
        bench.disk.killProcess()
        state.close()
        stores.state.close()
        try bench.restart()
        try bench.disk.remove("data/one/member/state-2.db")
        let again = try bench.open().openStores(founding: MemberBench.founding)
        defer { again.state.close() }
        #expect(again.recovered.log.recovery == Recovery(claimed: source.identity.position))
        #expect(again.recovered.log.entries.isEmpty && again.restored.header.applied == .zero)
    }

    @Test("A power loss at every operation lands in the old state or the new one", arguments: [false, true])
    func everyOperation(agrees: Bool) throws {
        let source = try Source()
        var operation = 0
        var finished = false
        var sawOld = false
        while !finished {
            var bench = try MemberBench("install-\(agrees)")
            defer { bench.vfs.unregister() }
            _ = try follower(bench, position: source.identity.position, agrees: agrees)
            var directory = try bench.open()
            var stores = try directory.openStores()
            let old = stores
            bench.disk.operationsLeft = operation
            do {
                try receiveAndInstall(source, directory, stores)
                finished = true
            } catch let error as StorageError {
                #expect(error.kind == .io, "\(error)")
            }
            var generator = SeededGenerator(seed: UInt64(operation))
            bench.disk.crash(
                CrashPolicy(loss: generator.below(257), tearsOlderBytes: false), using: &generator)
            stores.state.close()
            try bench.restart()

            directory = try bench.open()
            stores = try directory.openStores()
            if stores.restored.header.applied == old.restored.header.applied {
                sawOld = true
                #expect(!finished)
                #expect(stores.restored.difference(from: old.restored) == nil)
                #expect(stores.recovered.log.entries == old.recovered.log.entries)
                try receiveAndInstall(source, directory, stores)
            } else {
                #expect(stores.restored.difference(from: source.restored) == nil)
                #expect(stores.log.contains(source.identity.position))
                #expect(agrees == (stores.log.lastIndex > source.identity.position.index))
            }
            stores.state.close()
            operation += 1
        }
        #expect(sawOld && operation > 30)
    }

    @Test("A snapshot whose bytes are wrong changes nothing")
    func wrongBytes() throws {
        let source = try Source()
        let bench = try MemberBench("wrong")
        defer { bench.vfs.unregister() }
        _ = try follower(bench, position: source.identity.position, agrees: false)
        let directory = try bench.open()
        let stores = try directory.openStores()
        var bytes = source.bytes
        bytes[bytes.count / 2] ^= 1
        let receiver = try directory.receiver()
        #expect(try receiver.receive(source.identity, offset: 0, bytes: bytes) == source.identity.bytes)
        #expect { _ = try directory.install(source.identity, log: stores.log) } throws: {
            ($0 as? StorageError)?.kind == .invalidSnapshot
        }
        #expect(stores.log.lastIndex == LogIndex(20))
        #expect(
            try bench.disk.list("data/one/member").filter { $0.hasPrefix("state-") && $0.hasSuffix(".db") }.count == 1)
        try receiver.discard()
        #expect(try receiver.receive(source.identity, offset: 0, bytes: source.bytes) == source.identity.bytes)
        let (state, restored) = try directory.install(source.identity, log: stores.log)
        #expect(restored.difference(from: source.restored) == nil)
        // And a second one right after the first.
        try receiver.discard()
        #expect(try receiver.receive(source.identity, offset: 0, bytes: source.bytes) == source.identity.bytes)
        let (again, _) = try directory.install(source.identity, log: stores.log)
        for store in [stores.state, state, again] { store.close() }
    }
}
