import Primitives
import Raft
import Simulator
import Testing

@testable import Storage

/// Damage together with power losses, and damage in many places at once.
@Suite("Damaged logs")
struct LogDamageTests {
    /// A closed log with some thirty live entries in several segments, among them replaced ones; all certified.
    private func closedLog(seed: UInt64) throws -> (MemoryFileSystem, LogModel) {
        var generator = SeededGenerator(seed: seed)
        let disk = try diskWithLog(smallSegments)
        var model = LogModel(base: LogModel.base)
        let (store, _) = try LogStore.open("log", on: disk, options: smallSegments)
        while model.acknowledged.entries.count < 30 { try model.write(store, &generator) }
        store.close()
        disk.killProcess()
        return (disk, model)
    }

    @Test("A power loss at any operation of opening a damaged log leaves the mark, or the damage", arguments: 0..<3)
    func everyOperation(kind: Int) throws {
        let (original, model) = try closedLog(seed: 5)
        let last = try #require(model.acknowledged.entries.last).position
        let segments = try original.list("log").filter { $0.hasSuffix(".segment") }
        switch kind {
        case 0: original.corrupt("log/\(segments[0])", at: 12_288 + 3 * 4_096 + 70, mask: 1)
        case 1: try original.remove("log/\(segments[1])")
        default:
            // The first entry: nothing is left of the log.
            original.corrupt("log/\(segments[0])", at: 12_288 + 17, mask: 1)
            original.corrupt("log/\(segments[0])", at: 8_192 + 17, mask: 1)
        }
        let (_, expected) = try LogStore.open(
            "log", on: MemoryFileSystem(copyOf: original), options: smallSegments)
        #expect(expected.log.recovery != nil && expected.log.entries.count < model.acknowledged.entries.count)
        var operation = 0
        var finished = false
        while !finished {
            let disk = MemoryFileSystem(copyOf: original)
            disk.operationsLeft = operation
            do throws(StorageError) {
                _ = try LogStore.open("log", on: disk, options: smallSegments)
                finished = true
            } catch {
                #expect(error.kind == .io, "\(error)")
            }
            var dice = SeededGenerator(seed: UInt64(operation))
            disk.crash(CrashPolicy(loss: dice.below(257), garbage: dice.below(64)), using: &dice)
            for _ in 0..<2 {
                let (_, recovered) = try LogStore.open("log", on: disk, options: smallSegments)
                #expect(recovered.log.entries == expected.log.entries, "operation \(operation)")
                let recovery = try #require(recovered.log.recovery, "operation \(operation)")
                #expect(recovery.claimed.map { $0 >= last } ?? true)
                #expect(recovered.log.hardState.term == model.acknowledged.term)
            }
            operation += 1
        }
        #expect(operation > 8)
    }

    @Test(
        "Any mixture of damage gives a true beginning, and silence about it only when nothing is lost",
        arguments: 0..<40)
    func mixture(seed: Int) throws {
        let (original, model) = try closedLog(seed: UInt64(seed % 4))
        let truth = model.acknowledged.entries
        let last = try #require(truth.last).position
        var dice = SeededGenerator(seed: UInt64(seed))
        let segments = try original.list("log").filter { $0.hasSuffix(".segment") }
        for round in 0..<12 {
            let disk = MemoryFileSystem(copyOf: original)
            for _ in 0...dice.below(5) {
                let path = "log/\(segments[Int(dice.below(UInt64(segments.count)))])"
                let size = UInt64(disk.content(path)?.count ?? 1)
                let start = dice.chance(1, in: 3) ? dice.below(min(size, 9_000)) : dice.below(size)
                for offset in 0..<(1 + dice.below(dice.chance(1, in: 2) ? 2 : 700)) {
                    disk.corrupt(path, at: Int(start + offset), mask: UInt8(1 + dice.below(255)))
                }
            }
            let place = "seed \(seed), round \(round)"
            do throws(StorageError) {
                let (store, recovered) = try LogStore.open("log", on: disk, options: smallSegments)
                #expect(truth.starts(with: recovered.log.entries), "\(place)")
                #expect(recovered.log.hardState.term == model.acknowledged.term)
                if let recovery = recovered.log.recovery {
                    #expect(recovery.claimed.map { $0 >= last } ?? true, "\(place)")
                    #expect(!recovered.report.notices.isEmpty)
                } else {
                    #expect(recovered.log.entries.count == truth.count, "\(place)")
                }
                store.close()
                let (_, again) = try LogStore.open("log", on: disk, options: smallSegments)
                #expect(again.log.entries == recovered.log.entries, "\(place)")
                #expect(again.log.recovery == recovered.log.recovery, "\(place)")
            } catch {
                #expect(error.kind == .newerFormat, "\(place): \(error)")
            }
        }
    }

    @Test("Blocks that the disk cannot read any more cost no more than what is in them")
    func unreadableBlocks() throws {
        let (original, model) = try closedLog(seed: 3)
        let truth = model.acknowledged.entries
        let segments = try original.list("log").filter { $0.hasSuffix(".segment") }
        var losses = 0
        for segment in segments {
            let path = "log/\(segment)"
            for block in 0..<((original.content(path)?.count ?? 0) / 4_096) {
                let disk = MemoryFileSystem(copyOf: original)
                disk.unreadable = [(path, (block * 4_096)..<((block + 1) * 4_096))]
                let (_, recovered) = try LogStore.open("log", on: disk, options: smallSegments)
                #expect(truth.starts(with: recovered.log.entries), "\(path), block \(block)")
                // Headers, slots and bases all have a second copy elsewhere.
                if block < 3 { #expect(recovered.log.entries == truth, "\(path), block \(block)") }
                if recovered.log.recovery == nil {
                    #expect(recovered.log.entries == truth, "\(path), block \(block)")
                } else {
                    losses += 1
                }
            }
        }
        #expect(losses > 5)
        for offset in [0, 4_096, 8_192, 12_288] {
            let disk = MemoryFileSystem(copyOf: original)
            disk.unreadable = [("log/hardstate", offset..<(offset + 4_096)), ("log/base", offset..<(offset + 4_096))]
            #expect(try LogStore.open("log", on: disk, options: smallSegments).1.log.entries == truth)
        }
    }

    @Test("Two losses one after the other never lower the claim")
    func twice() throws {
        let (disk, model) = try closedLog(seed: 2)
        let last = try #require(model.acknowledged.entries.last).position
        let (store, first) = try LogStore.open("log", on: disk, options: smallSegments)
        #expect(first.log.recovery == nil)
        try store.markRecovering(claimed: last)
        let earlier = LogPosition(index: LogIndex(3), term: Term(1))
        try store.markRecovering(claimed: earlier)
        #expect(store.recovery == Recovery(claimed: last))
        try store.markRecovering(claimed: nil)
        try store.markRecovering(claimed: last)
        #expect(store.recovery == Recovery(claimed: nil))
        store.close()
        #expect(try LogStore.open("log", on: disk, options: smallSegments).1.log.recovery == Recovery(claimed: nil))
    }
}
