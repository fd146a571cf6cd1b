import Primitives
import Raft
import RegistryModel
import Replica
import Simulator
import Storage
import Testing

@testable import MemberLanes

@Suite("The state lane's work")
struct StateWorkTests {
    /// A member with some history, and a snapshot of it that is ready to take the state's place.
    private struct Prepared {
        let bench: MemberBench
        let directory: MemberDirectory
        let work: StateWork
        let install: PreparedInstall
        let header: StateHeader

        init(_ name: String) throws {
            bench = try MemberBench(name)
            try bench.bootstrap()
            directory = try bench.open()
            let stores = try directory.openStores()
            var generator = SeededGenerator(seed: 5)
            var model = StateModel()
            model.header = stores.restored.header
            for _ in 0..<20 {
                var batch = model.batch(&generator)
                batch.header.configuration = MemberBench.base.configuration.encoded()
                model.header = batch.header
                try stores.state.apply([batch])
            }
            header = model.header
            let reader = try directory.openReader()
            let snapshot = try directory.exportSnapshot(from: reader)
            reader.close()
            let bytes = try snapshot.read(at: 0, count: Int(snapshot.identity.bytes))
            _ = try directory.receiver().receive(snapshot.identity, offset: 0, bytes: bytes)
            install = PreparedInstall(
                identity: snapshot.identity, prepared: try directory.prepareInstall(snapshot.identity),
                sender: MemberID(0xA2))
            work = StateWork(store: stores.state, directory: directory)
        }
    }

    @Test("A received state that finds no room waits, and is installed once there is some; meanwhile the lane goes on")
    func waitsForRoom() throws {
        let member = try Prepared("waits")
        defer { member.bench.vfs.unregister() }
        member.bench.disk.capacity = member.bench.disk.bytesUsed
        #expect(try member.work.perform([.activate(member.install)]).events.isEmpty)
        #expect(member.work.isFull)
        // What an idle lane does.
        _ = try member.work.quiet()
        #expect(try member.work.perform([.retry]).events.isEmpty)
        #expect(member.work.isFull)
        member.bench.disk.capacity = .max
        let results = try member.work.perform([.retry])
        #expect(results.replaced && !member.work.isFull)
        guard case .snapshotInstalled(_, let restored, _, _) = results.events.first else {
            return #expect(Bool(false), "nothing was installed")
        }
        #expect(restored.header == member.header)
        try member.work.close()
    }

    @Test("A member can end while a received state waits for room, or after its installation failed")
    func closes() throws {
        for kind in [StorageError.Kind.full, .io] {
            let member = try Prepared("closes")
            defer { member.bench.vfs.unregister() }
            member.bench.disk.fault = { operation in
                guard operation.path.contains("state-2") else { return nil }
                return StorageError(kind, "write", operation.path, "refused by the test")
            }
            if kind == .full {
                _ = try member.work.perform([.activate(member.install)])
                #expect(member.work.isFull)
            } else {
                #expect(throws: StorageError.self) { try member.work.perform([.activate(member.install)]) }
            }
            member.bench.disk.fault = nil
            try member.work.close()
            member.directory.close()
            // What was there before is what the next life finds.
            let again = try member.bench.open().openStores()
            #expect(again.restored.header == member.header)
            again.state.close()
        }
    }

    @Test("The store is measured with its first batch and every 500 entries, however busy the lane is")
    func measures() throws {
        let member = try Prepared("measures")
        defer { member.bench.vfs.unregister() }
        var header = member.header
        func events(after entries: UInt64) throws -> [String] {
            header.applied.index = LogIndex(header.applied.index.number + entries)
            return try member.work.perform([.apply(StateBatch(header: header, changes: []))]).events.map { event in
                switch event {
                case .stateWritten(header.applied.index): "written"
                case .stateSizes(let bytes, let inUse) where bytes >= inUse && inUse > 0: "sizes"
                default: "\(event)"
                }
            }
        }
        #expect(try events(after: 1) == ["written", "sizes"])
        #expect(try events(after: 1) == ["written"])
        #expect(try events(after: 498) == ["written"])
        #expect(try events(after: 1) == ["written", "sizes"])
        #expect(try events(after: 1) == ["written"])
        try member.work.close()
    }

    @Test("A store that is closed says so, whatever it is asked")
    func closed() throws {
        let member = try Prepared("closed")
        defer { member.bench.vfs.unregister() }
        try member.work.close()
        #expect(throws: StorageError.self) { try member.work.close() }
        #expect(throws: StorageError.self) { try member.work.quiet() }
    }
}
