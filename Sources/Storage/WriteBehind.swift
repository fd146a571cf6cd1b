/// Sends what a large file receives to the disk as it comes, a piece at a time.
///
/// Left to itself the kernel collects up to a tenth of the memory and then writes everything at once, or the file's one
/// sync does: the log's syncs on the same disk wait meanwhile (1 GiB: 100 to 300 ms; in pieces below 10 ms).
struct WriteBehind {
    private static let pieceBytes = 256 * 1024

    private var range: Range<Int64>?
    private var bytes = 0

    /// Notes a write to the file, and has the disk begin when a piece has come together.
    mutating func wrote(_ count: Int, at offset: Int64, to file: any StorageFile) {
        let end = offset + Int64(count)
        range = range.map { min($0.lowerBound, offset)..<max($0.upperBound, end) } ?? offset..<end
        bytes += count
        guard bytes >= WriteBehind.pieceBytes, let written = range else { return }
        file.startWriting(written)
        range = nil
        bytes = 0
    }
}
