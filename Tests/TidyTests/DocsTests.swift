import Testing

/// `docs/consensus.md` says where each rule is kept and which test holds it. What it names has to be there.
@Suite struct DocsTests {
    private let repository = Repository.current
    private static let path = "docs/consensus.md"

    @Test("The checklist of consensus names only files, declarations and tests that exist")
    func consensus() throws {
        let text = try #require(repository.text(of: Self.path))
        let checklist = Checklist(text, path: Self.path)
        #expect(checklist.count > 200)
        for violation in checklist.check(against: repository) { Issue.record("\(violation)") }
    }

    @Test(
        "What is not there any more is found",
        arguments: [
            "see `docs/gone.md`",
            "| rule | `Sources/Raft/Gone.swift`: `step` | no test of its own |",
            "| rule | `Sources/Raft/RaftNode.swift`: `stepAside` | no test of its own |",
            "| rule | `Sources/Raft/RaftNode.swift`: `step` | \"Untested\" (`Tests/TidyTests/DocsTests.swift`) |",
            "| rule | `Sources/Raft/RaftNode.swift`: `step` | \"What is not there any more is found\" |",
            "| rule | `Sources/Raft/RaftNode.swift`: `step` | tested |",
            "| rule | no test of its own |",
        ])
    func planted(_ line: String) {
        let found = Checklist(line, path: "a.md").check(against: repository)
        #expect(found.count == 1, "\(found)")
    }

    @Test(
        "What is there passes",
        arguments: [
            "see `docs/consensus.md` and `registryd`",
            "| Rule | Code | Test |\n|---|---|---|",
            "| `rule` \"x\" | `Sources/Raft/RaftNode.swift`: `step`, `init` | no test of its own |",
            "| rule | `Package.swift` | \"What is there passes\" (`Tests/TidyTests/DocsTests.swift`) |",
        ])
    func innocent(_ text: String) {
        let found = Checklist(text, path: "a.md").check(against: repository)
        #expect(found.isEmpty, "\(found)")
    }
}

/// A document whose tables have three columns: a rule, the code (files, each with declarations in it), and the tests
/// (names in quotation marks, then their file). Files and declarations stand between back ticks.
struct Checklist {
    private struct Mark {
        var text: String
        /// Between quotation marks.
        var isTest: Bool

        var isPath: Bool { !isTest && (text.hasSuffix(".swift") || text.hasSuffix(".md")) }
    }

    private let path: String
    private let lines: [Substring]

    init(_ text: String, path: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// How many rules there are.
    var count: Int {
        lines.filter { Self.isRow($0) }.count
    }

    func check(against repository: Repository) -> [Violation] {
        var found: [Violation] = []
        for (index, line) in lines.enumerated() {
            var messages: [String] = []
            for mark in Self.marks(in: line) where mark.isPath && repository.text(of: mark.text) == nil {
                messages.append("there is no \(mark.text)")
            }
            if Self.isRow(line) { messages += Self.check(row: line, against: repository) }
            found += messages.map { Violation(path: path, line: index + 1, message: $0) }
        }
        return found
    }

    private static func isRow(_ line: Substring) -> Bool {
        line.hasPrefix("| ") && !line.hasPrefix("| Rule ")
    }

    private static func check(row: Substring, against repository: Repository) -> [String] {
        let cells = row.split(separator: "|", omittingEmptySubsequences: false)
        guard cells.count == 5 else { return ["a row has three cells, not \(cells.count - 2)"] }
        return missingDeclarations(cells[2], in: repository) + missingTests(cells[3], in: repository)
    }

    private static func missingDeclarations(_ cell: Substring, in repository: Repository) -> [String] {
        var missing: [String] = []
        var file: SourceFile?
        for mark in marks(in: cell) where !mark.isTest {
            if mark.isPath {
                file = source(mark.text, in: repository)
            } else if let file, !file.tokens.contains(where: { $0.kind == .word && $0.text == mark.text }) {
                missing.append("there is no \(mark.text) in \(file.path)")
            }
        }
        return missing
    }

    private static func missingTests(_ cell: Substring, in repository: Repository) -> [String] {
        var missing: [String] = []
        var waiting: [String] = []
        var count = 0
        for mark in marks(in: cell) {
            if mark.isTest {
                waiting.append(mark.text)
                count += 1
            } else if mark.isPath {
                if let file = source(mark.text, in: repository) {
                    for name in waiting where !hasTest(name, in: file) {
                        missing.append("there is no test '\(name)' in \(file.path)")
                    }
                }
                waiting = []
            }
        }
        missing += waiting.map { "the test '\($0)' is named without its file" }
        if count == 0, !cell.hasPrefix(" no test of its own") {
            missing.append("a rule names a test or says 'no test of its own'")
        }
        return missing
    }

    private static func source(_ path: String, in repository: Repository) -> SourceFile? {
        repository.sources.first { $0.path == path }
    }

    private static func hasTest(_ name: String, in file: SourceFile) -> Bool {
        let tokens = file.tokens
        return tokens.indices.dropFirst(2).contains { index in
            tokens[index].kind == .string && tokens[index].text == name && tokens[index - 1].text == "("
                && tokens[index - 2].text == "Test"
        }
    }

    /// What stands between back ticks or quotation marks, in order.
    private static func marks(in text: Substring) -> [Mark] {
        var found: [Mark] = []
        var rest = text
        while let start = rest.firstIndex(where: { $0 == "`" || $0 == "\"" }) {
            let inner = rest[rest.index(after: start)...]
            guard let end = inner.firstIndex(of: rest[start]) else { break }
            found.append(Mark(text: String(inner[..<end]), isTest: rest[start] == "\""))
            rest = inner[inner.index(after: end)...]
        }
        return found
    }
}
