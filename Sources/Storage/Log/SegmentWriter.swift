internal import Glibc
internal import Primitives

/// The segment that is being appended to.
final class SegmentWriter {
    let header: SegmentHeader
    let path: String
    private let geometry: SegmentGeometry
    private let file: any StorageFile
    private(set) var slotsUsed: Int
    /// End of the last record in area 2.
    private(set) var recordsEnd: Int
    /// Grown to the largest group seen, up to a bound, and reused.
    private var scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
    private static let scratchBytesKept = 4 * 1024 * 1024

    init(header: SegmentHeader, path: String, file: any StorageFile, slotsUsed: Int, recordsEnd: Int) {
        self.header = header
        self.path = path
        self.file = file
        geometry = header.geometry
        self.slotsUsed = slotsUsed
        self.recordsEnd = max(recordsEnd, geometry.recordsStart)
    }

    deinit { scratch.deallocate() }

    /// Whether a group of this many slots and record bytes still fits.
    func fits(slots: Int, records: Int) -> Bool {
        slotsUsed + slots <= geometry.slotCount
            && SegmentGeometry.blockUp(recordsEnd) + records <= geometry.bytes
    }

    /// How full the segment is, in 256ths of the scarcer area.
    var fullness: Int {
        max(
            slotsUsed * 256 / geometry.slotCount,
            (recordsEnd - geometry.recordsStart) * 256 / max(1, geometry.bytes - geometry.recordsStart))
    }

    /// Writes both copies of the header durably; nothing may be appended before.
    func writeHeader() throws(StorageError) {
        try file.write(header.encoded, at: 0)
        try file.write(header.encoded, at: Int64(SegmentGeometry.blockBytes))
        try file.sync()
    }

    /// Writes one group: two contiguous writes, one for each area. Durable after `sync`.
    /// - Parameter slots: without offsets; they are filled in.
    func append(_ slots: inout [LogSlot], payloads: [[UInt8]], records: Int) throws(StorageError) {
        precondition(fits(slots: slots.count, records: records), "a group that does not fit the segment")
        let slotBytes = slots.count * LogSlot.bytes
        reserve(records + slotBytes)
        let start = SegmentGeometry.blockUp(recordsEnd)
        var cursor = 0
        for position in slots.indices {
            slots[position].offset = UInt32(start + cursor)
            let payload = payloads[position]
            let end = cursor + slots[position].recordBytes
            let target = scratch.baseAddress.unsafelyUnwrapped + cursor
            slots[position].store(to: target)
            payload.withUnsafeBytes { bytes in
                if let source = bytes.baseAddress { memcpy(target + LogSlot.bytes, source, bytes.count) }
            }
            let used = LogSlot.bytes + payload.count
            memset(target + used, 0, end - cursor - used)
            memcpy(scratch.baseAddress.unsafelyUnwrapped + records + position * LogSlot.bytes, target, LogSlot.bytes)
            cursor = end
        }
        precondition(cursor == records, "a group of another size than announced")
        try file.write(UnsafeRawBufferPointer(rebasing: scratch[0..<records]), at: Int64(start))
        try file.write(
            UnsafeRawBufferPointer(rebasing: scratch[records..<(records + slotBytes)]),
            at: Int64(geometry.slotOffset(slotsUsed)))
        slotsUsed += slots.count
        recordsEnd = start + records
        if scratch.count > SegmentWriter.scratchBytesKept { shrink() }
    }

    func sync() throws(StorageError) {
        try file.sync()
    }

    /// Gives the unused end back; the segment takes no more records.
    func seal() throws(StorageError) {
        try file.truncate(to: Int64(SegmentGeometry.blockUp(recordsEnd)))
        file.close()
    }

    func close() {
        file.close()
    }

    private func reserve(_ bytes: Int) {
        guard scratch.count < bytes else { return }
        scratch.deallocate()
        scratch = .allocate(byteCount: max(bytes, 2 * scratch.count), alignment: 16)
    }

    private func shrink() {
        scratch.deallocate()
        scratch = .allocate(byteCount: 64 * 1024, alignment: 16)
    }
}
