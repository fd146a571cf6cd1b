import Primitives
import Raft
import RegistryModel
import Simulator
import Storage
import Testing

/// A state database that cannot be used: rebuilt, loudly, or refused with advice.
@Suite("State rebuild")
struct RebuildTests {
    private static let database = "data/one/member/state-1.db"

    /// A member with 400 entries in its log, all of them applied.
    private func member(
        _ name: String, base: LogBase = MemberBench.base, compactedTo compacted: UInt64? = nil, closes: Bool = true
    ) throws -> MemberBench {
        let bench = try MemberBench(name)
        try bench.bootstrap(base: base)
        let directory = try bench.open()
        let stores = try directory.openStores()
        var generator = SeededGenerator(seed: 3)
        var model = StateModel()
        model.header = stores.restored.header
        model.members = stores.restored.members
        for _ in 0..<400 {
            var batch = model.batch(&generator)
            batch.header.configuration = base.configuration.encoded()
            batch.header.applied.term = Term(1)
            model.header = batch.header
            let entry = Entry(index: batch.header.applied.index, term: Term(1), kind: .command, payload: [1, 2, 3])
            try stores.log.write(LogBatch(number: BatchNumber(entry.index.number), entries: [entry]))
            try stores.state.apply([batch])
        }
        if let compacted {
            _ = try stores.state.makeDurable()
            let position = LogPosition(index: LogIndex(compacted), term: Term(1))
            try stores.log.compact(to: LogBase(position: position, configuration: base.configuration))
        }
        if closes { _ = try stores.state.makeDurable() }
        stores.log.close()
        if closes { stores.state.close() } else { bench.disk.killProcess() }
        directory.close()
        return bench
    }

    private func close(_ stores: OpenedStores) {
        stores.state.close()
        stores.log.close()
    }

    @Test("A bit flipped anywhere in the database is harmless, or the state is rebuilt from the log", arguments: 0..<4)
    func anyBit(part: Int) throws {
        let bench = try member("rot-\(part)")
        defer { bench.vfs.unregister() }
        let size = try #require(bench.disk.content(RebuildTests.database)?.count)
        #expect(size > 20 * 4096)
        var rebuilt = 0
        for offset in stride(from: part * 211, to: size, by: 6_131) {
            let copy = try bench.copy()
            defer { copy.vfs.unregister() }
            copy.disk.corrupt(RebuildTests.database, at: offset, mask: UInt8(1 << (offset % 8)))
            let directory = try copy.open()
            let stores = try directory.openStores(founding: MemberBench.founding)
            #expect(stores.recovered.log.entries.count == 400 && stores.recovered.log.recovery == nil)
            if stores.notices.isEmpty {
                #expect(stores.restored.header.applied.index == LogIndex(401), "\(offset)")
                // What was not read yet is found when it is read.
                let findings = try StorageScrub.checkDatabase(RebuildTests.database, on: copy.disk)
                #expect(findings.count == 1 && findings[0].description.contains("page \(offset / 4096 + 1)"))
            } else {
                rebuilt += 1
                #expect(stores.restored.header.applied == MemberBench.base.position, "\(offset)")
                #expect(stores.restored.members == MemberBench.members)
                #expect(stores.notices[0].contains("state-1.db") && stores.notices[0].contains("rebuilt from the log"))
                #expect(try copy.disk.exists(RebuildTests.database + ".damaged"))
            }
            close(stores)
            directory.close()
            let again = try copy.open().openStores(founding: MemberBench.founding)
            #expect(again.restored.header == stores.restored.header && again.notices.isEmpty)
            #expect(try !copy.disk.exists(RebuildTests.database + ".damaged"))
            close(again)
        }
        #expect(rebuilt > 1)
    }

    @Test("A state whose pages are intact and do not belong together is rebuilt, too")
    func contradiction() throws {
        let bench = try member("contradiction")
        defer { bench.vfs.unregister() }
        var asked: [RestoredState] = []
        let directory = try bench.open()
        let stores = try directory.openStores(founding: MemberBench.founding) { state in
            asked.append(state)
            return "a key of the future"
        }
        #expect(asked.map(\.header.applied.index) == [LogIndex(401)])
        #expect(stores.restored.header.applied == MemberBench.base.position)
        #expect(stores.recovered.log.entries.count == 400 && stores.recovered.log.recovery == nil)
        #expect(stores.notices.count == 1 && stores.notices[0].contains("a key of the future"))
        close(stores)
        directory.close()
    }

    @Test(
        "With a compacted log, or on demand, the state begins empty and waits for a leader", arguments: [true, false])
    func fromPeers(damaged: Bool) throws {
        let bench = try member("peers-\(damaged)", compactedTo: 300)
        defer { bench.vfs.unregister() }
        if damaged {
            try bench.disk.remove(RebuildTests.database)
        } else {
            let directory = try bench.open()
            try directory.markForRebuild()
            directory.close()
        }
        for life in 0..<2 {
            let directory = try bench.open()
            let stores = try directory.openStores(founding: MemberBench.founding)
            #expect(stores.notices.count == (life == 0 ? 1 : 1))
            #expect(stores.restored.header.applied == .zero && stores.restored.live.isEmpty)
            #expect(stores.restored.members == MemberBench.members)
            #expect(stores.recovered.log.base.position == .zero && stores.recovered.log.entries.isEmpty)
            let claimed = LogPosition(index: LogIndex(401), term: Term(1))
            #expect(stores.recovered.log.recovery == Recovery(claimed: claimed))
            #expect(try bench.disk.exists(RebuildTests.database + ".damaged") == !damaged)
            close(stores)
            directory.close()
        }
    }

    @Test("A page that was written to another page's place is seen, whole as it is")
    func misplacedPage() throws {
        let bench = try member("misplaced")
        defer { bench.vfs.unregister() }
        let content = try #require(bench.disk.content(RebuildTests.database))
        let page = Array(content[(8 * 4_096)..<(9 * 4_096)])
        try bench.disk.open(RebuildTests.database, .readWrite).write(page, at: 4_096)
        let findings = try StorageScrub.checkDatabase(RebuildTests.database, on: bench.disk)
        #expect(findings.map(\.place) == ["page 2"])
        let stores = try bench.open().openStores(founding: MemberBench.founding)
        #expect(stores.notices.count == 1 && stores.restored.header.applied == MemberBench.base.position)
        close(stores)
    }

    @Test("A page that the disk cannot read any more is as good as a damaged one")
    func unreadablePage() throws {
        let bench = try member("unreadable")
        defer { bench.vfs.unregister() }
        bench.disk.unreadable = [(RebuildTests.database, 4_096..<8_192)]
        let stores = try bench.open().openStores(founding: MemberBench.founding)
        #expect(stores.notices.count == 1 && stores.restored.header.applied == MemberBench.base.position)
        close(stores)
    }

    @Test("The only voter whose log does not reach back refuses, and touches nothing")
    func onlyVoter() throws {
        let base = LogBase(
            position: MemberBench.base.position, configuration: Configuration(voters: [MemberBench.member]))
        let bench = try member("lonely", base: base, compactedTo: 300)
        defer { bench.vfs.unregister() }
        bench.disk.corrupt(RebuildTests.database, at: 30, mask: 1)
        let before = bench.disk.content(RebuildTests.database)
        let directory = try bench.open()
        #expect { _ = try directory.openStores() } throws: { error in
            (error as? StorageError)?.kind == .damaged && "\(error)".contains("state-1.db")
                && "\(error)".contains("restore a backup")
        }
        #expect(bench.disk.content(RebuildTests.database) == before)
    }

    @Test("A power loss at every operation of a rebuild is made good by the next one", arguments: [true, false])
    func everyOperation(fromLog: Bool) throws {
        let founding = fromLog ? MemberBench.founding : nil
        let original = try member("crash-\(fromLog)", compactedTo: fromLog ? nil : 300)
        defer { original.vfs.unregister() }
        original.disk.corrupt(RebuildTests.database, at: 30, mask: 1)
        var operation = 0
        var finished = false
        while !finished {
            var bench = try original.copy()
            defer { bench.vfs.unregister() }
            let directory = try bench.open()
            bench.disk.operationsLeft = operation
            do throws(StorageError) {
                close(try directory.openStores(founding: founding))
                finished = true
            } catch {
                #expect(error.kind == .io, "\(error)")
            }
            var generator = SeededGenerator(seed: UInt64(operation))
            bench.disk.crash(CrashPolicy(loss: generator.below(257), tearsOlderBytes: false), using: &generator)
            try bench.restart()
            let stores = try bench.open().openStores(founding: founding)
            if fromLog {
                #expect(stores.restored.header.applied == MemberBench.base.position)
                #expect(stores.recovered.log.entries.count == 400 && stores.recovered.log.recovery == nil)
            } else {
                #expect(stores.restored.header.applied == .zero)
                #expect(stores.recovered.log.base.position == .zero)
                #expect(stores.recovered.log.recovery != nil)
            }
            close(stores)
            operation += 1
        }
        #expect(operation > 20)
    }

    @Test("Rot in the write-ahead log only takes back what the log can replay, or the mixture is seen")
    func writeAheadLog() throws {
        let bench = try member("wal", closes: false)
        defer { bench.vfs.unregister() }
        let path = RebuildTests.database + "-wal"
        let size = try #require(bench.disk.content(path)?.count)
        var shorter = 0
        for offset in stride(from: 5, to: size, by: size / 16) {
            let copy = try bench.copy()
            defer { copy.vfs.unregister() }
            copy.disk.corrupt(path, at: offset, mask: 4)
            let stores = try copy.open().openStores(founding: MemberBench.founding)
            let applied = stores.restored.header.applied.index
            if applied < LogIndex(401) { shorter += 1 }
            #expect(stores.recovered.log.entries.last?.index == LogIndex(401))
            #expect(stores.recovered.log.base.position.index <= applied)
            close(stores)
        }
        #expect(shorter > 5)
    }

    @Test("A write-ahead log that lost frames after a checkpoint is damage, not an older state")
    func afterCheckpoint() throws {
        let bench = try member("mixture", compactedTo: nil, closes: false)
        defer { bench.vfs.unregister() }
        let directory = try bench.open()
        let stores = try directory.openStores()
        // Opening has copied the log into the database; the log is still there.
        bench.disk.killProcess()
        let path = RebuildTests.database + "-wal"
        let size = try #require(bench.disk.content(path)?.count)
        #expect(size > 100_000)
        for offset in [10, 20, size / 3, size / 2, size - 5_000] {
            let copy = try bench.copy()
            defer { copy.vfs.unregister() }
            copy.disk.corrupt(path, at: offset, mask: 4)
            let again = try copy.open().openStores(founding: MemberBench.founding)
            #expect(again.notices.count == 1, "\(offset)")
            #expect(again.restored.header.applied == MemberBench.base.position, "\(offset)")
            close(again)
        }
        stores.state.close()
    }
}
