@testable import EtcdAPI

/// Frames and header blocks of HTTP/2.
enum Frames {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func frame(type: UInt8, flags: UInt8, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
            + uint32(stream) + payload
    }

    static func uint32(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }

    /// A literal header field without indexing (RFC 7541 §6.2.2).
    static func field(_ name: String, _ value: String) -> [UInt8] {
        field(Array(name.utf8), Array(value.utf8))
    }

    static func field(_ name: [UInt8], _ value: [UInt8]) -> [UInt8] {
        [0] + string(name) + string(value)
    }

    private static func string(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var length: [UInt8] = [127]
        var rest = bytes.count - 127
        while rest >= 128 {
            length.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return length + [UInt8(rest)] + bytes
    }

    static func head(path: String, method: String = "POST") -> [UInt8] {
        field(":method", method) + field(":scheme", "http") + field(":path", path)
            + field(":authority", "127.0.0.1:2379") + field("content-type", "application/grpc")
            + field("te", "trailers")
    }

    static let paths: [String] =
        [
            "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Put", "/health", "/v3/kv/put", "/v3/watch", "*",
            "/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive",
            "/etcdserverpb.Maintenance/Snapshot", "/x.Y/Z",
        ] + EtcdMethods.all.map(\.path)

    /// A whole head, then up to three more fields.
    static func head(_ script: inout Script) -> [UInt8] {
        let path = script.pick(paths)
        let choices = script.byte()
        var block = field(":method", choices & 3 == 3 ? "GET" : "POST") + field(":scheme", "http")
        block += field(":path", path) + field(":authority", "127.0.0.1:2379")
        if choices & 4 == 0 { block += field("content-type", "application/grpc") }
        for _ in 0..<Int(choices >> 3 & 3) { block += extraField(&script) }
        if choices & 0x20 != 0 { block += script.word() }
        return block
    }

    /// What `head` reads, without extras.
    static func headChoices(path: Int) -> [UInt8] { [UInt8(path), 0] }

    static func extraField(_ script: inout Script) -> [UInt8] {
        let name = script.choice(names.count + 1)
        let value = script.choice(values.count + 1)
        return field(
            name < names.count ? Array(names[name].utf8) : script.word(),
            value < values.count ? Array(values[value].utf8) : script.word())
    }

    static let names = [
        "grpc-timeout", "grpc-encoding", "content-type", "token", "authorization", "hasleader", "client-api-version",
        "x-bin", ":path", ":method", ":authority", "content-length", "host", "te", "user-agent", "connection", "cookie",
    ]
    static let values = [
        "1S", "99999999H", "0n", "100m", "gzip", "application/grpc+proto", "application/grpc-web", "application/json",
        "true", "3.6.0", "Bearer a.1", "a.1", "0", "18446744073709551616", "-1", "AAEC", "trailers",
    ]
    static let words: [[UInt8]] = (names + values + paths.prefix(10)).map { Array($0.utf8) }
}
