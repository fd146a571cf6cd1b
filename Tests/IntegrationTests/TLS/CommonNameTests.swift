import Foundation
import Testing

extension RealProcesses {
    /// Users who are known by their certificates: `--client-cert-auth`, and users without passwords.
    @Suite struct CommonNameTests {
        /// One thing somebody does, and what is said to him.
        private struct Line: Hashable, CustomStringConvertible {
            var doing: String
            var status: Int32
            var said: String

            var description: String { "\(doing): \(said)(\(status))" }
        }

        private static let denied = "Error: etcdserver: permission denied\n"
        private static let gatewayRefusal =
            "CommonName of client sending a request against gateway will be ignored and not used as expected\n400"

        @Test(
            "etcdctl with somebody's certificate may what that user may and not more; etcd says the same to all of it")
        func users() throws {
            let ours = try SecureCluster.started()
            let lines = try Self.play(on: ours)
            func said(_ doing: String) -> String { lines.first { $0.doing == doing }?.said ?? "nothing" }
            #expect(said("alice: put mine/a 1") == "OK\n", "\(lines) \(ours.logs)")
            #expect(said("alice: get mine/a") == "mine/a\n1\n")
            for doing in ["get theirs", "put theirs x", "del theirs", "get --prefix m", "put theirs x --prev-kv"] {
                #expect(said("alice: \(doing)") == Self.denied, "\(doing)")
            }
            #expect(said("alice: user list") == Self.denied && said("alice: auth disable") == Self.denied)
            #expect(said("bob: get mine/a") == Self.denied, "nobody has told who bob is")
            #expect(said("root: get theirs") == "theirs\nsecret\n" && said("root: user list") == "alice\nroot\n")
            #expect(
                said("alice: user list --user root:secret") == "alice\nroot\n", "a token says more than a certificate")
            #expect(said("alice once more: get mine/a") == Self.denied, "without the role")
            for client in ["alice", "root"] { #expect(said("\(client) at the gateway") == Self.gatewayRefusal) }
            #expect(said("bob, with users off: get mine/a") == "mine/a\n1\n")

            let theirs = try Self.play(on: SecureCluster.started(.etcd))
            #expect(lines.count == theirs.count)
            for (our, their) in zip(lines, theirs) { #expect(our == their) }
        }

        private static func play(on cluster: SecureCluster) throws -> [Line] {
            var lines: [Line] = []
            func run(_ client: String, _ words: String, remark: String = "") throws {
                let outcome = try cluster.control(
                    "etcdctl", cluster.flags(client) + words.split(separator: " ").map(String.init), seconds: 10)
                // Warnings of the client library come with the time.
                let errors = outcome.errors.split(separator: "\n").filter { !$0.hasPrefix("{") }
                let said = outcome.output + errors.map { "\($0)\n" }.joined()
                lines.append(Line(doing: "\(client)\(remark): \(words)", status: outcome.status, said: said))
            }
            func ask(_ client: String) throws {
                let range = ["--write-out", "%{http_code}", "--data", #"{"key":"bWluZS9h"}"#]
                let outcome = try cluster.curl(
                    "https://\(cluster.hosts[0]):2379/v3/kv/range", client: client, also: range)
                lines.append(Line(doing: "\(client) at the gateway", status: outcome.status, said: outcome.output))
            }
            for words in [
                "put theirs secret", "user add root:secret --interactive=false", "user grant-role root root",
                "user add alice --no-password", "role add mine",
                "role grant-permission mine --prefix=true readwrite mine/",
                "user grant-role alice mine", "auth enable",
            ] { try run("root", words) }
            for words in [
                "put mine/a 1", "get mine/a", "get theirs", "put theirs x", "put theirs x --prev-kv", "del theirs",
                "get --prefix mine/", "get --prefix m", "watch theirs", "user list", "user get alice", "user get root",
                "role get mine", "role list", "auth disable", "member remove 1", "user list --user root:secret",
                "get theirs --user root:wrong",
            ] { try run("alice", words) }
            for words in ["get mine/a", "put mine/a 2", "user get bob"] { try run("bob", words) }
            for words in ["get theirs", "get --prefix mine/", "user list", "role get mine"] { try run("root", words) }
            for client in ["alice", "root"] { try ask(client) }
            try run("root", "user revoke-role alice mine")
            try run("alice", "get mine/a", remark: " once more")
            try run("root", "auth disable")
            try run("bob", "get mine/a", remark: ", with users off")
            return lines
        }
    }
}
