import EtcdProto
import Foundation
import GRPC
import SwiftProtobuf

/// One step of a sequence, the same for every server.
protocol Call: Sendable, CustomStringConvertible {
    /// What is called, such as `KV/Put`; a shrunk sequence must fail at the same.
    var kind: String { get }
    /// Whether everything that open watches have to deliver must have arrived before: else the answer, or what
    /// the watches still get, would depend on time.
    var needsQuietWatches: Bool { get }
    /// Whether open watches must have passed all that is in the past, whether it concerns them or not.
    var needsCaughtUpWatches: Bool { get }
    func play(on session: Session) async throws -> Answer
    /// Calls with a little less in them, for shrinking.
    var simpler: [any Call] { get }
}

extension Call {
    var needsQuietWatches: Bool { needsCaughtUpWatches }
    var needsCaughtUpWatches: Bool { false }
    var simpler: [any Call] { [] }
}

/// A call that is sent by somebody, or by nobody.
protocol SentCall: Call {
    /// The name under which a session keeps the token to be sent along; nil sends none.
    var credential: String? { get }
}

/// What a server said, made comparable.
struct Answer: Hashable, Sendable, CustomStringConvertible {
    /// `ok`, or a status code and its text.
    var status: String
    var body: String

    init(status: String = "ok", body: String = "") {
        self.status = status
        self.body = body
    }

    var isOK: Bool { status == "ok" }
    /// Of a refusal: the text between the quotes.
    var text: Substring { status.drop { $0 != "\"" }.dropFirst().dropLast() }
    /// Of a refusal: the code as Go writes it.
    var codeName: String { "\(status.prefix(1).uppercased())\(status.dropFirst().prefix { $0 != "," })" }

    init(_ status: GRPCStatus) {
        self.init(status: status.isOK ? "ok" : "\(status.code), \"\(status.message)\"")
    }

    var description: String { body.isEmpty ? status : "\(status): \(body)" }
}

/// A call with one message each way.
struct UnaryCall<Request: Replayable, Response: Replayable>: SentCall {
    /// `KV/Put`, without the package.
    let kind: String
    var request: Request
    var credential: String?
    var package = "etcdserverpb"
    var needsCaughtUpWatches = false

    init(_ kind: String, _ request: Request, answeredBy: Response.Type = Response.self, credential: String? = nil) {
        self.kind = kind
        self.request = request
        self.credential = credential
    }

    var description: String {
        let sender = credential.map { " as \($0)" } ?? ""
        return "\(kind)\(sender) { \(request.readable) }"
    }

    func play(on session: Session) async throws -> Answer {
        guard request.isPlayable else { return Answer(status: "not sent") }
        var message = request
        message.rename(session.renaming(.toServer))
        let outcome = try await session.unary(
            "/\(package).\(kind)", message.serializedBytes(), credential: credential)
        switch outcome {
        case .failure(let status): return Answer(status)
        case .success(let bytes): return Answer(body: try session.comparable(Response.self, bytes).readable)
        }
    }

    var simpler: [any Call] {
        guard let bytes: [UInt8] = try? request.serializedBytes() else { return [] }
        return WireFields.without(bytes).compactMap { bytes in
            guard let smaller = try? Request(serializedBytes: bytes), !smaller.isEqualTo(message: request) else {
                return nil
            }
            var call = self
            call.request = smaller
            return call
        }
    }
}

/// Shrinks messages without knowing them, by leaving out pieces of their encoding.
enum WireFields {
    /// The encodings with one field less, at any depth; repeated fields count one by one.
    static func without(_ bytes: [UInt8], depth: Int = 4) -> [[UInt8]] {
        guard let fields = fields(of: bytes) else { return [] }
        var smaller: [[UInt8]] = []
        for (place, field) in fields.enumerated() {
            func replaced(by other: [UInt8]) -> [UInt8] {
                fields[..<place].flatMap(\.all) + other + fields[(place + 1)...].flatMap(\.all)
            }
            smaller.append(replaced(by: []))
            guard depth > 0, let inside = field.inside else { continue }
            for content in without(inside, depth: depth - 1) {
                smaller.append(replaced(by: field.tag + varint(UInt64(content.count)) + content))
            }
        }
        return smaller
    }

    private struct Field {
        var tag: [UInt8]
        var rest: [UInt8]
        /// Of a field with a length: what may be a message.
        var inside: [UInt8]?

        var all: [UInt8] { tag + rest }
    }

    private static func fields(of bytes: [UInt8]) -> [Field]? {
        var fields: [Field] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let start = rest.startIndex
            guard let tag = readVarint(&rest) else { return nil }
            let head = Array(bytes[start..<rest.startIndex])
            let content = rest.startIndex
            var inside: [UInt8]?
            switch tag & 7 {
            case 0:
                guard readVarint(&rest) != nil else { return nil }
            case 2:
                guard let length = readVarint(&rest), length <= UInt64(rest.count) else { return nil }
                inside = Array(rest.prefix(Int(length)))
                rest = rest.dropFirst(Int(length))
            default: return nil
            }
            fields.append(Field(tag: head, rest: Array(bytes[content..<rest.startIndex]), inside: inside))
        }
        return fields
    }

    private static func readVarint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    private static func varint(_ number: UInt64) -> [UInt8] {
        var rest = number
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
