package import Primitives
package import Raft

/// A log as recovery left it.
package struct RecoveredLog: Sendable {
    /// The intact entries; `recovery` is set while the log lacks some that it had acknowledged.
    package var log: RestoredLog
    package var report: LogReport
}

/// What `LogStore.open` may do about damage.
package struct LogOpening: Sendable {
    /// Whose log it is; nil when that is not known.
    package var member: MemberID?
    /// Where the state machine stands: the log's base when its own record is lost.
    package var fallbackBase: LogBase?
    /// Drop what is damaged for good instead of waiting for peers: an operator's decision.
    package var acceptsLoss = false

    package init(member: MemberID? = nil, fallbackBase: LogBase? = nil, acceptsLoss: Bool = false) {
        self.member = member
        self.fallbackBase = fallbackBase
        self.acceptsLoss = acceptsLoss
    }
}

extension LogStore {
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
    /// A log that lost entries it had acknowledged opens with its intact beginning and `recovery` set: that mark is
    /// durable before anything is dropped, and stays until `clearRecovering`.
    ///
    /// - Throws: `damaged` when nobody could repair it: the hard state is lost, or this is the only voter. The text
    ///   says what can be done. `newerFormat`, `io`.
    package static func open(
        _ directory: String, on fileSystem: any FileSystem, options: StorageOptions, opening: LogOpening = LogOpening()
    ) throws(StorageError) -> (LogStore, RecoveredLog) {
        let files = try openRecords(directory, on: fileSystem, fallback: opening.fallbackBase)
        let scan = try scan(directory, on: fileSystem, from: files.base.firstSegment)
        if scan.segments.isEmpty {
            return try openEmpty(directory, on: fileSystem, options: options, files, scan, opening)
        }
        let first = files.base.firstSegment
        var recovery = LogRecovery(
            segments: scan.segments, numbers: first...max(first, scan.numbers.last ?? first),
            certified: files.hardState.certified)
        for finding in scan.findings { recovery.note(finding) }
        let replay = LogReplay(recovery.stream, base: files.base.base.position)
        let (entries, shape) = try restore(replay, recovery, base: files.base.base, directory: directory)
        try checkTerm(files.hardState, last: entries.last?.position ?? files.base.base.position, directory)
        let isShort = files.hardState.state.commit > (entries.last?.index ?? files.base.base.position.index)
        guard replay.firstLost == nil && !isShort else {
            if replay.firstLost == nil { recovery.note(forgotten(files, after: entries, recovery)) }
            return try openDamaged(
                LogOnDisk(directory: directory, fileSystem: fileSystem, options: options, files: files, scan: scan),
                recovery, replay, opening, (entries, shape))
        }
        recovery.noteHarmless()
        return try openWhole(
            LogOnDisk(directory: directory, fileSystem: fileSystem, options: options, files: files, scan: scan),
            recovery,
            (entries, shape))
    }

    /// What is on the disk, on its way to being opened.
    struct LogOnDisk {
        let directory: String
        let fileSystem: any FileSystem
        let options: StorageOptions
        var files: RecordFiles
        let scan: SegmentFiles
    }

    private static func openWhole(
        _ disk: LogOnDisk, _ recovery: LogRecovery, _ content: ([Entry], LogShape)
    ) throws(StorageError) -> (LogStore, RecoveredLog) {
        var recovery = recovery
        let last = recovery.segments[recovery.segments.count - 1]
        try repairSlots(recovery, on: disk.fileSystem)
        try repairHeaders(recovery, on: disk.fileSystem)
        var numbers = disk.scan.numbers
        let writer: SegmentWriter
        var chain = recovery.lastChain ?? 0
        if recovery.tailStart == nil && last.header.number == numbers.last {
            let file = try disk.fileSystem.open(last.path, .readWrite)
            writer = SegmentWriter(
                header: last.header, path: last.path, file: file, slotsUsed: last.records.count,
                recordsEnd: last.recordsEnd)
        } else {
            (writer, chain) = try rewriteTail(&recovery, disk)
            numbers.append(writer.header.number)
        }
        let store = LogStore(
            directory: disk.directory, fileSystem: disk.fileSystem, options: disk.options,
            baseFile: disk.files.baseFile, hardStateFile: disk.files.hardStateFile, segment: writer,
            shape: content.1, segmentNumbers: numbers, record: disk.files.hardState, base: disk.files.base.base,
            lastSequence: recovery.lastSequence, lastChain: chain)
        try store.certify()
        var report = recovery.report
        report.entries = content.0.count
        report.notices = disk.files.notices
        if disk.files.hardState.recovery != nil {
            report.notices.append("\(disk.directory): the log still lacks entries it had acknowledged; it recovers")
        }
        var log = RestoredLog(
            base: disk.files.base.base, entries: content.0, hardState: disk.files.hardState.state)
        log.recovery = disk.files.hardState.recovery
        return (store, RecoveredLog(log: log, report: report))
    }

    /// The intact entries, and which segment will hold each when recovery is done.
    private static func restore(
        _ replay: LogReplay, _ recovery: LogRecovery, base: LogBase, directory: String
    ) throws(StorageError) -> ([Entry], LogShape) {
        var entries: [Entry] = []
        var shape = LogShape(base: base.position)
        let isWhole = replay.firstLost == nil
        let fresh = (recovery.segments.last?.header.number ?? 0) + 1
        for kept in replay.intact {
            let slot = kept.slot
            guard let kind = Entry.Kind(rawValue: slot.kind) else {
                throw StorageError(
                    .newerFormat, "recover", directory, "entry \(slot.index) is of the unknown kind \(slot.kind)")
            }
            let moves = isWhole && recovery.tailStart.map { slot.sequence >= $0 } ?? false
            shape.append(
                LogIndex(slot.index), term: Term(slot.term),
                segment: moves ? fresh : recovery.segments[kept.place].header.number)
            entries.append(
                Entry(index: LogIndex(slot.index), term: Term(slot.term), kind: kind, payload: kept.payload))
        }
        return (entries, shape)
    }

    private static func checkTerm(
        _ hardState: HardStateRecord, last: LogPosition, _ directory: String
    ) throws(StorageError) {
        guard hardState.state.term < last.term else { return }
        throw StorageError(
            .damaged, "recover", "\(directory)/\(HardStateRecord.fileName)",
            "the log holds term \(last.term.number), the hard state only term \(hardState.state.term.number): the "
                + "newer hard state, and perhaps a vote, is lost. \(StorageError.replaceMember)")
    }

    private static func forgotten(
        _ files: RecordFiles, after entries: [Entry], _ recovery: LogRecovery
    ) -> LogFinding {
        let last = recovery.segments[recovery.segments.count - 1]
        return LogFinding(
            verdict: .forgotten, segment: last.header.number,
            offset: last.header.geometry.slotOffset(last.records.count), sequence: recovery.lastSequence + 1,
            index: (entries.last?.index ?? files.base.base.position.index).next)
    }
}
