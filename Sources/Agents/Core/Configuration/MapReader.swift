import Primitives

/// Takes the known keys out of one map, with their types checked, and complains about the rest.
struct MapReader {
    let path: String
    /// Where the map itself is named.
    let place: ConfigPlace?
    private let entries: [ConfigEntry]
    private var known: [String] = []

    init(_ entries: [ConfigEntry], path: String, place: ConfigPlace?) {
        self.entries = entries
        self.path = path
        self.place = place
    }

    func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// The entry of `key`, present even when its value is nothing. Marks the key as known.
    mutating func entry(_ key: String) -> ConfigEntry? {
        known.append(key)
        return entries.last { $0.key == key }
    }

    func has(_ key: String) -> Bool { entries.contains { $0.key == key } }

    mutating func value(_ key: String) -> ConfigEntry? {
        guard let entry = entry(key), entry.value != .null else { return nil }
        return entry
    }

    private func wrongType(_ entry: ConfigEntry, _ wanted: String, _ context: inout DecodingContext) {
        context.error(path(of: entry.key), entry.place, "expected \(wanted), found \(entry.value.kind)")
    }

    mutating func fail(_ key: String, _ message: String, _ context: inout DecodingContext) {
        context.error(path(of: key), entries.last { $0.key == key }?.place ?? place, message)
    }

    mutating func warn(_ key: String, _ message: String, _ context: inout DecodingContext) {
        context.warn(path(of: key), entries.last { $0.key == key }?.place ?? place, message)
    }

    /// A text; a number is taken as its text.
    mutating func text(_ key: String, _ context: inout DecodingContext) -> String? {
        guard let entry = value(key) else { return nil }
        guard let text = MapReader.scalarText(entry.value) else {
            wrongType(entry, "a text", &context)
            return nil
        }
        return text
    }

    mutating func requiredText(_ key: String, _ context: inout DecodingContext) -> String {
        let before = context.errorCount
        if let text = text(key, &context), !text.isEmpty { return text }
        if context.errorCount == before { fail(key, "is required", &context) }
        return ""
    }

    mutating func bool(_ key: String, default fallback: Bool, _ context: inout DecodingContext) -> Bool {
        guard let entry = value(key) else { return fallback }
        guard case .bool(let value) = entry.value else {
            wrongType(entry, "true or false", &context)
            return fallback
        }
        return value
    }

    /// A whole number, also when quoted.
    mutating func integer(_ key: String, in range: ClosedRange<Int64>, _ context: inout DecodingContext) -> Int64? {
        guard let entry = value(key) else { return nil }
        guard let number = MapReader.wholeNumber(entry.value) else {
            wrongType(entry, "a whole number", &context)
            return nil
        }
        guard range.contains(number) else {
            let bound =
                range.upperBound == .max ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
            context.error(path(of: key), entry.place, "\(number) is out of range, it must be \(bound)")
            return nil
        }
        return number
    }

    mutating func decimal(_ key: String, _ context: inout DecodingContext) -> DecimalNumber? {
        guard let entry = value(key) else { return nil }
        guard let text = MapReader.scalarText(entry.value), let number = DecimalNumber(parsing: Text.trimmed(text))
        else {
            wrongType(entry, "a number", &context)
            return nil
        }
        return number
    }

    /// Seconds, not negative.
    mutating func span(_ key: String, _ context: inout DecodingContext) -> TimeSpan? {
        guard let number = decimal(key, &context) else { return nil }
        guard number.billionths >= 0 else {
            fail(key, "a time cannot be negative", &context)
            return nil
        }
        return number.seconds
    }

    /// A list of texts; a single text is a list of one (published examples write it so).
    mutating func lines(_ key: String, _ context: inout DecodingContext) -> [String]? {
        guard let entry = value(key) else { return nil }
        if let text = MapReader.scalarText(entry.value) { return [text] }
        guard case .list(let elements) = entry.value else {
            wrongType(entry, "a list of texts", &context)
            return nil
        }
        var lines: [String] = []
        for (place, element) in elements.enumerated() {
            guard let text = MapReader.scalarText(element) else {
                context.error("\(path(of: key))[\(place)]", entry.place, "expected a text, found \(element.kind)")
                continue
            }
            lines.append(text)
        }
        return lines
    }

    mutating func map(_ key: String, _ context: inout DecodingContext) -> MapReader? {
        guard let entry = value(key) else { return nil }
        guard case .map(let entries) = entry.value else {
            wrongType(entry, "a map", &context)
            return nil
        }
        return MapReader(entries, path: path(of: key), place: entry.place)
    }

    /// The maps of a list of maps, each with its own path.
    mutating func maps(_ key: String, _ context: inout DecodingContext) -> [MapReader] {
        guard let entry = value(key) else { return [] }
        guard case .list(let elements) = entry.value else {
            wrongType(entry, "a list of maps", &context)
            return []
        }
        var readers: [MapReader] = []
        for (place, element) in elements.enumerated() {
            let elementPath = "\(path(of: key))[\(place)]"
            guard case .map(let entries) = element else {
                context.error(elementPath, entry.place, "expected a map, found \(element.kind)")
                continue
            }
            readers.append(MapReader(entries, path: elementPath, place: entries.first?.place ?? entry.place))
        }
        return readers
    }

    /// An option that is understood and changes nothing.
    mutating func accept(_ keys: [String], because why: String, _ context: inout DecodingContext) {
        for key in keys {
            if let entry = value(key) { context.warn(path(of: key), entry.place, "has no effect: \(why)") }
        }
    }

    /// An option whose meaning would be lost silently if it were let through.
    mutating func refuse(_ keys: [String], because why: String, _ context: inout DecodingContext) {
        for key in keys {
            if let entry = value(key) { context.error(path(of: key), entry.place, why) }
        }
    }

    /// Complains about every key that none of the calls above named. To be called last.
    mutating func finish(_ context: inout DecodingContext) {
        for entry in entries where !known.contains(entry.key) {
            let guess = Text.suggestion(for: entry.key, among: known).map { ", did you mean \($0)?" } ?? ""
            switch context.options.unknownKeys {
            case .refuse: context.error(path(of: entry.key), entry.place, "unknown key\(guess)")
            case .warn: context.warn(path(of: entry.key), entry.place, "unknown key, ignored\(guess)")
            }
        }
    }

    /// The entries in file order, each key once with its last value. Marks all as known.
    mutating func all() -> [ConfigEntry] {
        known += entries.map(\.key)
        return entries.enumerated().filter { place, entry in
            !entries[(place + 1)...].contains { $0.key == entry.key }
        }.map(\.element)
    }

    static func scalarText(_ value: ConfigValue) -> String? {
        switch value {
        case .string(let text), .decimal(let text): text
        case .int(let number): String(number)
        case .null, .bool, .list, .map: nil
        }
    }

    static func wholeNumber(_ value: ConfigValue) -> Int64? {
        switch value {
        case .int(let number): number
        case .string(let text): Int64(Text.trimmed(text))
        case .decimal(let text):
            DecimalNumber(parsing: text).flatMap {
                $0.billionths % 1_000_000_000 == 0 ? $0.billionths / 1_000_000_000 : nil
            }
        case .null, .bool, .list, .map: nil
        }
    }
}
