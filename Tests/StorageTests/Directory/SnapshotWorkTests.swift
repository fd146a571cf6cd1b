import Primitives
import Raft
import RegistryModel
import Replica
import Storage
import Testing

@testable import MemberLanes

@Suite("The snapshot lane's work")
struct SnapshotWorkTests {
    @Test("A received snapshot that is not what it claims is forgotten, so that the next transfer brings it anew")
    func refusedIsForgotten() throws {
        let bench = try MemberBench("refused")
        defer { bench.vfs.unregister() }
        try bench.bootstrap()
        let directory = try bench.open()
        let stores = try directory.openStores()
        let reader = try directory.openReader()
        let snapshot = try directory.exportSnapshot(from: reader)
        reader.close()
        let identity = snapshot.identity
        let bytes = try snapshot.read(at: 0, count: Int(identity.bytes))
        var rotten = bytes
        rotten[bytes.count / 2] ^= 0x10

        let work = SnapshotWork(directory: directory)
        let sender = MemberID(0xA2)
        func stored(_ bytes: [UInt8]) throws -> Int64? {
            let order = SnapshotOrder.store(identity, offset: 0, bytes: bytes, sender: sender)
            guard case .snapshotStored(_, let next, _) = try work.perform(order).events.first else { return nil }
            return next
        }
        #expect(try stored(rotten) == identity.bytes)
        let refused = try work.perform(.install(identity, sender: sender))
        #expect(refused.installs.isEmpty)
        guard case .snapshotRejected(identity, sender: sender) = refused.events.first else {
            return #expect(Bool(false), "\(refused.events)")
        }
        #expect(try stored(bytes) == identity.bytes)
        #expect(try work.perform(.install(identity, sender: sender)).installs.count == 1)
        work.close()
        stores.state.close()
    }
}
