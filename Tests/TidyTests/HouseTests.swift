import Testing

@Suite struct HouseTests {
    private let repository = Repository.current

    @Test("Every source file keeps the house rules")
    func sources() {
        for target in repository.manifest.targets where target.kind == .target || target.kind == .executableTarget {
            // A type may share its name with a module that nobody sees together with it.
            let names = Set([target.name] + target.dependencies)
            for file in repository.sources(of: target) {
                for violation in HouseRules.check(file, module: target.name, moduleNames: names) {
                    Issue.record("\(violation)")
                }
            }
        }
    }

    @Test("No leftovers and no path of one machine in any text file")
    func texts() {
        for (path, text) in repository.texts {
            for violation in HouseRules.check(text: text, path: path) { Issue.record("\(violation)") }
        }
        for file in repository.sources {
            for violation in HouseRules.checkComments(file) { Issue.record("\(violation)") }
        }
    }

    @Test("Test files stay readable too")
    func testLengths() {
        for file in repository.sources where file.path.hasPrefix("Tests/") {
            let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
            #expect(lines <= HouseRules.linesMax, "\(file.path) has \(lines) lines")
        }
    }

    @Test("The scan reads the repository and not an empty folder")
    func scope() {
        #expect(repository.sources.count > 20)
        #expect(repository.sources.contains { $0.path == "Sources/Primitives/Instant.swift" })
        #expect(repository.sources.contains { $0.path == "Tests/TidyTests/HouseTests.swift" })
        #expect(!repository.sources.contains { $0.path.hasSuffix(".pb.swift") || $0.path.contains(".build") })
    }

    @Test("The README names the two commands of a newcomer", arguments: ["make demo", "make test"])
    func readme(_ command: String) throws {
        let readme = try #require(repository.text(of: "README.md"))
        #expect(readme.contains(command))
    }

    @Test(
        "A planted violation is found",
        arguments: [
            "import Foundation", "public struct A {}", "open class A {}", "public import Raft",
            "nonisolated(unsafe) var x = 1",
            "final class A: @unchecked Sendable {}", "struct Raft {}", "enum Watch { case a }",
        ])
    func planted(_ source: String) {
        #expect(violations(source).count == 1, "\(violations(source))")
    }

    @Test(
        "What only looks like a violation passes",
        arguments: [
            "import FoundationEssentials", "// public struct A {}", "let s = \"public struct A\"",
            "nonisolated func f() {}",
            "/// Guarded by `lock`.\nfinal class A: @unchecked Sendable {}", "struct RaftNode {}",
            "case open, closed(open: Bool)",
            "var ending = Ending.open\nvar next = 1",
            "#if canImport(FoundationEssentials)\nimport FoundationEssentials\n#else\nimport Foundation\n#endif",
        ])
    func innocent(_ source: String) {
        #expect(violations(source).isEmpty, "\(violations(source))")
    }

    @Test("A file of 500 lines passes, one more is too long")
    func length() {
        #expect(violations(String(repeating: "let x = 1\n", count: 500)).isEmpty)
        #expect(violations(String(repeating: "let x = 1\n", count: 501)).map(\.line) == [501])
    }

    @Test("The two libraries may be public")
    func publicLibraries() {
        let file = SourceFile(path: "a", text: "public struct Client {}")
        #expect(HouseRules.check(file, module: "RegistryClient", moduleNames: []).isEmpty)
    }

    @Test(
        "Leftovers are found in any text",
        arguments: ["# TO" + "DO: x", "x // FIX" + "ME", "HA" + "CK", "cd /ho" + "me/x", "XX" + "X y"])
    func plantedText(_ text: String) {
        #expect(HouseRules.check(text: "first\n\(text)\n", path: "a.md").map(\.line) == [2])
    }

    @Test(
        "Longer words and other paths are not leftovers",
        arguments: ["mktemp /tmp/a.XXXXXX", "TO" + "DOs", "/network/x", "the ha" + "ck"])
    func innocentText(_ text: String) {
        #expect(HouseRules.check(text: text, path: "a.md").isEmpty)
    }

    @Test("A comment that puts something off is found, a string is not")
    func putOff() {
        #expect(HouseRules.checkComments(SourceFile(path: "a", text: "// Good enough for " + "now.")).count == 1)
        #expect(HouseRules.checkComments(SourceFile(path: "a", text: "let s = \"for " + "now\"")).isEmpty)
    }

    private func violations(_ source: String) -> [Violation] {
        HouseRules.check(
            SourceFile(path: "Sources/Storage/Planted.swift", text: source), module: "Storage",
            moduleNames: ["Raft", "Watch"])
    }
}
