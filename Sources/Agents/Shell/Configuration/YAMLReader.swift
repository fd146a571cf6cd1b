package import AgentCore
import YAML

/// Reads one YAML 1.1 document, of which JSON is a part, into an untyped tree.
///
/// Anchors, aliases and merge keys are resolved. Keys are texts as written. What a file may cost is bounded: by its
/// depth, and by the number of values counted as often as aliases repeat them.
package enum YAMLReader {
    /// How deep lists and maps may be nested.
    package static let depthMax = 64
    /// Values of a file, repeated ones counted each time.
    package static let valuesMax = 500_000

    /// - Parameters:
    ///   - text: UTF-8, or UTF-16 with a byte order mark.
    ///   - file: for messages and places.
    /// - Returns: `.null` for a file without a document.
    /// - Throws: with line and column: what is no YAML, a second document, tags that stand for a program's own types,
    ///   keys that are not texts, aliases without an anchor or to something they are part of, and excess.
    package static func read(_ text: [UInt8], file: String) throws(ConfigFileFailure) -> ConfigValue {
        var composer = YAMLComposer(YAMLParser(text), file: file)
        return try composer.document()
    }
}

/// Builds the tree from the parser's events.
private struct YAMLComposer {
    /// What an anchor stands for; nothing while it is still being read.
    private struct Anchor {
        var value: ConfigValue?
        var values: Int
    }

    private let parser: YAMLParser
    private let file: String
    private var anchors: [String: Anchor] = [:]
    private var values = 0

    init(_ parser: YAMLParser, file: String) {
        self.parser = parser
        self.file = file
    }

    mutating func document() throws(ConfigFileFailure) -> ConfigValue {
        guard try next().event == .documentStart else { return .null }
        let (event, mark) = try next()
        let value = try self.value(event, mark, depth: 0)
        // The document's end comes first.
        _ = try next()
        let (rest, place) = try next()
        guard rest == .streamEnd else { throw failure(place, "a second document begins here; only one is read") }
        return value
    }

    private mutating func value(
        _ event: YAMLEvent, _ mark: YAMLParser.Mark, depth: Int
    ) throws(ConfigFileFailure) -> ConfigValue {
        guard depth <= YAMLReader.depthMax else {
            throw failure(mark, "lists and maps are nested more than \(YAMLReader.depthMax) deep")
        }
        let before = values
        try count(1, mark)
        switch event {
        case .scalar(let text, let isPlain, let tag, let anchor):
            let value = try scalar(text, isPlain: isPlain, tag: tag, mark)
            remember(anchor, value, values - before)
            return value
        case .sequenceStart(let tag, let anchor):
            try check(tag, ["tag:yaml.org,2002:seq"], mark)
            begin(anchor)
            let value = ConfigValue.list(try elements(depth: depth))
            remember(anchor, value, values - before)
            return value
        case .mappingStart(let tag, let anchor):
            try check(tag, ["tag:yaml.org,2002:map"], mark)
            begin(anchor)
            let value = ConfigValue.map(try entries(depth: depth))
            remember(anchor, value, values - before)
            return value
        case .alias(let name): return try alias(name, mark)
        case .sequenceEnd, .mappingEnd, .documentStart, .documentEnd, .streamEnd:
            preconditionFailure("libyaml gave \(event) where a value begins")
        }
    }

    private mutating func elements(depth: Int) throws(ConfigFileFailure) -> [ConfigValue] {
        var elements: [ConfigValue] = []
        while true {
            let (event, mark) = try next()
            if event == .sequenceEnd { return elements }
            elements.append(try value(event, mark, depth: depth + 1))
        }
    }

    /// Entries in file order, repeated keys included; merged ones stand where their `<<` stands and give way to the
    /// map's own.
    private mutating func entries(depth: Int) throws(ConfigFileFailure) -> [ConfigEntry] {
        var entries: [(entry: ConfigEntry, isMerged: Bool)] = []
        while true {
            let (event, mark) = try next()
            if event == .mappingEnd { break }
            let (key, isMerge) = try self.key(event, mark)
            let (valueEvent, valueMark) = try next()
            let value = try self.value(valueEvent, valueMark, depth: depth + 1)
            if isMerge {
                entries += try merged(value, valueMark).map { ($0, true) }
            } else {
                entries.append((ConfigEntry(key, value, at: ConfigPlace(file: file, line: mark.line)), false))
            }
        }
        guard entries.contains(where: \.isMerged) else { return entries.map(\.entry) }
        let own = Set(entries.lazy.filter { !$0.isMerged }.map(\.entry.key))
        var taken: Set<String> = []
        return entries.compactMap { item in
            guard item.isMerged else { return item.entry }
            // Of several merged maps the first one wins.
            return !own.contains(item.entry.key) && taken.insert(item.entry.key).inserted ? item.entry : nil
        }
    }

    private mutating func key(
        _ event: YAMLEvent, _ mark: YAMLParser.Mark
    ) throws(ConfigFileFailure) -> (text: String, isMerge: Bool) {
        switch event {
        case .scalar(let text, let isPlain, _, let anchor):
            try count(1, mark)
            remember(anchor, .string(text), 1)
            return (text, isPlain && text == "<<")
        case .alias(let name):
            guard case .string(let text) = try alias(name, mark) else {
                throw failure(mark, "a key must be a text, *\(name) is none")
            }
            return (text, false)
        case .sequenceStart, .mappingStart: throw failure(mark, "a key must be a text, not a list or a map")
        case .sequenceEnd, .mappingEnd, .documentStart, .documentEnd, .streamEnd:
            preconditionFailure("libyaml gave \(event) where a key begins")
        }
    }

    /// Entries that `<<` brings: of one map, or of several, the first of which wins. Each key once.
    private func merged(_ value: ConfigValue, _ mark: YAMLParser.Mark) throws(ConfigFileFailure) -> [ConfigEntry] {
        switch value {
        case .map(let entries):
            return entries.enumerated().filter { place, entry in
                !entries[(place + 1)...].contains { $0.key == entry.key }
            }.map(\.element)
        case .list(let elements):
            var entries: [ConfigEntry] = []
            for element in elements {
                guard case .map = element else { throw failure(mark, "<< takes maps, found \(element.kind)") }
                entries += try merged(element, mark)
            }
            return entries
        case .null, .bool, .int, .decimal, .string: throw failure(mark, "<< takes a map, found \(value.kind)")
        }
    }

    private func scalar(
        _ text: String, isPlain: Bool, tag: String?, _ mark: YAMLParser.Mark
    ) throws(ConfigFileFailure) -> ConfigValue {
        switch tag {
        case nil: return isPlain ? .plainScalar(text) : .string(text)
        case "!", "tag:yaml.org,2002:str": return .string(text)
        case "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null":
            return .plainScalar(text)
        case .some(let tag): throw failure(mark, "the tag \(tag) is not supported")
        }
    }

    // MARK: Anchors

    private mutating func begin(_ anchor: String?) {
        if let anchor { anchors[anchor] = Anchor(value: nil, values: 0) }
    }

    private mutating func remember(_ anchor: String?, _ value: ConfigValue, _ count: Int) {
        if let anchor { anchors[anchor] = Anchor(value: value, values: count) }
    }

    private mutating func alias(_ name: String, _ mark: YAMLParser.Mark) throws(ConfigFileFailure) -> ConfigValue {
        guard let anchor = anchors[name] else { throw failure(mark, "*\(name) has no anchor &\(name) before it") }
        guard let value = anchor.value else { throw failure(mark, "*\(name) is part of what it stands for") }
        try count(anchor.values, mark)
        return value
    }

    // MARK: Errors

    private func next() throws(ConfigFileFailure) -> (event: YAMLEvent, mark: YAMLParser.Mark) {
        do throws(YAMLFailure) {
            return try parser.next()
        } catch {
            throw failure(error.mark, error.message)
        }
    }

    private mutating func count(_ more: Int, _ mark: YAMLParser.Mark) throws(ConfigFileFailure) {
        values += more
        guard values <= YAMLReader.valuesMax else {
            throw failure(mark, "there are more than \(YAMLReader.valuesMax) values, aliases counted each time")
        }
    }

    private func check(_ tag: String?, _ known: [String], _ mark: YAMLParser.Mark) throws(ConfigFileFailure) {
        guard let tag, tag != "!", !known.contains(tag) else { return }
        throw failure(mark, "the tag \(tag) is not supported")
    }

    private func failure(_ mark: YAMLParser.Mark, _ message: String) -> ConfigFileFailure {
        ConfigFileFailure(file: file, line: mark.line, column: mark.column, message: message)
    }
}
