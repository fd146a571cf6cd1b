import Primitives
import RegistryModel
import Simulator
import Storage
import Testing

@Suite("State store under power loss")
struct StateCrashTests {
    /// SQLite relies on sectors whose neighbours survive a torn write, so garbage stays within what was written.
    private let policy = CrashPolicy(loss: 110, garbage: 30, tearsOlderBytes: false)

    /// Runs lives that end in a power loss and says what was wrong; nil when nothing was.
    ///
    /// - Parameter failsSyncs: in every other life some sync fails, and the process ends.
    private func run(
        seed: UInt64, lives: Int, ignoresSync: Bool = false, failsSyncs: Bool = false
    ) throws -> String? {
        var generator = SeededGenerator(seed: seed)
        var bench = try StateBench("crash-\(seed)-\(ignoresSync)-\(failsSyncs)")
        defer { bench.vfs.unregister() }
        bench.disk.ignoresSync = ignoresSync
        // By applied index: what the database has to hold when it says it stands there.
        var history = [StateModel()]
        var durable = LogIndex.zero
        for life in 0..<lives {
            bench.disk.operationsLeft = Int(generator.below(220))
            let hasBadSync = failsSyncs && life % 2 == 0
            if hasBadSync {
                bench.disk.operationsLeft = nil
                failSync(after: Int(generator.below(12)), on: bench.disk)
            }
            var opened: StateStore?
            do {
                let store = try bench.store()
                opened = store
                var model = history[history.count - 1]
                try check(store, &history, &model, durable)
                durable = store.durableIndex
                for _ in 0..<60 {
                    let batches = (0..<(1 + generator.below(3))).map { _ in model.batch(&generator) }
                    history.append(model)
                    try store.apply(batches)
                    if generator.chance(1, in: 6) { durable = try store.makeDurable() }
                    if generator.chance(1, in: 4) { _ = try store.compactSome(limit: 5) }
                }
            } catch let complaint as Complaint {
                opened?.close()
                return "life \(life): \(complaint.text)"
            } catch let error as StorageError {
                if error.kind != .io { return "life \(life): \(error)" }
            }
            bench.disk.fault = nil
            if hasBadSync || generator.chance(1, in: 3) {
                bench.disk.killProcess()
            } else {
                bench.disk.crash(policy, using: &generator)
            }
            opened?.close()
            try bench.restart()
        }
        return nil
    }

    private func failSync(after count: Int, on disk: MemoryFileSystem) {
        var left = count
        disk.fault = { operation in
            guard operation.kind == .sync else { return nil }
            left -= 1
            return left == -1 ? StorageError(.io, "sync", operation.path, "input/output error") : nil
        }
    }

    private struct Complaint: Error { var text: String }

    /// Compares a reopened store with the model of the position it claims, and takes that up.
    private func check(
        _ store: StateStore, _ history: inout [StateModel], _ model: inout StateModel, _ durable: LogIndex
    ) throws {
        let restored = try store.restore()
        let index = restored.header.applied.index
        if index < durable { throw Complaint(text: "durable index \(durable.number), found \(index.number)") }
        guard let known = history.last(where: { $0.header == restored.header }) else {
            throw Complaint(text: "a state that never was, at \(index.number)")
        }
        if let difference = restored.difference(from: known.restored) { throw Complaint(text: difference) }
        model = known
        history = [known]
    }

    @Test("Applied index and data agree after every power loss, and durable stays durable", arguments: 0..<30)
    func survives(seed: Int) throws {
        let complaint = try run(seed: UInt64(seed), lives: 12)
        #expect(complaint == nil, "\(complaint ?? "")")
    }

    @Test("What a failed sync left in the cache is not taken for durable by the next life", arguments: 0..<30)
    func failedSyncs(seed: Int) throws {
        let complaint = try run(seed: UInt64(seed), lives: 12, failsSyncs: true)
        #expect(complaint == nil, "\(complaint ?? "")")
    }

    @Test("A disk that lies about syncs is caught by the same test")
    func lyingDiskIsCaught() {
        var caught = 0
        for seed in 0..<12 {
            do {
                if try run(seed: UInt64(seed), lives: 12, ignoresSync: true) != nil { caught += 1 }
            } catch {
                caught += 1
            }
        }
        #expect(caught >= 10)
    }
}
