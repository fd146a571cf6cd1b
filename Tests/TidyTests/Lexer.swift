/// One piece of Swift source that is not a comment or white space.
struct Token: Equatable {
    enum Kind: Equatable {
        /// A name or a keyword; back ticks are dropped.
        case word
        case number
        /// A string literal's own text; code inside `\(...)` comes as tokens of its own behind it.
        case string
        /// One character of an operator or a bracket.
        case symbol
    }

    var kind: Kind
    var text: String
    /// Counted from 1.
    var line: Int
}

struct Comment: Equatable {
    var text: String
    /// Where it begins and ends, counted from 1.
    var lines: ClosedRange<Int>
}

/// Splits Swift source far enough for scanning: comments and strings are told apart from code. It is not a compiler: a
/// bare regular expression literal with a quote inside would confuse it, so the sources use none.
struct Lexer {
    private(set) var tokens: [Token] = []
    private(set) var comments: [Comment] = []
    private let characters: [UInt8]
    private var position = 0
    private var line = 1

    init(_ source: String) {
        characters = Array(source.utf8)
        scan(until: nil)
    }

    private func peek(_ ahead: Int = 0) -> UInt8? {
        position + ahead < characters.count ? characters[position + ahead] : nil
    }

    private func starts(with text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard position + count <= characters.count else { return false }
        return characters[position..<position + count].elementsEqual("\(text)".utf8)
    }

    private mutating func advance() {
        if characters[position] == UInt8(ascii: "\n") { line += 1 }
        position += 1
    }

    /// Scans code up to the end, or up to the parenthesis that closes an interpolation.
    private mutating func scan(until closing: UInt8?) {
        var depth = 0
        while let character = peek() {
            if starts(with: "//") {
                lineComment()
            } else if starts(with: "/*") {
                blockComment()
            } else if character == UInt8(ascii: "\"") || character == UInt8(ascii: "#") {
                if !string() { symbol() }
            } else if Self.isWord(character) || character == UInt8(ascii: "`") {
                word()
            } else if Self.isSpace(character) {
                advance()
            } else {
                if character == UInt8(ascii: "(") { depth += 1 }
                if character == closing {
                    if depth == 0 { return }
                    depth -= 1
                }
                symbol()
            }
        }
    }

    private mutating func symbol() {
        append(.symbol, from: position, to: position + 1)
        advance()
    }

    private mutating func append(_ kind: Token.Kind, from start: Int, to end: Int) {
        tokens.append(Token(kind: kind, text: String(decoding: characters[start..<end], as: UTF8.self), line: line))
    }

    private mutating func lineComment() {
        let start = position
        while let character = peek(), character != UInt8(ascii: "\n") { position += 1 }
        addComment(from: start, beginning: line)
    }

    private mutating func blockComment() {
        let start = position
        let first = line
        var depth = 0
        repeat {
            if starts(with: "/*") {
                depth += 1
                position += 2
            } else if starts(with: "*/") {
                depth -= 1
                position += 2
            } else {
                advance()
            }
        } while depth > 0 && position < characters.count
        addComment(from: start, beginning: first)
    }

    private mutating func addComment(from start: Int, beginning first: Int) {
        let text = String(decoding: characters[start..<position], as: UTF8.self)
        comments.append(Comment(text: text, lines: first...line))
    }

    private mutating func word() {
        let quoted = peek() == UInt8(ascii: "`")
        if quoted { position += 1 }
        let start = position
        let isNumber = peek().map(Self.isDigit) ?? false
        // In `pair.0.1` the last two characters are a member, not a fraction.
        let afterDot = tokens.last?.text == "."
        while let character = peek() {
            if Self.isWord(character) {
                position += 1
            } else if isNumber, !afterDot, character == UInt8(ascii: "."), peek(1).map(Self.isDigit) ?? false,
                !characters[start..<position].contains(UInt8(ascii: "."))
            {
                position += 1
            } else {
                break
            }
        }
        append(isNumber ? .number : .word, from: start, to: position)
        if quoted, peek() == UInt8(ascii: "`") { position += 1 }
    }

    /// Reads a string literal in any of its four forms. Returns false when there is none here (`#if`, `#expect`).
    private mutating func string() -> Bool {
        var hashes = 0
        while peek(hashes) == UInt8(ascii: "#") { hashes += 1 }
        guard peek(hashes) == UInt8(ascii: "\"") else { return false }
        position += hashes
        let quotes = starts(with: "\"\"\"") ? 3 : 1
        position += quotes
        let first = line
        var content: [UInt8] = []
        let token = tokens.count
        while let character = peek() {
            if isRun(of: UInt8(ascii: "\""), count: quotes, at: 0),
                isRun(of: UInt8(ascii: "#"), count: hashes, at: quotes)
            {
                position += quotes + hashes
                break
            }
            if character == UInt8(ascii: "\\"), isRun(of: UInt8(ascii: "#"), count: hashes, at: 1) {
                position += 1 + hashes
                if peek() == UInt8(ascii: "(") {
                    position += 1
                    scan(until: UInt8(ascii: ")"))
                    if peek() != nil { position += 1 }
                } else if peek() != nil {
                    advance()
                }
                continue
            }
            content.append(character)
            advance()
        }
        tokens.insert(Token(kind: .string, text: String(decoding: content, as: UTF8.self), line: first), at: token)
        return true
    }

    private func isRun(of character: UInt8, count: Int, at offset: Int) -> Bool {
        for index in 0..<count where peek(offset + index) != character { return false }
        return true
    }

    private static func isDigit(_ character: UInt8) -> Bool {
        character >= UInt8(ascii: "0") && character <= UInt8(ascii: "9")
    }

    private static func isSpace(_ character: UInt8) -> Bool {
        character == 0x20 || (character >= 0x09 && character <= 0x0D)
    }

    private static func isWord(_ character: UInt8) -> Bool {
        isDigit(character) || character == UInt8(ascii: "_") || character == UInt8(ascii: "$") || character >= 0x80
            || (character | 0x20 >= UInt8(ascii: "a") && character | 0x20 <= UInt8(ascii: "z"))
    }
}
