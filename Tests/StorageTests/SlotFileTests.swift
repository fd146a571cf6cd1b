import Primitives
import Simulator
import Testing

@testable import Storage

@Suite("Slot file")
struct SlotFileTests {
    private func open(_ disk: MemoryFileSystem) throws -> SlotFile {
        try SlotFile.open("slots", on: disk, magic: 7, slotBytes: 512)
    }

    @Test("A torn write leaves the record before it or the new one, whatever the sectors hold", arguments: 0..<20)
    func torn(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let disk = MemoryFileSystem()
        _ = try SlotFile.create("slots", on: disk, magic: 7, slotBytes: 512, payload: [0])
        try disk.syncDirectory("")
        var known: [[UInt8]] = [[0]]
        for life in 0..<60 {
            let slots = try open(disk)
            try #require(known.contains(slots.payload), "life \(life)")
            known = [slots.payload]
            disk.operationsLeft = Int(generator.below(12))
            do throws(StorageError) {
                while true {
                    let next = [UInt8](repeating: UInt8(truncatingIfNeeded: generator.next()), count: 100)
                    known.append(next)
                    if generator.chance(1, in: 3) {
                        try slots.writeHint(next)
                    } else {
                        try slots.write(next)
                        known = [next]
                    }
                }
            } catch {
                #expect(error.kind == .io)
            }
            disk.crash(
                CrashPolicy(loss: generator.below(257), garbage: generator.below(257)), using: &generator)
        }
    }

    @Test("One rotten copy does not bring an older record back")
    func rot() throws {
        let disk = MemoryFileSystem()
        let slots = try SlotFile.create("slots", on: disk, magic: 7, slotBytes: 512, payload: [1])
        try slots.write([2])
        for copy in [1, 3] {
            disk.corrupt("slots", at: copy * 512 + 30, mask: 0)
            disk.corrupt("slots", at: copy * 512 + 24, mask: 0x10)
            #expect(try open(disk).payload == [2])
        }
    }

    @Test("What an unclean stop left in the cache is made durable before it is believed")
    func cacheIsNotTrusted() throws {
        let disk = MemoryFileSystem()
        let slots = try SlotFile.create("slots", on: disk, magic: 7, slotBytes: 512, payload: [1])
        try disk.syncDirectory("")
        disk.fault = { $0.kind == .sync ? StorageError(.io, "sync", $0.path, "input/output error") : nil }
        #expect(throws: StorageError.self) { try slots.write([2]) }
        disk.fault = nil
        #expect(try open(disk).payload == [2])
        var generator = SeededGenerator(seed: 1)
        disk.crash(.losesAll, using: &generator)
        #expect(try open(disk).payload == [2])
    }
}
