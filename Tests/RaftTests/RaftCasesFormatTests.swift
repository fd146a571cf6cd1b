import Testing

@Suite("RaftCasesFormat")
struct RaftCasesFormatTests {
    @Test("A file is read as blocks of directive, input and expected output")
    func blocks() throws {
        let text = """
            # a comment
              # another one

            first 3 cfg=(1, 2,3) idx=_ none=()
            v1 r2
            v3
            ----
               picture  of two
            ?


            second a \\
              b=c
            ----
            """
        let blocks = try CasesFile.parse(text)
        #expect(blocks.map(\.command) == ["first", "second"])
        #expect(blocks.map(\.line) == [4, 12])
        #expect(blocks[0].words == ["3"])
        #expect(blocks[0].values("cfg") == ["1", "2", "3"])
        #expect(blocks[0].value("idx") == "_")
        #expect(blocks[0].values("none") == [])
        #expect(blocks[0].values("absent") == nil)
        #expect(blocks[0].input == ["v1 r2", "v3"])
        #expect(blocks[0].expected == "   picture  of two\n?\n")
        #expect(blocks[1].words == ["a"])
        #expect(blocks[1].value("b") == "c")
        #expect(blocks[1].expected == "")
    }

    @Test("An output between double separators may have blank lines")
    func framed() throws {
        let blocks = try CasesFile.parse("one\n----\n----\na\n\nb\n----\n----\n\ntwo\n----\nc\n")
        #expect(blocks.map(\.expected) == ["a\n\nb\n", "c\n"])
    }

    @Test("A block without separator and an open parenthesis are named by line")
    func malformed() {
        #expect(throws: CasesFile.Malformed(line: 2, reason: "no line of four dashes follows")) {
            try CasesFile.parse("\nlost\n---\nok\n")
        }
        #expect(throws: CasesFile.Malformed(line: 1, reason: "'(' is not closed")) {
            try CasesFile.parse("vote cfg=(1,2\n----\n")
        }
    }

    @Test("A folder that was asked for is there and has cases")
    func chosenFolder() {
        guard let chosen = CasesFolder.chosen else { return }
        #expect(CasesFolder.path == chosen, "RAFT_CASES names no folder: \(chosen)")
        let kinds: [CasesFolder.Kind] = [.quorum, .confchange, .interaction]
        #expect(kinds.contains { !CasesFolder.files($0).isEmpty }, "RAFT_CASES has no case files: \(chosen)")
    }
}
