import NIOCore
import NIOPosix

/// One HTTP/1.1 request on a connection of its own.
struct PlainHTTP: Sendable {
    struct Answer: Sendable {
        var status: Int
        /// Names in lower case.
        var headers: [String: String]
        var body: String
    }

    let group: MultiThreadedEventLoopGroup
    let port: Int

    func request(
        _ method: String, _ target: String, headers: [String: String] = [:], body: String = "",
        host: String = "127.0.0.1"
    ) async throws -> Answer {
        var text = "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n"
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) { text += "\(name): \(value)\r\n" }
        text += "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let request = ByteBuffer(string: text)
        let channel = try await ClientBootstrap(group: group)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(request)
            var received = ByteBuffer()
            for try await var part in inbound { received.writeBuffer(&part) }
            return Self.parse(String(buffer: received))
        }
    }

    /// Posts a body whole, and hands over the answer as it comes.
    func stream(_ target: String, body: String, _ use: (inout HTTPStream) async throws -> Void) async throws {
        let head = "POST \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        try await stream(head + body, use)
    }

    /// Posts the beginning of a chunked body; more of it goes through `HTTPStream.send`.
    func stream(_ target: String, chunks: [String], _ use: (inout HTTPStream) async throws -> Void) async throws {
        let head = "POST \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        try await stream(head + chunks.map(HTTPStream.chunk).joined(), use)
    }

    private func stream(_ first: String, _ use: (inout HTTPStream) async throws -> Void) async throws {
        let channel = try await ClientBootstrap(group: group)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: first))
            var stream = HTTPStream(input: inbound.makeAsyncIterator(), output: outbound)
            try await use(&stream)
        }
    }

    /// The content of a chunked body.
    static func unchunk(_ body: String) -> String {
        var content = ""
        var rest = Array(body.utf8)[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\r")),
            let size = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16), size > 0
        {
            content += String(decoding: rest.dropFirst(end + 2 - rest.startIndex).prefix(size), as: UTF8.self)
            rest = rest.dropFirst(end + 2 - rest.startIndex + size + 2)
        }
        return content
    }

    fileprivate static func parse(_ text: String) -> Answer {
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        let lines = parts[0].split(separator: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let pair = line.split(separator: ":", maxSplits: 1)
            headers[pair[0].lowercased()] = pair.count > 1 ? String(pair[1].drop { $0 == " " }) : ""
        }
        let status = Int(lines.first?.split(separator: " ").dropFirst().first ?? "") ?? 0
        return Answer(status: status, headers: headers, body: parts.count > 1 ? String(parts[1]) : "")
    }
}

/// An answer in the making, and the request's body behind it.
struct HTTPStream {
    fileprivate var input: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    fileprivate let output: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private var received = ""
    private(set) var status = 0
    private(set) var headers: [String: String] = [:]

    fileprivate init(
        input: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator,
        output: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.input = input
        self.output = output
    }

    /// The next line of the body, each of which is a chunk of its own; nil at the end.
    mutating func line() async throws -> String? {
        if status == 0 {
            guard let head = try await take(through: "\r\n\r\n") else { return nil }
            let answer = PlainHTTP.parse(head)
            (status, headers) = (answer.status, answer.headers)
        }
        guard let size = try await take(through: "\r\n"), size != "0\r\n" else { return nil }
        guard let line = try await take(through: "\n\r\n") else { return nil }
        return String(line.dropLast(2))
    }

    mutating func send(_ text: String) async throws {
        try await output.write(ByteBuffer(string: Self.chunk(text)))
    }

    static func chunk(_ text: String) -> String {
        "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n"
    }

    private mutating func take(through mark: String) async throws -> String? {
        while true {
            if let range = received.firstRange(of: mark) {
                defer { received.removeSubrange(..<range.upperBound) }
                return String(received[..<range.upperBound])
            }
            guard let more = try await input.next(isolation: #isolation) else { return nil }
            received += String(buffer: more)
        }
    }
}

extension LoopbackDoor {
    var http: PlainHTTP { PlainHTTP(group: group, port: port) }
}
