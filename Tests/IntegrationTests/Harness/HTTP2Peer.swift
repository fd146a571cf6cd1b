/// A client of gRPC on one socket that a test steers frame by frame: thousands of them cost a test next to nothing, and
/// they may do what no proper client does.
final class HTTP2Peer {
    private let connection: Connection
    private var nextStream: UInt32 = 1
    private var received: [UInt8] = []
    /// Bytes of DATA for which the member has no new credit yet.
    private var uncredited = 0

    /// Connects and greets.
    init(_ host: String, seconds: Double = 10) throws {
        connection = try Connection(host, 2379, seconds: seconds)
        try send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Self.frame(type: 4, stream: 0, []))
        try send(Self.frame(type: 4, flags: 1, stream: 0, []))
    }

    func send(_ bytes: [UInt8]) throws {
        try connection.send(bytes)
    }

    // MARK: Frames

    static func frame(type: UInt8, flags: UInt8 = 0, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), type, flags]
            + uint32(stream) + payload
    }

    static func uint32(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }

    /// A header field as an HPACK literal without indexing; shorter than 127 bytes each.
    static func field(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
    }

    /// The head of a call.
    static func head(_ path: String, stream: UInt32, ends: Bool = false) -> [UInt8] {
        let block =
            field(":method", "POST") + field(":scheme", "http") + field(":path", path) + field(":authority", "x")
            + field("content-type", "application/grpc") + field("te", "trailers")
        return frame(type: 1, flags: ends ? 5 : 4, stream: stream, block)
    }

    static func message(_ message: [UInt8], stream: UInt32, ends: Bool) -> [UInt8] {
        frame(type: 0, flags: ends ? 1 : 0, stream: stream, [0] + uint32(UInt32(message.count)) + message)
    }

    /// A length-delimited field of protobuf, shorter than 128 bytes.
    static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2, UInt8(bytes.count)] + bytes
    }

    // MARK: Calls

    /// Opens a call; the client's side ends with the first message if `ends`.
    ///
    /// - Returns: the stream.
    @discardableResult
    func call(_ path: String, _ messages: [[UInt8]], ends: Bool) throws -> UInt32 {
        let stream = nextStream
        nextStream += 2
        var bytes = Self.head(path, stream: stream)
        for message in messages { bytes += Self.message(message, stream: stream, ends: ends) }
        try send(bytes)
        return stream
    }

    /// One frame of the member's.
    func receive() throws -> (type: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8]) {
        let head = try take(9)
        let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
        let stream = head[5...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        if head[3] == 0 {
            uncredited += length
            if uncredited > 16 * 1024 {
                try send(Self.frame(type: 8, stream: 0, Self.uint32(UInt32(uncredited))))
                uncredited = 0
            }
        }
        return (head[3], head[4], stream, try take(length))
    }

    /// A unary call and its answer, whatever it is: reads until the stream has ended.
    func unary(_ path: String, _ message: [UInt8]) throws {
        let stream = try call(path, [message], ends: true)
        while true {
            let frame = try receive()
            if frame.type == 7 { throw TestFailure("the member said GOAWAY") }
            guard frame.stream == stream else { continue }
            if frame.type == 3 { throw TestFailure("the member reset the call") }
            if frame.flags & 1 == 1, frame.type < 2 { return }
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            let bytes = try connection.receive()
            guard !bytes.isEmpty else { throw TestFailure("the member closed the connection") }
            received += bytes
        }
        defer { received.removeFirst(count) }
        return Array(received[..<count])
    }
}
