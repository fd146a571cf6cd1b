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

    /// Writes the headers of segments again that had lost both, as far as the chain value before them is known.
    static func repairHeaders(_ recovery: LogRecovery, on fileSystem: any FileSystem) throws(StorageError) {
        for segment in recovery.segments where segment.headerIsRebuilt {
            guard let chain = recovery.chain(after: segment.header.firstSequence - 1) else { continue }
            var header = segment.header
            header.startChain = chain
            let file = try fileSystem.open(segment.path, .readWrite)
            defer { file.close() }
            for copy in 0..<2 {
                try file.write(header.encoded, at: Int64(copy * SegmentGeometry.blockBytes))
                try file.sync()
            }
        }
    }

    /// Begins a fresh segment right after the last certified record and writes every later record into it again.
    /// It gets its name only when all that is durable: from then on the old copies, and whatever a torn write left
    /// behind them, are void.
    /// - Returns: the segment, and the chain value after its last record.
    static func rewriteTail(
        _ recovery: inout LogRecovery, _ disk: LogOnDisk
    ) throws(StorageError) -> (SegmentWriter, UInt64) {
        let start = recovery.tailStart ?? recovery.lastSequence + 1
        let tail = recovery.kept(from: start)
        let number = (disk.scan.numbers.last ?? 0) + 1
        let result = try begin(number, from: start, after: recovery.chain(after: start - 1) ?? 0, tail, disk)
        let last = recovery.segments[recovery.segments.count - 1]
        try giveBackEnd(of: last, recovery, before: start, on: disk.fileSystem)
        recovery.noteRewritten(tail.count)
        return result
    }

    /// Begins a segment with `tail`, durably; records of earlier segments from `start` on are void from then on.
    static func begin(
        _ number: UInt64, from start: UInt64, after startChain: UInt64, _ tail: [LogRecovery.Kept], _ disk: LogOnDisk
    ) throws(StorageError) -> (SegmentWriter, UInt64) {
        var slots = tail.map(\.slot)
        var chain = startChain
        for position in slots.indices {
            slots[position].certified = start - 1
            slots[position].chain = slots[position].linked(after: chain)
            chain = slots[position].chain
        }
        let records = slots.reduce(0) { $0 + $1.recordBytes }
        let geometry = SegmentGeometry.holding(
            slots: slots.count, records: records, atLeast: disk.options.segmentBytes)
        let header = SegmentHeader(
            number: number, bytes: geometry.bytes, firstSequence: start, startChain: startChain)
        let path = "\(disk.directory)/\(SegmentHeader.fileName(number))"
        let file = try disk.fileSystem.open(path + freshSuffix, .create)
        try file.allocate(Int64(header.bytes))
        let writer = SegmentWriter(header: header, path: path, file: file, slotsUsed: 0, recordsEnd: 0)
        try writer.append(&slots, payloads: tail.map(\.payload), records: records)
        try writer.writeHeader()
        try disk.fileSystem.rename(path + freshSuffix, to: path)
        try disk.fileSystem.syncDirectory(disk.directory)
        return (writer, chain)
    }

    private static func giveBackEnd(
        of segment: ScannedSegment, _ recovery: LogRecovery, before start: UInt64, on fileSystem: any FileSystem
    ) throws(StorageError) {
        let end = recovery.kept(from: segment.header.firstSequence)
            .filter { $0.slot.sequence < start && recovery.segments[$0.place].path == segment.path }
            .map { Int($0.slot.offset) + $0.slot.recordBytes }.max()
        let file = try fileSystem.open(segment.path, .readWrite)
        defer { file.close() }
        let bytes = Int64(SegmentGeometry.blockUp(end ?? segment.header.geometry.recordsStart))
        if bytes < (try file.size()) { try file.truncate(to: bytes) }
    }
}
