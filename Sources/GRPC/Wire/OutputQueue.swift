import NIOCore

/// Bytes waiting to be cut into DATA frames: message parts kept by reference, so that one encoded event shared by
/// many streams is copied only into each connection's output.
struct OutputQueue {
    private struct Segment {
        let bytes: [UInt8]
        /// The length of the gRPC message that begins here and whose 5-byte prefix goes first; -1: no prefix.
        let messageLength: Int

        var count: Int { bytes.count + (messageLength >= 0 ? MessageAssembler.prefixLength : 0) }
    }

    /// Most calls answer with one message: the first segment needs no array.
    private var first: Segment?
    private var rest: [Segment] = []
    private var restHead = 0
    private var firstTaken = 0
    /// Bytes not yet taken, prefixes included.
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(message: [UInt8]) {
        append(Segment(bytes: message, messageLength: message.count))
    }

    /// Appends one message given in parts; the prefix covers them all.
    mutating func append(messageParts: [[UInt8]]) {
        var length = 0
        for part in messageParts {
            length += part.count
        }
        guard let head = messageParts.first else {
            append(message: [])
            return
        }
        append(Segment(bytes: head, messageLength: length))
        for part in messageParts.dropFirst() {
            append(raw: part)
        }
    }

    /// Appends bytes without a prefix.
    mutating func append(raw bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        append(Segment(bytes: bytes, messageLength: -1))
    }

    /// Moves `length` bytes (at most `count`) to the end of `buffer`.
    mutating func write(_ length: Int, into buffer: inout ByteBuffer) {
        precondition(length <= count, "asked for \(length) of \(count) bytes")
        var wanted = length
        while wanted > 0, let segment = first {
            wanted -= writeFirst(segment, wanted, into: &buffer)
            if firstTaken == segment.count {
                advance()
            }
        }
        count -= length
    }

    mutating func removeAll() {
        self = OutputQueue()
    }

    private mutating func append(_ segment: Segment) {
        count += segment.count
        if first == nil {
            first = segment
        } else {
            rest.append(segment)
        }
    }

    private mutating func writeFirst(_ segment: Segment, _ wanted: Int, into buffer: inout ByteBuffer) -> Int {
        var written = 0
        var bodyStart = firstTaken
        if segment.messageLength >= 0 {
            if firstTaken == 0, wanted >= MessageAssembler.prefixLength {
                buffer.writeInteger(UInt8(0))
                buffer.writeInteger(UInt32(segment.messageLength))
                firstTaken = MessageAssembler.prefixLength
                written = MessageAssembler.prefixLength
            }
            while firstTaken < MessageAssembler.prefixLength, written < wanted {
                buffer.writeInteger(Self.prefixByte(segment.messageLength, firstTaken))
                firstTaken += 1
                written += 1
            }
            guard firstTaken >= MessageAssembler.prefixLength else { return written }
            bodyStart = firstTaken - MessageAssembler.prefixLength
        }
        let bodyCount = min(wanted - written, segment.bytes.count - bodyStart)
        segment.bytes.withUnsafeBytes { raw in
            _ = buffer.writeBytes(UnsafeRawBufferPointer(rebasing: raw[bodyStart..<bodyStart + bodyCount]))
        }
        firstTaken += bodyCount
        return written + bodyCount
    }

    private mutating func advance() {
        firstTaken = 0
        guard restHead < rest.count else {
            first = nil
            return
        }
        first = rest[restHead]
        rest[restHead] = Segment(bytes: [], messageLength: -1)
        restHead += 1
        if restHead == rest.count {
            rest.removeAll(keepingCapacity: restHead <= 64)
            restHead = 0
        } else if restHead >= 256, restHead * 2 >= rest.count {
            rest.removeFirst(restHead)
            restHead = 0
        }
    }

    private static func prefixByte(_ length: Int, _ index: Int) -> UInt8 {
        index == 0 ? 0 : UInt8(truncatingIfNeeded: length >> (8 * (4 - index)))
    }
}
