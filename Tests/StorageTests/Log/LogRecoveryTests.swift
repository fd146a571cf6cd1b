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
        var batch = LogBatch(number: BatchNumber(index), entries: [entry])
        if term > 1 { batch.hardState = HardState(term: Term(term), commit: LogIndex(1)) }
        return batch
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

    /// The log opens with the entries before the damage, and says until when it had been whole.
    private func expectRecovery(_ verdict: LogVerdict, entry: UInt64?, last: UInt64, claimed: LogPosition?) throws {
        let (store, recovered) = try open()
        #expect(recovered.log.entries.map(\.index.number) == Array(2..<(last + 1)))
        #expect(recovered.log.recovery == Recovery(claimed: claimed))
        #expect(recovered.report.faults.contains { $0.verdict == verdict && $0.index?.number == entry })
        #expect(recovered.report.lostFrom == LogIndex(last + 1))
        #expect(recovered.report.notices.count == 1 && recovered.report.notices[0].contains("segment "))
        #expect(recovered.log.hardState.commit <= LogIndex(last))
        store.close()
        // The mark stays, the damage is gone, the log can be written.
        let (again, second) = try open()
        #expect(second.log.entries == recovered.log.entries)
        #expect(second.log.recovery == Recovery(claimed: claimed))
        #expect(second.report.faults.isEmpty)
        for number in (last + 1)...(last + 3) { try again.write(batch(number, term: 5)) }
        try again.clearRecovering()
        again.close()
        let (_, third) = try open()
        #expect(third.log.recovery == nil)
        #expect(third.log.entries.map(\.index.number) == Array(2...(last + 3)))
        #expect(third.report.findings.isEmpty)
    }

    private func position(_ index: UInt64, _ term: UInt64 = 1) -> LogPosition {
        LogPosition(index: LogIndex(index), term: Term(term))
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
        try expectRecovery(.payloadLost, entry: 4, last: 3, claimed: position(6))
    }

    @Test("A record lost in both places below later ones is a fault")
    func recordLost() throws {
        damageSlot(4)
        damageCopy(4)
        try expectRecovery(.recordLost, entry: nil, last: 3, claimed: position(6))
    }

    @Test("A last record lost in both places, though certified, makes the end uncertain")
    func headUncertain() throws {
        // Opening moves the uncertified last entry to a fresh segment and certifies it.
        _ = try open()
        let moved = "log/00000000000000000002.segment"
        disk.corrupt(moved, at: geometry.slotOffset(0) + 17, mask: 1)
        disk.corrupt(moved, at: geometry.recordsStart + 17, mask: 1)
        try expectRecovery(.recordLost, entry: nil, last: 5, claimed: nil)
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
        try expectRecovery(.misplaced, entry: 4, last: 3, claimed: position(6))
    }

    @Test("A record that contradicts the chain puts the one before it in doubt, too")
    func chainBroken() throws {
        let other = try diskWithLog(smallSegments)
        let (store, _) = try LogStore.open("log", on: other, options: smallSegments)
        for number in 2...6 { try store.write(batch(UInt64(number), term: number < 4 ? 1 : 2)) }
        let content = try #require(other.content(segment))
        let file = try disk.open(segment, .readWrite)
        try file.write(Array(content[slotOffset(4)..<(slotOffset(4) + 64)]), at: Int64(slotOffset(4)))
        // Both replaced alike: the next record's chain tells.
        try file.write(Array(content[copyOffset(4)..<(copyOffset(4) + 200)]), at: Int64(copyOffset(4)))
        try expectRecovery(.misplaced, entry: 5, last: 3, claimed: position(6))
    }

    @Test("A log shorter than the persisted commit index has forgotten something")
    func shorterThanCommit() throws {
        let (store, _) = try open()
        try store.write(
            LogBatch(number: BatchNumber(9), hardState: HardState(term: Term(2), commit: LogIndex(6))))
        store.segment.close()
        // The segment that holds entry 6 vanishes with its name.
        try disk.remove("log/00000000000000000002.segment")
        let (_, recovered) = try open()
        // Its old slot in the first segment still tells that there was one.
        #expect(recovered.log.recovery == Recovery(claimed: position(6)))
        #expect(recovered.log.entries.last?.index == LogIndex(5))
        #expect(recovered.log.hardState == HardState(term: Term(2), commit: LogIndex(5)))
    }

    @Test("A lost segment header is made again from the records and their neighbours")
    func headerRebuilt() throws {
        disk.corrupt(segment, at: 3, mask: 1)
        #expect(try open().1.log.entries.count == 5)
        disk.corrupt(segment, at: 4096 + 3, mask: 1)
        let (store, recovered) = try open()
        #expect(recovered.log.entries.count == 5 && recovered.log.recovery == nil)
        #expect(recovered.report.findings.contains { $0.verdict == .headerRebuilt })
        store.close()
        let (_, again) = try open()
        #expect(again.log.entries == recovered.log.entries && again.log.recovery == nil)
    }

    @Test("Every segment may be missing: what is before it stays, the rest has to come from the peers")
    func missingSegments() throws {
        let (store, _) = try open()
        for number in 7...30 { try store.write(batch(UInt64(number))) }
        store.close()
        let names = try disk.list("log").filter { $0.hasSuffix(".segment") }
        #expect(names.count > 4)
        for name in names {
            let copy = MemoryFileSystem(copyOf: disk)
            try copy.remove("log/\(name)")
            let (again, recovered) = try LogStore.open("log", on: copy, options: smallSegments)
            let intact = recovered.log.entries.map(\.index.number)
            #expect(intact == Array(2..<UInt64(2 + intact.count)))
            let isPrepared = name == names.last && intact.count == 29
            if !isPrepared {
                #expect(intact.count < 29, "\(name)")
                let claimed = try #require(recovered.log.recovery, "\(name)").claimed
                #expect(claimed == nil || claimed == position(30), "\(name)")
            }
            let next = UInt64(2 + intact.count)
            try again.write(batch(next, term: 4))
            again.close()
            let (_, second) = try LogStore.open("log", on: copy, options: smallSegments)
            #expect(second.log.entries.last?.index.number == next)
            #expect(second.log.recovery == recovered.log.recovery)
        }
        for name in names { try disk.remove("log/\(name)") }
        let (_, empty) = try open()
        #expect(empty.log.entries.isEmpty && empty.log.recovery == Recovery(claimed: nil))
    }

    @Test("Damage to what later records replaced, or to what is compacted, is told and does no harm")
    func superseded() throws {
        let (store, _) = try open()
        var replacement = batch(4, term: 2)
        replacement.truncateFrom = LogIndex(4)
        try store.write(replacement)
        try store.write(batch(5, term: 2))
        store.close()
        damagePayload(5)
        damageSlot(4)
        damageCopy(4)
        let (_, recovered) = try open()
        #expect(recovered.log.entries.map(\.term.number) == [1, 1, 2, 2])
        #expect(recovered.log.recovery == nil)
        #expect(recovered.report.findings.filter { $0.verdict == .superseded }.count == 2)
    }

    @Test("The only voter refuses a damaged log by name, and gives it up only when told to")
    func onlyVoter() throws {
        let lonely = MemoryFileSystem()
        try lonely.createDirectory("log")
        let base = LogBase(position: position(1), configuration: Configuration(voters: [MemberID(1)]))
        try LogStore.create("log", on: lonely, base: base, options: smallSegments)
        let (store, _) = try LogStore.open("log", on: lonely, options: smallSegments)
        for number in 2...6 { try store.write(batch(UInt64(number))) }
        store.close()
        lonely.corrupt(segment, at: copyOffset(4) + 70, mask: 4)
        let before = lonely.content(segment)
        #expect {
            _ = try LogStore.open("log", on: lonely, options: smallSegments)
        } throws: { error in
            let text = "\(error)"
            return (error as? StorageError)?.kind == .damaged && text.contains("entry 4:")
                && text.contains("segment 1, offset") && text.contains("registryctl storage repair --accept-loss")
                && text.contains("restore a backup")
        }
        #expect(lonely.content(segment) == before)
        let (_, accepted) = try LogStore.open(
            "log", on: lonely, options: smallSegments, opening: LogOpening(acceptsLoss: true))
        #expect(accepted.log.entries.map(\.index.number) == [2, 3] && accepted.log.recovery == nil)
        #expect(accepted.report.notices.contains { $0.contains("given up") })
    }

    @Test("A lost base record is made again where the state stands; a lost hard state is refused with advice")
    func lostRecords() throws {
        func damage(_ file: String, _ slot: Int) {
            for copy in 0..<4 { disk.corrupt(file, at: copy * slot + 8, mask: 1) }
        }
        damage("log/base", 16384)
        #expect { _ = try open() } throws: { "\($0)".contains("add it again as a new member") }
        let known = LogBase(position: position(4), configuration: LogModel.base.configuration)
        let (store, recovered) = try LogStore.open(
            "log", on: disk, options: smallSegments, opening: LogOpening(fallbackBase: known))
        #expect(recovered.log.base == known && recovered.log.recovery == nil)
        #expect(recovered.log.entries.map(\.index.number) == [5, 6])
        store.close()
        #expect(try open().1.log.entries == recovered.log.entries)
        damage("log/hardstate", 4096)
        #expect { _ = try open() } throws: { error in
            (error as? StorageError)?.kind == .damaged && "\(error)".contains("could vote twice")
        }
    }

    @Test("Any single flipped bit changes nothing, or is told with a claim that is not too low", arguments: 0..<8)
    func anyBit(part: Int) throws {
        let (_, clean) = try open()
        let last = try #require(clean.log.entries.last).position
        for (file, step) in [
            ("log/00000000000000000001.segment", 101), ("log/00000000000000000002.segment", 101), ("log/base", 211),
            ("log/hardstate", 53),
        ] {
            let size = disk.content(file)?.count ?? 0
            for offset in stride(from: part * 7, to: size, by: step) {
                let copy = MemoryFileSystem(copyOf: disk)
                copy.corrupt(file, at: offset, mask: UInt8(1 << part))
                do throws(StorageError) {
                    let (_, recovered) = try LogStore.open("log", on: copy, options: smallSegments)
                    #expect(clean.log.entries.starts(with: recovered.log.entries), "\(file) at \(offset)")
                    #expect(recovered.log.hardState.term == clean.log.hardState.term)
                    if let recovery = recovered.log.recovery {
                        #expect(recovery.claimed.map { $0 >= last } ?? true, "\(file) at \(offset)")
                    } else {
                        #expect(recovered.log.entries.count == clean.log.entries.count, "\(file) at \(offset)")
                    }
                } catch {
                    #expect(error.kind == .newerFormat, "\(error)")
                }
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
