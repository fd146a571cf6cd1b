/// The next segment, made ready while the present one fills.
///
/// Its space is reserved at once. Writing the zeros, too, makes later syncs about twice as fast on ext4 (no extent
/// has to be converted), so that is done in slices paced by the log's own growth; a segment taken into use before
/// it is fully written works all the same.
final class SegmentPreparer {
    static let sliceBytes = 1024 * 1024
    private static let zeros = [UInt8](repeating: 0, count: sliceBytes)

    let number: UInt64
    let path: String
    let bytes: Int
    private let file: any StorageFile
    private var written = 0

    /// Creates the file, reserves its space and makes its name durable. Nothing is left behind when it fails.
    init(_ directory: String, on fileSystem: any FileSystem, number: UInt64, bytes: Int) throws(StorageError) {
        self.number = number
        self.bytes = bytes
        path = "\(directory)/\(SegmentHeader.fileName(number))"
        try fileSystem.removeIfPresent(path)
        file = try fileSystem.open(path, .create)
        do throws(StorageError) {
            try file.allocate(Int64(bytes))
            try fileSystem.syncDirectory(directory)
        } catch {
            file.close()
            try? fileSystem.removeIfPresent(path)
            throw error
        }
    }

    var isFilled: Bool { written >= bytes }

    /// Writes the next slice of zeros and syncs it, so that no single sync has much to do.
    func fillSlice() throws(StorageError) {
        guard !isFilled else { return }
        let count = min(SegmentPreparer.sliceBytes, bytes - written)
        let slice = count == SegmentPreparer.sliceBytes ? SegmentPreparer.zeros : [UInt8](repeating: 0, count: count)
        try file.write(slice, at: Int64(written))
        try file.sync()
        written += count
    }

    /// Hands the file over.
    func take() -> any StorageFile { file }

    func discard(on fileSystem: any FileSystem) {
        file.close()
        try? fileSystem.removeIfPresent(path)
    }
}
