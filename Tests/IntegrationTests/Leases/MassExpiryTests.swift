import Foundation
import Testing

extension RealProcesses {
    /// The brake and the history as an operator sees them.
    @Suite struct MassExpiryTests {
        private static let prefix = "/services/web/"

        /// Grants two seconds and registers under them, from an address of the loopback network: a host of its own. Nobody
        /// renews.
        private func register(_ key: String, from address: String, at member: Member) throws {
            func post(_ path: String, _ body: String) throws -> String {
                let outcome = try ChildProcess.run(
                    Programs.debian("curl", package: "curl"),
                    ["-sS", "--interface", address, "-d", body, "http://\(member.endpoint)\(path)"])
                guard outcome.status == 0 else { throw TestFailure("curl \(path): \(outcome)") }
                return outcome.output
            }
            let granted = try post("/v3/lease/grant", #"{"TTL":"2"}"#)
            guard let id = granted.split(separator: "\"").drop(while: { $0 != "ID" }).dropFirst(2).first else {
                throw TestFailure("no lease in \(granted)")
            }
            let name = Data(key.utf8).base64EncodedString()
            _ = try post("/v3/kv/put", #"{"key":"\#(name)","value":"dXA=","lease":"\#(id)"}"#)
        }

        private func registryctl(_ member: Member, _ arguments: String...) throws -> String {
            let outcome = try ChildProcess.run(
                Programs.ours("registryctl"), ["--endpoints", member.endpoint] + arguments)
            guard outcome.status == 0 else { throw TestFailure("registryctl \(arguments): \(outcome)") }
            return outcome.output
        }

        private func count(_ member: Member) throws -> Int {
            try member.gateway().range(prefix: Self.prefix, serializable: false).kvs?.count ?? 0
        }

        @Test("Hosts that fall silent together stay registered until somebody lets them go; the history says so")
        func massExpiry() throws {
            let cluster = try Cluster.started(size: 1)
            let member = cluster.members[0]
            #expect(try registryctl(member, "brake", "set", Self.prefix, "on") == "OK\n")
            let alone = "/services/other/a"
            try register(alone, from: "127.9.0.1", at: member)
            for host in 1...6 { try register("\(Self.prefix)h\(host)", from: "127.9.0.\(host)", at: member) }
            try eventually("the brake holds six; \(member.log)") {
                let row = try registryctl(member, "brake", "status", Self.prefix).split(separator: "\n").last ?? ""
                return row.split(separator: " ").prefix(6) == ["/services/web/", "holding", "6", "6", "6", "6"]
            }
            #expect(try count(member) == 6)
            // Nobody asked for this one to be braked.
            let other = try registryctl(member, "history", alone).split(separator: "\n")
            #expect(other.last?.contains(" delete ") == true && other.last?.contains("held") == false, "\(other)")
            #expect(member.log.contains("most leases below \(Self.prefix) would end together"))
            #expect(
                try registryctl(member, "brake", "release", Self.prefix, "--reason", "power is out").contains(
                    "released"))
            try eventually("all are gone; \(member.log)") { try count(member) == 0 }
            let history = try registryctl(member, "history", "\(Self.prefix)h3")
            let rows = history.split(separator: "\n")
            #expect(rows.count == 3 && rows[1].contains(" put ") && rows[1].contains("127.9.0.3"), "\(history)")
            #expect(
                rows.last?.contains(" delete ") == true && rows.last?.contains("lease expired, held") == true,
                "\(history)")
            #expect(
                try registryctl(member, "history", "ganglion/brake/release/\(Self.prefix)").contains("power is out"))
            try eventually("the report is taken back") {
                try registryctl(member, "brake", "status", Self.prefix).contains(" idle ")
            }
        }
    }
}
