import RegistryClient
import Testing

@testable import CtlCommands

@Suite struct TextTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test("Bytes are quoted as Go does")
    func quoting() {
        #expect(text(GoText.quoted(Array("a\"b\\\n\t\r".utf8))) == #""a\"b\\\n\t\r""#)
        #expect(text(GoText.quoted([0x61, 0x00, 0x1F, 0x7F, 0xFF, 0xC3])) == #""a\x00\x1f\x7f\xff\xc3""#)
        #expect(text(GoText.quoted([7, 8, 12, 11])) == #""\a\b\f\v""#)
        #expect(text(GoText.quoted(Array("é€😀".utf8))) == "\"é€😀\"")
        #expect(text(GoText.quoted(Array("\u{200b}\u{a0}\u{10ffff}".utf8))) == #""\u200b\u00a0\U0010ffff""#)
    }

    @Test(
        "Lengths of time are written as Go does",
        arguments: [
            (Duration.zero, "0s"), (.nanoseconds(999), "999ns"), (.nanoseconds(1_292_277), "1.292277ms"),
            (.microseconds(1), "1µs"), (.microseconds(1500), "1.5ms"),
            (.seconds(5) + .nanoseconds(3_474_614), "5.003474614s"),
            (.seconds(62), "1m2s"), (.seconds(3600), "1h0m0s"), (.seconds(60), "1m0s"),
        ])
    func durations(duration: Duration, text: String) {
        #expect(GoText.duration(duration) == text)
    }

    @Test("Lengths of time are read as Go does, and nonsense is not")
    func parsedDurations() {
        #expect(GoText.parseDuration("5s") == .seconds(5))
        #expect(GoText.parseDuration("1m30s") == .seconds(90))
        #expect(GoText.parseDuration("100ms") == .milliseconds(100))
        #expect(GoText.parseDuration("1.5h") == .seconds(5400))
        #expect(GoText.parseDuration("0") == .zero)
        for text in ["", "x", "5", "s", "-1s", "5 s", "1..2s", "5sx", "99999999999h"] {
            #expect(GoText.parseDuration(text) == nil, "\(text)")
        }
    }

    @Test(
        "Sizes are written for people",
        arguments: [
            (Int64(0), "0 B"), (9, "9 B"), (10, "10 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234, "1.2 kB"),
            (20_480, "20 kB"), (9_999, "10 kB"), (25_165_824, "25 MB"), (2_147_483_648, "2.1 GB"),
        ])
    func sizes(count: Int64, text: String) {
        #expect(GoText.byteCount(count) == text)
    }

    @Test("Numbers out of range and numbers that are none are told apart")
    func integers() throws {
        #expect(try GoText.parseInteger("-5") == -5)
        #expect(try GoText.parseInteger("ff", radix: 16) == 255)
        for (input, reason) in [
            ("99999999999999999999", "value out of range"), ("zz", "invalid syntax"), ("", "invalid syntax"),
            ("12 ", "invalid syntax"),
        ] {
            let error = #expect(throws: GoParseError.self) { try GoText.parseInteger(input) }
            #expect(error?.message.hasSuffix(reason) == true)
        }
    }

    @Test("Base64 has its padding")
    func base64() {
        for (input, output) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            #expect(JSONText.base64(Array(input.utf8)) == "\"\(output)\"")
        }
        #expect(JSONText.base64([0xFB, 0xFF, 0xFE]) == "\"+//+\"")
    }

    @Test("JSON strings are escaped as Go does")
    func jsonStrings() {
        #expect(JSONText.string("a\"\\\n\u{1}<é") == #""a\"\\\n\u0001\u003cé""#)
    }

    @Test("Global flags may stand anywhere before the double dash")
    func order() {
        #expect(
            ArgumentOrder.normalized(["--endpoints", "x:1", "get", "-w", "json", "a", "--prefix"])
                == ["get", "--endpoints=x:1", "--write-out=json", "a", "--prefix"])
        #expect(
            ArgumentOrder.normalized(["lease", "-wjson", "grant", "5"]) == ["lease", "grant", "--write-out=json", "5"])
        #expect(
            ArgumentOrder.normalized(["put", "--hex", "--", "-w", "--hex"]) == ["put", "--hex", "--", "-w", "--hex"])
        #expect(ArgumentOrder.normalized(["get", "--prefix=false", "a", "--hex=true"]) == ["get", "--hex", "a"])
        #expect(ArgumentOrder.normalized(["get", "--prefix=maybe"]) == ["get", "--prefix=maybe"])
        #expect(ArgumentOrder.normalized(["get", "-o"]) == ["get", "--write-out"])
    }

    @Test("Lines are split into words, quoted ones with their escapes")
    func words() throws {
        #expect(
            try QuotedText.words(#"put "a b" 'c "d"' e\n "x\ty\x41\u00e9\101""#) == [
                "put", "a b", "c \"d\"", "e\\n", "x\tyAéA",
            ])
        #expect(try QuotedText.words("   ") == [])
        for line in ["put \"a", "put 'a", #"put "\q""#, #"put "\x4""#, #"put "\777""#] {
            #expect(throws: CtlError.self, "\(line)") { try QuotedText.words(line) }
        }
    }

    @Test("Comparisons are read with every target and operator")
    func comparisons() throws {
        #expect(try TxnScript.comparison(#"ver("k") = "1""#) == Comparison(.key("k"), .equal, .version(1)))
        #expect(
            try TxnScript.comparison(#"create("k") != "1""#) == Comparison(.key("k"), .notEqual, .createRevision(1)))
        #expect(try TxnScript.comparison(#"m("k") > "1""#) == Comparison(.key("k"), .greater, .modRevision(1)))
        #expect(
            try TxnScript.comparison(#"value("k)") < "a b""#)
                == Comparison(.key("k)"), .less, .value(Array("a b".utf8))))
        #expect(
            try TxnScript.comparison(#"lease("k") = "1f""#)
                == Comparison(.key("k"), .equal, .lease(LeaseID(rawValue: 0x1F))))
        for line in [#"value("k") ! "1""#, #"value("k" = "1""#, #"value"k") = "1""#, #"value("k") ="#, ""] {
            #expect(throws: CtlError.self, "\(line)") { try TxnScript.comparison(line) }
        }
    }

    @Test("A table's columns are as wide as their widest cell")
    func table() {
        let expected = """
            +------+-----+
            | NAME | ERR |
            +------+-----+
            |    a |   b |
            | long |     |
            +------+-----+

            """
        #expect(text(TablePrinter.table(["NAME", "ERR"], [["a", "b"], ["long", ""]])) == expected)
    }

    @Test("What stands behind the double dash of a watch is a program")
    func watchProgram() {
        let split = WatchCommand.split(
            ["k", "sh", "-c", "x"], raw: ["registryctl", "watch", "k", "--", "sh", "-c", "x"])
        #expect(split.keys == ["k"] && split.program == ["sh", "-c", "x"])
        #expect(WatchCommand.split(["k"], raw: ["registryctl", "watch", "k"]).program == [])
    }
}
