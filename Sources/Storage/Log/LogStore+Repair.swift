internal import Primitives
internal import Raft

extension LogStore {
    /// Writes damaged slots again from their copies. Only certified records: the others move to a fresh segment.
    static func repairSlots(_ recovery: LogRecovery, on fileSystem: any FileSystem) throws(StorageError) {
        for (place, segment) in recovery.segments.enumerated() {
            let repairs = recovery.repairs.filter { $0.place == place && $0.slot.sequence <= recovery.certified }
            guard !repairs.isEmpty else { continue }
            let file = try fileSystem.open(segment.path, .readWrite)
            defer { file.close() }
            for repair in repairs { try file.write(repair.slot.encoded, at: Int64(repair.offset)) }
            try file.sync()
        }
    }

    /// Begins a fresh segment right after the last certified record and writes every later record into it again.
    /// It gets its name only when all that is durable: from then on the old copies, and whatever a torn write left
    /// behind them, are void.
    static func rewriteTail(
        _ recovery: inout LogRecovery, _ directory: String, on fileSystem: any FileSystem, options: StorageOptions
    ) throws(StorageError) -> SegmentWriter {
        let last = recovery.segments[recovery.segments.count - 1]
        let start = recovery.tailStart ?? recovery.lastSequence + 1
        let tail = recovery.kept.filter { $0.slot.sequence >= start }
        var slots = tail.map(\.slot)
        for position in slots.indices { slots[position].certified = start - 1 }
        let records = slots.reduce(0) { $0 + $1.recordBytes }
        let geometry = SegmentGeometry.holding(slots: slots.count, records: records, atLeast: options.segmentBytes)
        let header = SegmentHeader(
            number: last.header.number + 1, bytes: geometry.bytes, firstSequence: start,
            startChain: recovery.chain(after: start - 1))

        let path = "\(directory)/\(SegmentHeader.fileName(header.number))"
        let file = try fileSystem.open(path + ".new", .create)
        try file.allocate(Int64(header.bytes))
        let writer = SegmentWriter(header: header, path: path, file: file, slotsUsed: 0, recordsEnd: 0)
        try writer.append(&slots, payloads: tail.map(\.payload), records: records)
        try writer.writeHeader()
        try fileSystem.rename(path + ".new", to: path)
        try fileSystem.syncDirectory(directory)
        try giveBackEnd(of: last, recovery, before: start, on: fileSystem)
        recovery.noteRewritten(tail.count)
        return writer
    }

    private static func giveBackEnd(
        of segment: ScannedSegment, _ recovery: LogRecovery, before start: UInt64, on fileSystem: any FileSystem
    ) throws(StorageError) {
        let remaining = recovery.kept.last {
            $0.slot.sequence < start && $0.slot.sequence >= segment.header.firstSequence
        }
        let end = remaining.map { Int($0.slot.offset) + $0.slot.recordBytes } ?? segment.header.geometry.recordsStart
        let file = try fileSystem.open(segment.path, .readWrite)
        defer { file.close() }
        let bytes = Int64(SegmentGeometry.blockUp(end))
        if bytes < (try file.size()) { try file.truncate(to: bytes) }
    }
}
