internal import Primitives
package import Raft

/// A log as recovery left it.
package struct RecoveredLog: Sendable {
    package var log: RestoredLog
    package var report: LogReport
}

extension LogStore {
    private static let freshSuffix = ".new"

    /// Creates the files of an empty log that begins after `base`. The directory must exist and be empty; its names
    /// are durable on return.
    package static func create(
        _ directory: String, on fileSystem: any FileSystem, base: LogBase, options: StorageOptions
    ) throws(StorageError) {
        let hardState = HardStateRecord(
            state: HardState(term: base.position.term, commit: base.position.index), certified: 0)
        let header = SegmentHeader(
            number: 1, bytes: SegmentGeometry.holding(slots: 0, records: 0, atLeast: options.segmentBytes).bytes,
            firstSequence: 1, startChain: 0)
        let prepared = try SegmentPreparer(directory, on: fileSystem, number: 1, bytes: header.bytes)
        while !prepared.isFilled { try prepared.fillSlice() }
        let writer = SegmentWriter(
            header: header, path: prepared.path, file: prepared.take(), slotsUsed: 0, recordsEnd: 0)
        try writer.writeHeader()
        writer.close()
        try SlotFile.create(
            "\(directory)/\(HardStateRecord.fileName)", on: fileSystem, magic: HardStateRecord.magic,
            slotBytes: HardStateRecord.slotBytes, payload: hardState.encoded
        ).close()
        try SlotFile.create(
            "\(directory)/\(BaseRecord.fileName)", on: fileSystem, magic: BaseRecord.magic,
            slotBytes: BaseRecord.slotBytes, payload: BaseRecord(base: base, firstSegment: 1).encoded
        ).close()
        try fileSystem.syncDirectory(directory)
    }

    /// Recovers the log: judges every record, drops a torn last group, writes records that nothing certified again
    /// (what the page cache shows after an unclean stop need not be on the disk), and only then returns.
    ///
    /// - Throws: `damaged` when a durable record is lost or the end of the log is uncertain; `newerFormat`.
    package static func open(
        _ directory: String, on fileSystem: any FileSystem, options: StorageOptions
    ) throws(StorageError) -> (LogStore, RecoveredLog) {
        let files = try openRecords(directory, on: fileSystem)
        let segments = try scan(directory, on: fileSystem, from: files.base.firstSegment)
        var recovery = LogRecovery(segments: segments, certified: files.hardState.certified)
        if let fault = recovery.report.faults.first {
            throw refusal(directory, recovery.report, first: fault)
        }
        let (entries, shape) = try replay(recovery, base: files.base.base, directory: directory)
        try check(files.hardState, against: entries, base: files.base.base, directory: directory)

        let last = segments[segments.count - 1]
        try repairSlots(recovery, on: fileSystem)
        var numbers = segments.map(\.header.number)
        let writer: SegmentWriter
        if recovery.tailStart == nil {
            let file = try fileSystem.open(last.path, .readWrite)
            writer = SegmentWriter(
                header: last.header, path: last.path, file: file, slotsUsed: last.records.count,
                recordsEnd: last.recordsEnd)
        } else {
            writer = try rewriteTail(&recovery, directory, on: fileSystem, options: options)
            numbers.append(writer.header.number)
        }
        let store = LogStore(
            directory: directory, fileSystem: fileSystem, options: options, baseFile: files.baseFile,
            hardStateFile: files.hardStateFile, segment: writer,
            shape: shape, segmentNumbers: numbers, record: files.hardState, base: files.base.base,
            lastSequence: recovery.lastSequence, lastChain: recovery.chain(after: recovery.lastSequence))
        try store.certify()
        var report = recovery.report
        report.entries = entries.count
        let log = RestoredLog(base: files.base.base, entries: entries, hardState: files.hardState.state)
        return (store, RecoveredLog(log: log, report: report))
    }

    private struct RecordFiles {
        var baseFile: SlotFile
        var base: BaseRecord
        var hardStateFile: SlotFile
        var hardState: HardStateRecord
    }

    private static func openRecords(
        _ directory: String, on fileSystem: any FileSystem
    ) throws(StorageError) -> RecordFiles {
        let basePath = "\(directory)/\(BaseRecord.fileName)"
        let statePath = "\(directory)/\(HardStateRecord.fileName)"
        let baseFile = try SlotFile.open(
            basePath, on: fileSystem, magic: BaseRecord.magic, slotBytes: BaseRecord.slotBytes)
        let stateFile = try SlotFile.open(
            statePath, on: fileSystem, magic: HardStateRecord.magic, slotBytes: HardStateRecord.slotBytes)
        do throws(DecodingFailure) {
            let base = try BaseRecord.decode(baseFile.payload)
            let hardState = try HardStateRecord.decode(stateFile.payload)
            return RecordFiles(baseFile: baseFile, base: base, hardStateFile: stateFile, hardState: hardState)
        } catch {
            throw .undecodable(directory, error)
        }
    }

    /// Removes what does not belong to the log, and reads the segments that do.
    private static func scan(
        _ directory: String, on fileSystem: any FileSystem, from first: UInt64
    ) throws(StorageError) -> [ScannedSegment] {
        var segments: [ScannedSegment] = []
        var unused: String?
        for name in try fileSystem.list(directory) {
            let path = "\(directory)/\(name)"
            if name.hasSuffix(freshSuffix) {
                try fileSystem.remove(path)
                continue
            }
            guard let number = SegmentHeader.number(ofFile: name) else { continue }
            if number < first {
                try fileSystem.remove(path)
                continue
            }
            let expected = first + UInt64(segments.count)
            guard unused == nil, number == expected else {
                throw StorageError(
                    .damaged, "recover", directory,
                    "segment \(expected) is missing or empty, though \(name) is there. \(advice)")
            }
            if let scan = try ScannedSegment.read(path, number: number, on: fileSystem) {
                segments.append(scan)
            } else {
                unused = path
            }
        }
        if let unused { try fileSystem.remove(unused) }
        guard !segments.isEmpty else {
            throw StorageError(
                .damaged, "recover", directory, "segment \(first) is missing. \(advice)")
        }
        return segments
    }

    /// The entries after `base`, in order. A record is void when a later one has its index or a lower one.
    private static func replay(
        _ recovery: LogRecovery, base: LogBase, directory: String
    ) throws(StorageError) -> ([Entry], LogShape) {
        var live: [LogRecovery.Kept] = []
        var bound = UInt64.max
        for kept in recovery.kept.reversed() where kept.slot.index < bound {
            bound = kept.slot.index
            guard bound > base.position.index.number else { break }
            if kept.slot.kind != LogSlot.truncation { live.append(kept) }
        }
        var entries: [Entry] = []
        var shape = LogShape(base: base.position)
        for kept in live.reversed() {
            let slot = kept.slot
            let index = LogIndex(slot.index)
            guard let kind = Entry.Kind(rawValue: slot.kind) else {
                throw StorageError(
                    .newerFormat, "recover", directory, "entry \(slot.index) is of the unknown kind \(slot.kind)")
            }
            guard index == shape.lastIndex.next else {
                throw StorageError(
                    .damaged, "recover", directory,
                    "entry \(slot.index) follows \(shape.lastIndex.number): entries between them are missing. \(advice)"
                )
            }
            shape.append(index, term: Term(slot.term), segment: recovery.segmentNumber(of: kept))
            entries.append(Entry(index: index, term: Term(slot.term), kind: kind, payload: kept.payload))
        }
        return (entries, shape)
    }

    private static func check(
        _ hardState: HardStateRecord, against entries: [Entry], base: LogBase, directory: String
    ) throws(StorageError) {
        let last = entries.last?.position ?? base.position
        if hardState.state.commit > last.index {
            throw StorageError(
                .damaged, "recover", directory,
                "the log ends at entry \(last.index.number), yet entry \(hardState.state.commit.number) was "
                    + "committed: \(LogVerdict.headUncertain.rawValue). \(advice)")
        }
        if hardState.state.term < last.term {
            throw StorageError(
                .damaged, "recover", directory,
                "the log holds term \(last.term.number), the hard state only term \(hardState.state.term.number): "
                    + "the newer hard state, and perhaps a vote, is lost. \(advice)")
        }
    }

    private static func refusal(_ directory: String, _ report: LogReport, first: LogFinding) -> StorageError {
        let others = report.faults.count - 1
        let more = others > 0 ? " (and \(others) more)" : ""
        return StorageError(
            .damaged, "recover", directory,
            "\(first)\(more). This member cannot vouch for what it acknowledged. \(advice)")
    }

    private static let advice =
        "Remove the member from the cluster, delete its data directory and add it again as a new member"
}
