/// Why bytes are not the JSON they should be.
package struct JSONFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String
    /// Byte offset in the input.
    package let offset: Int

    package var description: String { "\(message) at byte \(offset)" }
}

/// Limits on foreign JSON.
package struct JSONLimits: Sendable {
    package var bytes: Int
    package var depth: Int

    package init(bytes: Int, depth: Int) {
        self.bytes = bytes
        self.depth = depth
    }

    /// One registration: far above anything nerve writes.
    package static let payload = JSONLimits(bytes: 256 << 10, depth: 16)
    /// A whole state file.
    package static let file = JSONLimits(bytes: 256 << 20, depth: 32)
}

/// Reads JSON (RFC 8259) from bytes nobody vouches for: bounded, and it throws instead of trapping.
package struct JSONReader {
    private let bytes: [UInt8]
    private let limits: JSONLimits
    private var offset = 0

    /// The one value that `bytes` hold.
    package static func read(_ bytes: [UInt8], limits: JSONLimits) throws(JSONFailure) -> JSONValue {
        guard bytes.count <= limits.bytes else {
            throw JSONFailure(message: "\(bytes.count) bytes of JSON, the limit is \(limits.bytes)", offset: 0)
        }
        var reader = JSONReader(bytes: bytes, limits: limits)
        let value = try reader.value(depth: 0)
        reader.skipBlanks()
        guard reader.offset == bytes.count else { throw reader.failure("text after the JSON value") }
        return value
    }

    private init(bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    private func failure(_ message: String) -> JSONFailure {
        JSONFailure(message: message, offset: offset)
    }

    private mutating func skipBlanks() {
        while offset < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[offset]) { offset += 1 }
    }

    private mutating func value(depth: Int) throws(JSONFailure) -> JSONValue {
        guard depth < limits.depth else { throw failure("nested deeper than \(limits.depth)") }
        skipBlanks()
        guard offset < bytes.count else { throw failure("the JSON ends too early") }
        switch bytes[offset] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func word(_ text: String, _ value: JSONValue) throws(JSONFailure) -> JSONValue {
        guard bytes[offset...].starts(with: text.utf8) else { throw failure("not a JSON value") }
        offset += text.utf8.count
        return value
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    private mutating func object(depth: Int) throws(JSONFailure) -> JSONValue {
        offset += 1
        var members: [JSONMember] = []
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipBlanks()
            guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else { throw failure("no member name") }
            let name = try string()
            guard take(UInt8(ascii: ":")) else { throw failure("no ':' after a member name") }
            members.append(JSONMember(name, try value(depth: depth + 1)))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw failure("no '}' at the end of an object") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONFailure) -> JSONValue {
        offset += 1
        var elements: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return .array(elements) }
        repeat {
            elements.append(try value(depth: depth + 1))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw failure("no ']' at the end of an array") }
        return .array(elements)
    }

    private mutating func number() throws(JSONFailure) -> String {
        let start = offset
        if offset < bytes.count, bytes[offset] == UInt8(ascii: "-") { offset += 1 }
        let whole = digits()
        guard whole > 0, whole == 1 || bytes[offset - whole] != UInt8(ascii: "0") else {
            throw failure("not a JSON value")
        }
        if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
            offset += 1
            guard digits() > 0 else { throw failure("no digit after the point") }
        }
        if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
            offset += 1
            if offset < bytes.count, bytes[offset] == UInt8(ascii: "-") || bytes[offset] == UInt8(ascii: "+") {
                offset += 1
            }
            guard digits() > 0 else { throw failure("no digit in the exponent") }
        }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    private mutating func digits() -> Int {
        let start = offset
        while offset < bytes.count, bytes[offset] >= 0x30, bytes[offset] <= 0x39 { offset += 1 }
        return offset - start
    }

    private mutating func string() throws(JSONFailure) -> String {
        let start = offset
        offset += 1
        var text: [UInt8] = []
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw failure("a string not in UTF-8")
                }
                return string
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw failure("a control character in a string")
            default: text.append(byte)
            }
        }
        offset = start
        throw failure("a string without end")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONFailure) {
        guard offset < bytes.count else { throw failure("the JSON ends too early") }
        let kind = bytes[offset]
        offset += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(kind)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            guard let scalar = Unicode.Scalar(try codePoint()) else { throw failure("half of a surrogate pair") }
            text += String(Character(scalar)).utf8
        default: throw failure("an unknown escape")
        }
    }

    private mutating func codePoint() throws(JSONFailure) -> UInt32 {
        let high = try hexadecimal()
        guard high >= 0xD800, high < 0xDC00 else { return high }
        guard offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"), bytes[offset + 1] == UInt8(ascii: "u")
        else {
            throw failure("half of a surrogate pair")
        }
        offset += 2
        let low = try hexadecimal()
        guard low >= 0xDC00, low < 0xE000 else { throw failure("half of a surrogate pair") }
        return 0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)
    }

    private mutating func hexadecimal() throws(JSONFailure) -> UInt32 {
        guard offset + 4 <= bytes.count,
            bytes[offset..<(offset + 4)].allSatisfy({ UInt32(String(Unicode.Scalar($0)), radix: 16) != nil }),
            let value = UInt32(String(decoding: bytes[offset..<(offset + 4)], as: UTF8.self), radix: 16)
        else { throw failure("four hexadecimal digits missing") }
        offset += 4
        return value
    }
}
