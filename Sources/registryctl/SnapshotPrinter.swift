import Glibc
import Primitives
import RegistryModel
import Storage

/// What `snapshot status` shows: etcd's four figures first.
enum BackupPrinter {
    static func text(_ contents: BackupContents, _ format: OutputFormat) -> [UInt8] {
        let header = contents.header
        let hash = UInt32(truncatingIfNeeded: header.stream.digest.low)
        switch format {
        case .simple:
            let figures = [
                String(hash, radix: 16), "\(header.revision.number)", "\(contents.revisions)",
                GoText.byteCount(header.fileBytes),
            ]
            return Array((figures.joined(separator: ", ") + "\n").utf8)
        case .table: return TablePrinter.table(["FIELD", "VALUE"], rows(contents).map { [$0.0, $0.1] })
        case .fields:
            var out = Output()
            for (name, value) in rows(contents) { out.line("\"\(name)\" : \(value)") }
            return out.bytes
        case .json:
            var object = JSONObject()
            object.raw("hash", "\(hash)")
            object.raw("revision", "\(header.revision.number)")
            object.raw("totalKey", "\(contents.revisions)")
            object.raw("totalSize", "\(header.fileBytes)")
            object.raw("compactRevision", "\(header.compactRevision.number)")
            object.raw("totalLease", "\(contents.leases)")
            object.raw("raftIndex", "\(header.stream.position.index.number)")
            object.raw("raftTerm", "\(header.stream.position.term.number)")
            object.string("clusterID", String(header.cluster.number, radix: 16))
            object.string("memberID", String(header.member.number, radix: 16))
            object.string("created", Offline.utc(header.createdMilliseconds))
            object.string("digest", header.stream.digest.hexadecimal)
            return Array((object.text + "\n").utf8)
        }
    }

    private static func rows(_ contents: BackupContents) -> [(String, String)] {
        let header = contents.header
        let names = contents.members.map { $0.name.isEmpty ? String($0.id.number, radix: 16) : $0.name }
        return [
            ("REVISION", "\(header.revision.number)"),
            ("COMPACT REVISION", "\(header.compactRevision.number)"),
            ("TOTAL KEYS", "\(contents.revisions)"),
            ("TOTAL LEASES", "\(contents.leases)"),
            ("TOTAL SIZE", GoText.byteCount(header.fileBytes)),
            ("CREATED", Offline.utc(header.createdMilliseconds)),
            ("CLUSTER", String(header.cluster.number, radix: 16)),
            ("MEMBERS", names.joined(separator: ",")),
            ("SAVED BY MEMBER", String(header.member.number, radix: 16)),
            ("RAFT TERM", "\(header.stream.position.term.number)"),
            ("RAFT INDEX", "\(header.stream.position.index.number)"),
            ("HASH", header.stream.digest.hexadecimal),
        ]
    }
}

/// What commands that work on files need beside the storage.
enum Offline {
    /// The storage's errors as the program's.
    static func run<Result>(_ body: () throws(StorageError) -> Result) throws(CtlError) -> Result {
        do throws(StorageError) {
            return try body()
        } catch {
            throw .failed("\(error)")
        }
    }

    /// To the second.
    static func wallMilliseconds() -> Int64 {
        Int64(time(nil)) * 1_000
    }

    /// As `2026-01-31T12:00:00Z`.
    static func utc(_ milliseconds: Int64) -> String {
        var seconds = time_t(milliseconds / 1_000)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "\(milliseconds) ms" }
        var text = [CChar](repeating: 0, count: 64)
        let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: text[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
