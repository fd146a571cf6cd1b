package import NIOCore
package import Primitives

/// Frames on a member link: payload length (u32), CRC32C of the payload (u32), payload; little-endian.
///
/// The acceptor of a link may send single bytes back, pings, each with a number; a dialer that knows of them answers with
/// the eight bytes of a header that announces no possible frame and carries the number. A dialer of an earlier release
/// ignores what comes back, so that no acceptor ever sees an answer that it did not ask for.
package enum Frame {
    package static let headerByteCount = 8
    /// Larger than any append or snapshot chunk a member sends.
    package static let payloadBytesMax = 16 * 1024 * 1024

    package static func write(_ payload: [UInt8], into buffer: inout ByteBuffer) {
        precondition(payload.count <= payloadBytesMax, "a frame of \(payload.count) bytes")
        buffer.writeInteger(UInt32(payload.count), endianness: .little)
        buffer.writeInteger(CRC32C.of(payload), endianness: .little)
        buffer.writeBytes(payload)
    }

    /// A length that is never a frame's, and in place of the checksum this mark with the ping's number in its last byte.
    private static let pongLength = UInt32.max
    private static let pongMark: UInt32 = 0x504F_4E00

    package static func writePong(_ number: UInt8, into buffer: inout ByteBuffer) {
        buffer.writeInteger(pongLength, endianness: .little)
        buffer.writeInteger(pongMark | UInt32(number), endianness: .little)
    }

    /// Takes the answer to a ping from the front of `buffer`: its number; nil when something else comes next.
    package static func readPong(from buffer: inout ByteBuffer) -> UInt8? {
        let start = buffer.readerIndex
        guard
            let length = buffer.getInteger(at: start, endianness: .little, as: UInt32.self), length == pongLength,
            let mark = buffer.getInteger(at: start + 4, endianness: .little, as: UInt32.self),
            mark & ~0xFF == pongMark
        else { return nil }
        buffer.moveReaderIndex(forwardBy: headerByteCount)
        return UInt8(truncatingIfNeeded: mark)
    }

    /// Takes the next whole frame from `buffer`; nil while it is incomplete.
    ///
    /// - Throws: `invalid` when the length exceeds the bound or the checksum does not match: the link must be closed.
    package static func read(from buffer: inout ByteBuffer) throws(DecodingFailure) -> [UInt8]? {
        let start = buffer.readerIndex
        guard
            let length = buffer.getInteger(at: start, endianness: .little, as: UInt32.self),
            let checksum = buffer.getInteger(at: start + 4, endianness: .little, as: UInt32.self)
        else { return nil }
        guard length <= UInt32(payloadBytesMax) else { throw .invalid("frame.length \(length)") }
        guard let payload = buffer.getBytes(at: start + headerByteCount, length: Int(length)) else { return nil }
        guard CRC32C.of(payload) == checksum else { throw .invalid("frame.checksum") }
        buffer.moveReaderIndex(forwardBy: headerByteCount + Int(length))
        return payload
    }
}
