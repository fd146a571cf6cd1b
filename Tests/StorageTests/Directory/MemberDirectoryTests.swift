import Primitives
import Raft
import RegistryModel
import Simulator
import Testing

@testable import Storage

@Suite("Member directory")
struct MemberDirectoryTests {
    @Test("A bootstrapped member opens with the initial members, an empty log and a rising incarnation")
    func bootstrap() throws {
        let bench = try MemberBench("boot")
        defer { bench.vfs.unregister() }
        #expect(try !MemberDirectory.isBootstrapped("data/one", on: bench.disk))
        try bench.bootstrap()
        #expect(try MemberDirectory.isBootstrapped("data/one", on: bench.disk))
        for life in 1...3 {
            let directory = try bench.open()
            #expect(directory.incarnation == Incarnation(UInt64(life)))
            let stores = try directory.openStores()
            #expect(stores.recovered.log.base == MemberBench.base)
            #expect(stores.recovered.log.entries.isEmpty)
            #expect(stores.recovered.log.hardState == HardState(term: Term(1), commit: LogIndex(1)))
            #expect(stores.restored.members == MemberBench.members)
            #expect(stores.restored.header.applied == MemberBench.base.position)
            #expect(stores.restored.header.liveDigest == Digest128(low: 5))
            stores.log.close()
            stores.state.close()
            directory.close()
        }
        #expect { try bench.bootstrap() } throws: { ($0 as? StorageError)?.kind == .alreadyExists }
    }

    @Test("Another cluster, another member, a second process and a newer format are refused by name")
    func refusals() throws {
        let bench = try MemberBench("refuse")
        defer { bench.vfs.unregister() }
        #expect { _ = try bench.open() } throws: { ($0 as? StorageError)?.kind == .notFound }
        try bench.bootstrap()
        func expect(_ kind: StorageError.Kind, _ text: String, _ body: () throws -> Void) {
            #expect(throws: (any Error).self, performing: body)
            do {
                try body()
            } catch let error as StorageError {
                #expect(error.kind == kind && error.description.contains(text), "\(error)")
            } catch {}
        }
        expect(.otherMember, "cluster c1, not 7") { _ = try bench.open(cluster: ClusterID(7)) }
        expect(.otherMember, "member a1, not 7") { _ = try bench.open(member: MemberID(7)) }
        let directory = try bench.open()
        expect(.inUse, "another process") { _ = try bench.open() }
        expect(.inUse, "another process") { try bench.bootstrap() }
        directory.close()
        let path = "data/one/member/meta"
        let meta = try SlotFile.open(path, on: bench.disk, magic: MetaRecord.magic, slotBytes: MetaRecord.slotBytes)
        var payload = meta.payload
        payload[0] = 9
        try meta.write(payload)
        expect(.newerFormat, "format 9") { _ = try bench.open() }
    }

    @Test("Rot in the identity record is made good from its copies; without any the text says what to do")
    func rottenIdentity() throws {
        let bench = try MemberBench("meta")
        defer { bench.vfs.unregister() }
        try bench.bootstrap()
        let path = "data/one/member/meta"
        for offset in stride(from: 0, to: 16_384, by: 17) {
            let copy = try bench.copy()
            copy.disk.corrupt(path, at: offset, mask: UInt8(1 << (offset % 8)))
            let directory = try copy.open()
            #expect(directory.incarnation == Incarnation(1), "\(offset)")
            copy.vfs.unregister()
        }
        for copy in 0..<4 { bench.disk.corrupt(path, at: copy * 4_096 + 8, mask: 1) }
        #expect { _ = try bench.open() } throws: { error in
            (error as? StorageError)?.kind == .damaged && "\(error)".contains("add it again as a new member")
        }
    }

    @Test("A power loss at every operation of a bootstrap leaves nothing or a whole member")
    func bootstrapCrash() throws {
        var operation = 0
        var finished = false
        while !finished {
            var bench = try MemberBench("bootcrash")
            defer { bench.vfs.unregister() }
            bench.disk.operationsLeft = operation
            do {
                try bench.bootstrap()
                finished = true
            } catch let error as StorageError {
                #expect(error.kind == .io)
            }
            var generator = SeededGenerator(seed: UInt64(operation))
            bench.disk.crash(CrashPolicy(), using: &generator)
            try bench.restart()
            if try !MemberDirectory.isBootstrapped("data/one", on: bench.disk) {
                #expect(!finished)
                try bench.bootstrap()
            }
            let directory = try bench.open()
            let stores = try directory.openStores()
            #expect(stores.restored.members == MemberBench.members)
            stores.state.close()
            operation += 1
        }
        #expect(operation > 20)
    }

    @Test("A state ahead of the log resets the log; one behind the log's beginning is rebuilt")
    func reconcile() throws {
        let bench = try MemberBench("ahead")
        defer { bench.vfs.unregister() }
        try bench.bootstrap()
        var directory = try bench.open()
        var stores = try directory.openStores()
        var header = stores.restored.header
        header.applied = LogPosition(index: LogIndex(9), term: Term(4))
        try stores.state.apply([StateBatch(header: header, changes: [])])
        stores.state.close()
        stores.log.close()
        directory.close()
        directory = try bench.open()
        stores = try directory.openStores()
        #expect(stores.recovered.log.base.position == header.applied)
        #expect(stores.recovered.log.hardState.term == Term(4))
        #expect(stores.log.lastIndex == LogIndex(9))
        // Now the log begins after an entry that the state does not have.
        try stores.log.reset(
            to: LogBase(
                position: LogPosition(index: LogIndex(20), term: Term(4)),
                configuration: MemberBench.base.configuration))
        stores.state.close()
        stores.log.close()
        directory.close()
        directory = try bench.open()
        stores = try directory.openStores()
        #expect(stores.notices.count == 1 && stores.notices[0].contains("entry 9, the log begins only after 20"))
        #expect(stores.restored.header.applied == .zero)
        #expect(stores.recovered.log.base.position == .zero)
        let last = LogPosition(index: LogIndex(20), term: Term(4))
        #expect(stores.recovered.log.recovery == Recovery(claimed: last))
        stores.state.close()
    }
}
