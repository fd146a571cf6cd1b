/// Rules for every Swift file of the project, and for every text file.
enum HouseRules {
    static let linesMax = 500

    /// Libraries that other packages use; everything else is `package` at most.
    static let publicModules: Set = ["RegistryClient", "RegistryServer"]

    /// What may follow an access modifier; `case open` is none.
    private static let declarationStarts: Set = [
        "actor", "class", "convenience", "enum", "extension", "final", "func", "import", "indirect", "init", "let",
        "mutating",
        "nonisolated", "override", "protocol", "required", "static", "struct", "subscript", "typealias", "var",
    ]

    static func check(_ file: SourceFile, module: String, moduleNames: Set<String>) -> [Violation] {
        var found: [Violation] = []
        func report(_ line: Int, _ message: String) {
            found.append(Violation(path: file.path, line: line, message: message))
        }
        let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
        if lines > linesMax { report(lines, "\(lines) lines; split a file past \(linesMax)") }
        // Foundation costs every program six megabytes of resident memory (ARCHITECTURE.md, "Linking"). As the fallback of
        // FoundationEssentials, where a platform has no such module, it costs nothing.
        let hasSmallOne = file.imports.contains { $0.module == "FoundationEssentials" }
        for (name, line) in file.imports where name == "Foundation" && !hasSmallOne {
            report(line, "imports Foundation; the programs must stay small")
        }
        let tokens = file.tokens
        for (index, token) in tokens.enumerated() where token.kind == .word {
            let next = index + 1 < tokens.count ? tokens[index + 1].text : ""
            let previous = index > 0 ? tokens[index - 1].text : ""
            switch token.text {
            case "public", "open":
                if !publicModules.contains(module), declarationStarts.contains(next),
                    ![".", "case", ","].contains(previous)
                {
                    report(token.line, "'\(token.text)' in \(module); only the two libraries have a public interface")
                }
            case "nonisolated":
                if next == "(" { report(token.line, "'nonisolated(unsafe)'; use a lock or confine the state") }
            case "unchecked":
                if previous == "@", !file.hasComment(near: token.line) {
                    report(token.line, "'@unchecked Sendable' needs a comment that names what makes it safe")
                }
            case "struct", "class", "enum", "actor", "protocol", "typealias":
                if moduleNames.contains(next), previous != "." {
                    report(token.line, "the type \(next) is named like a module")
                }
            default: break
            }
        }
        return found
    }

    /// Spelled in two halves so that this file does not report itself.
    private static let leftovers = ["TO" + "DO", "FIX" + "ME", "HA" + "CK", "XX" + "X"]
    private static let machinePaths = ["/ho" + "me/", "/Us" + "ers/", "/ro" + "ot/"]

    static func check(text: String, path: String) -> [Violation] {
        var found: [Violation] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            for word in leftovers where containsWord(word, in: line) {
                found.append(
                    Violation(path: path, line: index + 1, message: "leftover '\(word)'; finish it or file it"))
            }
            for fragment in machinePaths where contains(fragment, in: line) {
                found.append(Violation(path: path, line: index + 1, message: "'\(fragment)' is a path of one machine"))
            }
        }
        return found
    }

    static func checkComments(_ file: SourceFile) -> [Violation] {
        let phrase = "for " + "now"
        return file.comments.filter { containsWord(phrase, in: $0.text.lowercased()) }.map {
            Violation(
                path: file.path, line: $0.lines.lowerBound, message: "'\(phrase)' in a comment; finish it or file it")
        }
    }

    private static func contains(_ fragment: String, in line: some StringProtocol) -> Bool {
        !ranges(of: fragment, in: line).isEmpty
    }

    private static func containsWord(_ word: String, in line: some StringProtocol) -> Bool {
        let bytes = Array(line.utf8)
        return ranges(of: word, in: line).contains { range in
            (range.lowerBound == 0 || !isWordByte(bytes[range.lowerBound - 1]))
                && (range.upperBound == bytes.count || !isWordByte(bytes[range.upperBound]))
        }
    }

    private static func ranges(of fragment: String, in line: some StringProtocol) -> [Range<Int>] {
        let bytes = Array(line.utf8)
        let wanted = Array(fragment.utf8)
        guard bytes.count >= wanted.count else { return [] }
        return (0...(bytes.count - wanted.count)).filter { bytes[$0] == wanted[0] }
            .map { $0..<($0 + wanted.count) }
            .filter { bytes[$0].elementsEqual(wanted) }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || byte == 0x5F
    }
}
