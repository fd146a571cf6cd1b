internal import Primitives
internal import Raft
internal import RegistryModel

/// Looks at, and on request repairs, the directory of a member that does not run. Holds the directory's lock.
///
/// Looking changes nothing; the member's own start does more by itself than `repair`: a member with peers gets back
/// from them what is damaged here.
package final class StorageInspector {
    let path: String
    let fileSystem: any FileSystem
    let options: StorageOptions
    private let lock: any FileLock
    let meta: MetaRecord

    /// - Parameter path: a member's data directory.
    /// - Throws: `notFound` when it holds no member; `inUse` when the member runs; `damaged` when not even its
    ///   identity can be read; `newerFormat`, `io`.
    package init(
        _ path: String, on fileSystem: any FileSystem, options: StorageOptions = StorageOptions()
    ) throws(StorageError) {
        guard try MemberDirectory.isBootstrapped(path, on: fileSystem) else {
            throw StorageError(.notFound, "open", path, "it holds no member's data")
        }
        self.path = path
        self.fileSystem = fileSystem
        self.options = options
        lock = try fileSystem.lock("\(path)/LOCK")
        let metaPath = "\(path)/member/\(MetaRecord.fileName)"
        do throws(StorageError) {
            let payload = try SlotFile.peek(
                metaPath, on: fileSystem, magic: MetaRecord.magic, slotBytes: MetaRecord.slotBytes)
            do throws(DecodingFailure) {
                meta = try MetaRecord.decode(payload)
            } catch {
                throw .undecodable(metaPath, error)
            }
        } catch {
            lock.release()
            throw error
        }
    }

    package func close() {
        lock.release()
    }

    var logPath: String { "\(path)/member/log" }
    var databasePath: String { "\(path)/member/state-\(meta.database).db" }

    /// Everything that is damaged. Torn records of the last write and what their copies make good are harmless.
    package func check() throws(StorageError) -> [StorageFinding] {
        var findings: [StorageFinding] = []
        do throws(StorageError) {
            let log = try readLog()
            findings += log.findings
        } catch {
            guard error.isDamage else { throw error }
            findings.append(StorageFinding(path: error.path, place: "record", problem: error.detail, isHarmless: false))
        }
        guard try fileSystem.exists(databasePath) else {
            return findings
                + [StorageFinding(path: databasePath, place: "file", problem: "missing", isHarmless: false)]
        }
        let pages = try StorageScrub.checkDatabase(databasePath, on: fileSystem)
        findings += pages
        if pages.isEmpty {
            do throws(StorageError) {
                _ = try header()
            } catch {
                guard error.isDamage else { throw error }
                findings.append(
                    StorageFinding(path: error.path, place: "contents", problem: error.detail, isHarmless: false))
            }
        }
        return findings
    }

    /// The state's header; the directory's files stay as they are.
    func header() throws(StorageError) -> StateHeader {
        let reader = try StateReader(databasePath, options: options)
        defer { reader.close() }
        return try reader.header()
    }

    /// Users, roles and the switch, as the state has them.
    func auth() throws(StorageError) -> AuthRows {
        let reader = try StateReader(databasePath, options: options)
        defer { reader.close() }
        return try AuthStatements.read(reader.connection)
    }

    /// A log as it stands in its files.
    struct ReadLog {
        var hardState: HardStateRecord
        var base: BaseRecord
        /// nil when no segment can be read.
        var recovery: LogRecovery?
        var replay: LogReplay?
        var findings: [StorageFinding]
    }

    private func record(
        _ path: String, _ magic: UInt32, _ slotBytes: Int, _ advice: String
    ) throws(StorageError) -> [UInt8] {
        do throws(StorageError) {
            return try SlotFile.peek(path, on: fileSystem, magic: magic, slotBytes: slotBytes)
        } catch {
            guard error.isDamage else { throw error }
            throw StorageError(.damaged, "read", path, "\(error.detail): \(advice)")
        }
    }

    func readLog() throws(StorageError) -> ReadLog {
        let statePath = "\(logPath)/\(HardStateRecord.fileName)"
        let basePath = "\(logPath)/\(BaseRecord.fileName)"
        let state = try record(
            statePath, HardStateRecord.magic, HardStateRecord.slotBytes,
            "this member's term and vote are lost. \(StorageError.replaceMember)")
        let baseBytes = try record(
            basePath, BaseRecord.magic, BaseRecord.slotBytes,
            "the next start begins the log again where the state stands")
        let hardState: HardStateRecord
        let base: BaseRecord
        do throws(DecodingFailure) {
            hardState = try HardStateRecord.decode(state)
            base = try BaseRecord.decode(baseBytes)
        } catch {
            throw .undecodable(logPath, error)
        }
        let scan = try LogStore.scan(logPath, on: fileSystem, from: base.firstSegment, removes: false)
        guard !scan.segments.isEmpty else {
            let missing = StorageFinding(
                path: logPath, place: "segment \(base.firstSegment)", problem: LogVerdict.segmentMissing.rawValue,
                isHarmless: false)
            return ReadLog(hardState: hardState, base: base, recovery: nil, replay: nil, findings: [missing])
        }
        let first = base.firstSegment
        var recovery = LogRecovery(
            segments: scan.segments, numbers: first...max(first, scan.numbers.last ?? first),
            certified: hardState.certified)
        for finding in scan.findings { recovery.note(finding) }
        let replay = LogReplay(recovery.stream, base: base.base.position)
        if replay.firstLost == nil { recovery.noteHarmless() }
        var findings = recovery.report.findings.map { finding in
            StorageFinding(
                path: "\(logPath)/\(SegmentHeader.fileName(finding.segment))", place: finding.place,
                problem: finding.verdict.rawValue, isHarmless: !finding.verdict.isFault)
        }
        let last = replay.intact.last.map { LogIndex($0.slot.index) } ?? base.base.position.index
        if replay.firstLost == nil, hardState.state.commit > last {
            findings.append(
                StorageFinding(
                    path: logPath, place: "entry \(last.number + 1)", problem: LogVerdict.forgotten.rawValue,
                    isHarmless: false))
        }
        return ReadLog(hardState: hardState, base: base, recovery: recovery, replay: replay, findings: findings)
    }
}

extension LogFinding {
    var place: String {
        let name = index.map { "entry \($0.number)" } ?? "an unknown entry"
        return "offset \(offset), record \(sequence), \(name)"
    }
}
