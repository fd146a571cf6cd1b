import Foundation

/// What is typed at both clusters. Each script starts where the one before has ended, so that revisions grow alike.
enum Scripts {
    typealias Script = @Sendable (Console) throws -> Void

    static let all: [(name: String, script: Script)] = [
        ("put", put), ("get", get), ("del", delete), ("txn", transactions), ("watch", watch),
        ("watch by prefix", watchPrefix), ("lease", leases), ("lease keep-alive", keepAlive),
        ("compaction", compaction), ("output formats", formats), ("protobuf output", protobuf),
        ("watch interactively", watchInteractively), ("member list", members), ("endpoint", endpoints), ("lock", lock),
        ("elect", elect), ("alarm", alarms), ("make-mirror", mirror), ("snapshot save", snapshotSave),
        ("defrag", defragmentation), ("endpoint hashkv", hashes),
        ("users and roles", auth), ("member changes", memberChanges), ("move-leader", moveLeader),
    ]

    static func put(_ console: Console) throws {
        try console.run("put greeting hello")
        try console.run("put greeting hullo -w json")
        try console.run("put greeting hey --prev-kv")
        try console.run("put greeting hi --prev-kv -w json")
        try console.run("put greeting", input: "from standard input\n")
        try console.run("put greeting --ignore-value")
        try console.run("put missing --ignore-value")
        try console.run("put '' value")
        try console.run("put orphan value --lease=1234")
        try console.run("put empty ''")
        try console.run("get empty")
    }

    static func get(_ console: Console) throws {
        for (key, value) in [("f1", "c"), ("f2", "a"), ("f3", "b"), ("f10", "d"), ("g", "e")] {
            try console.run("put \(key) \(value)")
        }
        try console.run("put f1 z")
        for options in [
            "f1", "f1 -w json", "f1 -w fields", "f --prefix", "f --prefix -w json", "f1 f3", "f2 --from-key",
            "f --prefix --limit=2", "f --prefix --limit=2 -w json", "f --prefix --rev=8", "f1 --rev=9 -w json",
            "f --prefix --keys-only", "f --prefix --count-only", "f --prefix --count-only -w fields",
            "f --prefix --count-only -w json", "f1 --print-value-only", "f1 --hex", "none", "none -w json",
            "f --prefix --sort-by=value", "f --prefix --sort-by=value --order=DESCEND",
            "f --prefix --sort-by=modify --order=ASCEND", "f --prefix --sort-by=create --order=DESCEND",
            "f --prefix --sort-by=version --order=DESCEND --limit=1", "f --prefix --order=DESCEND --limit=2",
            "'' --prefix --keys-only", "'' --from-key --limit=1", "f1 --consistency=s", "f --prefix --rev=100000",
            "f3 f1", "'' --limit=1",
        ] { try console.run("get \(options)") }
    }

    static func delete(_ console: Console) throws {
        try console.run("del none")
        try console.run("del g")
        try console.run("del g -w json")
        try console.run("del f2 --prev-kv")
        try console.run("put f2 again")
        try console.run("del f1 f3 --prev-kv -w json")
        try console.run("del f --prefix")
        try console.run("put h1 1")
        try console.run("put h2 2")
        try console.run("put i 3")
        try console.run("del h2 --from-key --prev-kv")
        try console.run("del h --prefix --prev-kv")
        try console.run("get '' --prefix --keys-only")
        try console.run("del ''")
    }

    static func transactions(_ console: Console) throws {
        func txn(_ lines: String..., options: String = "") throws {
            try console.run("txn\(options)", input: lines.joined(separator: "\n") + "\n")
        }
        try console.run("put account 10")
        try txn("value(\"account\") = \"10\"", "", "put account 20", "get account", "", "put account 0", "")
        try txn("value(\"account\") = \"10\"", "", "put account 30", "", "get account", "put failed yes", "")
        try txn(
            "mod(\"account\") > \"1\"", "version(\"account\") = \"2\"", "create(\"none\") = \"0\"",
            "value(\"account\") != \"x\"", "", "put a 1", "del account", "get a", "", "", options: " -w json")
        try txn("create(\"account\") = \"0\"", "", "put account 1", "put account 2", "", "", "")
        try txn("create(\"account\") = \"0\"", "", "put t/1 1", "put t/2 2", "put t/3 3", "", "")
        try txn("", "get t/ --prefix", "del t/ --prefix", "get t/ --prefix", "", "")
        try txn("", "", "", "", options: " -w json")
        try txn("value(\"account\" = \"10\"", "", "put account 20", "", "", "")
    }

    static func watch(_ console: Console) throws {
        let first = try revision(console) + 1
        try console.run("put w 1")
        try console.run("put w 2")
        try console.run("del w")
        try console.run("put w 3")
        try console.during("watch w --rev=\(first)", until: .text("PUT\nw\n3\n")) { _ in }
        try console.during("watch w --rev=\(first + 1) --prev-kv", until: .text("PUT\nw\n3\nw\n4\n")) { watch in
            try watch.expect("the past") { $0.hasSuffix("PUT\nw\n3\n") }
            try console.run("put other 1")
            try console.run("put w 4")
        }
        try console.during("watch w --rev=\(first) -w json", until: .text("\"NQ==\"")) { watch in
            try watch.expect("the past") { $0.contains("\"NA==\"") }
            try console.run("put w 5")
        }
        try console.during("watch w --rev=\(first) -w fields", until: .text("\"Value\" : \"5\"")) { _ in }
    }

    static func watchPrefix(_ console: Console) throws {
        let first = try revision(console) + 1
        for number in 1...3 { try console.run("put p/\(number) \(number)") }
        try console.run("put q 1")
        try console.run("txn", input: "\nput p/1 x\nput p/2 y\ndel p/3\n\n\n")
        try console.during("watch p/ --prefix --rev=\(first)", until: .text("PUT\np/5\n5\n")) { watch in
            try watch.expect("the past") { $0.contains("DELETE\np/3\n") }
            try console.run("del p/ --prefix")
            try console.run("put q 2")
            try console.run("put p/5 5")
        }
        try console.during("watch p/ p/3 --rev=\(first) -w json", until: .text("\"eQ==\"")) { _ in }
    }

    /// The store's revision, the same in both clusters.
    static func revision(_ console: Console) throws -> Int {
        let outcome = try console.run("get none -w json")
        let digits = outcome.output.components(separatedBy: "\"revision\":").last?.prefix { $0.isNumber }
        guard let digits, let revision = Int(digits) else { throw TestFailure("no revision in \(outcome.output)") }
        return revision
    }
}
