import Testing

@Suite struct LexerTests {
    private func words(_ source: String) -> [String] {
        Lexer(source).tokens.filter { $0.kind == .word }.map(\.text)
    }

    @Test("Comments and strings are not code")
    func commentsAndStrings() {
        #expect(words("let a = \"Task\" // await\n/* async /* actor */ Date */ let b") == ["let", "a", "let", "b"])
        #expect(words("let a = #\"say \"Task\"\"# + \"\"\"\n  Date \"quoted\"\n  \"\"\"; b") == ["let", "a", "b"])
    }

    @Test("Code inside an interpolation is code")
    func interpolation() {
        #expect(words("print(\"at \\(Date(f(1))) or \\\"x\\\"\") + y") == ["print", "Date", "f", "y"])
        #expect(words("#\"at \\(Date()) \\#(now(\"in )\"))\"#") == ["now"])
    }

    @Test("Fractions are one number; ranges and tuple members are not")
    func numbers() {
        let numbers = Lexer("0.5 0...5 pair.0.1 $0.1.high 1_000.25 0xFF.count 2e3").tokens.filter { $0.kind == .number }
            .map(
                \.text)
        #expect(numbers == ["0.5", "0", "5", "0", "1", "1", "1_000.25", "0xFF", "2e3"])
    }

    @Test("Lines are counted through strings and comments of many lines")
    func lines() {
        let lexer = Lexer("/* 1\n2 */ a\n\"\"\"\n4\n\"\"\" + b\nc")
        #expect(lexer.tokens.map(\.line) == [2, 3, 5, 5, 6])
        #expect(lexer.comments.map(\.lines) == [1...2])
    }

    @Test(
        "An unfinished string or comment ends with the file",
        arguments: ["\"abc", "/* abc", "#\"a\"", "\"\\(f(", "\"\\"])
    func unfinished(_ source: String) {
        #expect(Lexer(source).tokens.count <= 3)
    }

    @Test("Imports are found with their access and kind")
    func imports() {
        let file = SourceFile(
            path: "a", text: "import A\npackage import B\n@preconcurrency import struct C.D\nlet x = y.import")
        #expect(file.imports.map(\.module) == ["A", "B", "C"])
        #expect(file.imports.map(\.line) == [1, 2, 3])
    }
}
