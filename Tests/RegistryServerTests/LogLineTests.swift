import Glibc
import Logging
import Testing

@testable import RegistryServer

@Suite("Log lines")
struct LogLineTests {
    private func event(_ message: String, _ level: Logger.Level = .warning) -> LogEvent {
        LogEvent(
            level: level, message: "\(message)", metadata: nil, source: "m", file: "RegistryServer/MemberCore.swift",
            function: "f", line: 7)
    }

    @Test("Time is written in UTC with microseconds")
    func time() {
        #expect(LogTime.text(of: (0, 0)) == "1970-01-01T00:00:00.000000Z")
        #expect(LogTime.text(of: (1_709_210_096, 42)) == "2024-02-29T12:34:56.000042Z")
    }

    @Test("A line for people keeps to one line, whatever the message holds")
    func plain() {
        let line = LogText.plain(event("a\nb\u{1B}[2J"), label: "registryd", time: "T", pairs: [("x", "1\n2")])
        #expect(line == "T warning registryd: a b [2J x=1 2")
    }

    @Test("A JSON line has etcd's fields, and the message's own never replace them")
    func json() {
        let line = LogText.json(
            event("say \"hi\"\n\\\u{1}", .critical), label: "registryd", time: "T",
            pairs: [("msg", "other"), ("took", "3ms")])
        let wanted =
            #"{"level":"fatal","ts":"T","logger":"registryd","caller":"RegistryServer/MemberCore.swift:7","#
            + #""msg":"say \"hi\"\n\\\u0001","field.msg":"other","took":"3ms"}"#
        #expect(line == wanted)
    }

    @Test("Lines are appended to files, and a file that cannot be opened is named")
    func files() throws {
        let directory = try scratch()
        defer { remove(directory) }
        var settings = LogSettings()
        settings.outputs = [.file("\(directory)/a.log"), .file("\(directory)/b.log")]
        for _ in 1...2 {
            let make = try settings.handlers()
            var logger = Logger(label: "x", factory: make)
            logger[metadataKey: "member"] = "7"
            logger.info("hello", metadata: ["n": "1"])
            logger.debug("not this")
        }
        for name in ["a.log", "b.log"] {
            let file = try #require(fopen("\(directory)/\(name)", "r"))
            defer { fclose(file) }
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let lines = String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
                .split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.allSatisfy { $0.hasSuffix(" info x: hello member=7 n=1") })
        }
        settings.outputs = [.file("\(directory)/none/c.log")]
        #expect(throws: ConfigurationError("--log-outputs \(directory)/none/c.log: No such file or directory")) {
            try settings.handlers()
        }
    }
}
