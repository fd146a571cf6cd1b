internal import Primitives
internal import Raft

extension LogStore {
    static let freshSuffix = ".new"

    /// The two records of a log, open.
    struct RecordFiles {
        var baseFile: SlotFile
        var base: BaseRecord
        var hardStateFile: SlotFile
        var hardState: HardStateRecord
        /// What was damaged and put in order.
        var notices: [String] = []
    }

    /// The segments of a log that can be read, and all that are there.
    struct SegmentFiles {
        var segments: [ScannedSegment] = []
        /// Ascending.
        var numbers: [UInt64] = []
        var findings: [LogFinding] = []
    }

    static func openRecords(
        _ directory: String, on fileSystem: any FileSystem, fallback: LogBase?
    ) throws(StorageError) -> RecordFiles {
        let statePath = "\(directory)/\(HardStateRecord.fileName)"
        let stateFile: SlotFile
        do throws(StorageError) {
            stateFile = try SlotFile.open(
                statePath, on: fileSystem, magic: HardStateRecord.magic, slotBytes: HardStateRecord.slotBytes)
        } catch {
            guard error.kind == .damaged || error.kind == .notFound else { throw error }
            throw StorageError(
                .damaged, "read", statePath,
                "\(error.detail): this member's term and vote are lost, and it could vote twice. "
                    + StorageError.replaceMember)
        }
        let (baseFile, base, notices) = try openBase(directory, on: fileSystem, fallback: fallback)
        do throws(DecodingFailure) {
            let hardState = try HardStateRecord.decode(stateFile.payload)
            return RecordFiles(
                baseFile: baseFile, base: base, hardStateFile: stateFile, hardState: hardState, notices: notices)
        } catch {
            throw .undecodable(statePath, error)
        }
    }

    /// The base record; when all its copies are lost, one that begins where the state machine stands.
    private static func openBase(
        _ directory: String, on fileSystem: any FileSystem, fallback: LogBase?
    ) throws(StorageError) -> (SlotFile, BaseRecord, [String]) {
        let path = "\(directory)/\(BaseRecord.fileName)"
        do throws(StorageError) {
            let file = try SlotFile.open(
                path, on: fileSystem, magic: BaseRecord.magic, slotBytes: BaseRecord.slotBytes)
            do throws(DecodingFailure) {
                return (file, try BaseRecord.decode(file.payload), [])
            } catch {
                throw .undecodable(path, error)
            }
        } catch {
            guard error.kind == .damaged || error.kind == .notFound else { throw error }
            guard let fallback else {
                throw StorageError(
                    .damaged, "read", path,
                    "\(error.detail): where the log begins is not known. \(StorageError.replaceMember)")
            }
            let numbers = try fileSystem.list(directory).compactMap(SegmentHeader.number(ofFile:))
            let record = BaseRecord(base: fallback, firstSegment: numbers.min() ?? 1)
            try fileSystem.removeIfPresent(path + freshSuffix)
            let file = try SlotFile.create(
                path + freshSuffix, on: fileSystem, magic: BaseRecord.magic, slotBytes: BaseRecord.slotBytes,
                payload: record.encoded)
            try fileSystem.rename(path + freshSuffix, to: path)
            try fileSystem.syncDirectory(directory)
            return (
                file, record,
                [
                    "\(path): \(error.detail); the log now begins after entry \(fallback.position.index.number), where the state stands"
                ]
            )
        }
    }

    /// Removes what does not belong to the log, unless told not to, and reads the segments that do.
    static func scan(
        _ directory: String, on fileSystem: any FileSystem, from first: UInt64, removes: Bool = true
    ) throws(StorageError) -> SegmentFiles {
        var found = SegmentFiles()
        var unused: [(number: UInt64, path: String)] = []
        for name in try fileSystem.list(directory) {
            let path = "\(directory)/\(name)"
            if name.hasSuffix(freshSuffix) {
                if removes { try fileSystem.remove(path) }
                continue
            }
            guard let number = SegmentHeader.number(ofFile: name) else { continue }
            if number < first {
                if removes { try fileSystem.remove(path) }
                continue
            }
            switch try ScannedSegment.read(path, number: number, on: fileSystem) {
            case .used(let scan):
                found.numbers += unused.map(\.number) + [number]
                unused = []
                found.segments.append(scan)
                if scan.headerIsRebuilt { found.note(.headerRebuilt, number, scan.header.firstSequence) }
            case .unused:
                unused.append((number, path))
            case .unreadable:
                found.numbers += unused.map(\.number) + [number]
                unused = []
                found.note(.segmentMissing, number, 0)
            }
        }
        // Prepared ahead, never taken into use.
        for (_, path) in unused where removes { try fileSystem.remove(path) }
        return found
    }
}

extension LogStore.SegmentFiles {
    fileprivate mutating func note(_ verdict: LogVerdict, _ segment: UInt64, _ sequence: UInt64) {
        findings.append(LogFinding(verdict: verdict, segment: segment, offset: 0, sequence: sequence, index: nil))
    }
}

extension StorageError {
    static let replaceMember =
        "Remove the member from the cluster, delete its data directory and add it again as a new member"
    /// For a member that nobody can help.
    static let restoreBackup =
        "It is the only voter, so no other member can repair it: restore a backup, or give up what is damaged with "
        + "`registryctl storage repair --accept-loss`"
}
