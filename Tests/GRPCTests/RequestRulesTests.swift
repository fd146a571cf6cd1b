import GRPC
import Testing

/// Heads of requests, as lists of fields.
private enum Heads {
    typealias Field = (name: String, value: String)

    static let whole: [Field] = [
        (":method", "POST"), (":scheme", "http"), (":path", "/test.Echo/Unary"), (":authority", "x"),
        ("content-type", "application/grpc"),
    ]
    static func without(_ name: String) -> [Field] { whole.filter { $0.name != name } }
    static func with(_ fields: Field...) -> [Field] { whole + fields }
    static func replacing(_ name: String, by value: String) -> [Field] {
        whole.map { $0.name == name ? (name, value) : $0 }
    }

    static let refused = texts([
        without(":method"), without(":scheme"), without(":path"), without(":authority"),
        replacing(":path", by: "no/slash"), replacing(":path", by: ""), replacing(":method", by: "CONNECT"),
        replacing(":method", by: "PO ST\n"), with((":path", "/late")), [(":path", "/twice")] + whole,
        [("early", "x")] + whole, [(":status", "200")] + whole, [(":unknown", "x")] + whole,
        with(("Upper", "case")), with(("", "nameless")), with(("connection", "close")), with(("keep-alive", "1")),
        with(("proxy-connection", "x")), with(("transfer-encoding", "chunked")), with(("upgrade", "h2c")),
        with(("te", "gzip")), with(("host", "a"), ("host", "b")),
        with(("content-length", "6"), ("content-length", "6")),
        with(("content-length", "-1")), with(("content-length", "")), with(("content-length", "99999999999999999999")),
        with(("content-length", "5")), with(("content-length", "7")),
    ])

    static let served = texts([
        replacing(":authority", by: "http://127.0.0.1:2379"), replacing(":authority", by: "what/ever?#"),
        without(":authority") + [("host", "x")], with(("content-length", "6")), with(("te", "TRAILERS")),
        with(("x y", "left out")), with(("x", "left\nout")),
    ])

    private static func texts(_ heads: [[Field]]) -> [[String]] {
        heads.map { $0.map { "\($0.name)=\($0.value)" } }
    }

    /// The fields as the test cases have them.
    static func fields(_ texts: [String]) -> [Field] {
        texts.map { text in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), String(parts[1]))
        }
    }
}

/// What a request's header fields must keep to, and that etcd's older clients need not know what an authority is.
@Suite struct RequestRulesTests {
    private static let message: [UInt8] = [0, 0, 0, 0, 1, 9]

    private static func request(_ fields: [Heads.Field], stream: UInt32 = 1, flags: UInt8 = 4) -> [UInt8] {
        RawConnection.frame(
            type: 1, flags: flags, stream: stream, fields.flatMap { RawConnection.field($0.name, $0.value) })
    }

    @Test(
        "Any authority is served, as are fields that mean nothing",
        arguments: Heads.served)
    func served(fields: [String]) async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        connection.send(
            RawConnection.hello + Self.request(Heads.fields(fields))
                + RawConnection.frame(type: 0, flags: 1, stream: 1, Self.message))
        await connection.receive(bytes: Self.message)
        connection.close()
        await server.stop()
    }

    @Test(
        "A request that breaks a rule is reset, and nothing else",
        arguments: Heads.refused)
    func refused(fields: [String]) async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        connection.send(
            RawConnection.hello + Self.request(Heads.fields(fields))
                + RawConnection.frame(type: 0, flags: 1, stream: 1, Self.message))
        await connection.receive(bytes: RawConnection.frame(type: 3, flags: 0, stream: 1, [0, 0, 0, 1]))
        connection.send(
            Self.request(Heads.whole, stream: 3) + RawConnection.frame(type: 0, flags: 1, stream: 3, Self.message))
        await connection.receive(bytes: Self.message)
        connection.close()
        await server.stop()
    }

    @Test("A head over the limit is answered as such, whatever follows in it")
    func tooLarge() async throws {
        let server = try await TestServer.start { $0.http2.headerListBytesMax = 8000 }
        let client = try await server.connect()
        var metadata = Metadata()
        for index in 0..<100 { metadata.add("x-\(index)", String(repeating: "v", count: 100)) }
        metadata.add("connection", "close")
        await #expect(throws: GRPCStatus(.resourceExhausted, "header list larger than max (8000 bytes)")) {
            try await client.unary(path: "/test.Echo/Unary", message: [1], metadata: metadata)
        }
        #expect(try await client.unary(path: "/test.Echo/Unary", message: [1]) == [1])
        client.close()
        await server.stop()
    }

    @Test("A block of references that stand for hundreds of megabytes ends the connection", arguments: [false, true])
    func references(inTrailers: Bool) async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        let head = RawConnection.head()
        // A field of 4000 bytes for the table (RFC 7541 §6.2.1), and what refers to it from then on.
        let large: [UInt8] = [0x40, 1, UInt8(ascii: "x"), 0x7F, 0xA1, 0x1E] + Array(repeating: 0x76, count: 4000)
        let references = [UInt8](repeating: 0x80 | 62, count: 16_384)
        var bytes = RawConnection.hello
        if inTrailers { bytes += RawConnection.frame(type: 1, flags: 4, stream: 1, head) }
        bytes += RawConnection.frame(
            type: 1, flags: inTrailers ? 1 : 0, stream: 1, inTrailers ? large : head + large)
        for place in 0..<8 {
            bytes += RawConnection.frame(type: 9, flags: place == 7 ? 4 : 0, stream: 1, references)
        }
        connection.send(bytes)
        #expect(await connection.receive(until: "too many control frames").contains("too many control frames"))
        #expect(await connection.isClosed())
        try await server.expectAlive()
        await server.stop()
    }

    @Test("Trailers end a request and have no pseudo fields", arguments: [false, true])
    func trailers(isEnd: Bool) async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        let trailers = isEnd ? [(name: ":path", value: "/x")] : [(name: "x", value: "y")]
        connection.send(
            RawConnection.hello + Self.request(Heads.replacing(":path", by: "/test.Echo/Never"))
                + Self.request(trailers, flags: isEnd ? 5 : 4))
        await connection.receive(bytes: RawConnection.frame(type: 3, flags: 0, stream: 1, [0, 0, 0, 1]))
        connection.close()
        await server.stop()
    }
}
