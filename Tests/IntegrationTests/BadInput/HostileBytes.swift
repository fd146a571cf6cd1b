import Primitives

/// One connection's worth of bytes that no proper client or member sends.
struct HostileBytes: Sendable, CustomStringConvertible {
    var name: String
    var bytes: [UInt8]
    var due = Reaction.answer

    /// What the member has to do by itself.
    enum Reaction: Sendable {
        /// More bytes could still make sense of it.
        case none
        case answer
        /// Nothing on this connection can make sense any more.
        case close
    }

    var description: String { "\(name), \(bytes.count) bytes" }

    private static func random(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private static let settings: [UInt8] = frame(type: 4, stream: 0, [])

    private static func frame(type: UInt8, flags: UInt8 = 0, stream: UInt32, length: Int? = nil, _ payload: [UInt8])
        -> [UInt8]
    {
        let length = UInt32(length ?? payload.count)
        let head = [UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), type, flags]
        return head + (0..<4).map { UInt8(truncatingIfNeeded: stream >> (24 - 8 * $0)) } + payload
    }

    /// Header fields as HPACK literals without indexing and without Huffman coding.
    private static func headers(_ path: String) -> [UInt8] {
        let fields: [(String, String)] = [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ]
        var block: [UInt8] = []
        for (name, value) in fields {
            block += [0, UInt8(name.utf8.count)] + Array(name.utf8)
            block += [UInt8(value.utf8.count)] + Array(value.utf8)
        }
        return frame(type: 1, flags: 4, stream: 1, block)
    }

    private static func call(_ path: String, _ message: [UInt8], claimed: UInt32? = nil, ends: Bool = true) -> [UInt8] {
        let length = claimed ?? UInt32(message.count)
        let prefix = [0] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
        return preface + settings + headers(path)
            + frame(type: 0, flags: ends ? 1 : 0, stream: 1, prefix + message)
    }

    private static func http(_ lines: String..., body: String = "") -> [UInt8] {
        Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    /// For a port where clients connect.
    static func client(_ generator: inout SeededGenerator) -> HostileBytes {
        let size = Int(generator.below(4_000)) + 1
        let paths = [
            "/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Txn", "/etcdserverpb.Watch/Watch",
            "/etcdserverpb.Lease/LeaseKeepAlive", "/etcdserverpb.Lease/LeaseGrant", "/none",
        ]
        let path = paths[Int(generator.below(UInt64(paths.count)))]
        switch generator.below(18) {
        case 0: return .init(name: "random", bytes: random(size + 8, &generator), due: .none)
        case 1: return .init(name: "part of a preface", bytes: Array(preface.prefix(size % 24)), due: .none)
        case 2:
            return .init(name: "random after the preface", bytes: preface + random(size + 100, &generator), due: .close)
        case 3:
            let type = UInt8(generator.below(12))
            let junk = frame(type: type, flags: UInt8(generator.below(256)), stream: 1, random(size, &generator))
            return .init(name: "random frame of type \(type)", bytes: preface + settings + junk, due: .none)
        case 4:
            let huge = frame(type: 0, stream: 1, length: 0xFF_FFFF, random(size, &generator))
            return .init(name: "frame of 16 MiB", bytes: preface + settings + huge, due: .close)
        case 5:
            let junk = frame(type: 1, flags: 5, stream: 1, [0x80] + random(size, &generator))
            return .init(name: "broken header block", bytes: preface + settings + junk, due: .close)
        case 6:
            let flood = (0..<20_000).flatMap { _ in frame(type: 6, stream: 0, [UInt8](repeating: 1, count: 8)) }
            return .init(name: "flood of pings", bytes: preface + settings + flood, due: .none)
        case 7:
            let opened = (0..<3_000).flatMap { number in
                let stream = UInt32(2 * number + 1)
                var fields = headers(path)
                fields.replaceSubrange(5..<9, with: (0..<4).map { UInt8(truncatingIfNeeded: stream >> (24 - 8 * $0)) })
                return fields + frame(type: 3, stream: stream, [0, 0, 0, 8])
            }
            return .init(name: "flood of resets", bytes: preface + settings + opened, due: .none)
        case 8: return .init(name: "\(path) with a random message", bytes: call(path, random(size, &generator)))
        case 9:
            let bytes = call(path, random(size, &generator), claimed: .max, ends: false)
            return .init(name: "\(path) with a message of 4 GiB", bytes: bytes)
        case 10:
            let bytes = call(path, random(size, &generator), claimed: UInt32(size) + 1)
            return .init(name: "\(path) with a message cut short", bytes: bytes)
        case 11: return .init(name: "TLS", bytes: [0x16, 3, 1, 2, 0, 1] + random(size, &generator), due: .close)
        case 12:
            let bytes = http("POST /v3/kv/put HTTP/1.1", "Host: x", "Content-Length: 99999999999")
            // The bytes that are too many have not come yet.
            return .init(name: "a body of 100 GB", bytes: bytes, due: .none)
        case 13:
            let bytes = http("POST /v3/kv/put HTTP/1.1", "Host: x", "Content-Length: -5")
            return .init(name: "a negative length", bytes: bytes)
        case 14:
            let bytes = http("POST /v3/kv/put HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", body: "ZZ\r\n")
            return .init(name: "a broken chunk", bytes: bytes)
        case 15:
            let line = Array("GET /health HTTP/1.1\r\nX: ".utf8) + [UInt8](repeating: 65, count: 1_000_000)
            return .init(name: "a header of a megabyte", bytes: line)
        case 16:
            let depth = size * 50
            let body = String(repeating: "{\"compare\":[", count: depth / 12)
            let bytes = http("POST /v3/kv/txn HTTP/1.1", "Host: x", "Content-Length: \(body.utf8.count)", body: body)
            return .init(name: "JSON nested deeply", bytes: bytes)
        default:
            let body = String(repeating: "A", count: 8_000_000)
            let bytes = http("POST /v3/kv/put HTTP/1.1", "Host: x", "Content-Length: \(body.utf8.count)", body: body)
            return .init(name: "a body of 8 MB", bytes: bytes)
        }
    }

    /// Whom a member link's first bytes claim to come from and to be meant for.
    struct Identity: Sendable {
        var cluster: UInt64
        var from: UInt64
        var to: UInt64
    }

    /// For a port where members connect: magic, versions, cluster, from, to, incarnation, nonce, addresses,
    /// checksum; then
    /// frames of length, checksum and payload. Or a stranger's question: magic, versions, checksum.
    static func member(_ identity: Identity, _ generator: inout SeededGenerator) -> HostileBytes {
        func hello(
            version: UInt32 = 1, cluster: UInt64? = nil, from: UInt64? = nil, to: UInt64? = nil, address: String? = nil
        ) -> [UInt8] {
            var writer = ByteWriter()
            writer.raw(Array("GNGLPEER".utf8))
            writer.fixed32(version)
            writer.fixed64(cluster ?? identity.cluster)
            writer.fixed64(from ?? identity.from)
            writer.fixed64(to ?? identity.to)
            writer.fixed64(1)
            writer.fixed64(1)
            var addresses = ByteWriter()
            addresses.varint(address == nil ? 0 : 1)
            if let address {
                addresses.prefixed(address)
                addresses.fixed32(1)
            }
            writer.fixed32(UInt32(addresses.bytes.count))
            writer.raw(addresses.bytes)
            writer.fixed32(CRC32C.of(writer.bytes))
            return writer.bytes
        }
        /// One that is taken for a member's that is not known yet.
        let welcome = hello(from: generator.next() | 1, address: "127.0.0.1")
        func question(version: UInt32 = 1) -> [UInt8] {
            var writer = ByteWriter()
            writer.raw(Array("GNGLJOIN".utf8))
            writer.fixed32(version)
            writer.fixed32(version)
            writer.fixed32(CRC32C.of(writer.bytes))
            return writer.bytes
        }
        func frame(_ payload: [UInt8], length: UInt32? = nil, checksum: UInt32? = nil) -> [UInt8] {
            var writer = ByteWriter()
            writer.fixed32(length ?? UInt32(payload.count))
            writer.fixed32(checksum ?? CRC32C.of(payload))
            writer.raw(payload)
            return writer.bytes
        }
        let size = Int(generator.below(4_000)) + 1
        switch generator.below(16) {
        case 0: return .init(name: "random", bytes: random(size + 48, &generator), due: .close)
        case 1:
            return .init(
                name: "HTTP", bytes: http("GET / HTTP/1.1", "Host: a.host.of.some.length.or.other"), due: .close)
        case 2: return .init(name: "part of a hello", bytes: Array(hello().prefix(size % 65)), due: .none)
        case 3:
            var bytes = hello()
            bytes[8 + size % 48] ^= 1 << UInt8(size % 8)
            return .init(name: "a hello with a flipped bit", bytes: bytes, due: .close)
        case 4: return .init(name: "another cluster", bytes: hello(cluster: generator.next()), due: .close)
        case 5: return .init(name: "another member", bytes: hello(to: generator.next()), due: .close)
        case 6: return .init(name: "a stranger", bytes: hello(from: generator.next()), due: .close)
        case 14: return .init(name: "another life of a member", bytes: hello(), due: .close)
        case 7: return .init(name: "another protocol", bytes: hello(version: 99), due: .close)
        case 8:
            let bytes = welcome + frame(random(size, &generator), length: .max)
            return .init(name: "a frame of 4 GiB", bytes: bytes, due: .close)
        case 9:
            let bytes = welcome + frame(random(size, &generator), checksum: 1)
            return .init(name: "a frame with a wrong checksum", bytes: bytes, due: .close)
        case 10:
            return .init(name: "a question and more", bytes: question() + random(size, &generator), due: .close)
        case 11: return .init(name: "a question of later versions", bytes: question(version: 99), due: .close)
        case 12: return .init(name: "part of a question", bytes: Array(question().prefix(size % 20)), due: .none)
        case 13:
            var bytes = question()
            bytes[8 + size % 12] ^= 1 << UInt8(size % 8)
            return .init(name: "a question with a flipped bit", bytes: bytes, due: .close)
        default:
            return .init(
                name: "a frame with a random message", bytes: welcome + frame(random(size, &generator)), due: .close)
        }
    }
}
