/// Just enough JSON to cut a request body and to look at its names; the messages themselves are read by SwiftProtobuf.
enum JSONText {
    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")

    /// The first JSON value of a body: bytes behind it are ignored, an empty body and `null` count as `{}`.
    ///
    /// Cuts only; whether the value is well-formed is for the reader of it to say.
    static func firstValue(of body: [UInt8]) -> [UInt8] {
        guard let start = body.firstIndex(where: { !isSpace($0) }) else { return Array("{}".utf8) }
        let value = Array(body[start..<end(of: body, from: start)])
        return value == Array("null".utf8) ? Array("{}".utf8) : value
    }

    private static func end(of body: [UInt8], from start: Int) -> Int {
        var depth = 0
        var index = start
        while index < body.count {
            switch body[index] {
            case quote:
                index = endOfString(body, from: index)
                if depth == 0 { return index }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth <= 0 { return index + 1 }
            case let byte where depth == 0 && isSpace(byte):
                return index
            default:
                break
            }
            index += 1
        }
        return body.count
    }

    /// Calls `body` with every member of an object whose value is a string or begins an array of strings, at any depth,
    /// once for each string: name and value as they stand between the quotes, escapes not resolved.
    static func forEachStringMember(of json: [UInt8], _ body: (_ name: Substring, _ value: Substring) -> Void) {
        var index = 0
        while index < json.count {
            guard json[index] == quote else {
                index += 1
                continue
            }
            let nameEnd = endOfString(json, from: index)
            let colon = skipSpace(json, from: nameEnd)
            guard colon < json.count, json[colon] == UInt8(ascii: ":") else {
                index = nameEnd
                continue
            }
            let name = content(json, index, nameEnd)
            let isList =
                skipSpace(json, from: colon + 1) < json.count
                && json[skipSpace(json, from: colon + 1)] == UInt8(ascii: "[")
            index = isList ? skipSpace(json, from: colon + 1) + 1 : colon + 1
            var hasMore = true
            while hasMore {
                let start = skipSpace(json, from: index)
                guard start < json.count, json[start] == quote else { break }
                index = endOfString(json, from: start)
                body(name, content(json, start, index))
                let comma = skipSpace(json, from: index)
                hasMore = isList && comma < json.count && json[comma] == UInt8(ascii: ",")
                if hasMore { index = comma + 1 }
            }
        }
    }

    /// A string as JSON, quotes included.
    static func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// The index behind the string that begins at `start`.
    private static func endOfString(_ json: [UInt8], from start: Int) -> Int {
        var index = start + 1
        while index < json.count {
            switch json[index] {
            case backslash: index += 2
            case quote: return index + 1
            default: index += 1
            }
        }
        return json.count
    }

    private static func skipSpace(_ json: [UInt8], from start: Int) -> Int {
        var index = start
        while index < json.count, isSpace(json[index]) {
            index += 1
        }
        return index
    }

    private static func content(_ json: [UInt8], _ start: Int, _ end: Int) -> Substring {
        Substring(decoding: json[(start + 1)..<max(start + 1, end - 1)], as: UTF8.self)
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }
}
