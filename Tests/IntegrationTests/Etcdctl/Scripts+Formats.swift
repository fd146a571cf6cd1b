import EtcdProto
import Foundation

extension Scripts {
    /// Every command in every format; most refuse some, in the client's words.
    static func formats(_ console: Console) throws {
        for format in ["simple", "json", "fields", "table", "simple --hex", "json --hex", "fields --hex", "nonsense"] {
            func run(_ command: String, input: String = "", also: [Normalisation] = []) throws {
                try console.run("\(command) -w \(format)", input: input, also: also)
            }
            try run("put fmt/a \u{1}1")
            try run("put fmt/b 2 --prev-kv")
            try run("get fmt/a")
            try run("get fmt/ --prefix")
            try run("get fmt/ --prefix --count-only")
            try run("get fmt/ --prefix --keys-only")
            try run("get none")
            try run("txn", input: "version(\"fmt/a\") > \"0\"\n\nput fmt/c 3\nget fmt/a\ndel fmt/b\n\n\n")
            try run("del fmt/ --prefix --prev-kv")
            try run("del none")
            let revision = try self.revision(console)
            try run("compaction \(revision)")
            try console.grant(300)
            let lease = "@\(console.leases.count)"
            try console.run("put fmt/leased 1 --lease=\(lease)")
            try run("lease timetolive \(lease) --keys", also: [left])
            try run("lease keep-alive --once \(lease)")
            try run("lease list", also: listed)
            try run("lease revoke \(lease)")
            try run("lease timetolive \(lease)")
            try run("member list")
            try run("endpoint status", also: Normalisation.status + Normalisation.statusFields + columns)
            try run("endpoint health", also: Normalisation.took + columns)
            try run("endpoint health --cluster", also: Normalisation.took + columns + [Normalisation.anyOrder])
        }
    }

    /// Leases of scripts before may run out meanwhile.
    private static let listed = [
        Normalisation("ids are random", "\\n([0-9a-f]{12,16}|<lease [0-9]+>)", "\n<lease>"),
        Normalisation("ids are random", "(\"(id|ID)\" ?: ?)([0-9]{12,}|<lease [0-9]+>)", "$1<lease>"),
        Normalisation("see above", "found [0-9]+ leases", "found N leases"),
        Normalisation("see above", "(\\n<lease>)+", "\n<lease>"),
        Normalisation("see above", "(\"ID\" : <lease>\\n)+", "\"ID\" : <lease>\n"),
        Normalisation("see above", "([{]\"id\":<lease>[}],?)+", "<leases>"),
    ]
    private static let columns = Normalisation.unpadded + Normalisation.statusColumns
    private static let left = Normalisation("the time left runs on", "\"(ttl|TTL)\" ?: ?[0-9]+", "\"$1\":N")

    static func protobuf(_ console: Console) throws {
        let clear: (inout Etcdserverpb_ResponseHeader) -> Void = { $0.raftTerm = 0 }
        try console.protobuf("put pb/a 1", Etcdserverpb_PutResponse.self) { clear(&$0.header) }
        try console.protobuf("put pb/a 2 --prev-kv", Etcdserverpb_PutResponse.self) { clear(&$0.header) }
        try console.protobuf("get pb/ --prefix", Etcdserverpb_RangeResponse.self) { clear(&$0.header) }
        try console.protobuf("del pb/a --prev-kv", Etcdserverpb_DeleteRangeResponse.self) { clear(&$0.header) }
        try console.protobuf("member list", Etcdserverpb_MemberListResponse.self) { clear(&$0.header) }
        try console.grant(300)
        let lease = "@\(console.leases.count)"
        // Only what is a message in the client library has this format.
        try console.run("lease revoke \(lease) -w protobuf", also: [Normalisation.printedTerm])
    }

    /// Watches typed one after the other, and one that runs a command for each event.
    static func watchInteractively(_ console: Console) throws {
        let first = try revision(console) + 1
        try console.run("put wi/a 1")
        try console.run("put wi/b 2")
        try console.during("watch wi/ --prefix --rev=\(first) -- echo seen", until: .lines(8)) { _ in }
        try console.during("watch wi/ --prefix --rev=\(first) --hex", until: .lines(6)) { _ in }
        try console.during("watch wi/a --rev=\(first + 1) --prev-kv -w json", until: .lines(1)) { _ in
            try console.run("del wi/a")
        }
        try console.during("watch wi/a --rev=\(first + 2) --prev-kv -w fields", until: .text("\"Lease\"")) { _ in }
        try console.run("watch")
        try console.run("watch b a")
    }
}
