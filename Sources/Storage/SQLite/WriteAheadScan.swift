/// How far SQLite's write-ahead log can be read: what its own recovery will find.
///
/// - Source: SQLite's documentation, "The WAL File Format".
struct WriteAheadScan {
    static let headerBytes = 32
    static let frameHeaderBytes = 24
    static let frameBytes = frameHeaderBytes + PageChecksum.pageBytes

    /// Two random words that name this generation of the log; nil when the header is absent or damaged.
    private(set) var salts: UInt64?
    /// Frames up to the last intact one that ends a transaction.
    private(set) var frames = 0
    /// Pages, from 1, that those frames hold.
    private(set) var pages: Set<UInt32> = []
    /// Bytes of the file.
    private(set) var bytes: Int64 = 0

    /// - Parameter path: of the write-ahead log; one that does not exist is empty.
    init(_ path: String, on fileSystem: any FileSystem) throws(StorageError) {
        guard try fileSystem.exists(path) else { return }
        let file = try fileSystem.open(path, .readOnly)
        defer { file.close() }
        bytes = try file.size()
        let header = try file.read(at: 0, count: WriteAheadScan.headerBytes)
        guard header.count == WriteAheadScan.headerBytes else { return }
        let magic = WriteAheadScan.word(header, 0)
        guard magic & ~1 == 0x377F_0682, WriteAheadScan.word(header, 8) == UInt32(PageChecksum.pageBytes) else {
            return
        }
        var sum = FrameSum(isBigEndian: magic & 1 == 1)
        sum.add(header, 0, 24)
        guard sum.matches(header, 24) else { return }
        salts = WriteAheadScan.salts(header, 16)
        try walk(file, sum)
    }

    private mutating func walk(_ file: any StorageFile, _ start: FrameSum) throws(StorageError) {
        var sum = start
        var pending: [UInt32] = []
        var offset = Int64(WriteAheadScan.headerBytes)
        while true {
            let frame = try file.read(at: offset, count: WriteAheadScan.frameBytes)
            guard frame.count == WriteAheadScan.frameBytes, WriteAheadScan.salts(frame, 8) == salts else { return }
            sum.add(frame, 0, 8)
            sum.add(frame, WriteAheadScan.frameHeaderBytes, PageChecksum.pageBytes)
            guard sum.matches(frame, 16) else { return }
            pending.append(WriteAheadScan.word(frame, 0))
            if WriteAheadScan.word(frame, 4) != 0 {
                frames += pending.count
                pages.formUnion(pending)
                pending.removeAll()
            }
            offset += Int64(WriteAheadScan.frameBytes)
        }
    }

    static func salts(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        UInt64(word(bytes, offset)) << 32 | UInt64(word(bytes, offset + 4))
    }

    static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// The running checksum of a write-ahead log: two sums over 32-bit words, in the byte order the header names.
private struct FrameSum {
    let isBigEndian: Bool
    private var first: UInt32 = 0
    private var second: UInt32 = 0

    init(isBigEndian: Bool) {
        self.isBigEndian = isBigEndian
    }

    mutating func add(_ bytes: [UInt8], _ offset: Int, _ count: Int) {
        bytes.withUnsafeBytes { buffer in
            for position in stride(from: offset, to: offset + count, by: 8) {
                let left = buffer.loadUnaligned(fromByteOffset: position, as: UInt32.self)
                let right = buffer.loadUnaligned(fromByteOffset: position + 4, as: UInt32.self)
                first &+= (isBigEndian ? UInt32(bigEndian: left) : UInt32(littleEndian: left)) &+ second
                second &+= (isBigEndian ? UInt32(bigEndian: right) : UInt32(littleEndian: right)) &+ first
            }
        }
    }

    func matches(_ bytes: [UInt8], _ offset: Int) -> Bool {
        WriteAheadScan.word(bytes, offset) == first && WriteAheadScan.word(bytes, offset + 4) == second
    }
}
