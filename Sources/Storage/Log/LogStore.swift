package import Primitives
package import Raft

/// The durable log of one member: segment files, hard state and base in one directory.
///
/// One thread at a time. A failed write or sync leaves the store stopped: every later call throws, and the process
/// has to exit, because what reached the disk is unknown until recovery has looked.
///
/// - Source: segments after "Protocol-Aware Recovery for Consensus-Based Storage" (FAST'18), one sync a batch.
package final class LogStore: @unchecked Sendable {
    // @unchecked: no locks; the log lane owns the store, and its owner hands it over through a queue.

    let directory: String
    let fileSystem: any FileSystem
    let options: StorageOptions
    let baseFile: SlotFile
    let hardStateFile: SlotFile
    var segment: SegmentWriter
    var preparer: SegmentPreparer?
    var shape: LogShape
    /// Segment files on disk, ascending, the active one last; a prepared one is not among them.
    var segmentNumbers: [UInt64]
    var record: HardStateRecord
    package internal(set) var base: LogBase
    /// Of the last record written; each is durable when `write` returns.
    var lastSequence: UInt64
    var lastChain: UInt64
    /// Bytes written since the preparer's last slice.
    var bytesSinceSlice = 0
    private var failure: StorageError?
    /// Reused by every group.
    var slots: [LogSlot] = []
    var payloads: [[UInt8]] = []

    init(
        directory: String, fileSystem: any FileSystem, options: StorageOptions, baseFile: SlotFile,
        hardStateFile: SlotFile, segment: SegmentWriter, shape: LogShape, segmentNumbers: [UInt64],
        record: HardStateRecord, base: LogBase, lastSequence: UInt64, lastChain: UInt64
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.options = options
        self.baseFile = baseFile
        self.hardStateFile = hardStateFile
        self.segment = segment
        self.shape = shape
        self.segmentNumbers = segmentNumbers
        self.record = record
        self.base = base
        self.lastSequence = lastSequence
        self.lastChain = lastChain
    }

    package var lastIndex: LogIndex { shape.lastIndex }

    /// As last written; the commit index in it is a hint.
    package var hardState: HardState { record.state }

    /// Whether the log begins at or holds exactly this position.
    package func contains(_ position: LogPosition) -> Bool { shape.contains(position) }

    /// Bytes of all segment files, the prepared one included.
    package func bytesOnDisk() throws(StorageError) -> Int64 {
        var bytes: Int64 = preparer.map { Int64($0.bytes) } ?? 0
        for number in segmentNumbers {
            let file = try fileSystem.open("\(directory)/\(SegmentHeader.fileName(number))", .readOnly)
            defer { file.close() }
            bytes += try file.size()
        }
        return bytes
    }

    /// Makes known on disk that everything written so far is durable, together with the newest commit hint, so that
    /// damage to the last group is not mistaken for a torn write. Due when no batch followed for 50 ms.
    package func certify() throws(StorageError) {
        try guarded { () throws(StorageError) in
            guard record.certified != lastSequence else { return }
            var next = record
            next.certified = lastSequence
            try write(next)
        }
    }

    /// Forgets entries up to `base`, as far as whole segments allow. The new base is durable before any is removed.
    /// - Parameter base: a position the log contains; an older one than the present base is ignored.
    package func compact(to base: LogBase) throws(StorageError) {
        guard base.position.index > self.base.position.index else { return }
        try guarded { () throws(StorageError) in
            shape.compact(to: base.position)
            try writeBase(base, firstSegment: shape.firstSegment ?? segment.header.number)
        }
    }

    /// Drops every entry and begins again after `base`: the state machine stands there.
    ///
    /// A fresh segment comes first, then the base record that names it as the log's first; a power loss between
    /// the two leaves the old log.
    package func reset(to base: LogBase) throws(StorageError) {
        try roll(slots: 0, records: 0)
        try guarded { () throws(StorageError) in
            var next = record
            if next.state.term < base.position.term {
                // A log never holds a later term than the hard state.
                next.state = HardState(term: base.position.term, commit: next.state.commit)
            }
            next.state.commit = min(next.state.commit, base.position.index)
            next.certified = lastSequence
            try write(next)
            shape = LogShape(base: base.position)
            try writeBase(base, firstSegment: segment.header.number)
        }
    }

    /// Fits the log to a state machine that stands at `base`: keeps it when it has this very position (and all
    /// after it), else resets it.
    /// - Returns: whether the log was kept.
    package func adopt(_ base: LogBase) throws(StorageError) -> Bool {
        if contains(base.position) { return true }
        try reset(to: base)
        return false
    }

    /// Readies the next segment completely. `write` does so by itself, in slices, from half full on.
    package func prepareAhead() throws(StorageError) {
        try guarded { () throws(StorageError) in
            try ensurePreparer()
            while let preparer, !preparer.isFilled { try fill(preparer) }
        }
    }

    /// Certifies and closes the files.
    package func close() {
        if failure == nil { try? certify() }
        failure = failure ?? StorageError(.stopped, "use", directory, "the log is closed")
        segment.close()
        preparer?.discard(on: fileSystem)
        baseFile.close()
        hardStateFile.close()
    }

    func requireRunning() throws(StorageError) {
        guard let failure else { return }
        throw StorageError(.stopped, "use", directory, "stopped by an earlier failure: \(failure)")
    }

    /// Replaces the hard-state record durably.
    func write(_ next: HardStateRecord) throws(StorageError) {
        try hardStateFile.write(next.encoded)
        record = next
    }

    /// Runs `body` unless an earlier failure stopped the store; a failure inside stops it, unless it was only want
    /// of space: whatever a full disk can refuse is written before anything counts it as done.
    func guarded<Result>(_ body: () throws(StorageError) -> Result) throws(StorageError) -> Result {
        try requireRunning()
        do throws(StorageError) {
            return try body()
        } catch {
            if error.kind != .full { failure = error }
            throw error
        }
    }

    /// Takes the next segment into use, large enough for a first group of this size.
    /// - Throws: `full` when there is no room for it: nothing has changed and the call may be repeated.
    func roll(slots: Int, records: Int) throws(StorageError) {
        try requireRunning()
        let number = segment.header.number + 1
        let geometry = SegmentGeometry.holding(slots: slots, records: records, atLeast: options.segmentBytes)
        if let prepared = preparer, prepared.bytes < geometry.bytes {
            prepared.discard(on: fileSystem)
            preparer = nil
        }
        let next: SegmentPreparer
        if let preparer {
            next = preparer
        } else {
            do throws(StorageError) {
                next = try SegmentPreparer(directory, on: fileSystem, number: number, bytes: geometry.bytes)
            } catch {
                if error.kind == .full { throw error }
                return try guarded { () throws(StorageError) in throw error }
            }
        }
        preparer = nil
        try guarded { () throws(StorageError) in
            let header = SegmentHeader(
                number: number, bytes: next.bytes, firstSequence: lastSequence + 1, startChain: lastChain)
            let writer = SegmentWriter(header: header, path: next.path, file: next.take(), slotsUsed: 0, recordsEnd: 0)
            try writer.writeHeader()
            try segment.seal()
            segment = writer
            segmentNumbers.append(number)
        }
    }

    func ensurePreparer() throws(StorageError) {
        guard preparer == nil else { return }
        do throws(StorageError) {
            preparer = try SegmentPreparer(
                directory, on: fileSystem, number: segment.header.number + 1,
                bytes: SegmentGeometry.holding(slots: 0, records: 0, atLeast: options.segmentBytes).bytes)
        } catch {
            // Only preparation: `roll` will try again and report it.
            if error.kind != .full { throw error }
        }
    }

    func forgetSegments(before number: UInt64) throws(StorageError) {
        try writeBase(base, firstSegment: number)
    }

    /// Writes the next slice of a prepared segment; a full disk only ends the preparation.
    func fill(_ segment: SegmentPreparer) throws(StorageError) {
        do throws(StorageError) {
            try segment.fillSlice()
        } catch {
            if error.kind != .full { throw error }
            segment.discard(on: fileSystem)
            preparer = nil
        }
    }

    private func writeBase(_ base: LogBase, firstSegment: UInt64) throws(StorageError) {
        try baseFile.write(BaseRecord(base: base, firstSegment: firstSegment).encoded)
        self.base = base
        while let oldest = segmentNumbers.first, oldest < firstSegment {
            try fileSystem.removeIfPresent("\(directory)/\(SegmentHeader.fileName(oldest))")
            segmentNumbers.removeFirst()
        }
    }
}
