import Primitives
import RegistryModel
import Simulator
import Storage
import Synchronization
import Testing

/// SQLite's names are global; tests run side by side.
func uniqueName(_ name: String) -> String {
    "\(name)-\(nameCounter.wrappingAdd(1, ordering: .relaxed).newValue)"
}

private let nameCounter = Atomic<Int>(0)

/// One database on a simulated disk, with the VFS that leads there.
struct StateBench {
    let disk = MemoryFileSystem()
    var options = StorageOptions()
    private(set) var vfs: SQLiteVFS

    init(_ name: String) throws {
        vfs = try StateBench.register(uniqueName(name), disk)
        options.vfs = vfs.name
        options.pageCacheBytes = 1024 * 1024
        try disk.createDirectory("d")
        try disk.syncDirectory("")
        try StateStore.create("d/state.db", header: .initial, members: [], on: disk, options: options)
        try disk.syncDirectory("d")
    }

    /// A VFS whose randomness and clock are fixed.
    static func register(_ name: String, _ disk: MemoryFileSystem) throws -> SQLiteVFS {
        try SQLiteVFS.register(name: name, fileSystem: disk, random: { 4 }, wallMilliseconds: { 1_000 })
    }

    func store() throws -> StateStore { try StateStore("d/state.db", options: options) }
    func reader() throws -> StateReader { try StateReader("d/state.db", options: options) }

    /// A new process life after a power loss.
    mutating func restart() throws {
        vfs.unregister()
        vfs = try StateBench.register(vfs.name, disk)
    }
}

@Suite("State store")
struct StateStoreTests {
    @Test("A lease comes from the host of its last put; on a member's own host the member is named")
    func leaseOrigins() throws {
        let bench = try StateBench("origins")
        defer { bench.vfs.unregister() }
        let store = try bench.store()
        defer { store.close() }
        var changes: [StateChange] = (1...4).map { .leaseGranted(LeaseRow(id: LeaseID($0), ttlMilliseconds: 1_000)) }
        for (place, (key, lease, peer)) in [
            ("a", 1, "10.0.0.1:5"), ("b", 1, "10.0.0.2:5"), ("c", 2, "127.0.0.1:6"), ("d", 3, "[::1]:7"),
        ].enumerated() {
            let revision = Revision(Int64(place) + 2)
            let pair = KeyValue(
                key: Key(key), value: [], createRevision: revision, modRevision: revision, version: 1,
                lease: LeaseID(Int64(lease)))
            let origin = Origin(member: MemberID(9), incarnation: Incarnation(1), serial: 1, peer: peer)
            changes.append(
                .row(RevisionRow(kind: .put, kv: pair, sub: 0, commitTimeMilliseconds: 0, origin: origin)))
        }
        var header = StateHeader.initial
        header.revision = Revision(5)
        header.applied = LogPosition(index: LogIndex(1), term: Term(1))
        try store.apply([StateBatch(header: header, changes: changes)])
        let origins = try store.restore().leaseOrigins
        #expect(origins.map(\.lease.number) == [1, 2, 3])
        #expect(origins.map(\.host) == ["10.0.0.2", "127.0.0.1@9", "[::1]@9"])
    }

    @Test("Restored state, old revisions and history equal the model through compactions", arguments: 0..<12)
    func equalsModel(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let bench = try StateBench("model-\(seed)")
        defer { bench.vfs.unregister() }
        let store = try bench.store()
        let reader = try bench.reader()
        defer {
            reader.close()
            store.close()
        }
        var model = StateModel()
        for _ in 0..<60 {
            try store.apply((0..<(1 + generator.below(3))).map { _ in model.batch(&generator) })
            if generator.chance(1, in: 3) { _ = try store.compactSome(limit: Int(1 + generator.below(4))) }
            if generator.chance(1, in: 8) { #expect(try store.makeDurable() == model.header.applied.index) }
            let difference = try store.restore().difference(from: model.restored)
            #expect(difference == nil, "\(difference ?? "")")
            try compareReads(reader, model, &generator)
        }
        while try store.compactSome(limit: 3) {}
        let gone = model.header.compactRevision
        try compareReads(reader, model, &generator)
        #expect(try bench.rowCount() == retained(model, at: gone))
    }

    /// Rows that compaction must leave.
    private func retained(_ model: StateModel, at compacted: Revision) -> Int {
        model.rows.enumerated().filter { place, row in
            if row.kv.modRevision > compacted { return true }
            let isNewest = !model.rows[(place + 1)...].contains {
                $0.kv.key == row.kv.key && $0.kv.modRevision <= compacted
            }
            return isNewest && (row.kind == .put || row.kv.modRevision == compacted)
        }.count
    }

    private func compareReads(
        _ reader: StateReader, _ model: StateModel, _ generator: inout SeededGenerator
    ) throws {
        let low = max(model.header.compactRevision.number, 1)
        let revision = Revision(generator.within(low...model.header.revision.number))
        var request = RangeRequest(range: .prefix(Key("key/")))
        request.revision = revision
        let live = model.live(at: revision).filter { request.range.contains($0.key) }
        #expect(try reader.range(request) == RangeResult(kvs: live, more: false, count: Int64(live.count)))
        let through = Revision(generator.within(revision.number...model.header.revision.number))
        for range in [KeyRange.all, .prefix(Key("key/1")), .key(Key("key/3"))] {
            let pages = try reader.events(in: range, from: revision, through: through, limit: .max)
            #expect(pages.flatMap(\.events) == model.events(in: range, from: revision, through: through))
            #expect(pages.map(\.revision) == Array(Set(pages.map(\.revision))).sorted())
        }
        if low > 1 {
            #expect(throws: StateReadFailure.compacted(model.header.compactRevision)) {
                request.revision = Revision(low - 1)
                _ = try reader.range(request)
            }
        }
        #expect(throws: StateReadFailure.future(current: model.header.revision)) {
            _ = try reader.events(in: .all, from: revision, through: model.header.revision.next, limit: 1)
        }
    }

    @Test("A page of events ends on a whole revision and says how far it looked")
    func pages() throws {
        let bench = try StateBench("pages")
        defer { bench.vfs.unregister() }
        var generator = SeededGenerator(seed: 5)
        var model = StateModel()
        let store = try bench.store()
        for _ in 0..<80 { try store.apply([model.batch(&generator)]) }
        let reader = try bench.reader()
        let low = max(model.header.compactRevision, .initial)
        for (limit, scanLimit) in [(1, Int.max), (7, .max), (.max, 5)] {
            var next = low
            var events: [KVEvent] = []
            while next <= model.header.revision {
                let page = try reader.page(
                    in: .all, from: next, through: model.header.revision, limit: limit, scanLimit: scanLimit)
                #expect(page.through >= next)
                events += page.events.flatMap(\.events)
                next = page.through.next
            }
            #expect(events == model.events(in: .all, from: low, through: model.header.revision))
        }
        reader.close()
        store.close()
    }

    @Test("A reader keeps its state while the writer goes on, and durability does not wait for it")
    func readerDoesNotBlock() throws {
        let bench = try StateBench("reader")
        defer { bench.vfs.unregister() }
        var generator = SeededGenerator(seed: 3)
        var model = StateModel()
        let store = try bench.store()
        try store.apply([model.batch(&generator)])
        let reader = try bench.reader()
        let writer = try SnapshotWriter("d/out", on: bench.disk, from: reader)
        // The first call brings the database file as far as the reader allows, the second can move nothing in it.
        for _ in 0..<2 {
            for _ in 0..<20 { try store.apply([model.batch(&generator)]) }
            #expect(try store.makeDurable() == model.header.applied.index)
        }
        bench.disk.crash(.losesAll, using: &generator)
        store.close()
        writer.cancel()
        reader.close()
        let again = try StateBenchReopen.open(bench)
        #expect(try again.store.restore().difference(from: model.restored) == nil)
        again.store.close()
        again.vfs.unregister()
    }

    @Test("Damage is reported as such: no database, another database, a flipped header bit")
    func damage() throws {
        let bench = try StateBench("damage")
        defer { bench.vfs.unregister() }
        try bench.disk.open("d/junk", .create).write([UInt8](repeating: 9, count: 5000), at: 0)
        #expect { _ = try StateStore("d/junk", options: bench.options) } throws: {
            ($0 as? StorageError)?.kind == .damaged
        }
        _ = try bench.disk.open("d/empty", .create)
        #expect { _ = try StateStore("d/empty", options: bench.options) } throws: {
            ($0 as? StorageError)?.kind == .damaged
        }
        #expect { _ = try StateStore("d/absent", options: bench.options) } throws: {
            ($0 as? StorageError)?.kind == .notFound
        }
        var found = 0
        let size = bench.disk.content("d/state.db")?.count ?? 0
        for offset in stride(from: 0, to: size, by: 61) {
            bench.disk.corrupt("d/state.db", at: offset, mask: 0x41)
            do {
                let store = try bench.store()
                defer { store.close() }
                _ = try store.restore()
            } catch let error as StorageError {
                #expect([.damaged, .io, .newerFormat].contains(error.kind), "\(error)")
                found += 1
            }
            bench.disk.corrupt("d/state.db", at: offset, mask: 0x41)
        }
        #expect(found > 5)
    }

    @Test("A full disk refuses the batch and leaves the store usable")
    func fullDisk() throws {
        let bench = try StateBench("full")
        defer { bench.vfs.unregister() }
        var generator = SeededGenerator(seed: 1)
        var model = StateModel()
        let store = try bench.store()
        try store.apply([model.batch(&generator)])
        let before = model
        let free = bench.disk.capacity
        bench.disk.capacity = 100_000
        var refused: StorageError?
        for _ in 0..<200 where refused == nil {
            let kept = model
            do throws(StorageError) {
                try store.apply([model.batch(&generator)])
            } catch {
                refused = error
                model = kept
            }
        }
        #expect(refused?.kind == .full)
        #expect(model.rows.count > before.rows.count)
        #expect(try store.restore().difference(from: model.restored) == nil)
        bench.disk.capacity = free
        try store.apply([model.batch(&generator)])
        #expect(try store.restore().difference(from: model.restored) == nil)
        store.close()
    }
}

/// A store opened by a new life on the same disk.
struct StateBenchReopen {
    let store: StateStore
    let vfs: SQLiteVFS

    static func open(_ bench: StateBench) throws -> StateBenchReopen {
        var options = bench.options
        options.vfs = bench.vfs.name + "-again"
        let vfs = try StateBench.register(bench.vfs.name + "-again", bench.disk)
        return StateBenchReopen(store: try StateStore("d/state.db", options: options), vfs: vfs)
    }
}

extension StateBench {
    /// Rows in the history table.
    func rowCount() throws -> Int {
        let reader = try reader()
        defer { reader.close() }
        return Int(try reader.rowCount())
    }
}
