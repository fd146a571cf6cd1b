/// What `Package.swift` declares, read from its text: a test must not run the package manager inside itself.
struct Manifest {
    struct Target: Equatable {
        enum Kind: String { case systemLibrary, target, testTarget, executableTarget }

        var kind: Kind
        var name: String
        /// Module names; a product's own name for what other packages give.
        var dependencies: [String]
        /// The name of the settings list, empty when there is none.
        var settings: String
        var path: String
    }

    private(set) var targets: [Target] = []
    /// Dependencies that are not written as a name or as one of the `let` constants.
    private(set) var unreadable: [String] = []

    init(_ file: SourceFile) {
        let tokens = file.tokens
        let constants = Self.constants(tokens)
        for index in tokens.indices.dropLast(2) where tokens[index].text == "." && tokens[index + 2].text == "(" {
            guard let kind = Target.Kind(rawValue: tokens[index + 1].text) else { continue }
            let body = tokens[(index + 3)..<Self.end(of: tokens[...], from: index + 2)]
            guard let name = Self.string("name", in: body) else { continue }
            let dependencies = dependencies(of: name, in: Self.list("dependencies", in: body), constants: constants)
            let folder = kind == .testTarget ? "Tests" : "Sources"
            targets.append(
                Target(
                    kind: kind, name: name, dependencies: dependencies, settings: Self.word("swiftSettings", in: body),
                    path: Self.string("path", in: body) ?? "\(folder)/\(name)"))
        }
    }

    private mutating func dependencies(
        of target: String, in list: ArraySlice<Token>, constants: [String: String]
    ) -> [String] {
        var found: [String] = []
        var index = list.startIndex
        while index < list.endIndex {
            let token = list[index]
            if token.kind == .string {
                found.append(token.text)
            } else if token.text == "product", index + 4 < list.endIndex {
                found.append(list[index + 4].text)
                index = Self.end(of: list, from: index + 1)
            } else if token.kind == .word {
                if let product = constants[token.text] {
                    found.append(product)
                } else {
                    unreadable.append("\(target): \(token.text)")
                }
            }
            index += 1
        }
        return found
    }

    /// `let nio: Target.Dependency = .product(name: "NIOCore", ...)` as `nio` to `NIOCore`.
    private static func constants(_ tokens: [Token]) -> [String: String] {
        var found: [String: String] = [:]
        for index in tokens.indices where tokens[index].text == "product" && index >= 2 && tokens[index - 2].text == "="
        {
            guard index + 4 < tokens.count, tokens[index + 2].text == "name", tokens[index + 4].kind == .string,
                let start = tokens[..<index].lastIndex(where: { $0.text == "let" })
            else { continue }
            found[tokens[start + 1].text] = tokens[index + 4].text
        }
        return found
    }

    /// The index of the bracket that closes the one at `start`.
    private static func end(of tokens: ArraySlice<Token>, from start: Int) -> Int {
        var depth = 0
        for index in start..<tokens.endIndex where tokens[index].kind == .symbol {
            if "([{".contains(tokens[index].text) { depth += 1 }
            if ")]}".contains(tokens[index].text) { depth -= 1 }
            if depth == 0 { return index }
        }
        return tokens.endIndex
    }

    /// The index of the value of the argument called `label`.
    private static func argument(_ label: String, in body: ArraySlice<Token>) -> Int? {
        body.indices.dropLast(2).first { body[$0].text == label && body[$0 + 1].text == ":" }.map { $0 + 2 }
    }

    private static func string(_ label: String, in body: ArraySlice<Token>) -> String? {
        argument(label, in: body).flatMap { body[$0].kind == .string ? body[$0].text : nil }
    }

    private static func word(_ label: String, in body: ArraySlice<Token>) -> String {
        argument(label, in: body).flatMap { body[$0].kind == .word ? body[$0].text : nil } ?? ""
    }

    private static func list(_ label: String, in body: ArraySlice<Token>) -> ArraySlice<Token> {
        guard let start = argument(label, in: body) else { return [] }
        return body[start..<end(of: body, from: start)]
    }
}
