internal import Primitives
internal import Raft
internal import RegistryModel

extension StorageInspector {
    /// Writes again what a second copy makes good. With `acceptingLoss`, also gives up what nothing makes good: the
    /// log ends before the first lost entry, and `lost-<entry>.txt` in the directory keeps what could still be read.
    ///
    /// - Returns: what was done, and what is left to do, a line each.
    /// - Throws: `damaged` when loss may not be accepted, because other members have what is damaged here, or when
    ///   nothing can be done; the text says what can.
    package func repair(acceptingLoss: Bool) throws(StorageError) -> [String] {
        let log = try readLog()
        var lines: [String] = []
        if let recovery = log.recovery {
            try LogStore.repairSlots(recovery, on: fileSystem)
            try LogStore.repairHeaders(recovery, on: fileSystem)
            let repaired = recovery.report.findings.filter {
                $0.verdict == .slotRebuilt || $0.verdict == .headerRebuilt
            }
            lines += repaired.map { "repaired: segment \($0.segment), \($0.place): \($0.verdict.rawValue)" }
        }
        let faults = log.findings.filter { !$0.isHarmless }
        let configuration = log.replay?.configuration ?? log.base.base.configuration
        let isAlone = configuration.voters == [meta.member]
        if !faults.isEmpty {
            lines += faults.map { "damaged: \($0)" }
            switch (isAlone, acceptingLoss) {
            case (false, false):
                lines.append("Start the member: it gets back from the others what is damaged here.")
            case (false, true):
                throw StorageError(
                    .damaged, "repair", logPath,
                    "other members vote in this cluster and have what is damaged here: start the member and it gets "
                        + "everything back. Giving up entries here could lose what was acknowledged")
            case (true, false):
                lines.append(StorageError.restoreBackup + ".")
            case (true, true):
                lines += try giveUp(log)
            }
        }
        let database =
            try fileSystem.exists(databasePath)
            ? try StorageScrub.checkDatabase(databasePath, on: fileSystem)
            : [StorageFinding(path: databasePath, place: "file", problem: "missing", isHarmless: false)]
        lines += database.map { "damaged: \($0)" }
        if !database.isEmpty {
            lines.append(
                isAlone
                    ? "The next start rebuilds the state from the log if that is whole; otherwise restore a backup."
                    : "Start the member: it rebuilds the state from the log or the other members.")
        }
        if lines.isEmpty { lines.append("Nothing is damaged.") }
        return lines
    }

    private func giveUp(_ log: ReadLog) throws(StorageError) -> [String] {
        let first = log.replay?.firstLost ?? log.base.base.position.index.next
        let file = "\(path)/lost-\(first.number).txt"
        try write(lost(log, from: first), to: file)
        var fallback: LogBase?
        if let header = try? header(), let configuration = try? Configuration.decode(header.configuration) {
            fallback = LogBase(position: header.applied, configuration: configuration)
        }
        let (store, recovered) = try LogStore.open(
            logPath, on: fileSystem, options: options,
            opening: LogOpening(member: meta.member, fallbackBase: fallback, acceptsLoss: true))
        store.close()
        return recovered.report.notices + [
            "Entries from \(first.number) on are given up. What was left of them: \(file)"
        ]
    }

    private func lost(_ log: ReadLog, from first: LogIndex) -> String {
        var text = "Given up from entry \(first.number) on, because:\n"
        for finding in log.findings where !finding.isHarmless { text += "  \(finding)\n" }
        text += "Entries behind the damage that were intact (index, term, kind, payload in hexadecimal):\n"
        for record in log.recovery?.stream ?? [] {
            guard case .intact(let kept) = record, kept.slot.index > first.number, kept.slot.kind != LogSlot.truncation
            else { continue }
            let bytes = kept.payload.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
            text += "  \(kept.slot.index) \(kept.slot.term) \(kept.slot.kind) \(bytes)\n"
        }
        return text
    }

    private func write(_ text: String, to file: String) throws(StorageError) {
        try fileSystem.removeIfPresent(file)
        let opened = try fileSystem.open(file, .create)
        defer { opened.close() }
        try opened.write(Array(text.utf8), at: 0)
        try opened.sync()
        try fileSystem.syncDirectory(path)
    }
}
