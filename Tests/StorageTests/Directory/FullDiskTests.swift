import Primitives
import Raft
import RegistryModel
import Simulator
import Testing

@testable import Storage

@Suite("Full and failing disks")
struct FullDiskTests {
    private func entry(_ index: UInt64, bytes: Int = 2_000) -> Entry {
        Entry(
            index: LogIndex(index), term: Term(1), kind: .command,
            payload: [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: bytes))
    }

    @Test("Whatever operation of the log is refused for want of space, the same call succeeds later")
    func everyLogOperation() throws {
        var operation = 1
        var refusals = 0
        var finished = false
        while !finished {
            let disk = try diskWithLog(smallSegments)
            let (store, _) = try LogStore.open("log", on: disk, options: smallSegments)
            let first = disk.operations
            disk.fault = { done in
                guard done.number == first + operation, done.kind != .sync, done.kind != .syncDirectory,
                    done.kind != .remove
                else { return nil }
                return StorageError(.full, "write", done.path, "no space left on device")
            }
            func repeating(_ body: () throws(StorageError) -> Void) throws(StorageError) {
                do throws(StorageError) {
                    try body()
                } catch {
                    #expect(error.kind == .full, "\(operation): \(error)")
                    refusals += 1
                    try body()
                }
            }
            for index in UInt64(2)...20 {
                var batch = LogBatch(number: BatchNumber(index), entries: [entry(index)])
                batch.hardState = HardState(
                    term: Term(1 + index / 4), votedFor: MemberID(index / 8), commit: LogIndex(index - 1))
                try repeating { () throws(StorageError) in try store.write(batch) }
                if index % 5 == 0 { try repeating { () throws(StorageError) in try store.certify() } }
                if index % 7 == 0 { try repeating { () throws(StorageError) in try store.prepareAhead() } }
            }
            let base = LogBase(
                position: LogPosition(index: LogIndex(12), term: Term(1)), configuration: LogModel.base.configuration)
            try repeating { () throws(StorageError) in try store.compact(to: base) }
            try repeating { () throws(StorageError) in try store.markRecovering(claimed: base.position) }
            finished = disk.operations < first + operation
            let state = store.hardState
            disk.fault = nil
            disk.killProcess()
            let (_, recovered) = try LogStore.open("log", on: disk, options: smallSegments)
            #expect(recovered.log.entries == (UInt64(13)...20).map { entry($0) }, "\(operation)")
            #expect(recovered.log.base == base)
            #expect(recovered.log.hardState.term == state.term && recovered.log.hardState.votedFor == state.votedFor)
            #expect(recovered.log.recovery == Recovery(claimed: base.position))
            operation += 1
        }
        #expect(refusals > 40)
    }

    @Test(
        "A failed sync of any file stops what depended on it for good",
        arguments: [
            "log/hardstate", "log/base", ".segment", "meta", "state-1.db-wal", "state-1.db",
        ])
    func failedSync(file: String) throws {
        var bench = try MemberBench("sync")
        defer { bench.vfs.unregister() }
        try bench.bootstrap()
        let directory = try bench.open()
        let stores = try directory.openStores()
        var generator = SeededGenerator(seed: 5)
        var model = StateModel()
        model.header = stores.restored.header
        func work() throws(StorageError) {
            switch file {
            case "meta": try directory.markForRebuild()
            case "log/base":
                try stores.log.compact(
                    to: LogBase(
                        position: LogPosition(index: stores.log.lastIndex, term: Term(1)),
                        configuration: MemberBench.base.configuration))
            case "log/hardstate", ".segment":
                let index = stores.log.lastIndex.number + 1
                try stores.log.write(LogBatch(number: BatchNumber(index), entries: [entry(index)]))
                try stores.log.certify()
            default:
                var batch = model.batch(&generator)
                batch.header.configuration = MemberBench.base.configuration.encoded()
                try stores.state.apply([batch])
                _ = try stores.state.makeDurable()
            }
        }
        if file == "log/base" {
            try stores.log.write(LogBatch(number: BatchNumber(2), entries: [entry(2)]))
        } else {
            try work()
        }
        bench.disk.fault = {
            let isHit = $0.kind == .sync && $0.path.hasSuffix(file) || $0.path.contains(file) && file == ".segment"
            return isHit && $0.kind == .sync ? StorageError(.io, "sync", $0.path, "input/output error") : nil
        }
        var first: StorageError?
        do throws(StorageError) { try work() } catch { first = error }
        #expect(first?.kind == .io, "\(first.map { "\($0)" } ?? "no error")")
        bench.disk.fault = nil
        var second: StorageError?
        do throws(StorageError) { try work() } catch { second = error }
        #expect(second?.kind == .stopped, "\(second.map { "\($0)" } ?? "no error")")
        // The next life does not believe the page cache: what it finds it makes durable, or does not claim.
        bench.disk.killProcess()
        stores.state.close()
        try bench.restart()
        let again = try bench.open().openStores(founding: MemberBench.founding)
        let found = (again.recovered.log.entries, again.restored.header)
        again.state.close()
        bench.disk.crash(.losesAll, using: &generator)
        try bench.restart()
        let third = try bench.open().openStores(founding: MemberBench.founding)
        #expect(third.recovered.log.entries == found.0)
        #expect(third.restored.header == found.1)
        third.state.close()
    }

    @Test("The reserve takes space when there is some, gives it back, and never stands in the way of a start")
    func reserve() throws {
        var bench = try MemberBench("reserve")
        defer { bench.vfs.unregister() }
        try bench.bootstrap()
        bench.options.reserveBytes = 200_000
        bench.disk.capacity = 10_000_000
        let before = bench.disk.bytesUsed
        var directory = try bench.open()
        #expect(try directory.hasReserve())
        #expect(bench.disk.bytesUsed >= before + 200_000)
        let free = try directory.freeBytes()
        #expect(try directory.releaseReserve())
        #expect(try !directory.releaseReserve())
        #expect(try directory.freeBytes() == free + 200_000)
        // Room for one reserve is not enough: it would be given up again at once.
        bench.disk.capacity = bench.disk.bytesUsed + 300_000
        #expect(try !directory.restoreReserve())
        bench.disk.capacity = bench.disk.bytesUsed + 400_000
        #expect(try directory.restoreReserve())
        // The disk fills up while the member is down: a start needs a fresh segment and takes the reserve for it.
        let stores = try directory.openStores()
        try stores.log.write(LogBatch(number: BatchNumber(2), entries: [entry(2)]))
        bench.disk.killProcess()
        stores.state.close()
        try bench.restart()
        bench.disk.capacity = bench.disk.bytesUsed
        directory = try bench.open()
        let again = try directory.openStores()
        #expect(again.recovered.log.entries.count == 1)
        #expect(try !directory.hasReserve())
        again.state.close()
    }

    @Test("An export that a full disk cut short leaves nothing behind and can be repeated; so can an install")
    func snapshots() throws {
        let bench = try MemberBench("export")
        defer { bench.vfs.unregister() }
        try bench.bootstrap()
        let directory = try bench.open()
        let stores = try directory.openStores()
        var generator = SeededGenerator(seed: 5)
        var model = StateModel()
        model.header = stores.restored.header
        for _ in 0..<300 {
            var batch = model.batch(&generator)
            batch.header.configuration = MemberBench.base.configuration.encoded()
            model.header = batch.header
            try stores.state.apply([batch])
        }
        let reader = try directory.openReader()
        func refused(_ body: () throws(StorageError) -> Void) -> Bool {
            do throws(StorageError) {
                try body()
                return false
            } catch {
                return error.kind == .full
            }
        }
        bench.disk.capacity = bench.disk.bytesUsed + 500
        #expect(refused { () throws(StorageError) in _ = try directory.exportSnapshot(from: reader) })
        #expect(try bench.disk.list("data/one/member").filter { $0.hasPrefix("outgoing") }.isEmpty)
        bench.disk.capacity = .max
        let snapshot = try directory.exportSnapshot(from: reader)
        let bytes = try snapshot.read(at: 0, count: Int(snapshot.identity.bytes))
        let receiver = try directory.receiver()
        bench.disk.capacity = bench.disk.bytesUsed + 3_000
        #expect(
            refused { () throws(StorageError) in
                _ = try receiver.receive(snapshot.identity, offset: 0, bytes: bytes)
            })
        bench.disk.capacity = .max
        #expect(try receiver.receive(snapshot.identity, offset: 0, bytes: bytes) == snapshot.identity.bytes)
        bench.disk.capacity = bench.disk.bytesUsed + 8_000
        #expect(refused { () throws(StorageError) in _ = try directory.prepareInstall(snapshot.identity) })
        bench.disk.capacity = .max
        let prepared = try directory.prepareInstall(snapshot.identity)
        let (installed, restored) = try directory.activate(prepared)
        #expect(restored.header == model.header)
        reader.close()
        for store in [stores.state, installed] { store.close() }
    }
}
