/// Where a key stands in its file.
package struct ConfigPlace: Equatable, Sendable, CustomStringConvertible {
    package let file: String
    /// From 1; 0 when the parser does not know.
    package let line: Int

    package init(file: String, line: Int) {
        self.file = file
        self.line = line
    }

    package var description: String { line > 0 ? "\(file):\(line)" : file }
}

/// An untyped configuration tree, filled by whoever parses YAML or JSON. Map order is file order.
package indirect enum ConfigValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    /// A number that is not an `Int64`, as written: `0.5`, `1e3`, a 128-bit seed.
    case decimal(String)
    case string(String)
    case list([ConfigValue])
    case map([ConfigEntry])

    /// "a list", "the text \"x\"": for messages.
    package var kind: String {
        switch self {
        case .null: "nothing"
        case .bool(let value): "\(value)"
        case .int(let value): "the number \(value)"
        case .decimal(let text): "the number \(text)"
        case .string(let text): "the text \"\(text)\""
        case .list: "a list"
        case .map: "a map"
        }
    }

    /// The value under `key`; the last one when the key is repeated, as YAML parsers do. Nil when absent or no map.
    package subscript(key: String) -> ConfigValue? {
        guard case .map(let entries) = self else { return nil }
        return entries.last { $0.key == key }?.value
    }

    /// This tree with `overlay` over it: maps merge key by key, everything else is replaced.
    package func merged(with overlay: ConfigValue) -> ConfigValue {
        guard case .map(var entries) = self, case .map(let upper) = overlay else { return overlay }
        for entry in upper {
            if let place = entries.lastIndex(where: { $0.key == entry.key }) {
                entries[place] = ConfigEntry(
                    entry.key, entries[place].value.merged(with: entry.value), at: entry.place ?? entries[place].place)
            } else {
                entries.append(entry)
            }
        }
        return .map(entries)
    }

    /// The same value as JSON: what is copied verbatim into a registration.
    package var json: JSONValue {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .int(let value): .integer(value)
        case .decimal(let text): ConfigValue.jsonNumber(text)
        case .string(let text): .string(text)
        case .list(let elements): .array(elements.map(\.json))
        case .map(let entries):
            .object(
                entries.enumerated().filter { place, entry in
                    !entries[(place + 1)...].contains { $0.key == entry.key }
                }.map { JSONMember($1.key, $1.value.json) })
        }
    }

    /// `.5` and `+1.` are YAML numbers but not JSON ones.
    private static func jsonNumber(_ text: String) -> JSONValue {
        var body = text.first == "+" ? String(text.dropFirst()) : text
        let sign = body.first == "-" ? "-" : ""
        if !sign.isEmpty { body.removeFirst() }
        if body.first == "." { body = "0" + body }
        while body.count > 1, body.first == "0", body.dropFirst().first?.isNumber == true { body.removeFirst() }
        let candidate = sign + body
        if let value = try? JSONReader.read(Array(candidate.utf8), limits: .payload), case .number = value {
            return value
        }
        return .string(text)
    }
}

/// One `key: value` of a map.
package struct ConfigEntry: Equatable, Sendable {
    package let key: String
    package let value: ConfigValue
    package let place: ConfigPlace?

    package init(_ key: String, _ value: ConfigValue, at place: ConfigPlace? = nil) {
        self.key = key
        self.value = value
        self.place = place
    }
}
