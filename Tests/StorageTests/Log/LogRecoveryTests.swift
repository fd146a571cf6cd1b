import Primitives
import Raft
import Simulator
import Testing

@testable import Storage

/// Recovery's table, row by row: what damage to which copy of a record means.
@Suite("Log recovery")
struct LogRecoveryTests {
    private let disk: MemoryFileSystem
    private let segment = "log/00000000000000000001.segment"
    private let geometry = SegmentGeometry(bytes: 32 * 1024)

    /// Five entries, each in a write group of its own, fill the first segment.
    init() throws {
        disk = try diskWithLog(smallSegments)
        let (store, _) = try LogStore.open("log", on: disk, options: smallSegments)
        for number in 2...6 { try store.write(batch(UInt64(number))) }
    }

    private func batch(_ index: UInt64, term: UInt64 = 1) -> LogBatch {
        let entry = Entry(
            index: LogIndex(index), term: Term(term), kind: .command, payload: [UInt8](repeating: 7, count: 100))
        return LogBatch(number: BatchNumber(index), entries: [entry])
    }

    private func open() throws -> (LogStore, RecoveredLog) {
        try LogStore.open("log", on: disk, options: smallSegments)
    }

    private func slotOffset(_ index: UInt64) -> Int { geometry.slotOffset(Int(index) - 2) }
    /// Each group begins a block of its own.
    private func copyOffset(_ index: UInt64) -> Int { geometry.recordsStart + (Int(index) - 2) * 4096 }
    private func damageSlot(_ index: UInt64) { disk.corrupt(segment, at: slotOffset(index) + 17, mask: 4) }
    private func damageCopy(_ index: UInt64) { disk.corrupt(segment, at: copyOffset(index) + 17, mask: 4) }
    private func damagePayload(_ index: UInt64) { disk.corrupt(segment, at: copyOffset(index) + 70, mask: 4) }

    private func expectRefusal(_ verdict: LogVerdict, entry: UInt64?) {
        #expect {
            _ = try open()
        } throws: { error in
            guard let error = error as? StorageError else { return false }
            let name = entry.map { "entry \($0):" } ?? "an unknown entry:"
            return error.kind == .damaged && error.detail.contains(verdict.rawValue) && error.detail.contains(name)
                && error.detail.contains("segment 1, offset") && error.detail.contains("Remove the member")
        }
    }

    @Test("An undamaged log opens without findings")
    func intact() throws {
        let (_, recovered) = try open()
        #expect(recovered.log.entries.map(\.index.number) == [2, 3, 4, 5, 6])
        #expect(recovered.report.findings.isEmpty)
        #expect(recovered.report.rewrittenRecords == 1)
    }

    @Test("A damaged slot is rebuilt from its copy, on disk too")
    func slotRebuilt() throws {
        damageSlot(4)
        let (store, recovered) = try open()
        #expect(recovered.report.findings.map(\.verdict) == [.slotRebuilt])
        #expect(recovered.log.entries.count == 5)
        store.close()
        damageCopy(4)
        let (_, again) = try open()
        #expect(again.report.findings.map(\.verdict) == [.copyDamaged])
        #expect(again.log.entries == recovered.log.entries)
    }

    @Test("A damaged header copy does no harm while slot and payload are intact")
    func copyDamaged() throws {
        damageCopy(4)
        let (_, recovered) = try open()
        #expect(recovered.report.findings.map(\.verdict) == [.copyDamaged])
        #expect(recovered.log.entries.count == 5)
    }

    @Test("A damaged payload of a durable entry is a fault with known identity, never a truncation")
    func payloadLost() throws {
        damagePayload(4)
        expectRefusal(.payloadLost, entry: 4)
    }

    @Test("A record lost in both places below later ones is a fault")
    func recordLost() throws {
        damageSlot(4)
        damageCopy(4)
        expectRefusal(.recordLost, entry: nil)
    }

    @Test("A last record lost in both places, though certified, makes the end uncertain")
    func headUncertain() throws {
        // Opening moves the uncertified last entry to a fresh segment and certifies it.
        _ = try open()
        let moved = "log/00000000000000000002.segment"
        disk.corrupt(moved, at: geometry.slotOffset(0) + 17, mask: 1)
        disk.corrupt(moved, at: geometry.recordsStart + 17, mask: 1)
        #expect {
            _ = try open()
        } throws: { error in
            (error as? StorageError)?.detail.contains(LogVerdict.headUncertain.rawValue) ?? false
        }
    }

    @Test("A last record that nothing certifies is a torn write and is dropped", arguments: [true, false])
    func torn(payloadOnly: Bool) throws {
        if payloadOnly {
            damagePayload(6)
        } else {
            damageSlot(6)
            damageCopy(6)
        }
        let (store, recovered) = try open()
        #expect(recovered.report.findings.map(\.verdict) == [.torn])
        #expect(recovered.report.tornRecords == 1)
        #expect(recovered.log.entries.map(\.index.number) == [2, 3, 4, 5])
        // The dropped record never comes back, even when its bytes are whole again.
        if payloadOnly { damagePayload(6) }
        store.close()
        let (_, again) = try open()
        #expect(again.log.entries == recovered.log.entries)
    }

    @Test("Slot and copy that contradict each other are a fault: a lost or misdirected write")
    func misplaced() throws {
        // The same place of another log, intact in itself.
        let other = try diskWithLog(smallSegments)
        let (store, _) = try LogStore.open("log", on: other, options: smallSegments)
        for number in 2...6 { try store.write(batch(UInt64(number), term: number < 4 ? 1 : 2)) }
        let content = try #require(other.content(segment))
        let file = try disk.open(segment, .readWrite)
        try file.write(Array(content[slotOffset(4)..<(slotOffset(4) + 64)]), at: Int64(slotOffset(4)))
        expectRefusal(.misplaced, entry: 4)
        // Both replaced alike: the next record's chain tells.
        try file.write(Array(content[copyOffset(4)..<(copyOffset(4) + 200)]), at: Int64(copyOffset(4)))
        expectRefusal(.misplaced, entry: 5)
    }

    @Test("A log shorter than the persisted commit index is refused")
    func shorterThanCommit() throws {
        let (store, _) = try open()
        try store.write(
            LogBatch(number: BatchNumber(9), hardState: HardState(term: Term(2), commit: LogIndex(6))))
        store.segment.close()
        // The segment that holds entry 6 vanishes with its name.
        try disk.remove("log/00000000000000000002.segment")
        try disk.open("log/hardstate.tmp", .create).close()
        #expect { _ = try open() } throws: { ($0 as? StorageError)?.kind == .damaged }
    }

    @Test("Missing segments, lost headers and a lost hard state are refused")
    func missingFiles() throws {
        disk.corrupt(segment, at: 3, mask: 1)
        #expect(try open().1.log.entries.count == 5)
        disk.corrupt(segment, at: 4096 + 3, mask: 1)
        #expect { _ = try open() } throws: { ($0 as? StorageError)?.kind == .damaged }
        disk.corrupt(segment, at: 3, mask: 1)
        for offset in [8, 4096 + 8, 8192 + 8, 12288 + 8] { disk.corrupt("log/hardstate", at: offset, mask: 1) }
        #expect { _ = try open() } throws: { ($0 as? StorageError)?.kind == .damaged }
    }

    @Test("Any single flipped bit either changes nothing or is refused", arguments: 0..<8)
    func anyBit(part: Int) throws {
        let (_, clean) = try open()
        let files = [
            "log/00000000000000000001.segment", "log/00000000000000000002.segment", "log/base", "log/hardstate",
        ]
        for file in files {
            let size = disk.content(file)?.count ?? 0
            for offset in stride(from: part * 7, to: size, by: 101) {
                disk.corrupt(file, at: offset, mask: UInt8(1 << part))
                do throws(StorageError) {
                    let (store, recovered) = try LogStore.open("log", on: disk, options: smallSegments)
                    #expect(recovered.log.entries == clean.log.entries, "\(file) at \(offset)")
                    store.close()
                } catch {
                    #expect([.damaged, .newerFormat].contains(error.kind), "\(error)")
                }
                disk.corrupt(file, at: offset, mask: UInt8(1 << part))
            }
        }
    }

    @Test("A full disk refuses a batch whole; with space again the same batch succeeds")
    func fullDisk() throws {
        let (store, _) = try open()
        disk.capacity = 0
        var index: UInt64 = 7
        var refused: StorageError?
        while refused == nil {
            do throws(StorageError) {
                try store.write(batch(index))
                index += 1
            } catch {
                refused = error
            }
        }
        #expect(refused?.kind == .full)
        try store.write(LogBatch(number: BatchNumber(99), hardState: HardState(term: Term(3), commit: LogIndex(6))))
        disk.capacity = .max
        try store.write(batch(index))
        store.close()
        let (_, recovered) = try open()
        #expect(recovered.log.entries.last?.index == LogIndex(index))
        #expect(recovered.log.hardState == HardState(term: Term(3), commit: LogIndex(6)))
    }

    @Test("After a failed sync the store refuses everything; the writes that sync covered are not trusted")
    func failedSync() throws {
        let (store, _) = try open()
        disk.fault = { $0.kind == .sync ? StorageError(.io, "sync", $0.path, "input/output error") : nil }
        #expect { try store.write(batch(7)) } throws: { ($0 as? StorageError)?.kind == .io }
        disk.fault = nil
        #expect { try store.write(batch(8)) } throws: { ($0 as? StorageError)?.kind == .stopped }
        #expect { try store.certify() } throws: { ($0 as? StorageError)?.kind == .stopped }
        // The cache still shows entry 7; recovery must make it durable before claiming it.
        let (_, recovered) = try open()
        #expect(recovered.log.entries.last?.index == LogIndex(7))
        var generator = SeededGenerator(seed: 1)
        disk.crash(.losesAll, using: &generator)
        let (_, again) = try open()
        #expect(again.log.entries == recovered.log.entries)
    }

    @Test("A log reset begins after its base; one that has the position is kept")
    func adopt() throws {
        let (store, _) = try open()
        let known = LogBase(
            position: LogPosition(index: LogIndex(5), term: Term(1)), configuration: LogModel.base.configuration)
        #expect(try store.adopt(known))
        #expect(store.lastIndex == LogIndex(6))
        let foreign = LogBase(
            position: LogPosition(index: LogIndex(5), term: Term(3)), configuration: LogModel.base.configuration)
        #expect(try !store.adopt(foreign))
        #expect(store.lastIndex == LogIndex(5))
        store.close()
        // Entry 6 of term 1 lay behind the base; it must not follow the new one.
        let (emptied, restored) = try open()
        #expect(restored.log.base == foreign && restored.log.entries.isEmpty)
        try emptied.write(batch(6, term: 3))
        emptied.close()
        let (_, recovered) = try open()
        #expect(recovered.log.base == foreign)
        #expect(recovered.log.entries == batch(6, term: 3).entries)
        #expect(recovered.log.hardState.term == Term(3))
        #expect(try disk.list("log").filter { $0.hasSuffix(".segment") }.count == 1)
    }

    @Test("Compaction removes whole segments and keeps every later entry")
    func compaction() throws {
        let (store, _) = try open()
        for number in 7...60 { try store.write(batch(UInt64(number))) }
        let before = try disk.list("log").count
        let base = LogBase(
            position: LogPosition(index: LogIndex(50), term: Term(1)), configuration: LogModel.base.configuration)
        try store.compact(to: base)
        #expect(try disk.list("log").count < before - 5)
        store.close()
        let (_, recovered) = try open()
        #expect(recovered.log.base == base)
        #expect(recovered.log.entries.map(\.index.number) == Array(51...60))
    }

    @Test("An entry larger than a segment gets a segment of its own size")
    func largeEntry() throws {
        let (store, _) = try open()
        let large = Entry(
            index: LogIndex(7), term: Term(1), kind: .command, payload: [UInt8](repeating: 3, count: 200_000))
        try store.write(LogBatch(number: BatchNumber(7), entries: [large]))
        try store.write(batch(8))
        store.close()
        let (_, recovered) = try open()
        #expect(recovered.log.entries.suffix(2) == [large] + batch(8).entries)
    }
}
