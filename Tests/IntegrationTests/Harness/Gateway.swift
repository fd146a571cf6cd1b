import Foundation

/// HTTP/1.1 on one connection that is kept: a member's JSON gateway, `/health` and `/metrics`.
final class Gateway {
    struct Answer: Hashable, Sendable {
        var status: Int
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    let host: String
    private let connection: Connection
    private var received: [UInt8] = []

    init(_ host: String, port: Int = 2379, seconds: Double = 5, from namespace: Namespace? = nil) throws {
        self.host = host
        connection = try Connection(host, port, seconds: seconds, from: namespace)
    }

    func get(_ path: String) throws -> Answer {
        try connection.send(Array("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8))
        return try answer()
    }

    func post(_ path: String, _ body: String, authorization: String? = nil) throws -> Answer {
        let head =
            "POST \(path) HTTP/1.1\r\nHost: \(host)\r\nContent-Type: application/json\r\n"
            + (authorization.map { "Authorization: \($0)\r\n" } ?? "") + "Content-Length: \(body.utf8.count)\r\n\r\n"
        try connection.send(Array((head + body).utf8))
        return try answer()
    }

    private func answer() throws -> Answer {
        while true {
            if let head = received.firstRange(of: Array("\r\n\r\n".utf8)) {
                let lines = String(decoding: received[..<head.lowerBound], as: UTF8.self)
                    .components(separatedBy: "\r\n")
                let words = lines[0].split(separator: " ")
                guard words.count > 1, words[0].hasPrefix("HTTP/1.1"), let status = Int(words[1]) else {
                    throw TestFailure("\(host) answered '\(lines[0])'")
                }
                received.removeFirst(head.upperBound)
                return Answer(status: status, body: try body(lines.dropFirst().map { $0.lowercased() }))
            }
            try more()
        }
    }

    private func body(_ fields: [String]) throws -> [UInt8] {
        if fields.contains("transfer-encoding: chunked") {
            var body: [UInt8] = []
            while case let count = try chunkLength(), count > 0 {
                body += try take(count)
                _ = try take(2)
            }
            _ = try take(2)
            return body
        }
        guard let field = fields.first(where: { $0.hasPrefix("content-length:") }),
            let length = Int(field.dropFirst("content-length:".count).trimmingCharacters(in: .whitespaces))
        else { throw TestFailure("\(host) answered without a length: \(fields)") }
        return try take(length)
    }

    private func chunkLength() throws -> Int {
        while true {
            if let end = received.firstRange(of: Array("\r\n".utf8)) {
                let line = String(decoding: received[..<end.lowerBound], as: UTF8.self)
                received.removeFirst(end.upperBound)
                guard let length = Int(line, radix: 16) else { throw TestFailure("\(host): chunk of '\(line)'") }
                return length
            }
            try more()
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while received.count < count { try more() }
        defer { received.removeFirst(count) }
        return Array(received[..<count])
    }

    private func more() throws {
        let bytes = try connection.receive()
        guard !bytes.isEmpty else { throw TestFailure("\(host) closed the connection") }
        received += bytes
    }
}

/// What the tests read of the gateway's answers. Its 64-bit numbers are strings, its zeros are left out.
struct GatewayAnswer: Decodable, Sendable {
    struct Header: Decodable, Sendable {
        var memberID: String?
        var revision: String?

        enum CodingKeys: String, CodingKey {
            case memberID = "member_id"
            case revision
        }
    }

    struct Pair: Decodable, Sendable, Hashable {
        var key: Data
        var value: Data?
        var createRevision: String?
        var modRevision: String?
        var version: String?
        var lease: String?

        enum CodingKeys: String, CodingKey {
            case key
            case value
            case createRevision = "create_revision"
            case modRevision = "mod_revision"
            case version
            case lease
        }
    }

    var header: Header?
    var kvs: [Pair]?
    var leader: String?
    var leaseID: String?
    /// Whether a limit left something out.
    var more: Bool?

    enum CodingKeys: String, CodingKey {
        case header
        case kvs
        case leader
        case more
        case leaseID = "ID"
    }

    var revision: Int { header?.revision.flatMap { Int($0) } ?? 0 }
}

extension Gateway {
    /// A unary call.
    ///
    /// - Throws: with the member's own words unless the status is 200.
    func call(_ path: String, _ body: String) throws -> GatewayAnswer {
        let answer = try post(path, body)
        guard answer.status == 200 else { throw TestFailure("\(host)\(path): \(answer.status) \(answer.text)") }
        return try JSONDecoder().decode(GatewayAnswer.self, from: Data(answer.body))
    }

    /// - Returns: the revision of the change.
    @discardableResult
    func put(_ key: String, _ value: String, lease: String = "0") throws -> Int {
        try call("/v3/kv/put", "{\"key\":\"\(base64(key))\",\"value\":\"\(base64(value))\",\"lease\":\"\(lease)\"}")
            .revision
    }

    /// All keys with a prefix; all keys at all when it is empty.
    ///
    /// - Parameter start: the first key wanted, when not the first one with the prefix.
    func range(prefix: String = "", serializable: Bool = false, limit: Int = 0, from start: Data? = nil) throws
        -> GatewayAnswer
    {
        var end = Array(prefix.utf8)
        if let last = end.popLast() { end.append(last + 1) }
        let key = start?.base64EncodedString() ?? (prefix.isEmpty ? "AA==" : base64(prefix))
        let rangeEnd = end.isEmpty ? "AA==" : Data(end).base64EncodedString()
        return try call(
            "/v3/kv/range",
            "{\"key\":\"\(key)\",\"range_end\":\"\(rangeEnd)\",\"serializable\":\(serializable),\"limit\":\"\(limit)\"}"
        )
    }

    /// Everything this member has in its own state, a page at a time.
    func allPairs(prefix: String = "") throws -> [GatewayAnswer.Pair] {
        var pairs: [GatewayAnswer.Pair] = []
        while true {
            let page = try range(
                prefix: prefix, serializable: true, limit: 5_000, from: pairs.last.map { $0.key + [0] })
            pairs += page.kvs ?? []
            guard page.more == true, page.kvs?.isEmpty == false else { return pairs }
        }
    }

    /// Which member leads as this one sees it ("0" when it knows none), whether that is itself, and its revision.
    func status() throws -> (isLeader: Bool, leader: String, revision: Int) {
        let answer = try call("/v3/maintenance/status", "{}")
        let leader = answer.leader ?? "0"
        return (leader == answer.header?.memberID, leader, answer.revision)
    }

    private func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
}
