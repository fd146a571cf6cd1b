import ArgumentParser
import RegistryClient

/// `registryctl history KEY`: who changed it, when, and why.
struct HistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Shows every change of a key that is still known, and who made it.",
        usage: "registryctl history <key> [--from <revision>] [--limit <count>]")
    @Option(name: .customLong("from"), help: "The first revision to show.")
    var first: Int64 = 0
    @Option(help: "At most so many changes, oldest first (default: all).")
    var limit: Int64 = 0
    @Argument(help: "The key.")
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        guard words.count == 1 else { throw CtlError.arguments("history command needs one argument as key") }
        guard first >= 0, limit >= 0 else { throw CtlError.arguments("--from and --limit must not be negative") }
        let format = try globals.format()
        if format == .fields { throw CtlError.feature("fields not supported as output format") }
        let key = Array(words[0].utf8)
        let result = try await globals.withRegistry { try await Self.all(key, from: first, limit: limit, of: $0) }
        switch format {
        case .json: Terminal.output(HistoryText.json(result) + "\n")
        case .table: Terminal.output(TablePrinter.table(HistoryText.headings, HistoryText.rows(result, globals.hex)))
        case .simple, .fields: Terminal.output(HistoryText.aligned(result, globals.hex))
        }
        if result.compactRevision > max(first, 1) {
            Terminal.error("what was superseded before revision \(result.compactRevision) has been compacted")
        }
    }

    /// Answer by answer, as long as there is more.
    private static func all(_ key: [UInt8], from first: Int64, limit: Int64, of registry: Registry) async throws
        -> HistoryResult
    {
        var result = try await registry.history(HistoryRequest(key: key, fromRevision: first, limit: limit))
        while result.more, let last = result.entries.last, limit == 0 || result.entries.count < Int(limit) {
            let rest = limit == 0 ? 0 : limit - Int64(result.entries.count)
            let next = try await registry.history(
                HistoryRequest(key: key, fromRevision: last.revision + 1, limit: rest))
            result.entries += next.entries
            result.more = next.more && !next.entries.isEmpty
            result.compactRevision = next.compactRevision
        }
        return result
    }
}

/// Histories for people and for programs.
enum HistoryText {
    static let headings = [
        "REVISION", "TIME", "KIND", "VERSION", "LEASE", "MEMBER", "USER", "PEER", "REASON", "VALUE",
    ]

    static func rows(_ result: HistoryResult, _ hex: Bool) -> [[String]] {
        result.entries.map { entry in
            [
                "\(entry.revision)", UTCText.text(milliseconds: entry.commitTimeMilliseconds),
                entry.isDelete ? "delete" : "put", "\(entry.version)", lease(entry), member(entry), dash(entry.user),
                dash(entry.peer), entry.reason.rawValue,
                hex ? String(decoding: GoText.hexBytes(entry.value), as: UTF8.self) : shown(entry.value),
            ]
        }
    }

    /// Columns of one width, for a terminal or a pipe.
    static func aligned(_ result: HistoryResult, _ hex: Bool) -> String {
        aligned([headings] + rows(result, hex))
    }

    static func aligned(_ rows: [[String]]) -> String {
        guard let columns = rows.first?.count else { return "" }
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                let padding = column + 1 < columns ? widths[column] - cell.count + 2 : 0
                line += String(repeating: " ", count: padding)
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }

    static func json(_ result: HistoryResult) -> String {
        var object = JSONObject()
        object.number("compact_revision", result.compactRevision)
        object.objects(
            "entries",
            result.entries.map { entry in
                var object = JSONObject()
                object.string("kind", entry.isDelete ? "delete" : "put")
                object.number("revision", entry.revision)
                object.bytes("value", entry.value)
                object.number("version", entry.version)
                object.number("lease", entry.lease.rawValue)
                object.number("commit_time_ms", entry.commitTimeMilliseconds)
                object.number("member_id", entry.memberID)
                object.string("user", entry.user)
                object.string("peer", entry.peer)
                object.string("reason", entry.reason.rawValue)
                return object
            })
        return object.text
    }

    private static func dash(_ text: String) -> String { text.isEmpty ? "-" : text }

    private static func lease(_ entry: HistoryEntry) -> String {
        entry.lease == .none ? "-" : String(UInt64(bitPattern: entry.lease.rawValue), radix: 16)
    }

    private static func member(_ entry: HistoryEntry) -> String { String(entry.memberID, radix: 16) }

    /// The value on one line: control characters as Go escapes them.
    private static func shown(_ value: [UInt8]) -> String {
        let text = String(decoding: value, as: UTF8.self)
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return text }
        return JSONText.string(text)
    }
}
