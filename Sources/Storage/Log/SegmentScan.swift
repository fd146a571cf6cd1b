internal import Glibc
internal import Primitives

/// One record as it was found on disk.
struct ScannedRecord {
    /// The header in area 1, when intact and in its place.
    var slot: LogSlot?
    /// The header before the payload, when intact and in its place.
    var copy: LogSlot?
    /// The payload, when it matches the checksum of an intact header.
    var payload: [UInt8]?
    /// Area 1 holds something at this place that is no intact slot.
    var slotIsGarbage = false

    var header: LogSlot? { slot ?? copy }
    var isAbsent: Bool { slot == nil && copy == nil }
}

/// Everything a segment file holds, judged record by record by `LogRecovery`.
struct ScannedSegment {
    let header: SegmentHeader
    let path: String
    /// By sequence, from `header.firstSequence`, up to the last that left a trace.
    var records: [ScannedRecord] = []
    /// Bytes beyond the last intact record are not all zero.
    var hasResidue = false
    /// End of the last intact record in area 2.
    var recordsEnd = 0
    /// Both copies of the header were lost; this one was made from the records.
    var headerIsRebuilt = false

    enum Outcome {
        case used(ScannedSegment)
        /// Prepared but never used: no header, no record.
        case unused
        /// Nothing in it can be trusted.
        case unreadable(String)
    }

    /// Reads a segment file whole. Blocks that the disk cannot read count as damaged.
    static func read(_ path: String, number: UInt64, on fileSystem: any FileSystem) throws(StorageError) -> Outcome {
        let file = try fileSystem.open(path, .readOnly)
        defer { file.close() }
        let size = Int(clamping: try file.size())
        guard size <= Int(UInt32.max) else { return .unreadable("\(size) bytes are more than a segment can have") }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(size, 1), alignment: 16)
        defer { buffer.deallocate() }
        let got = fill(UnsafeMutableRawBufferPointer(rebasing: buffer[..<size]), from: file)
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<got])
        var scan: ScannedSegment
        if let header = try intactHeader(bytes, path: path) {
            guard header.number == number else { return .unreadable("the header is that of segment \(header.number)") }
            scan = ScannedSegment(header: header, path: path)
        } else if let header = rebuiltHeader(bytes, number: number) {
            scan = ScannedSegment(header: header, path: path)
            scan.headerIsRebuilt = true
        } else {
            return .unused
        }
        scan.readSlots(bytes)
        scan.walkRecords(bytes)
        scan.followSlots(bytes)
        scan.lookForResidue(bytes)
        return .used(scan)
    }

    /// Reads as much as the disk gives; what it does not give is filled with a pattern that is no record.
    private static func fill(_ buffer: UnsafeMutableRawBufferPointer, from file: any StorageFile) -> Int {
        if let got = try? file.read(into: buffer, at: 0) { return got }
        var offset = 0
        while offset < buffer.count {
            let end = min(offset + SegmentGeometry.blockBytes, buffer.count)
            let block = UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<end])
            if (try? file.read(into: block, at: Int64(offset))) == nil {
                block.initializeMemory(as: UInt8.self, repeating: 0xDB)
            }
            offset = end
        }
        return buffer.count
    }

    private static func intactHeader(
        _ bytes: UnsafeRawBufferPointer, path: String
    ) throws(StorageError) -> SegmentHeader? {
        for start in [0, SegmentGeometry.blockBytes] where start + SegmentHeader.encodedBytes <= bytes.count {
            let part = [UInt8](bytes[start..<(start + SegmentHeader.encodedBytes)])
            if let header = try SegmentHeader.decode(part, path: path) { return header }
        }
        return nil
    }

    /// A header made from the records, without the chain value before them; nil when there is no record.
    private static func rebuiltHeader(_ bytes: UnsafeRawBufferPointer, number: UInt64) -> SegmentHeader? {
        var offset = SegmentGeometry.slotsStart
        while offset + LogSlot.bytes <= bytes.count {
            if let slot = LogSlot.load(bytes, at: offset) {
                let isSlot = offset < Int(slot.offset)
                let place = isSlot ? UInt64((offset - SegmentGeometry.slotsStart) / LogSlot.bytes) : 0
                let start = isSlot && place > 0 ? firstCopy(bytes, from: offset) : Int(slot.offset)
                // The largest segment whose records begin there.
                let size = 8 * ((start ?? Int(slot.offset)) - SegmentGeometry.slotsStart)
                guard slot.sequence > place, size >= SegmentGeometry.bytesMin, size <= Int(UInt32.max) else {
                    return nil
                }
                return SegmentHeader(number: number, bytes: size, firstSequence: slot.sequence - place, startChain: 0)
            }
            offset += LogSlot.bytes
        }
        return nil
    }

    private static func firstCopy(_ bytes: UnsafeRawBufferPointer, from offset: Int) -> Int? {
        var offset = SegmentGeometry.blockUp(offset)
        while offset + LogSlot.bytes <= bytes.count {
            if let copy = LogSlot.load(bytes, at: offset), Int(copy.offset) == offset { return offset }
            offset += SegmentGeometry.blockBytes
        }
        return nil
    }

    private mutating func readSlots(_ bytes: UnsafeRawBufferPointer) {
        let geometry = header.geometry
        for number in 0..<geometry.slotCount {
            let offset = geometry.slotOffset(number)
            guard offset + LogSlot.bytes <= bytes.count else { break }
            if ScannedSegment.isZero(bytes, offset, LogSlot.bytes) { continue }
            ensure(number)
            if let slot = LogSlot.load(bytes, at: offset), slot.sequence == header.firstSequence + UInt64(number) {
                records[number].slot = slot
            } else {
                records[number].slotIsGarbage = true
            }
        }
    }

    /// Walks area 2 group by group without help from area 1.
    private mutating func walkRecords(_ bytes: UnsafeRawBufferPointer) {
        var offset = header.geometry.recordsStart
        while offset + LogSlot.bytes <= bytes.count {
            if let end = takeCopy(bytes, at: offset) {
                offset = end
            } else {
                offset = SegmentGeometry.blockUp(offset + 1)
            }
        }
    }

    /// Finds copies that the walk missed because a header before them is damaged, and payloads whose own copy of
    /// the header is.
    private mutating func followSlots(_ bytes: UnsafeRawBufferPointer) {
        var previousEnd: Int?
        for number in records.indices {
            let offset = records[number].slot.map { Int($0.offset) } ?? previousEnd
            if records[number].copy == nil, let offset {
                _ = takeCopy(bytes, at: offset, expecting: number)
            }
            if records[number].copy == nil, let slot = records[number].slot {
                records[number].payload = ScannedSegment.payload(bytes, of: slot, at: Int(slot.offset))
            }
            previousEnd = records[number].header.map { Int($0.offset) + $0.recordBytes }
            if let previousEnd, records[number].payload != nil { recordsEnd = max(recordsEnd, previousEnd) }
        }
    }

    /// Notes the record at `offset` if its header is intact, in its place, and belongs to this segment.
    /// - Returns: where the next record of the group would begin.
    private mutating func takeCopy(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, expecting number: Int? = nil
    ) -> Int? {
        guard let copy = LogSlot.load(bytes, at: offset), Int(copy.offset) == offset,
            copy.sequence >= header.firstSequence,
            copy.sequence - header.firstSequence < UInt64(header.geometry.slotCount)
        else { return nil }
        let place = Int(copy.sequence - header.firstSequence)
        if let number, place != number { return nil }
        ensure(place)
        records[place].copy = copy
        records[place].payload = ScannedSegment.payload(bytes, of: copy, at: offset)
        let end = offset + copy.recordBytes
        return end <= SegmentGeometry.blockUp(bytes.count) ? end : nil
    }

    private static func payload(_ bytes: UnsafeRawBufferPointer, of slot: LogSlot, at offset: Int) -> [UInt8]? {
        let start = offset + LogSlot.bytes
        let end = start + Int(slot.length)
        guard offset >= 0, end <= bytes.count else { return nil }
        let part = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
        var crc = CRC32C()
        crc.update(part)
        return crc.value == slot.payloadCRC ? [UInt8](part) : nil
    }

    private mutating func lookForResidue(_ bytes: UnsafeRawBufferPointer) {
        hasResidue = records.contains { $0.slotIsGarbage }
        var offset = max(recordsEnd, header.geometry.recordsStart)
        while offset < bytes.count && !hasResidue {
            let count = min(SegmentGeometry.blockBytes, bytes.count - offset)
            hasResidue = !ScannedSegment.isZero(bytes, offset, count)
            offset += count
        }
    }

    private mutating func ensure(_ number: Int) {
        while records.count <= number { records.append(ScannedRecord()) }
    }

    private static func isZero(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ count: Int) -> Bool {
        guard let base = bytes.baseAddress, count > 0, bytes[offset] == 0 else { return count == 0 }
        // Equal to itself shifted by one: every byte equals the first.
        return memcmp(base + offset, base + offset + 1, count - 1) == 0
    }
}
