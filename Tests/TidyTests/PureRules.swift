/// What modules that decide must not contain: anything whose answer differs between two runs of the same inputs.
enum PureRules {
    /// Words that are banned wherever they stand in code, with the reason that is printed.
    static let bannedWords: [String: String] = [
        "Date": "wall clock; time comes in with the event",
        "Clock": "clock; time comes in with the event",
        "ContinuousClock": "clock; time comes in with the event",
        "SuspendingClock": "clock; time comes in with the event",
        "DispatchTime": "clock; time comes in with the event",
        "DispatchQueue": "queue; what decides does not wait",
        "Thread": "thread; what decides runs where it is called",
        "Task": "concurrency; what decides does not wait",
        "TaskGroup": "concurrency; what decides does not wait",
        "withTaskGroup": "concurrency; what decides does not wait",
        "withThrowingTaskGroup": "concurrency; what decides does not wait",
        "async": "concurrency; what decides does not wait",
        "await": "concurrency; what decides does not wait",
        "actor": "concurrency; what decides is a value",
        "MainActor": "concurrency; what decides is a value",
        "AsyncStream": "concurrency; what decides does not wait",
        "CheckedContinuation": "concurrency; what decides does not wait",
        "Mutex": "lock; what decides is owned by one caller",
        "Atomic": "shared state; what decides is owned by one caller",
        "NSLock": "lock; what decides is owned by one caller",
        "UUID": "randomness; ids come in with the event or from the seeded generator",
        "SystemRandomNumberGenerator": "randomness; use the seeded generator",
        "hashValue": "differs from process to process",
        "Hasher": "differs from process to process",
        "ObjectIdentifier": "an address; differs from run to run",
        "Float": "floating point in a decision",
        "Double": "floating point in a decision",
        "Float32": "floating point in a decision",
        "Float64": "floating point in a decision",
        "print": "output; return an effect",
        "debugPrint": "output; return an effect",
        "Logger": "output; return an effect",
        "FileManager": "files; return an effect",
    ]

    /// Members that draw from the system's generator unless they are given one.
    static let randomMembers: Set = ["random", "shuffled", "shuffle", "randomElement"]

    /// What a dictionary's keys or values may be asked without their order showing.
    static let orderFree: Set = ["sorted", "count", "isEmpty", "contains", "allSatisfy", "min", "max"]

    static func check(
        _ file: SourceFile, allowedImports: [String], unordered: UnorderedNames = UnorderedNames()
    ) -> [Violation] {
        var found: [Violation] = []
        func report(_ line: Int, _ message: String) {
            found.append(Violation(path: file.path, line: line, message: message))
        }
        for (module, line) in file.imports where !allowedImports.contains(module) {
            report(line, "a pure module must not import \(module)")
        }
        for (index, token) in file.tokens.enumerated() {
            switch token.kind {
            case .word:
                if let reason = bannedWords[token.text] {
                    report(token.line, "'\(token.text)' in a pure module (\(reason))")
                } else if randomMembers.contains(token.text), drawsFromSystem(file.tokens, at: index) {
                    report(token.line, "'.\(token.text)' without 'using:' in a pure module (randomness)")
                }
            case .number:
                if isFloatingPoint(token.text) {
                    report(token.line, "'\(token.text)' in a pure module (floating point in a decision)")
                }
            case .string, .symbol: break
            }
        }
        for (line, name) in unordered.iterations(in: file) where !file.hasComment(near: line, containing: "any order") {
            report(
                line,
                "iterates '\(name)', a dictionary or a set, in a pure module; sort first, or say 'any order: ' and why")
        }
        return found
    }

    private static func isFloatingPoint(_ literal: String) -> Bool {
        if literal.hasPrefix("0x") || literal.hasPrefix("0b") || literal.hasPrefix("0o") { return false }
        return literal.contains(".") || literal.contains("e") || literal.contains("E")
    }

    /// Whether a call such as `.shuffled()` names no generator.
    private static func drawsFromSystem(_ tokens: [Token], at index: Int) -> Bool {
        guard index > 0, tokens[index - 1].text == ".", index + 1 < tokens.count, tokens[index + 1].text == "(" else {
            return false
        }
        var depth = 0
        for token in tokens[(index + 1)...] {
            if token.kind == .symbol, token.text == "(" { depth += 1 }
            if token.kind == .symbol, token.text == ")" { depth -= 1 }
            if depth == 0 { return true }
            if depth == 1, token.text == "using" { return false }
        }
        return true
    }
}
