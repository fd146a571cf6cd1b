import AgentCore
import Testing

@testable import AgentShell

@Suite struct YAMLReaderTests {
    private func read(_ text: String) throws -> ConfigValue {
        try YAMLReader.read(Array(text.utf8), file: "f.yaml")
    }

    /// A tree without places.
    private func json(_ text: String) throws -> String {
        String(decoding: try read(text).json.bytes, as: UTF8.self)
    }

    private func failure(_ text: String) -> String {
        do {
            return "read as \(try read(text))"
        } catch let error as ConfigFileFailure {
            return error.description
        } catch {
            return "another error: \(error)"
        }
    }

    @Test(
        "What published files hold is read as Ruby reads it",
        arguments: [
            ("{\"a\": [1, 2,], \"b\": {\"c\": true,},}", "{\"a\":[1,2],\"b\":{\"c\":true}}"),
            ("{bind_address: \"0.0.0.0\", ports: [80,\t443]}", "{\"bind_address\":\"0.0.0.0\",\"ports\":[80,443]}"),
            ("# comment\na: 1 # more\n", "{\"a\":1}"),
            ("a: yes\nb: 'yes'\nc: \"no\"\nd: off", "{\"a\":true,\"b\":\"yes\",\"c\":\"no\",\"d\":false}"),
            ("a: 0755\nb: 12:30\nc: 0.2\nd: '0.2'", "{\"a\":493,\"b\":750,\"c\":0.2,\"d\":\"0.2\"}"),
            ("a: ~\nb:\nc: null\nd: ''", "{\"a\":null,\"b\":null,\"c\":null,\"d\":\"\"}"),
            ("seed: 340282366920938463463374607431768211455", "{\"seed\":340282366920938463463374607431768211455}"),
            ("a: |\n  one\n  two\nb: >\n  three\n  four\n", "{\"a\":\"one\\ntwo\\n\",\"b\":\"three four\\n\"}"),
            ("a: \"\\u00e9\\n\"\nb: é", "{\"a\":\"é\\n\",\"b\":\"é\"}"),
            ("a: 1\na: 2", "{\"a\":2}"),
            ("8080: x\nyes: y", "{\"8080\":\"x\",\"yes\":\"y\"}"),
            ("a: !!str 5\nb: !!int '5'\nc: ! 5", "{\"a\":\"5\",\"b\":5,\"c\":\"5\"}"),
            ("---\na: 1\n...\n", "{\"a\":1}"),
            ("\u{FEFF}a: 1", "{\"a\":1}"),
            ("[]", "[]"), ("", "null"), ("# nothing\n", "null"), ("---\n", "null"),
        ])
    func published(_ text: String, _ expected: String) throws {
        #expect(try json(text) == expected)
    }

    @Test(
        "Anchors, aliases and merge keys are resolved; a map's own keys win, then the first merged map",
        arguments: [
            ("a: &x [1, 2]\nb: *x", "{\"a\":[1,2],\"b\":[1,2]}"),
            ("base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3", "{\"base\":{\"x\":1,\"y\":2},\"c\":{\"x\":1,\"y\":3}}"),
            ("base: &b {x: 1, y: 2}\nc:\n  y: 3\n  <<: *b", "{\"base\":{\"x\":1,\"y\":2},\"c\":{\"y\":3,\"x\":1}}"),
            (
                "a: &a {x: 1}\nb: &b {x: 2, z: 4}\nc: {<<: [*a, *b], w: 0}",
                "{\"a\":{\"x\":1},\"b\":{\"x\":2,\"z\":4},\"c\":{\"x\":1,\"z\":4,\"w\":0}}"
            ),
            ("a: &k key\n*k : 1", "{\"a\":\"key\",\"key\":1}"),
            ("'<<': {x: 1}", "{\"<<\":{\"x\":1}}"),
            ("a: &x 1\nb: &x 2\nc: *x", "{\"a\":1,\"b\":2,\"c\":2}"),
        ])
    func aliases(_ text: String, _ expected: String) throws {
        #expect(try json(text) == expected)
    }

    @Test("Every entry knows its line, also below lists and in flow maps")
    func places() throws {
        let tree = try read("a: 1\nb:\n  - c: 2\n    d: 3\n  - {e: 4,\n     f: 5}\n")
        guard case .map(let top) = tree, case .list(let elements) = top[1].value, case .map(let first) = elements[0],
            case .map(let second) = elements[1]
        else {
            Issue.record("another shape: \(tree)")
            return
        }
        #expect(top.map { $0.place?.line } == [1, 2])
        #expect(first.map { $0.place?.line } == [3, 4])
        #expect(
            second.map { $0.place } == [ConfigPlace(file: "f.yaml", line: 5), ConfigPlace(file: "f.yaml", line: 6)])
    }

    @Test(
        "A refusal names file, line and column",
        arguments: [
            ("a: 1\nb: [1, 2\nc: 3\n", "f.yaml:3:2: while parsing a flow sequence: did not find expected ',' or ']'"),
            ("a: \"open\n", "f.yaml:2:1: while scanning a quoted scalar: found unexpected end of stream"),
            ("a:\n\t- b\n", "f.yaml:2:1: "),
            ("a: 1\n b: 2\n", "f.yaml:2:3: mapping values are not allowed in this context"),
            ("a: *nobody", "f.yaml:1:4: *nobody has no anchor &nobody before it"),
            ("a: &x\n  b: *x\n", "f.yaml:2:6: *x is part of what it stands for"),
            ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here; only one is read"),
            ("a: !ruby/object:Kernel {}", "f.yaml:1:4: the tag !ruby/object:Kernel is not supported"),
            ("a: !mine 5", "f.yaml:1:4: the tag !mine is not supported"),
            ("[1]: 2", "f.yaml:1:1: a key must be a text, not a list or a map"),
            ("a: &l [1]\n*l : 2", "f.yaml:2:1: a key must be a text, *l is none"),
            ("<<: 5", "f.yaml:1:5: << takes a map, found the number 5"),
            ("<<: [5]", "f.yaml:1:5: << takes maps, found the number 5"),
            ("a: 1\nb: \u{0007}", "f.yaml:2:4: control characters are not allowed"),
        ])
    func refusals(_ text: String, _ expected: String) {
        #expect(failure(text).hasPrefix(expected), "\(failure(text))")
    }

    @Test("Bytes that are no UTF-8 are refused where they stand")
    func encoding() {
        let error = #expect(throws: ConfigFileFailure.self) {
            try YAMLReader.read(Array("a: 1\nb: ".utf8) + [0xC3, 0x28], file: "f.yaml")
        }
        // libyaml names the byte that should have continued the character.
        #expect(error?.line == 2)
        #expect(error?.column == 5)
    }

    @Test("Depth is bounded")
    func depth() throws {
        let max = YAMLReader.depthMax
        _ = try read(String(repeating: "[", count: max) + String(repeating: "]", count: max))
        #expect(failure(String(repeating: "[", count: max + 2)).contains("nested more than 64 deep"))
        // Far deeper than any stack.
        #expect(failure(String(repeating: "[", count: 100_000)).contains("f.yaml:1:"))
    }

    @Test("A bomb of aliases is refused before it goes off")
    func bomb() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 {
            let repeated = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(repeated)]\n"
        }
        #expect(failure(text).contains("more than 500000 values"), "\(failure(text).prefix(200))")
    }

    @Test("Any prefix and any single changed byte of a file is read or refused, never a trap")
    func damage() throws {
        let text = Array("a: &x {b: [1, 'two', \"\\u0033\"], <<: {c: ~}}\nd: *x\ne: |\n  text\nf: !!str 5\n".utf8)
        for length in 0...text.count { _ = try? YAMLReader.read(Array(text[..<length]), file: "f") }
        for place in text.indices {
            for byte: UInt8 in [0, 9, 10, 0x22, 0x26, 0x2A, 0x3A, 0x5B, 0x7D, 0x80, 0xFF] {
                var changed = text
                changed[place] = byte
                _ = try? YAMLReader.read(changed, file: "f")
            }
        }
    }
}
