/// A template tag that is not an environment look-up.
package struct ErbFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// From 1.
    package let line: Int
    package let tag: String

    package var description: String {
        "line \(line): <%\(tag)%> is not supported; only <%= ENV['NAME'] %> and <%= ENV.fetch('NAME', 'default') %> are"
    }
}

/// The part of ERB that published synapse files use: environment look-ups.
package enum ErbTemplate {
    /// `text` with every tag replaced. `<%%` stands for a literal `<%`; `<%# comment %>` vanishes.
    ///
    /// - Parameter environment: the value of a variable, nil when it is not set.
    /// - Throws: for any other tag, and for a `fetch` without default of a variable that is not set.
    package static func expand(
        _ text: String, environment: (String) -> String?
    ) throws(ErbFailure) -> String {
        var output: [UInt8] = []
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            guard bytes[offset...].starts(with: "<%".utf8) else {
                output.append(bytes[offset])
                offset += 1
                continue
            }
            if bytes[offset...].starts(with: "<%%".utf8) {
                output += "<%".utf8
                offset += 3
                continue
            }
            let line = 1 + bytes[..<offset].reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
            let start = offset + 2
            guard let end = bytes[start...].indices.first(where: { bytes[$0...].starts(with: "%>".utf8) }) else {
                throw ErbFailure(line: line, tag: String(decoding: bytes[start...].prefix(40), as: UTF8.self))
            }
            let tag = String(decoding: bytes[start..<end], as: UTF8.self)
            output += try value(of: tag, line: line, environment).utf8
            offset = end + 2
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func value(
        of tag: String, line: Int, _ environment: (String) -> String?
    ) throws(ErbFailure) -> String {
        if tag.hasPrefix("#") { return "" }
        guard tag.hasPrefix("=") else { throw ErbFailure(line: line, tag: tag) }
        var expression = String(tag.dropFirst())
        if expression.hasSuffix("-") { expression.removeLast() }
        expression = Text.trimmed(expression)
        if let inner = enclosed(expression, "ENV[", "]"), let name = quoted(inner) { return environment(name) ?? "" }
        if let inner = enclosed(expression, "ENV.fetch(", ")") {
            let parts = inner.split(separator: ",", maxSplits: 1).map { Text.trimmed(String($0)) }
            if let name = parts.first.flatMap(quoted) {
                if let value = environment(name) { return value }
                if parts.count == 2, let fallback = quoted(parts[1]) { return fallback }
            }
        }
        throw ErbFailure(line: line, tag: tag)
    }

    private static func enclosed(_ text: String, _ head: String, _ tail: String) -> String? {
        guard text.hasPrefix(head), text.hasSuffix(tail), text.count >= head.count + tail.count else { return nil }
        return Text.trimmed(String(text.dropFirst(head.count).dropLast(tail.count)))
    }

    /// The text inside plain single or double quotes.
    private static func quoted(_ text: String) -> String? {
        guard let quote = text.first, quote == "'" || quote == "\"", text.count >= 2, text.last == quote else {
            return nil
        }
        let body = text.dropFirst().dropLast()
        return body.contains(quote) || body.contains("\\") || body.contains("#{") ? nil : String(body)
    }
}
