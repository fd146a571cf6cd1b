import Primitives
import RegistryModel
import Simulator
import Testing

@testable import Storage

@Suite("Snapshots")
struct SnapshotTests {
    /// A database with a random history, and the snapshot of it.
    private func snapshot(
        _ name: String, seed: UInt64, compactAll: Bool
    ) throws -> (bench: StateBench, model: StateModel, identity: SnapshotIdentity) {
        var generator = SeededGenerator(seed: seed)
        let bench = try StateBench(name)
        var model = StateModel()
        let store = try bench.store()
        for _ in 0..<120 { try store.apply([model.batch(&generator)]) }
        if compactAll { while try store.compactSome() {} }
        let reader = try bench.reader()
        let identity = try SnapshotWriter("d/out", on: bench.disk, from: reader).finish()
        #expect(identity.position == model.header.applied)
        reader.close()
        store.close()
        return (bench, model, identity)
    }

    @Test("The bytes depend on the applied position alone, not on how far removal got", arguments: 0..<4)
    func canonical(seed: Int) throws {
        let one = try snapshot("canonical-a\(seed)", seed: UInt64(seed), compactAll: true)
        let two = try snapshot("canonical-b\(seed)", seed: UInt64(seed), compactAll: false)
        defer {
            one.bench.vfs.unregister()
            two.bench.vfs.unregister()
        }
        #expect(one.model.header.compactRevision.number > 0)
        #expect(one.identity == two.identity)
        #expect(one.bench.disk.content("d/out") == two.bench.disk.content("d/out"))
    }

    @Test("Every damaged, cut, stretched or renamed snapshot is refused without a trap")
    func badInput() throws {
        let (bench, _, identity) = try snapshot("bad", seed: 3, compactAll: false)
        defer { bench.vfs.unregister() }
        func scan(_ identity: SnapshotIdentity) throws(StorageError) {
            try SnapshotScanner("d/out", identity: identity, on: bench.disk).scan { _ in }
        }
        func expectRefusal(_ identity: SnapshotIdentity, _ what: String) {
            do throws(StorageError) {
                try scan(identity)
                Issue.record("accepted: \(what)")
            } catch {
                #expect([.invalidSnapshot, .newerFormat].contains(error.kind), "\(error)")
            }
        }
        try scan(identity)
        for offset in stride(from: 0, to: Int(identity.bytes), by: 13) {
            bench.disk.corrupt("d/out", at: offset, mask: UInt8(1 << (offset % 8)))
            expectRefusal(identity, "flipped bit at \(offset)")
            bench.disk.corrupt("d/out", at: offset, mask: UInt8(1 << (offset % 8)))
        }
        var other = identity
        other.digest.low ^= 1
        expectRefusal(other, "another digest")
        other = identity
        other.position.index = other.position.index.next
        expectRefusal(other, "another position")
        let file = try bench.disk.open("d/out", .readWrite)
        try file.write([0], at: identity.bytes)
        expectRefusal(identity, "a byte more")
        other = identity
        other.bytes += 1
        expectRefusal(other, "a byte more, announced")
        for size in stride(from: identity.bytes - 1, through: 0, by: -97) {
            try file.truncate(to: size)
            expectRefusal(identity, "cut at \(size)")
            other = identity
            other.bytes = size
            expectRefusal(other, "cut at \(size), announced")
        }
    }

    @Test("Blocks and records that claim more than they hold are refused before anything is allocated")
    func claims() throws {
        let disk = MemoryFileSystem()
        func refusal(_ parts: [[UInt8]]) throws -> String? {
            try disk.removeIfPresent("s")
            let bytes = SnapshotFormat.fileHeader(hasAuth: false) + parts.flatMap { $0 }
            try disk.open("s", .create).write(bytes, at: 0)
            let identity = SnapshotIdentity(position: .zero, digest: Digest128(), bytes: Int64(bytes.count))
            do throws(StorageError) {
                try SnapshotScanner("s", identity: identity, on: disk).scan { _ in }
                return nil
            } catch {
                return error.detail
            }
        }
        var huge = ByteWriter()
        huge.fixed32(.max)
        huge.fixed32(.max)
        huge.fixed32(0)
        #expect(try refusal([huge.bytes])?.contains("claims") == true)
        var record = ByteWriter()
        record.varint(1 << 40)
        #expect(try refusal([SnapshotFormat.block(record.bytes)])?.contains("claims") == true)
        record = ByteWriter()
        record.varint(200 * 1024 * 1024)
        #expect(try refusal([SnapshotFormat.block(record.bytes)])?.contains("inside a block") == true)
        // An LZ4 block that unpacks to less than it promised.
        let raw = [UInt8](repeating: 1, count: 1000)
        var packed = Array(SnapshotFormat.block(raw)[12...])
        var frame = ByteWriter()
        frame.fixed32(2000)
        frame.fixed32(UInt32(packed.count))
        frame.fixed32(SnapshotFormat.checksum(frame.bytes, packed))
        #expect(try refusal([frame.bytes + packed])?.contains("unpack") == true)
        packed = []
        #expect(try refusal([]) != nil)
    }

    @Test("A receiver takes chunks once and in order, and goes on after a restart")
    func receiver() throws {
        let disk = MemoryFileSystem()
        try disk.createDirectory("m")
        try disk.syncDirectory("")
        var generator = SeededGenerator(seed: 2)
        let content = (0..<(9 * 1024 * 1024 / 8)).flatMap { _ in
            withUnsafeBytes(of: generator.next()) { Array($0) }
        }
        let identity = SnapshotIdentity(
            position: LogPosition(index: LogIndex(9), term: Term(2)), digest: Digest128(low: 1, high: 2),
            bytes: Int64(content.count))
        func chunk(_ offset: Int64, _ count: Int = 512 * 1024) -> [UInt8] {
            Array(content[Int(offset)..<min(Int(offset) + count, content.count)])
        }
        var receiver = try SnapshotReceiver("m", on: disk)
        #expect(try receiver.receive(identity, offset: 4096, bytes: chunk(4096)) == 0)
        var next: Int64 = 0
        while next < 8_500_000 {
            let offset = next
            next = try receiver.receive(identity, offset: offset, bytes: chunk(offset))
            #expect(try receiver.receive(identity, offset: offset, bytes: chunk(offset)) == next)
        }
        disk.crash(CrashPolicy(), using: &generator)
        receiver = try SnapshotReceiver("m", on: disk)
        #expect(receiver.current == identity)
        #expect(receiver.received >= 8 * 1024 * 1024 && receiver.received <= next)
        next = receiver.received
        while next < identity.bytes { next = try receiver.receive(identity, offset: next, bytes: chunk(next)) }
        #expect(disk.content("m/incoming.snapshot") == content)
        #expect(try receiver.receive(identity, offset: next, bytes: [1]) == identity.bytes)

        var other = identity
        other.digest.low = 7
        #expect(try receiver.receive(other, offset: 512, bytes: [1]) == 0)
        #expect(receiver.current == other)
        try receiver.discard()
        #expect(try SnapshotReceiver("m", on: disk).current == nil)
    }
}
