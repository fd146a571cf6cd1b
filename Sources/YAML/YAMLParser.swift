import CYAML

/// What a YAML document is made of, in the order in which it is written.
package enum YAMLEvent: Equatable, Sendable {
    /// `isPlain`: unquoted, so that its text decides its type.
    case scalar(text: String, isPlain: Bool, tag: String?, anchor: String?)
    case sequenceStart(tag: String?, anchor: String?)
    case sequenceEnd
    case mappingStart(tag: String?, anchor: String?)
    case mappingEnd
    case alias(String)
    case documentStart
    case documentEnd
    case streamEnd
}

/// What is no YAML.
package struct YAMLFailure: Error, Equatable, Sendable {
    /// Both from 1.
    package var mark: YAMLParser.Mark
    package var message: String
}

/// libyaml's parser, the one Ruby uses: what a Ruby program reads is read here in the same way.
package final class YAMLParser {
    /// Where an event begins; both from 1.
    package struct Mark: Equatable, Sendable {
        package var line: Int
        package var column: Int
    }

    private let text: [UInt8]
    /// libyaml keeps addresses of its own fields, so the parser must not move.
    private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    private let input: UnsafeMutableBufferPointer<UInt8>

    /// - Parameter text: UTF-8, or UTF-16 with a byte order mark.
    package init(_ text: [UInt8]) {
        self.text = text
        input = .allocate(capacity: max(text.count, 1))
        _ = input.initialize(from: text)
        // Fails only when memory runs out.
        precondition(yaml_parser_initialize(parser) == 1, "libyaml cannot start")
        yaml_parser_set_input_string(parser, input.baseAddress, text.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    /// The next event; after an error or `streamEnd` not to be called again.
    package func next() throws(YAMLFailure) -> (event: YAMLEvent, mark: Mark) {
        while true {
            var raw = yaml_event_t()
            guard yaml_parser_parse(parser, &raw) == 1 else { throw failure() }
            defer { yaml_event_delete(&raw) }
            let mark = Mark(line: Int(raw.start_mark.line) + 1, column: Int(raw.start_mark.column) + 1)
            if let event = Self.event(raw) { return (event, mark) }
        }
    }

    /// Nil for what says nothing about the content.
    private static func event(_ raw: yaml_event_t) -> YAMLEvent? {
        switch raw.type {
        case YAML_SCALAR_EVENT:
            let scalar = raw.data.scalar
            let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            return .scalar(
                text: String(decoding: bytes, as: UTF8.self), isPlain: scalar.plain_implicit == 1,
                tag: string(scalar.tag), anchor: string(scalar.anchor))
        case YAML_SEQUENCE_START_EVENT:
            let start = raw.data.sequence_start
            return .sequenceStart(tag: string(start.tag), anchor: string(start.anchor))
        case YAML_MAPPING_START_EVENT:
            let start = raw.data.mapping_start
            return .mappingStart(tag: string(start.tag), anchor: string(start.anchor))
        case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
        case YAML_MAPPING_END_EVENT: return .mappingEnd
        case YAML_ALIAS_EVENT: return .alias(string(raw.data.alias.anchor) ?? "")
        case YAML_DOCUMENT_START_EVENT: return .documentStart
        case YAML_DOCUMENT_END_EVENT: return .documentEnd
        case YAML_STREAM_END_EVENT: return .streamEnd
        default: return nil
        }
    }

    private static func string(_ text: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        text.map { String(cString: $0) }
    }

    private func failure() -> YAMLFailure {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "cannot be read"
        guard parser.pointee.error != YAML_READER_ERROR else {
            return YAMLFailure(mark: place(ofByte: Int(parser.pointee.problem_offset)), message: problem)
        }
        let mark = parser.pointee.problem_mark
        var message = problem
        if let context = parser.pointee.context {
            message = "\(String(cString: context)): \(problem)"
            let begin = parser.pointee.context_mark.line
            if begin != mark.line { message += " (it begins in line \(begin + 1))" }
        }
        return YAMLFailure(mark: Mark(line: Int(mark.line) + 1, column: Int(mark.column) + 1), message: message)
    }

    private func place(ofByte offset: Int) -> Mark {
        let before = text.prefix(max(offset, 0))
        let line = before.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        return Mark(line: line, column: before.count - start + 1)
    }
}
