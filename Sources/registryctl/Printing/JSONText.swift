/// Builds one JSON object, field by field, as Go's encoder writes etcd's messages: numbers plain, bytes in base64, zero fields
/// left out unless asked for.
struct JSONObject {
    private var fields: [String] = []

    var text: String { "{" + fields.joined(separator: ",") + "}" }

    mutating func raw(_ name: String, _ value: String) {
        fields.append("\"\(name)\":\(value)")
    }

    mutating func number(_ name: String, _ value: some BinaryInteger & CustomStringConvertible) {
        if value != 0 { raw(name, value.description) }
    }

    mutating func flag(_ name: String, _ value: Bool) {
        if value { raw(name, "true") }
    }

    mutating func string(_ name: String, _ value: String) {
        if !value.isEmpty { raw(name, JSONText.string(value)) }
    }

    mutating func strings(_ name: String, _ values: [String]) {
        if !values.isEmpty { raw(name, JSONText.array(values.map(JSONText.string))) }
    }

    mutating func bytes(_ name: String, _ value: [UInt8]) {
        if !value.isEmpty { raw(name, JSONText.base64(value)) }
    }

    mutating func objects(_ name: String, _ values: [JSONObject]) {
        if !values.isEmpty { raw(name, JSONText.array(values.map(\.text))) }
    }
}

enum JSONText {
    static func array(_ values: [String]) -> String {
        "[" + values.joined(separator: ",") + "]"
    }

    /// A string with Go's escapes; `<`, `>` and `&` are escaped, too.
    static func string(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case "<", ">", "&", "\u{2028}", "\u{2029}":
                out += "\\u" + GoText.hex(UInt64(scalar.value), digits: 4)
            case _ where scalar.value < 0x20: out += "\\u" + GoText.hex(UInt64(scalar.value), digits: 4)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    /// Bytes in base64 (RFC 4648 §4), in quotes.
    static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var out: [UInt8] = [UInt8(ascii: "\"")]
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits: UInt32 = 0
            for byte in group { bits = bits << 8 | UInt32(byte) }
            bits <<= 8 * UInt32(3 - group.count)
            for position in 0..<4 {
                let index = Int(bits >> UInt32(18 - 6 * position) & 63)
                out.append(position <= group.count ? alphabet[index] : UInt8(ascii: "="))
            }
        }
        return String(decoding: out + [UInt8(ascii: "\"")], as: UTF8.self)
    }
}
