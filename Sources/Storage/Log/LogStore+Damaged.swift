package import Primitives
package import Raft

/// A log that lost entries it had acknowledged: it opens with its intact beginning, marked, and the cluster gives it
/// back the rest.
extension LogStore {
    /// Opens the intact beginning. Before the rest is dropped, the mark that says so is durable; a crash in between
    /// finds the mark, and the same damage again.
    static func openDamaged(
        _ disk: LogOnDisk, _ recovery: LogRecovery, _ replay: LogReplay, _ opening: LogOpening,
        _ content: ([Entry], LogShape)
    ) throws(StorageError) -> (LogStore, RecoveredLog) {
        let (entries, _) = content
        let base = disk.files.base.base
        let lost = replay.firstLost ?? (entries.last?.index ?? base.position.index).next
        let commit = disk.files.hardState.state.commit
        var claimed = replay.claimed
        // Even the end that is known is short of what was committed.
        if claimed.map({ $0.index < commit }) ?? false { claimed = nil }
        if !opening.acceptsLoss {
            try requirePeers(
                replay.configuration ?? base.configuration, opening, disk.directory,
                finding: recovery.report.faults.first, lost: lost)
        }
        let last = entries.last?.position ?? base.position
        let keptSequence = replay.intact.last?.slot.sequence
        var disk = disk
        try mark(&disk.files, claimed: claimed, last: last, certified: keptSequence, opening)
        var report = recovery.report
        report.entries = entries.count
        report.lostFrom = lost
        report.notices = disk.files.notices
        report.notices.append(
            notice(disk, lost: lost, claimed: claimed, report.faults.first, accepted: opening.acceptsLoss))
        let store: LogStore
        if let keptSequence {
            store = try dropAfter(keptSequence, disk, recovery, content.1)
        } else {
            store = try startOver(disk, after: max(recovery.certified, recovery.lastSequence))
        }
        var log = RestoredLog(base: base, entries: entries, hardState: disk.files.hardState.state)
        log.recovery = disk.files.hardState.recovery
        return (store, RecoveredLog(log: log, report: report))
    }

    /// No segment can be read at all.
    static func openEmpty(
        _ directory: String, on fileSystem: any FileSystem, options: StorageOptions, _ files: RecordFiles,
        _ scan: SegmentFiles, _ opening: LogOpening
    ) throws(StorageError) -> (LogStore, RecoveredLog) {
        let base = files.base.base
        let finding = LogFinding(
            verdict: .segmentMissing, segment: files.base.firstSegment, offset: 0, sequence: 0, index: nil)
        let lost = base.position.index.next
        if !opening.acceptsLoss {
            try requirePeers(base.configuration, opening, directory, finding: finding, lost: lost)
        }
        var disk = LogOnDisk(directory: directory, fileSystem: fileSystem, options: options, files: files, scan: scan)
        try mark(&disk.files, claimed: nil, last: base.position, certified: nil, opening)
        var report = LogReport()
        report.findings = scan.findings + [finding]
        report.lostFrom = lost
        report.notices = files.notices
        report.notices.append(notice(disk, lost: lost, claimed: nil, finding, accepted: opening.acceptsLoss))
        let store = try startOver(disk, after: files.hardState.certified)
        var log = RestoredLog(base: base, entries: [], hardState: disk.files.hardState.state)
        log.recovery = disk.files.hardState.recovery
        return (store, RecoveredLog(log: log, report: report))
    }

    /// Makes it durable that the log is not what it was.
    private static func mark(
        _ files: inout RecordFiles, claimed: LogPosition?, last: LogPosition, certified: UInt64?,
        _ opening: LogOpening
    ) throws(StorageError) {
        let mark = Recovery(claimed: claimed)
        files.hardState.recovery =
            opening.acceptsLoss ? nil : files.hardState.recovery.map { $0.merged(with: mark) } ?? mark
        files.hardState.state.commit = min(files.hardState.state.commit, last.index)
        if let certified { files.hardState.certified = certified }
        try files.hardStateFile.write(files.hardState.encoded)
    }

    /// Drops every record after `sequence`: a fresh segment takes over from there.
    private static func dropAfter(
        _ sequence: UInt64, _ disk: LogOnDisk, _ recovery: LogRecovery, _ shape: LogShape
    ) throws(StorageError) -> LogStore {
        try repairSlots(recovery, on: disk.fileSystem)
        try repairHeaders(recovery, on: disk.fileSystem)
        guard let chain = recovery.chain(after: sequence) else { preconditionFailure("a kept record without a chain") }
        let number = (disk.scan.numbers.last ?? 0) + 1
        let (writer, last) = try begin(number, from: sequence + 1, after: chain, [], disk)
        for segment in recovery.segments where segment.header.firstSequence > sequence {
            let file = try disk.fileSystem.open(segment.path, .readWrite)
            defer { file.close() }
            try file.truncate(to: Int64(min(SegmentGeometry.slotsStart, Int(clamping: try file.size()))))
        }
        return LogStore(
            directory: disk.directory, fileSystem: disk.fileSystem, options: disk.options,
            baseFile: disk.files.baseFile, hardStateFile: disk.files.hardStateFile, segment: writer, shape: shape,
            segmentNumbers: disk.scan.numbers + [number], record: disk.files.hardState, base: disk.files.base.base,
            lastSequence: sequence, lastChain: last)
    }

    /// Begins with an empty log after the base.
    private static func startOver(_ disk: LogOnDisk, after sequence: UInt64) throws(StorageError) -> LogStore {
        let number = max(disk.scan.numbers.last ?? 0, disk.files.base.firstSegment - 1) + 1
        let (writer, chain) = try begin(number, from: sequence + 1, after: 0, [], disk)
        let base = disk.files.base.base
        let store = LogStore(
            directory: disk.directory, fileSystem: disk.fileSystem, options: disk.options,
            baseFile: disk.files.baseFile, hardStateFile: disk.files.hardStateFile, segment: writer,
            shape: LogShape(base: base.position), segmentNumbers: disk.scan.numbers + [number],
            record: disk.files.hardState, base: base, lastSequence: sequence, lastChain: chain)
        try store.forgetSegments(before: number)
        try store.certify()
        return store
    }

    private static func requirePeers(
        _ configuration: Configuration, _ opening: LogOpening, _ directory: String, finding: LogFinding?, lost: LogIndex
    ) throws(StorageError) {
        let voters = configuration.voters
        guard voters.count == 1, opening.member == nil || opening.member == voters[0] else { return }
        throw StorageError(
            .damaged, "recover", directory,
            "\(finding.map { "\($0)" } ?? "the log is damaged"); everything from entry \(lost.number) on is in doubt. "
                + StorageError.restoreBackup)
    }

    private static func notice(
        _ disk: LogOnDisk, lost: LogIndex, claimed: LogPosition?, _ finding: LogFinding?, accepted: Bool
    ) -> String {
        let place = finding.map { " (\($0))" } ?? ""
        if accepted {
            return "\(disk.directory): entries from \(lost.number) on were given up\(place)"
        }
        let end = claimed.map { "the log had reached entry \($0.index.number)" } ?? "the log's end is not certain"
        return "\(disk.directory): entries from \(lost.number) on are damaged\(place); \(end). "
            + "This member takes no part in decisions until the leader has given them back"
    }
}

extension Recovery {
    /// Both losses together: never a lower claim than either.
    func merged(with other: Recovery) -> Recovery {
        guard let own = claimed, let theirs = other.claimed else { return Recovery(claimed: nil) }
        return Recovery(claimed: max(own, theirs))
    }
}

extension LogStore {
    /// The log lacks entries that it had acknowledged, durably: until `clearRecovering` every `open` says so.
    /// - Parameter claimed: the last position it is certain to have had; nil when that is not certain.
    package func markRecovering(claimed: LogPosition?) throws(StorageError) {
        try guarded { () throws(StorageError) in
            let mark = Recovery(claimed: claimed)
            let next = record.recovery.map { $0.merged(with: mark) } ?? mark
            guard next != record.recovery else { return }
            var marked = record
            marked.recovery = next
            try write(marked)
        }
    }

    /// The cluster has given back everything: the mark goes, durably.
    package func clearRecovering() throws(StorageError) {
        guard record.recovery != nil else { return try requireRunning() }
        try guarded { () throws(StorageError) in
            var clear = record
            clear.recovery = nil
            try write(clear)
        }
    }

    package var recovery: Recovery? { record.recovery }
}
