/// A file of data-driven cases: blocks of a directive, its input and the expected output.
///
/// ```
/// directive key=value key=(v1,v2) word
/// input lines
/// ----
/// expected lines, up to a blank line or the end of the file
/// ```
struct CasesFile {
    struct Block {
        /// The directive's line, from 1.
        var line: Int
        var command: String
        var arguments: [Argument]
        var input: [String]
        /// Every line of it ends with a newline; empty without lines.
        var expected: String

        /// The values of `key`; nil when the directive does not have it.
        func values(_ key: String) -> [String]? {
            arguments.first { $0.key == key }?.values
        }

        /// The only value of `key`.
        func value(_ key: String) -> String? {
            guard let values = values(key), values.count == 1 else { return nil }
            return values[0]
        }

        /// The arguments without values, in order.
        var words: [String] { arguments.filter { $0.values.isEmpty && !$0.isList }.map(\.key) }
    }

    struct Argument: Equatable {
        var key: String
        var values: [String] = []
        /// Written `key=(…)`, which may be empty.
        var isList = false
    }

    struct Malformed: Error, Equatable {
        var line: Int
        var reason: String
    }

    private static let separator = "----"

    static func parse(_ text: String) throws(Malformed) -> [Block] {
        var blocks: [Block] = []
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        var next = 0
        while next < lines.count {
            if isBlank(lines[next]) || lines[next].first(where: { $0 != " " && $0 != "\t" }) == "#" {
                next += 1
            } else {
                blocks.append(try block(in: lines, at: &next))
            }
        }
        return blocks
    }

    private static func isBlank(_ line: String) -> Bool {
        line.allSatisfy { $0 == " " || $0 == "\t" }
    }

    private static func block(in lines: [String], at next: inout Int) throws(Malformed) -> Block {
        let start = next
        var directive = lines[next]
        next += 1
        while directive.last == "\\", next < lines.count {
            directive = String(directive.dropLast()) + " " + lines[next]
            next += 1
        }
        var input: [String] = []
        while next < lines.count, lines[next] != separator {
            input.append(lines[next])
            next += 1
        }
        guard next < lines.count else { throw Malformed(line: start + 1, reason: "no line of four dashes follows") }
        next += 1
        var arguments = try arguments(of: directive, line: start + 1)
        let expected = expected(in: lines, at: &next)
        return Block(
            line: start + 1, command: arguments.removeFirst().key, arguments: arguments, input: input,
            expected: expected)
    }

    /// An output with blank lines in it stands between two double separators.
    private static func expected(in lines: [String], at next: inout Int) -> String {
        var expected = ""
        let isFramed = next < lines.count && lines[next] == separator
        if isFramed { next += 1 }
        while next < lines.count {
            if isFramed {
                if lines[next] == separator, next + 1 < lines.count, lines[next + 1] == separator {
                    next += 2
                    break
                }
            } else if lines[next].isEmpty {
                break
            }
            expected += lines[next] + "\n"
            next += 1
        }
        return expected
    }

    private static func arguments(of directive: String, line: Int) throws(Malformed) -> [Argument] {
        var found: [Argument] = []
        var rest = Substring(directive)
        while let start = rest.firstIndex(where: { $0 != " " && $0 != "\t" }) {
            rest = rest[start...]
            let keyEnd = rest.firstIndex { $0 == " " || $0 == "\t" || $0 == "=" } ?? rest.endIndex
            var argument = Argument(key: String(rest[..<keyEnd]))
            rest = rest[keyEnd...]
            if rest.first == "=" {
                rest = rest.dropFirst()
                if rest.first == "(" {
                    guard let close = rest.firstIndex(of: ")") else {
                        throw Malformed(line: line, reason: "'(' is not closed")
                    }
                    argument.isList = true
                    argument.values = rest[..<close].dropFirst().split(separator: ",").map { trimmed($0) }
                    rest = rest[close...].dropFirst()
                } else {
                    let end = rest.firstIndex { $0 == " " || $0 == "\t" } ?? rest.endIndex
                    argument.values = [String(rest[..<end])]
                    rest = rest[end...]
                }
            }
            found.append(argument)
        }
        return found
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
