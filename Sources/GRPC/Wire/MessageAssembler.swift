/// Cuts the bytes of a gRPC stream into messages: one flag byte, four bytes of length (big endian), the message.
///
/// Source: gRPC over HTTP/2, "Length-Prefixed-Message".
struct MessageAssembler {
    enum Failure: Error, Equatable {
        case tooLarge(length: Int)
        case compressed
        case badFlag(UInt8)
    }

    static let prefixLength = 5
    /// A peer announces a length before it sends the bytes: memory follows what has arrived, not what was announced.
    private static let initialReserveMax = 64 * 1024

    private var prefix: (UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0, 0)
    private var prefixCount = 0
    private var partial: [UInt8] = []
    private var missing = 0

    /// Bytes held of a message not yet complete.
    var partialCount: Int { partial.count }

    /// True between two messages, where the end of the stream is legal.
    var isAtBoundary: Bool { prefixCount == 0 }

    /// Takes the next complete message out of `bytes`, advancing it; nil once all bytes are taken.
    mutating func next(
        from bytes: inout UnsafeRawBufferPointer, messageBytesMax: Int
    ) throws(Failure) -> [UInt8]? {
        if prefixCount < Self.prefixLength {
            let taken = min(Self.prefixLength - prefixCount, bytes.count)
            withUnsafeMutableBytes(of: &prefix) { target in
                for index in 0..<taken {
                    target[prefixCount + index] = bytes[index]
                }
            }
            prefixCount += taken
            bytes = UnsafeRawBufferPointer(rebasing: bytes[taken...])
            guard prefixCount == Self.prefixLength else { return nil }
            try beginMessage(messageBytesMax: messageBytesMax)
        }
        let taken = min(missing, bytes.count)
        let head = UnsafeRawBufferPointer(rebasing: bytes[..<taken])
        bytes = UnsafeRawBufferPointer(rebasing: bytes[taken...])
        missing -= taken
        if missing == 0 {
            prefixCount = 0
            guard !partial.isEmpty else { return Array(head) }
            partial.append(contentsOf: head)
            let message = partial
            partial = []
            return message
        }
        if partial.isEmpty {
            partial.reserveCapacity(min(missing + taken, Self.initialReserveMax))
        }
        partial.append(contentsOf: head)
        return nil
    }

    /// Collects the bytes of a body without message frames; `takeBody` hands it over once it is complete.
    mutating func append(body bytes: UnsafeRawBufferPointer, bodyBytesMax: Int) throws(Failure) {
        guard partial.count + bytes.count <= bodyBytesMax else {
            throw .tooLarge(length: partial.count + bytes.count)
        }
        partial.append(contentsOf: bytes)
    }

    mutating func takeBody() -> [UInt8] {
        let body = partial
        partial = []
        return body
    }

    private mutating func beginMessage(messageBytesMax: Int) throws(Failure) {
        let length = Int(prefix.1) << 24 | Int(prefix.2) << 16 | Int(prefix.3) << 8 | Int(prefix.4)
        switch prefix.0 {
        case 0: break
        case 1: throw .compressed
        default: throw .badFlag(prefix.0)
        }
        guard length <= messageBytesMax else { throw .tooLarge(length: length) }
        missing = length
    }
}
