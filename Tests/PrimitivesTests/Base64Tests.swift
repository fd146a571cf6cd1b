import Testing

@testable import Primitives

@Suite struct Base64Tests {
    @Test(
        "Base64 round-trips with and without padding, in both alphabets", arguments: [Base64.Alphabet.standard, .url])
    func roundTrip(alphabet: Base64.Alphabet) {
        for count in 0..<70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37 + count * 11 + 0xF0) }
            let text = Base64.encode(bytes, alphabet)
            #expect(Base64.decode(text, alphabet) == bytes)
            #expect(Base64.decode(text, alphabet, padding: .forbidden) == bytes)
            let padding = [UInt8](repeating: UInt8(ascii: "="), count: (4 - text.count % 4) % 4)
            #expect(Base64.decode(text + padding, alphabet) == bytes)
            #expect(Base64.decode(text + padding, alphabet, padding: .required) == bytes)
        }
        #expect(Base64.encode(Array("foob".utf8), alphabet) == Array("Zm9vYg".utf8))
    }

    @Test("The alphabets differ in two characters; neither takes the other's")
    func alphabets() {
        let bytes: [UInt8] = [0xFB, 0xEF, 0xFF]
        #expect(Base64.encode(bytes) == Array("++//".utf8))
        #expect(Base64.encode(bytes, .url) == Array("--__".utf8))
        #expect(Base64.decode("++//".utf8, .url) == nil)
        #expect(Base64.decode("--__".utf8) == nil)
        #expect(Base64.decode("--__".utf8, .url) == bytes)
    }

    @Test("What is not base64 is refused, and padding that is missing or not wanted")
    func refusals() {
        for bad in ["A", "Zm9v!", "Zg=a", "Zm9vY", "Zg===", "Zm 9"] {
            #expect(Base64.decode(bad.utf8) == nil)
        }
        #expect(Base64.decode("Zg".utf8, padding: .required) == nil)
        #expect(Base64.decode("Zg=".utf8, padding: .required) == nil)
        #expect(Base64.decode("Zg==".utf8, padding: .forbidden) == nil)
    }

    @Test("PEM blocks are read by label, others are passed over, and what is cut or damaged is named")
    func pem() throws {
        let file = """
            a word before
            -----BEGIN OTHER-----
            not base64 at all!
            -----END OTHER-----
            -----BEGIN A KEY-----\r
              Zm9v
            YmE=\u{20}
            -----END A KEY-----
            -----BEGIN B-----
            -----END B-----
            """
        #expect(
            try PEMBlock.read(Array(file.utf8), labels: ["A KEY", "B"]) == [
                PEMBlock(label: "A KEY", bytes: Array("fooba".utf8)), PEMBlock(label: "B", bytes: []),
            ])
        #expect(try PEMBlock.read(Array(file.utf8), labels: ["C"]).isEmpty)
        for (bad, text) in [
            ("-----BEGIN B-----\nZm9v", "the block B has no end"),
            ("-----BEGIN B-----\nZm9v\n-----BEGIN B-----\n-----END B-----", "the block B has no end"),
            ("-----BEGIN B-----\nZm9\n-----END B-----", "the block B is not base64"),
        ] {
            #expect(throws: PEMBlock.Malformed(text: text)) { try PEMBlock.read(Array(bad.utf8), labels: ["B"]) }
        }
    }
}
