/// The stored properties, variables and parameters of a module that are dictionaries or sets, by name.
///
/// There are no types here, only names as they are declared: a name that one file uses for a dictionary and another for an
/// array counts only in files that declare it as a dictionary.
struct UnorderedNames {
    private var everywhere: Set<String> = []
    private var byFile: [String: Set<String>] = [:]

    init() {}

    init(_ files: [SourceFile]) {
        var ordered: Set<String> = []
        for file in files {
            let names = Self.declarations(in: file.tokens)
            byFile[file.path] = names.unordered.subtracting(names.ordered)
            everywhere.formUnion(names.unordered)
            ordered.formUnion(names.ordered)
        }
        everywhere.subtract(ordered)
    }

    private static func declarations(in tokens: [Token]) -> (unordered: Set<String>, ordered: Set<String>) {
        var unordered: Set<String> = []
        var ordered: Set<String> = []
        for index in tokens.indices.dropLast(2) where tokens[index].kind == .word {
            let separator = tokens[index + 1].text
            guard tokens[index + 1].kind == .symbol, separator == ":" || separator == "=" else { continue }
            let declares = index > 0 && ["var", "let"].contains(tokens[index - 1].text)
            // A call's argument label looks like a parameter; only what reads as a type is taken from it.
            if isUnorderedType(tokens, at: index + 2) {
                unordered.insert(tokens[index].text)
            } else if declares || (separator == ":" && tokens[index + 2].text == "[") {
                ordered.insert(tokens[index].text)
            }
        }
        return (unordered, ordered)
    }

    /// Whether `[Key: Value]`, `Dictionary<` or `Set<` begins at `index`, after `inout` and the like.
    private static func isUnorderedType(_ tokens: [Token], at start: Int) -> Bool {
        var index = start
        while index < tokens.count, ["inout", "borrowing", "consuming", "sending"].contains(tokens[index].text) {
            index += 1
        }
        guard index + 1 < tokens.count else { return false }
        if tokens[index].text == "Set" || tokens[index].text == "Dictionary" {
            return tokens[index + 1].text == "<" || tokens[index + 1].text == "("
        }
        guard tokens[index].kind == .symbol, tokens[index].text == "[" else { return false }
        var depth = 0
        for position in index..<tokens.count {
            let token = tokens[position]
            guard token.kind == .symbol else { continue }
            if "([<".contains(token.text) { depth += 1 }
            if ")]".contains(token.text) { depth -= 1 }
            if token.text == ">", position > 0, tokens[position - 1].text != "-" { depth -= 1 }
            // `[:]` and `[Key: Value]`, but not the `? :` or the labels of an array literal's elements.
            if depth == 1, token.text == ":" {
                return tokens[position - 1].text == "[" || startsUppercase(tokens[index + 1].text)
                    || tokens[index + 1].text == "["
                    || tokens[index + 1].text == "("
            }
            if depth == 1, token.text == "," || token.text == "?" { return false }
            if depth == 0 { return false }
        }
        return false
    }

    private static func startsUppercase(_ text: String) -> Bool {
        text.first?.isUppercase ?? false
    }

    /// Every place of `file` that walks through one of the names, with the line.
    func iterations(in file: SourceFile) -> [(line: Int, name: String)] {
        let names = (byFile[file.path] ?? []).union(everywhere)
        var found: [(line: Int, name: String)] = []
        let tokens = file.tokens
        for (index, token) in tokens.enumerated() where token.kind == .word && names.contains(token.text) {
            let next = index + 1 < tokens.count ? tokens[index + 1] : Token(kind: .symbol, text: "", line: token.line)
            if isLoopSequence(tokens, endingAt: index), next.text != ".", next.text != "[", next.text != "(" {
                found.append((token.line, token.text))
            } else if next.text == ".", next.kind == .symbol, index + 2 < tokens.count {
                if let line = lineOfUnorderedMember(tokens, after: index) { found.append((line, token.text)) }
            }
        }
        return found
    }

    /// Whether `for pattern in a.b.name` stands before `{` or `where`.
    private func isLoopSequence(_ tokens: [Token], endingAt index: Int) -> Bool {
        var start = index
        while start >= 2, tokens[start - 1].text == ".", tokens[start - 2].kind == .word { start -= 2 }
        guard start >= 1, tokens[start - 1].text == "in", index + 1 < tokens.count else { return false }
        return ["{", "where"].contains(tokens[index + 1].text)
    }

    /// `name.map {`, `for x in name.keys`, `name.values.reduce(`: the line, unless the order cannot show.
    private func lineOfUnorderedMember(_ tokens: [Token], after index: Int) -> Int? {
        let member = tokens[index + 2]
        if member.text == "keys" || member.text == "values" {
            if isLoopSequence(tokens, endingAt: index + 2) { return member.line }
            guard index + 4 < tokens.count, tokens[index + 3].text == "." else { return nil }
            return PureRules.orderFree.contains(tokens[index + 4].text) ? nil : member.line
        }
        let walks: Set = [
            "map", "flatMap", "compactMap", "forEach", "reduce", "first", "enumerated", "prefix", "lazy", "popFirst",
        ]
        return walks.contains(member.text) ? member.line : nil
    }
}
