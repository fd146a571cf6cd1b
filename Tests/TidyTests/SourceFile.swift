/// One Swift file, read and split.
struct SourceFile: CustomStringConvertible {
    /// Relative to the top of the repository, as in `Sources/Raft/Election.swift`.
    var path: String
    var text: String
    var tokens: [Token]
    var comments: [Comment]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        let lexer = Lexer(text)
        tokens = lexer.tokens
        comments = lexer.comments
    }

    var description: String { path }

    /// The names behind `import`, with the line: `import struct A.B` gives `A`.
    var imports: [(module: String, line: Int)] {
        var found: [(module: String, line: Int)] = []
        let kinds: Set = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor"]
        for index in tokens.indices.dropLast() where tokens[index].text == "import" && tokens[index].kind == .word {
            if index > 0, tokens[index - 1].text == "." { continue }
            var next = index + 1
            if kinds.contains(tokens[next].text), next + 1 < tokens.count { next += 1 }
            found.append((tokens[next].text, tokens[next].line))
        }
        return found
    }

    /// Whether a comment ends on `line`, on one of the two lines above it, or directly above a declaration there.
    func hasComment(near line: Int, containing text: String = "") -> Bool {
        comments.contains { comment in
            comment.lines.upperBound <= line && comment.lines.upperBound >= line - 2
                && comment.text.lowercased().contains(text)
        }
    }
}

/// A broken rule, worded so that the reader knows what to change.
struct Violation: Equatable, CustomStringConvertible {
    var path: String
    var line: Int
    var message: String

    var description: String { "\(path):\(line): \(message)" }
}
