/// One row of the table of flags: everything that parsing, `--help`, the documentation and the tests know about it.
struct Flag: Sendable {
    /// What the flag is given.
    enum Form: Hashable, Sendable {
        /// Any text; the placeholder stands for it in the help.
        case text(String)
        /// `--flag`, `--flag=true`, `--flag=false`.
        case toggle
        /// As a toggle it needs no value, and it takes any.
        case anything
        /// A whole number within bounds.
        case number(String, ClosedRange<Int64>)
        /// A span in Go's notation: `90s`, `1h30m`, `1.5h`, `100ms`; not below zero.
        case time
        /// One of these; in any case of letters only where etcd takes that.
        case choice([String], anyCase: Bool = false)
        /// Texts separated by commas.
        case list(String)
    }

    /// What becomes of the flag.
    enum Fate: Sendable {
        /// Acted on.
        case honoured(@Sendable (inout MemberFlags, FlagValue) throws(ConfigurationError) -> Void)
        /// Understood and without effect; the user is told why, unless the value is one of those that ask for nothing.
        case ignored(silentFor: [String] = [], why: String)
        /// Not taken, except for the values that ask for nothing; the text says why and what to do instead.
        case refused(except: [String] = [], why: String)
        /// A former name of another flag.
        case alias(of: String)
    }

    /// The versions of etcd that know the flag.
    enum Versions: Hashable, Sendable {
        /// 3.4 to 3.6.
        case all
        case since(String)
        case until(String)
        case between(String, String)
        /// Not etcd's.
        case ours
    }

    /// Without dashes.
    var name: String
    var form: Form
    /// As written on a command line; nil when there is none to write.
    var standard: String?
    /// etcd's own where it is another.
    var etcdStandard: String?
    var help: String
    var versions: Versions
    /// What is asked of the program rather than of the member has no variable: images set `ETCD_VERSION`.
    var hasVariable = true
    var fate: Fate

    init(
        _ name: String, _ form: Form, standard: String? = nil, etcd: String? = nil, _ versions: Versions = .all,
        help: String, fate: Fate
    ) {
        self.name = name
        self.form = form
        self.standard = standard
        etcdStandard = etcd
        self.help = help
        self.versions = versions
        self.fate = fate
    }

    /// A flag that is acted on.
    init(
        _ name: String, _ form: Form, standard: String? = nil, etcd: String? = nil, _ versions: Versions = .all,
        help: String,
        apply: @escaping @Sendable (inout MemberFlags, FlagValue) throws(ConfigurationError) -> Void
    ) {
        self.init(name, form, standard: standard, etcd: etcd, versions, help: help, fate: .honoured(apply))
    }

    var variable: String {
        "ETCD_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Whether a command line may name the flag alone.
    var standsAlone: Bool { form == .toggle || form == .anything }

    /// What stands behind the name in the help; nil for those that stand alone.
    var placeholder: String? {
        switch form {
        case .toggle, .anything: nil
        case .text(let word), .number(let word, _), .list(let word): word
        case .time: "TIME"
        case .choice(let words, _): words.joined(separator: "|")
        }
    }
}

/// A flag's value as its form reads it.
struct FlagValue: Sendable {
    var flag: String
    /// As given; of a choice, the word.
    var text: String
    /// Of a number; of a time, its nanoseconds.
    var number: Int64 = 0
    /// Of a toggle.
    var isOn = false
    /// Of a list, without empty elements.
    var list: [String] = []

    /// Of a time, rounded up: what is not zero stays above it.
    var milliseconds: Int64 { number / 1_000_000 + (number % 1_000_000 > 0 ? 1 : 0) }
}

extension Flag.Form {
    /// - Throws: `ConfigurationError` with the flag's name and the value.
    func parse(_ text: String, flag: String) throws(ConfigurationError) -> FlagValue {
        var value = FlagValue(flag: flag, text: text)
        switch self {
        case .text, .anything: break
        case .toggle:
            guard let isOn = Flag.Form.truth(of: text) else {
                throw ConfigurationError("--\(flag) '\(text)' is neither true nor false")
            }
            value.isOn = isOn
        case .number(_, let bounds):
            guard let number = Int64(text), bounds.contains(number) else {
                throw ConfigurationError("--\(flag) '\(text)' is not a number \(Flag.Form.describe(bounds))")
            }
            value.number = number
        case .time:
            guard let nanoseconds = Flag.Form.nanoseconds(of: text) else {
                throw ConfigurationError("--\(flag) '\(text)' is not a time like 90s, 30m or 10h")
            }
            value.number = nanoseconds
        case .choice(let words, let anyCase):
            value.text = anyCase ? text.lowercased() : text
            guard words.contains(value.text) else {
                let list = words.dropLast().joined(separator: ", ") + " or \(words[words.count - 1])"
                throw ConfigurationError("--\(flag) '\(text)' is not \(list)")
            }
        case .list:
            value.list = text.split(separator: ",").map { String($0.trimmed) }.filter { !$0.isEmpty }
        }
        return value
    }

    private static func describe(_ bounds: ClosedRange<Int64>) -> String {
        switch (bounds.lowerBound, bounds.upperBound) {
        case (.min, .max): "of 64 bits"
        case (let lower, .max): "of \(lower) or more"
        case (let lower, let upper): "in \(lower)...\(upper)"
        }
    }

    /// Go's spellings.
    static func truth(of text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }

    /// Go's notation, without a sign; nil for anything else, and past 292 years.
    static func nanoseconds(of text: String) -> Int64? {
        if text == "0" { return 0 }
        let units: [(String, Int64)] = [
            ("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000),
            ("m", 60_000_000_000), ("h", 3_600_000_000_000),
        ]
        var rest = text[...]
        var total: Int64 = 0
        while !rest.isEmpty {
            let whole = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(whole.count)
            var fraction: Substring = ""
            if rest.first == "." {
                fraction = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
                rest = rest.dropFirst(1 + fraction.count)
            }
            let word = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
            rest = rest.dropFirst(word.count)
            guard !whole.isEmpty || !fraction.isEmpty, let unit = units.first(where: { $0.0 == word })?.1,
                let part = scaled(whole, fraction, by: unit)
            else { return nil }
            let (sum, isOver) = total.addingReportingOverflow(part)
            if isOver { return nil }
            total = sum
        }
        return text.isEmpty ? nil : total
    }

    private static func scaled(_ whole: Substring, _ fraction: Substring, by unit: Int64) -> Int64? {
        guard let count = whole.isEmpty ? 0 : Int64(whole) else { return nil }
        let (product, isOver) = count.multipliedReportingOverflow(by: unit)
        if isOver { return nil }
        var (total, place) = (product, unit)
        for digit in fraction.utf8 {
            // What does not divide evenly is below a nanosecond's worth of the unit.
            place /= 10
            let (sum, isOver) = total.addingReportingOverflow(Int64(digit - UInt8(ascii: "0")) * place)
            if isOver { return nil }
            total = sum
        }
        return total
    }
}

extension StringProtocol {
    var trimmed: SubSequence {
        var view = self[...]
        while view.first == " " { view = view.dropFirst() }
        while view.last == " " { view = view.dropLast() }
        return view
    }
}
