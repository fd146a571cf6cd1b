import Primitives

/// What is wrong with a scenario or plan, and where.
package struct ScenarioError: Error, Hashable, CustomStringConvertible {
    package var path: String
    /// Counted from 1; 0 concerns the file as a whole.
    package var line: Int
    package var text: String

    package var description: String { line == 0 ? "\(path): \(text)" : "\(path):\(line): \(text)" }
}

/// The words of one line, taken from the left. Every refusal says what was expected.
struct LineWords {
    private let path: String
    private let line: Int
    private var words: ArraySlice<Substring>

    init(_ words: [Substring], path: String, line: Int) {
        self.path = path
        self.line = line
        self.words = words[...]
    }

    /// Lines that say something, with their numbers from 1: comments cut, commas words of their own.
    static func lines(of text: String, path: String) -> [LineWords] {
        var found: [LineWords] = []
        for (place, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let spoken = line.prefix { $0 != "#" }
            var words: [Substring] = []
            for word in spoken.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" }) {
                words += LineWords.apart(word)
            }
            if !words.isEmpty { found.append(LineWords(words, path: path, line: place + 1)) }
        }
        return found
    }

    /// `m3,m4` is three words.
    private static func apart(_ word: Substring) -> [Substring] {
        var parts: [Substring] = []
        var rest = word
        while let comma = rest.firstIndex(of: ",") {
            if comma > rest.startIndex { parts.append(rest[..<comma]) }
            parts.append(",")
            rest = rest[rest.index(after: comma)...]
        }
        if !rest.isEmpty { parts.append(rest) }
        return parts
    }

    var isEmpty: Bool { words.isEmpty }
    var next: Substring? { words.first }
    /// What was not taken yet, for a reader.
    var rest: String { words.joined(separator: " ") }

    func error(_ text: String) -> ScenarioError { ScenarioError(path: path, line: line, text: text) }

    /// - Parameter what: completes "expected …".
    mutating func word(_ what: String) throws(ScenarioError) -> Substring {
        guard let word = words.popFirst() else { throw error("expected \(what) at the end of the line") }
        return word
    }

    /// Takes the word if it comes next.
    mutating func take(_ word: String) -> Bool {
        guard words.first.map({ $0 == word }) ?? false else { return false }
        words.removeFirst()
        return true
    }

    /// Takes these words if they come next, all of them.
    mutating func take(words wanted: String...) -> Bool {
        guard words.prefix(wanted.count).elementsEqual(wanted, by: { $0 == $1 }) else { return false }
        words.removeFirst(wanted.count)
        return true
    }

    mutating func expect(_ word: String) throws(ScenarioError) {
        let found = try self.word("'\(word)'")
        guard found == word else { throw error("expected '\(word)', found '\(found)'") }
    }

    mutating func end() throws(ScenarioError) {
        if let word = words.first { throw error("expected nothing more, found '\(word)'") }
    }

    mutating func span(_ what: String = "a time such as 2.5s, 300ms or 10min") throws(ScenarioError) -> TimeSpan {
        let word = try word(what)
        guard let span = TimeSpan(scenario: word) else { throw error("expected \(what), found '\(word)'") }
        return span
    }

    mutating func count(_ what: String) throws(ScenarioError) -> Int {
        let word = try word(what)
        guard let number = Int(word), number >= 0 else { throw error("expected \(what), found '\(word)'") }
        return number
    }

    /// `word TIME` if the word comes next.
    mutating func span(after word: String) throws(ScenarioError) -> TimeSpan? {
        take(word) ? try span() : nil
    }
}

extension TimeSpan {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000),
        ("ns", 1),
    ]

    /// `2.5s`, `-300ms`, `+24h`; `0` needs no unit. nil for anything else and for what does not fit.
    init?(scenario text: Substring) {
        if text == "0" {
            self = .zero
            return
        }
        var digits = text
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits.removeFirst() }
        let number = digits.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = digits[number.endIndex...]
        guard let scale = TimeSpan.units.first(where: { $0.name == unit })?.nanoseconds else { return nil }
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = Int64(parts[0]) else { return nil }
        let (total, overflows) = whole.multipliedReportingOverflow(by: scale)
        guard !overflows else { return nil }
        var nanoseconds = total
        if parts.count == 2 {
            guard (1...9).contains(parts[1].count), let fraction = Int64(parts[1]) else { return nil }
            var divisor: Int64 = 1
            for _ in parts[1] { divisor *= 10 }
            // At most 10^9 · 3.6 · 10^12, within an Int128 only.
            let (high, low) = fraction.multipliedFullWidth(by: scale)
            let (sum, exceeds) = nanoseconds.addingReportingOverflow(divisor.dividingFullWidth((high, low)).quotient)
            guard !exceeds else { return nil }
            nanoseconds = sum
        }
        self.init(nanoseconds: isNegative ? -nanoseconds : nanoseconds)
    }

    /// As short as it is exact.
    var scenarioText: String {
        guard nanoseconds != 0 else { return "0" }
        for (name, scale) in TimeSpan.units.dropFirst() where nanoseconds % scale == 0 {
            // Minutes only where they are whole and many: 90s reads better than 1.5min.
            if name == "min", nanoseconds / scale < 2 { continue }
            return "\(nanoseconds / scale)\(name)"
        }
        return "\(nanoseconds)ns"
    }
}
