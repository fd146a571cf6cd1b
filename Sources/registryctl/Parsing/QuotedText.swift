/// Reads quoted strings and splits lines into words, as etcdctl does in transactions and interactive watches.
enum QuotedText {
    /// Reads a double-quoted string with Go's escapes, or a back-quoted one, from the front.
    ///
    /// - Returns: its value and what follows; nil when there is none or it is malformed.
    static func scan(_ text: Substring) -> (value: [UInt8], rest: Substring)? {
        guard let quote = text.first, quote == "\"" || quote == "`" else { return nil }
        var value: [UInt8] = []
        var rest = text.dropFirst()
        while let next = rest.first {
            rest = rest.dropFirst()
            if next == quote { return (value, rest) }
            if next == "\\", quote == "\"" {
                guard let (bytes, after) = escape(rest) else { return nil }
                value += bytes
                rest = after
            } else {
                value += Array(String(next).utf8)
            }
        }
        return nil
    }

    private static func escape(_ text: Substring) -> ([UInt8], Substring)? {
        guard let kind = text.first else { return nil }
        let rest = text.dropFirst()
        let simple: [Character: UInt8] = [
            "a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, "\"": 34,
        ]
        if let byte = simple[kind] { return ([byte], rest) }
        switch kind {
        case "x": return number(rest, digits: 2, radix: 16).map { ([UInt8($0.0)], $0.1) }
        case "u": return scalar(rest, digits: 4)
        case "U": return scalar(rest, digits: 8)
        case "0"..."7":
            guard let (value, after) = number(text, digits: 3, radix: 8), value < 256 else { return nil }
            return ([UInt8(value)], after)
        default: return nil
        }
    }

    private static func scalar(_ text: Substring, digits: Int) -> ([UInt8], Substring)? {
        guard let (value, rest) = number(text, digits: digits, radix: 16), let scalar = Unicode.Scalar(value) else {
            return nil
        }
        return (Array(String(scalar).utf8), rest)
    }

    private static func number(_ text: Substring, digits: Int, radix: Int) -> (UInt32, Substring)? {
        let part = text.prefix(digits)
        guard part.count == digits, !part.hasPrefix("+"), let value = UInt32(part, radix: radix) else { return nil }
        return (value, text.dropFirst(digits))
    }

    /// Splits a line into words: bare ones, `"…"` with escapes, `'…'` as they are.
    ///
    /// - Throws: `.input` for a quote that is not closed.
    static func words(_ line: String) throws(CtlError) -> [String] {
        var words: [String] = []
        var rest = line[...]
        while true {
            rest = rest.drop { $0.isWhitespace }
            guard let first = rest.first else { return words }
            if first == "\"" {
                guard let (value, after) = scan(rest) else { throw .input("malformed quotes: \(line)") }
                words.append(String(decoding: value, as: UTF8.self))
                rest = after
            } else if first == "'" {
                guard let end = rest.dropFirst().firstIndex(of: "'") else {
                    throw .input("malformed quotes: \(line)")
                }
                words.append(String(rest[rest.index(after: rest.startIndex)..<end]))
                rest = rest[rest.index(after: end)...]
            } else {
                let word = rest.prefix { !$0.isWhitespace }
                words.append(String(word))
                rest = rest.dropFirst(word.count)
            }
        }
    }
}
