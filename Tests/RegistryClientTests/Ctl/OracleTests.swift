import Foundation
import RegistryClient
import Testing

/// Runs a program and collects what it says.
private struct Tool {
    let path: String
    let directory: String
    let environment: [String]

    struct Outcome: Equatable {
        var output: String
        /// The lines of standard error that begin with `Error:`, once each: etcdctl repeats some, and logs between them.
        var errors: [String]
        var exitCode: Int32
    }

    /// - Parameter signalAfter: interrupts the program when it has run so long: for those that do not end.
    func run(_ arguments: [String], input: String = "", interruptAfter: Duration? = nil) async throws -> Outcome {
        let name = "\(directory)/\(UUID().uuidString)"
        try Data(input.utf8).write(to: URL(fileURLWithPath: name + ".in"))
        let child = try ChildProcess(
            path, arguments, environment: environment, output: name + ".out", errorOutput: name + ".err",
            input: name + ".in")
        if let interruptAfter {
            try await Task.sleep(for: interruptAfter)
            child.signal(SIGTERM)
        }
        let code = child.wait()
        let output = try Data(contentsOf: URL(fileURLWithPath: name + ".out"))
        let errors = try Data(contentsOf: URL(fileURLWithPath: name + ".err"))
        var lines: [String] = []
        for line in String(decoding: errors, as: UTF8.self).split(separator: "\n") where line.hasPrefix("Error:") {
            if lines.last != String(line) { lines.append(String(line)) }
        }
        // Latin-1, so that bytes that are no text are compared, too.
        return Outcome(output: String(data: output, encoding: .isoLatin1) ?? "", errors: lines, exitCode: code)
    }
}

/// One command line both programs get.
private struct Case {
    var arguments: [String]
    var input = ""
    /// Bring the store into a known state before each of the two.
    var resets = false
    /// Compare the words of the error, too. Off where ours say more, or say it differently.
    var comparesErrors = true
}

/// `registryctl` against `etcdctl`: the same lines, the same answers.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct OracleTests {
    private static let etcdctl = "/usr/bin/etcdctl"

    /// The program under test lies beside the test bundle.
    private static var registryctl: String {
        get throws {
            let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let path = (bundle as NSString).deletingLastPathComponent + "/registryctl"
            guard FileManager.default.isExecutableFile(atPath: path) else {
                throw HarnessError("\(path) is missing")
            }
            return path
        }
    }

    private func with(_ body: (_ theirs: Tool, _ ours: Tool, EtcdCluster) async throws -> Void) async throws {
        let cluster = try await EtcdCluster()
        let directory = NSTemporaryDirectory() + "ganglion-ctl-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let environment = ["PATH=/usr/bin:/bin", "ETCDCTL_ENDPOINTS=\(cluster.endpoints[0])", "ETCDCTL_API=3"]
        let theirs = Tool(path: Self.etcdctl, directory: directory, environment: environment)
        let ours = Tool(path: try Self.registryctl, directory: directory, environment: environment)
        try await body(theirs, ours, cluster)
    }

    private func compare(_ cases: [Case]) async throws {
        try await with { theirs, ours, cluster in
            let registry = try cluster.client()
            try await reset(registry)
            for next in cases {
                var outcomes: [Tool.Outcome] = []
                for tool in [theirs, ours] {
                    if next.resets { try await reset(registry) }
                    var outcome = try await tool.run(next.arguments, input: next.input)
                    outcome.output = Self.masked(outcome.output)
                    if !next.comparesErrors { outcome.errors = outcome.errors.isEmpty ? [] : ["some"] }
                    outcomes.append(outcome)
                }
                #expect(outcomes[0] == outcomes[1], "\(next.arguments) \(next.input)")
            }
            await registry.close()
        }
    }

    /// Numbers that differ because the commands ran one after the other.
    private static func masked(_ text: String) -> String {
        var out = text
        for pattern in [
            #"("(?:[a-z_]*revision|raftIndex|raftAppliedIndex|dbSize|dbSizeInUse)":)\d+"#,
            #"("(?:[A-Za-z]*Revision|RaftIndex|RaftAppliedIndex|DBSize)" : )\d+"#,
            #"("(?:ID|id)":)\d+(?=[^}]*"TTL")"#, #"("ID" : )\d+(?=\n"TTL")"#,
            #"(lease )[0-9a-f]{16}(?= granted with TTL\(6)"#,
        ] {
            out = out.replacingOccurrences(of: pattern, with: "$1N", options: .regularExpression)
        }
        return out
    }

    private func reset(_ registry: Registry) async throws {
        try await registry.delete(DeleteRequest(.all))
        for (key, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("bin", "a\u{1}\"\\\n\u{e9}\u{200b}z")] {
            try await registry.put(PutRequest(key: key, value: value))
        }
    }

    @Test("Reads")
    func reads() async throws {
        let formats = [["-w", "json"], ["-w", "fields"], ["--write-out=simple"], ["--hex"], ["-wjson"]]
        var cases = formats.flatMap { format in
            [
                Case(arguments: ["get", "a"] + format), Case(arguments: format + ["get", "--prefix", ""]),
                Case(arguments: ["get", "nokey"] + format), Case(arguments: ["get", "bin"] + format),
                Case(arguments: ["get", "", "--from-key", "--limit", "2"] + format),
            ]
        }
        cases += [
            ["get", "a", "b"], ["get", "a", "z", "--keys-only"], ["get", "a", "--print-value-only"],
            ["get", "--prefix=true", "b"], ["get", "--prefix=false", "b"], ["get", "a", "--rev", "2"],
            ["get", "--prefix", "", "--sort-by", "VALUE", "--order", "DESCEND"],
            ["get", "--prefix", "", "--sort-by", "MODIFY"], ["get", "--prefix", "", "--sort-by=create", "--limit=1"],
            ["get", "--prefix", "", "--sort-by", "VERSION", "--order", "descend", "--limit", "1"],
            ["get", "a", "--consistency", "s"], ["get", "--", "a"], ["--hex", "get", "a", "--keys-only"],
            ["get", "a", "--keys-only", "--print-value-only"],
        ].map { Case(arguments: $0) }
        try await compare(cases)
    }

    @Test("Refusals of reads and writes: the same words, the same exit codes")
    func refusals() async throws {
        try await compare(
            [
                ["get"], ["get", "a", "b", "--prefix"], ["get", "a", "--from-key", "--prefix"], ["get", ""],
                ["get", "a", "--sort-by", "FOO"], ["get", "a", "--order", "X"], ["get", "a", "--consistency", "x"],
                ["get", "a", "--rev", "100000"], ["get", "a", "--print-value-only", "-w", "json"],
                ["get", "a", "-w", "table"], ["get", "a", "-w", "nonsense"], ["del"], ["del", "a", "--prefix", "b"],
                ["del", ""], ["put"], ["put", "a"], ["put", "a", "1", "--lease", "zz"],
                ["put", "a", "1", "--lease", "1"],
                ["put", "a", "1", "--ignore-value"], ["put", "missing", "--ignore-value"],
                ["put", "missing", "1", "--ignore-lease"], ["put", "", "1"], ["compaction"], ["compaction", "x"],
                ["compaction", "100000"], ["lease", "grant"], ["lease", "grant", "x"],
                ["lease", "grant", "9000000001"],
                ["lease", "grant", "99999999999999999999"], ["lease", "revoke"], ["lease", "revoke", "zz"],
                ["lease", "revoke", "1234"], ["lease", "timetolive"], ["lease", "timetolive", "zz"],
                ["lease", "keep-alive"], ["lease", "keep-alive", "--once", "1234"], ["txn", "x"], ["watch"],
                ["watch", "a", "b", "--prefix"],
            ].map { Case(arguments: $0) })
        // etcdctl prints pages of usage to standard output here; ours points to --help.
        try await with { theirs, ours, _ in
            for arguments in [
                ["get", "--nosuch", "a"], ["nosuch"], ["--nosuch"], ["get", "a", "--limit", "x"],
                ["get", "a", "--command-timeout", "x"],
            ] {
                let pair = [try await theirs.run(arguments), try await ours.run(arguments)]
                #expect(pair[0].exitCode == pair[1].exitCode, "\(arguments)")
                #expect(pair[1].errors.count == 1 && pair[1].output.isEmpty, "\(arguments)")
            }
        }
    }

    @Test("Writes")
    func writes() async throws {
        let formats = [[], ["-w", "json"], ["-w", "fields"], ["--hex"]]
        var cases = formats.flatMap { format in
            [
                Case(arguments: ["put", "a", "9"] + format), Case(arguments: ["put", "a", "9", "--prev-kv"] + format),
                Case(arguments: ["put", "b", "--ignore-value", "--prev-kv"] + format),
                Case(arguments: ["put", "new", "9", "--prev-kv"] + format),
                Case(arguments: ["del", "a", "--prev-kv"] + format), Case(arguments: ["del", "nokey"] + format),
                Case(arguments: ["del", "a", "c", "--prev-kv"] + format),
                Case(arguments: ["del", "--prefix", "b", "--prev-kv"] + format),
            ]
        }
        cases += [
            Case(arguments: ["put", "in"], input: "from\nstandard input\n"), Case(arguments: ["get", "in"]),
            Case(arguments: ["put", "--", "dash", "-x"]), Case(arguments: ["get", "dash"]),
            Case(arguments: ["put", "a", "b", "c"]), Case(arguments: ["del", "--from-key", ""]),
        ]
        for index in cases.indices where cases[index].arguments[0] != "get" { cases[index].resets = true }
        try await compare(cases)
    }

    // Not compared: single quotes, of which etcdctl 3.4 keeps only the first letters.
    @Test("Transactions")
    func transactions() async throws {
        let scripts = [
            "value(\"a\") = \"3\"\nver(\"b\") > \"0\"\n\nput a \"new v\"\nget a\ndel b --prev-kv\n\nget a\n\n",
            "create(\"a\") = \"0\"\n\n\nget a\nget --prefix b --keys-only\n\n",
            "mod(\"a\") < \"1\"\n\n\nput x unquoted\nget x --print-value-only\nput a 1 --prev-kv\n\n",
            "c(\"k\\x39\") = \"0\"\nm(\"a\") != \"0\"\nval(\"a\") = \"3\"\n\ndel nokey\nget a b --limit=1\n\n\n",
            "\n\n\n", "  value(\"a\")   =   \"3\"  \n\n\n\n", "ver(\"a\") = \"1\"\n\n\n\n",
        ]
        let formats = [[], ["-w", "json"], ["-w", "fields"], ["-i"], ["--hex"]]
        try await compare(
            scripts.flatMap { script in
                formats.map { Case(arguments: ["txn"] + $0, input: script, resets: true) }
            })
        try await compare(
            [
                "bogus(\"a\") = \"0\"\n\n\n\n", "version(\"a\") = \"x\"\n\n\n\n",
                "value(\"a\") != \"0\"\n\nfrob a\n\n\n", "value(\"a\") = \"0\"", "\nput a 1\nput a 2\n\n\n",
                "\nput a\n\n\n", "\nget\n\n\n", "nonsense\n\n\n\n",
            ].map { Case(arguments: ["txn"], input: $0) })
        try await compare(
            ["value(a) = \"0\"\n\n\n\n", "mod(\"a\") < 5\n\n\n\n", "\nget a --limit x\n\n\n"].map {
                Case(arguments: ["txn"], input: $0, comparesErrors: false)
            })
    }

    @Test("Leases")
    func leases() async throws {
        let formats = [[], ["-w", "json"], ["-w", "fields"]]
        var cases = formats.flatMap { format in
            [
                Case(arguments: ["lease", "grant", "6000"] + format), Case(arguments: ["lease", "list"] + format),
                Case(arguments: ["lease", "timetolive", "1234"] + format),
            ]
        }
        cases += [
            Case(arguments: ["lease", "keep-alive", "1234"]), Case(arguments: ["lease", "grant", "60", "-w", "table"]),
        ]
        try await compare(cases)
        try await with { theirs, ours, _ in
            let granted = try await ours.run(["lease", "grant", "9000"]).output
            let id = String(granted.split(separator: " ")[1])
            // One key only: etcd promises no order.
            _ = try await ours.run(["put", "a \"b", "v", "--lease", id])
            for format in formats + [["-w", "json", "--hex"]] {
                for arguments in [
                    ["get", "a \"b"], ["lease", "keep-alive", "--once", id], ["lease", "timetolive", id],
                    ["lease", "timetolive", "--keys", id],
                ] {
                    // Seconds may pass between the two.
                    func seconds(_ outcome: Tool.Outcome) -> Tool.Outcome {
                        var outcome = outcome
                        outcome.output = outcome.output.replacingOccurrences(
                            of: "(8999|8998|8997|8996|8995)", with: "89xx", options: .regularExpression)
                        return outcome
                    }
                    let pair = [
                        try await theirs.run(arguments + format), try await ours.run(arguments + format),
                    ].map(seconds)
                    #expect(pair[0] == pair[1], "\(arguments + format)")
                    #expect(pair[1].exitCode == 0 && !pair[1].output.isEmpty)
                }
            }
            #expect(try await ours.run(["lease", "revoke", id]).output == "lease \(id) revoked\n")
            #expect(try await theirs.run(["get", "a \"b"]).output == "")
        }
    }

    @Test("Members and endpoints")
    func cluster() async throws {
        let formats = [[], ["-w", "json"], ["-w", "fields"], ["-w", "table"]]
        try await compare(
            formats.flatMap { format in
                [
                    Case(arguments: ["member", "list"] + format), Case(arguments: ["endpoint", "status"] + format),
                    Case(arguments: ["endpoint", "status", "--cluster"] + format),
                ]
            })
        try await with { theirs, ours, cluster in
            let dead = "127.0.0.1:\(try Ports.take(1)[0])"
            for format in formats {
                for endpoints in [[], ["--cluster"]] {
                    let arguments = ["endpoint", "health"] + endpoints + format
                    let pair = [try await theirs.run(arguments), try await ours.run(arguments)].map { outcome in
                        var outcome = outcome
                        for pattern in [#"[0-9.]+(ms|µs|Âµs)"#, #"-+\+"#, " +"] {
                            outcome.output = outcome.output.replacingOccurrences(
                                of: pattern, with: "-", options: .regularExpression)
                        }
                        return outcome
                    }
                    #expect(pair[0] == pair[1], "\(arguments)")
                }
            }
            let health = try await ours.run([
                "endpoint", "health", "--endpoints", "\(dead),\(cluster.endpoints[0])", "--command-timeout", "300ms",
                "-w", "json",
            ])
            #expect(health.exitCode == 1)
            #expect(health.errors == ["Error: unhealthy cluster"])
            #expect(health.output.contains("\"endpoint\":\"\(dead)\",\"health\":false"))
            #expect(health.output.contains("\"endpoint\":\"\(cluster.endpoints[0])\",\"health\":true"))
        }
    }

    @Test("Changes of the members")
    func memberChanges() async throws {
        try await compare(
            [
                ["member", "add"], ["member", "add", "a", "http://b", "c"], ["member", "add", "a"],
                ["member", "add", "a", "--peer-urls=http://127.0.0.1:1", "b"],
                ["member", "remove"], ["member", "remove", "zz"], ["member", "remove", "1"],
                ["member", "remove", "1", "2"],
                ["member", "remove", "+1"], ["member", "remove", "11111111111111111"], ["member", "update"],
                ["member", "update", "1"], ["member", "update", "x", "--peer-urls=http://127.0.0.1:1"],
                ["member", "update", "1", "--peer-urls=http://127.0.0.1:1"], ["member", "promote"],
                ["member", "promote", "zz"], ["member", "promote", "1"],
            ].map { Case(arguments: $0) })
        try await with { theirs, ours, cluster in
            let registry = try cluster.client()
            var run = 0
            for format in [[], ["-w", "json"]] {
                var pairs: [[Tool.Outcome]] = []
                for tool in [theirs, ours] {
                    // An id comes from the addresses and the second, and one that was removed does not come back.
                    run += 1
                    let host = "127.0.1.\(run)"
                    let urls = "--peer-urls=http://\(host):2,http://\(host):1"
                    var outcomes = [try await tool.run(["member", "add", "n", urls, "--learner"] + format)]
                    let id = try #require(try await registry.members().members.first { $0.isLearner }, "\(outcomes)").id
                    let text = String(id, radix: 16)
                    // An etcd of this age forgets here that it is a learner.
                    for change in [["promote", text], ["update", text, "--peer-urls=http://\(host):3"]] {
                        outcomes.append(try await tool.run(["member"] + change + format))
                    }
                    outcomes.append(try await tool.run(["member", "remove", text] + format))
                    // Both tools print an id in sixteen columns, and one in sixteen begins with a zero.
                    let padded = String(repeating: " ", count: 16 - text.count) + text
                    pairs.append(outcomes.map { Self.unordered($0, without: [padded, text, "\(id)", host]) })
                }
                #expect(pairs[0] == pairs[1], "\(format)")
                #expect(pairs[1].map(\.exitCode) == [0, 1, 0, 0])
            }
            for format in ["fields", "table"] {
                let refused = try await ours.run(["member", "remove", "1", "-w", format])
                #expect(refused.exitCode == 4 && refused.errors == ["Error: \(format) not supported as output format"])
            }
            await registry.close()
        }
    }

    /// Members are listed by their id, which each run draws anew; later etcdctls say that a learner was added as one.
    private static func unordered(_ outcome: Tool.Outcome, without ids: [String]) -> Tool.Outcome {
        var outcome = outcome
        for id in ids { outcome.output = outcome.output.replacingOccurrences(of: id, with: "ID") }
        outcome.output = outcome.output.replacingOccurrences(of: " as learner", with: "")
        let pieces = outcome.output.split { ",\n{}[]\"".contains($0) }
        outcome.output = pieces.map { $0.replacingOccurrences(of: "members:", with: "") }.sorted().joined(
            separator: "|")
        return outcome
    }

    @Test("Alarms")
    func alarms() async throws {
        try await compare(
            [
                ["alarm", "list"], ["alarm", "list", "-w", "json"], ["alarm", "list", "-w", "table"],
                ["alarm", "list", "x"], ["alarm", "disarm"], ["alarm", "disarm", "x"],
            ].map { Case(arguments: $0) })
        try await with { theirs, ours, cluster in
            let registry = try cluster.client()
            for format in [[], ["-w", "json"]] {
                var pairs: [[Tool.Outcome]] = []
                for tool in [theirs, ours] {
                    for alarm in [Alarm(memberID: 5, kind: .noSpace), Alarm(memberID: 6, kind: .corrupt)] {
                        try await registry.raiseAlarm(alarm)
                    }
                    pairs.append([
                        Self.unordered(try await tool.run(["alarm", "list"] + format), without: []),
                        Self.unordered(try await tool.run(["alarm", "disarm"] + format), without: []),
                    ])
                    #expect(try await registry.alarms().alarms.isEmpty)
                }
                #expect(pairs[0] == pairs[1], "\(format)")
                #expect(pairs[1].allSatisfy { $0.exitCode == 0 && $0.output.contains("5") && $0.output.contains("6") })
            }
            await registry.close()
        }
    }

    @Test("Watches")
    func watches() async throws {
        try await with { theirs, ours, _ in
            for line in [["put", "w", "1"], ["put", "w", "2"], ["del", "w"], ["put", "ww", "x"]] {
                _ = try await ours.run(line)
            }
            let hook = ["--", "sh", "-c", "echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"]
            let lines: [[String]] = [
                ["w"], ["w", "--prev-kv"], ["w", "-w", "json", "--prev-kv"], ["w", "-w", "fields", "--prev-kv"],
                ["w", "--hex"], ["w", "--prefix"], ["w", "x", "-w", "json"], ["w"] + hook,
            ]
            for line in lines {
                let arguments = ["watch", "--rev", "2"] + line
                let pair = [
                    try await theirs.run(arguments, interruptAfter: .milliseconds(700)),
                    try await ours.run(arguments, interruptAfter: .milliseconds(700)),
                ]
                #expect(pair[0].output == pair[1].output, "\(arguments)")
                #expect(!pair[1].output.isEmpty)
            }
            _ = try await ours.run(["compaction", "4"])
            for format in [[], ["-w", "json"], ["-w", "fields"]] {
                let arguments = ["watch", "w", "--rev", "2"] + format
                let pair = [try await theirs.run(arguments), try await ours.run(arguments)].map { outcome in
                    // Who ended the watch is not shown by ours.
                    var outcome = outcome
                    for pattern in [
                        #""(cluster_id|member_id|raft_term)":\d+,?"#, #"(?<="(ClusterID|MemberID|RaftTerm)" : )\d+"#,
                    ] {
                        outcome.output = outcome.output.replacingOccurrences(
                            of: pattern, with: "", options: .regularExpression)
                    }
                    return outcome
                }
                #expect(pair[0] == pair[1], "\(arguments)")
            }
        }
    }

    @Test("A registry that cannot be reached is an error within the time given, not a wait for ever")
    func unreachable() async throws {
        try await with { _, ours, _ in
            let dead = "127.0.0.1:\(try Ports.take(1)[0])"
            let start = ContinuousClock.now
            let outcome = try await ours.run(["--endpoints=\(dead)", "--command-timeout=200ms", "get", "a"])
            #expect(outcome.exitCode == 1)
            #expect(outcome.errors.first?.hasPrefix("Error: context deadline exceeded") == true)
            #expect(outcome.errors.first?.contains(dead) == true)
            #expect(ContinuousClock.now - start < .seconds(3))
            let tls = try await ours.run(["--cacert", "x", "get", "a"])
            #expect(tls.exitCode == 128)
            #expect(tls.errors.first == "Error: --cacert: x cannot be read: No such file or directory")
        }
    }

    @Test("The environment of either program is read, the own one first, a flag before both")
    func environment() async throws {
        try await with { _, ours, cluster in
            let good = cluster.endpoints[0]
            let both = Tool(
                path: ours.path, directory: ours.directory,
                environment: [
                    "REGISTRYCTL_ENDPOINTS=\(good)", "ETCDCTL_ENDPOINTS=127.0.0.1:1", "ETCDCTL_WRITE_OUT=json",
                ])
            let json = try await both.run(["get", "a"])
            #expect(json.output.hasPrefix("{\"header\""))
            let simple = try await both.run(["get", "a", "-w", "simple"])
            #expect(simple.output == "" && simple.exitCode == 0)
            let wrong = Tool(
                path: ours.path, directory: ours.directory, environment: ["ETCDCTL_ENDPOINTS=127.0.0.1:1"])
            let flag = try await wrong.run(["--endpoints", good, "get", "a"])
            #expect(flag.exitCode == 0)
        }
    }
}
