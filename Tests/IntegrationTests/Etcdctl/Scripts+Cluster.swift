import Foundation

extension Scripts {
    static func leases(_ console: Console) throws {
        try console.grant(100)
        try console.grant(200)
        try console.run("lease timetolive @1")
        try console.run("lease timetolive @1 -w json", also: [ttl])
        try console.run("put l/1 1 --lease=@1")
        try console.run("put l/2 2 --lease=@1")
        try console.run("put l/3 3 --lease=@2")
        try console.run("put l/2 2 --ignore-lease")
        try console.run("get l/ --prefix -w json")
        try console.run("lease timetolive @1 --keys")
        try console.run("lease timetolive @2 --keys -w json", also: [ttl])
        try console.run("lease list", also: [order])
        try console.run("put l/3 moved --lease=@1")
        try console.run("lease timetolive @2 --keys")
        try console.run("lease revoke @1")
        try console.run("get l/ --prefix")
        try console.run("lease timetolive @1")
        try console.run("lease timetolive @1 --keys -w json")
        try console.run("lease revoke @1")
        try console.run("lease revoke @2 -w json")
        try console.run("lease list")
        try console.run("lease list -w json")
        try console.grant(0)
        try console.run("lease grant 9999999999")
        // Raised to the least that both grant.
        try console.grant(1)
        try console.run("lease revoke @3")
        try console.run("lease revoke @4")
    }

    static func keepAlive(_ console: Console) throws {
        try console.grant(50)
        let number = console.leases.count
        try console.run("lease keep-alive --once @\(number)")
        try console.run("lease keep-alive --once @\(number) -w json")
        try console.run("lease keep-alive --once 1234")
        try console.run("lease revoke @\(number)")
        try console.run("lease keep-alive --once @\(number)")
        try console.grant(2)
        try console.run("put short lived --lease=@\(number + 1)")
        // Two renewals are one second of a lease of two apart, so it lives longer than by itself.
        try console.during("lease keep-alive @\(number + 1)", until: .lines(4), also: [repeated]) { _ in }
        try console.run("get short")
        try eventually("the lease has expired") {
            try console.cluster.etcdctl(["get", "short"]).output.isEmpty
        }
        try console.run("lease timetolive @\(number + 1)")
    }

    static func compaction(_ console: Console) throws {
        let first = try revision(console) + 1
        for number in 1...5 { try console.run("put c \(number)") }
        try console.run("compaction \(first + 2)")
        try console.run("get c --rev=\(first + 1)")
        try console.run("get c --rev=\(first + 2)")
        try console.run("get c --rev=\(first + 3)")
        try console.run("compaction \(first + 2)")
        try console.run("compaction \(first + 1)")
        try console.run("compaction \(first + 1000)")
        try console.run("compaction \(first + 3) --physical -w json")
        try console.run("watch c --rev=\(first)")
        try console.during("watch c --rev=\(first + 3)", until: .text("c\n5\n")) { _ in }
    }

    static func members(_ console: Console) throws {
        try console.run("member list")
        try console.run("member list -w table")
        try console.run("member list -w json")
        try console.run("member list -w fields")
    }

    static func endpoints(_ console: Console) throws {
        let all = console.cluster.endpoints
        try console.run("endpoint status", endpoints: all, also: Normalisation.statusColumns)
        try console.run("endpoint status -w json", endpoints: all, also: Normalisation.status)
        try console.run(
            "endpoint status -w table", endpoints: all,
            also: Normalisation.unpadded + Normalisation.statusColumns)
        try console.run("endpoint health", also: Normalisation.took)
        try console.run("endpoint health -w json", also: [Normalisation("times differ", "\"took\":\"[^\"]*\"", "T")])
        for member in all { try console.run("endpoint health", endpoints: [member], also: Normalisation.took) }
        // Every member answers for itself.
        for member in all { try console.run("get none -w json", endpoints: [member]) }
        for member in all.dropFirst() { try console.run("put from-\(member) 1 -w json", endpoints: [member]) }
    }

    static func lock(_ console: Console) throws {
        try console.during("lock mutex", until: .lines(1), signal: SIGTERM, also: Normalisation.sessionKey) {
            try $0.expect("the lock") { lines($0) == 1 }
            try console.run("get mutex --prefix", also: Normalisation.sessionKey)
            let second = try Console.Background(console, ["lock", "mutex", "--ttl", "5"])
            try eventually("a second one waits") {
                lines(try console.cluster.etcdctl(["get", "mutex", "--prefix", "--keys-only"]).output) >= 2
            }
            guard second.output.isEmpty else { throw TestFailure("two hold the lock: \(second.output)") }
            $0.child.signal(SIGTERM)
            try second.expect("the lock is passed on") { lines($0) == 1 }
            second.child.signal(SIGTERM)
            _ = second.child.wait(seconds: 10)
        }
        try console.run("get mutex --prefix", also: Normalisation.sessionKey)
        try console.run("lock mutex echo held", also: Normalisation.sessionKey)
        try console.run("lock mutex false", also: Normalisation.sessionKey)
        try console.run("get mutex --prefix")
        try console.run("lease list", also: [anyLease])
    }

    static func elect(_ console: Console) throws {
        let keys = Normalisation.sessionKey
        try console.during("elect -l chair", until: .lines(2), also: keys) { listener in
            try console.during("elect chair alice", until: .lines(2), signal: SIGTERM, also: keys) { alice in
                try alice.expect("alice is elected") { lines($0) == 2 }
                try listener.expect("the election is seen") { lines($0) >= 2 }
                try console.run("get chair --prefix", also: keys)
            }
        }
        try console.run("get chair --prefix", also: keys)
        try console.during("elect chair bob", until: .lines(2), signal: SIGTERM, also: keys) { _ in }
        try console.run("lease list", also: [anyLease])
    }

    static func lines(_ text: String) -> Int {
        text.split(separator: "\n").count
    }

    private static let ttl = Normalisation("the time left runs on", "\"ttl\":[0-9]+", "\"ttl\":N")
    private static let anyLease = Normalisation("locks and elections grant their own", "\\n[0-9a-f]{16}", "\n<lease>")
    private static let order = Normalisation("the list has no order", "<lease [0-9]+>", "<lease>")
    private static let repeated = Normalisation(
        "how often it renews before it is stopped is timing", "(lease [^\n]*\n)\\1*", "$1")
}
