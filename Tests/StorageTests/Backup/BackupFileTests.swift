import Primitives
import Raft
import RegistryModel
import Simulator
import Testing

@testable import Storage

@Suite("Backup files")
struct BackupFileTests {
    @Test("A backup says whose state it is, since when, and what it holds")
    func contents() throws {
        let bench = try BackupBench("backup")
        let contents = try BackupFile(BackupBench.file, on: bench.bench.disk).verify()
        #expect(contents.header == bench.header)
        #expect(contents.header.cluster == MemberBench.cluster)
        #expect(contents.header.member == MemberBench.member)
        #expect(contents.header.incarnation == Incarnation(1))
        #expect(contents.header.revision == bench.model.header.revision)
        #expect(contents.header.compactRevision == bench.model.header.compactRevision)
        #expect(contents.header.createdMilliseconds == 1_700_000_000_123)
        #expect(contents.header.stream.position == bench.model.header.applied)
        #expect(contents.leases == UInt64(bench.model.leases.count))
        #expect(contents.members == bench.model.members)
        #expect(contents.revisions > 0)
        #expect(try bench.bytes().count % 512 == 32, "etcd's tools store no other lengths")
        #expect(try !bench.bench.disk.exists(BackupBench.file + ".part"))
    }

    @Test("One changed byte anywhere is noticed, and the region it is in is named")
    func damage() throws {
        let bench = try BackupBench("rot", batches: 12)
        let intact = try bench.bytes()
        #expect(try bench.complaint(about: intact) == nil)
        let streamEnd = 512 + Int(bench.header.stream.bytes)
        let inBlocks = (512 + SnapshotFormat.headerBytes)..<streamEnd
        for place in intact.indices where !inBlocks.contains(place) || place % 5 == 0 {
            var changed = intact
            changed[place] ^= 0x10
            let complaint = try #require(try bench.complaint(about: changed), "byte \(place)")
            let region =
                switch place {
                case ..<8: "first bytes are damaged"
                case ..<512: "header (bytes 0 to 511) is damaged"
                case ..<(512 + 8): "contents are damaged before byte 528: does not begin like a snapshot"
                case ..<streamEnd: "contents"
                default: "end is damaged at byte \(place)"
                }
            // A changed format number of the stream inside is a newer format only if everything else agrees.
            #expect(complaint.kind == .invalidSnapshot || (520..<524).contains(place), "byte \(place)")
            #expect(complaint.text.contains(region) || (520..<524).contains(place), "\(place): \(complaint.text)")
            #expect(complaint.text.contains("data/changed"))
        }
    }

    @Test("A file cut short anywhere is refused with what is there and what should be")
    func truncation() throws {
        let bench = try BackupBench("cut", batches: 12)
        let intact = try bench.bytes()
        for length in stride(from: 0, to: intact.count, by: 7) {
            let complaint = try #require(try bench.complaint(about: Array(intact[..<length])), "\(length) bytes")
            #expect(complaint.kind == .invalidSnapshot)
            let text =
                switch length {
                case 0: "it is empty"
                case ..<8: "does not begin with GNGLBKUP"
                case ..<512: "ends after \(length) bytes, inside its header"
                default: "cut short: \(length) of \(intact.count) bytes"
                }
            #expect(complaint.text.contains(text), "\(length): \(complaint.text)")
        }
        let longer = try #require(try bench.complaint(about: intact + [0]))
        #expect(longer.text.contains("1 bytes follow its end at \(intact.count)"))
    }

    @Test("A newer format is refused by name, etcd's own snapshots too")
    func otherFormats() throws {
        let bench = try BackupBench("newer", batches: 3)
        var newer = try bench.bytes()
        newer[8] = 2
        newer.replaceSubrange(12..<16, with: [0, 0, 0, 0])
        var crc = ByteWriter()
        crc.fixed32(CRC32C.of(Array(newer[..<512])))
        newer.replaceSubrange(12..<16, with: crc.bytes)
        let complaint = try #require(try bench.complaint(about: newer))
        #expect(complaint.kind == .newerFormat)
        #expect(complaint.text.contains("it has format 2, this program knows format 1"))

        var bolt = [UInt8](repeating: 0, count: 32_768)
        bolt.replaceSubrange(16..<20, with: [0xED, 0xDA, 0x0C, 0xED])
        #expect(try bench.complaint(about: bolt)?.text.contains("a snapshot of etcd in etcd's own format") == true)
    }

    @Test("A file that exists is replaced only when told so, and a damaged backup never gets the name")
    func saving() throws {
        let bench = try BackupBench("save", batches: 3)
        let disk = bench.bench.disk
        #expect { _ = try BackupFileWriter(BackupBench.file, replaces: false, on: disk) } throws: {
            ($0 as? StorageError)?.kind == .alreadyExists
        }
        let intact = try bench.bytes()
        let writer = try BackupFileWriter(BackupBench.file, replaces: true, on: disk)
        try writer.append(Array(intact.dropLast(40)))
        #expect { _ = try writer.finish() } throws: { "\($0)".contains("cut short") }
        #expect(try bench.bytes() == intact, "the old file stays")
        #expect(try !disk.exists(BackupBench.file + ".part"))

        let foreign = try BackupFileWriter("data/foreign", replaces: false, on: disk)
        try foreign.append([1, 2, 3])
        #expect(try foreign.finish() == nil)
        #expect(try disk.exists("data/foreign"))
    }

    @Test("A power loss while a backup is saved leaves the whole file or none of that name")
    func powerLoss() throws {
        let bench = try BackupBench("loss", batches: 6)
        let intact = try bench.bytes()
        let disk = bench.bench.disk
        var finished = false
        var operation = 0
        while !finished {
            disk.operationsLeft = operation
            do {
                let writer = try BackupFileWriter("data/new", replaces: true, on: disk)
                try writer.append(intact)
                _ = try writer.finish()
                finished = true
            } catch {
                #expect(error.kind == .io, "\(error)")
            }
            var generator = SeededGenerator(seed: UInt64(operation))
            disk.crash(CrashPolicy(loss: generator.below(257), tearsOlderBytes: false), using: &generator)
            let exists = try disk.exists("data/new")
            #expect(exists || !finished)
            if exists { _ = try BackupFile("data/new", on: disk).verify() }
            operation += 1
        }
        #expect(operation > 5)
    }

    @Test("A backup that is no longer wanted leaves nothing behind")
    func cancelling() throws {
        let bench = try BackupBench("cancel", batches: 3)
        let directory = try bench.bench.open()
        defer { directory.close() }
        let before = try bench.bench.disk.list("data/one/member")
        #expect(try directory.exportBackup(number: 1, createdMilliseconds: 0, isWanted: { false }) == nil)
        let export = try #require(
            try directory.exportBackup(number: 2, createdMilliseconds: 0, isWanted: { true }))
        #expect(export.header.stream.digest == bench.header.stream.digest, "the same state has the same bytes")
        export.close()
        let database: (String) -> Bool = { !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") }
        #expect(
            try bench.bench.disk.list("data/one/member").filter(database) == before.filter(database))
    }
}
