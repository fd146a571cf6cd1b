import Foundation
import Testing

extension RealProcesses {
    /// Members that come to a running cluster, go, and come back in ways they must not.
    @Suite struct JoinTests {
        private let prefix: String
        private let scratch: Scratch

        init() throws {
            prefix = try Loopback.freePrefix()
            scratch = try Scratch()
        }

        private func host(_ name: String) -> String { "\(prefix)\(name == "a" ? 11 : 12)" }

        private func url(_ name: String) -> String { "http://\(host(name)):2380" }

        private func member(_ name: String, state: String, cluster: [String]) -> Member {
            let client = "http://\(host(name)):2379"
            return Member(
                name: name, host: host(name), folder: scratch.path, program: program,
                arguments: [
                    "--name", name, "--listen-client-urls", client, "--advertise-client-urls", client,
                    "--listen-peer-urls", url(name), "--initial-cluster",
                    cluster.map { "\($0)=\(url($0))" }.joined(separator: ","), "--initial-cluster-state", state,
                ], environment: [:])
        }

        private var program: String { (try? Programs.ours("registryd")) ?? "registryd" }

        private func etcdctl(_ arguments: String...) throws -> String {
            let outcome = try ChildProcess.run(
                Programs.etcdctl(), ["--endpoints", "\(host("a")):2379"] + arguments,
                environment: ["ETCDCTL_API": "3"])
            guard outcome.status == 0 else { throw TestFailure("etcdctl \(arguments): \(outcome)") }
            return outcome.output
        }

        /// Adds `b` to the cluster; etcd's rules refuse that for as long as the members have not got used to each
        /// other.
        private func add() throws {
            try eventually("b is added", seconds: 20) {
                try etcdctl("member", "add", "b", "--peer-urls=\(url("b"))") != ""
            }
        }

        private func idOfB() throws -> String {
            let lines = try etcdctl("member", "list").split(separator: "\n")
            guard let line = lines.first(where: { $0.contains(url("b")) }), let id = line.split(separator: ",").first
            else { throw TestFailure("b is not in \(lines)") }
            return String(id)
        }

        private func waitForValue(_ key: String, at member: Member) throws {
            try eventually("\(member.name) has \(key); it said: \(member.log)", seconds: 20) {
                guard member.isRunning else { throw TestFailure("it has ended") }
                return try member.gateway().range(prefix: key, serializable: true).kvs?.count == 1
            }
        }

        @Test("A member joins, votes, is removed, says so and stays away; its address may be used by a new one")
        func comesAndGoes() throws {
            let a = member("a", state: "new", cluster: ["a"])
            let b = member("b", state: "existing", cluster: ["a", "b"])
            do {
                try a.start()
                try a.waitUntilHealthy()
                try a.gateway().put("first", "1")
                try add()
                try b.start()
                try waitForValue("first", at: b)
                try eventually("b votes", seconds: 20) {
                    try etcdctl("member", "list").split(separator: "\n").allSatisfy { $0.hasSuffix("false") }
                }
                let first = try idOfB()
                try etcdctlRemove(first)
                let status = try b.child.wait(seconds: 20)
                #expect(status == 65, "\(b.log)")
                #expect(b.log.contains("this member was removed from the cluster; its data directory can be deleted"))
                #expect(FileManager.default.fileExists(atPath: "\(b.directory)/member/meta"))
                try b.start()
                #expect(try b.child.wait(seconds: 20) == 65, "\(b.log)")

                try FileManager.default.removeItem(atPath: b.directory)
                try add()
                try b.start()
                try waitForValue("first", at: b)
                #expect(try idOfB() != first)
                try a.gateway().put("second", "2")
                try waitForValue("second", at: b)
            } catch {
                Issue.record("\(error)\n--- a\n\(a.log)\n--- b\n\(b.log)")
            }
            a.kill9()
            b.kill9()
        }

        private func etcdctlRemove(_ id: String) throws {
            try eventually("b is removed", seconds: 20) { try etcdctl("member", "remove", id) != "" }
        }

        @Test("A member that lost its directory, or runs on an old copy of it, is not let in")
        func lostAndCopied() throws {
            let a = member("a", state: "new", cluster: ["a"])
            let b = member("b", state: "existing", cluster: ["a", "b"])
            do {
                try a.start()
                try a.waitUntilHealthy()
                try a.gateway().put("first", "1")
                // Not added yet: nobody knows it.
                try b.start()
                #expect(try b.child.wait(seconds: 30) == 1)
                #expect(
                    b.log.contains("member count is unequal") && b.log.contains("registryctl member add"), "\(b.log)")
                try add()
                try b.start()
                try waitForValue("first", at: b)
                b.kill9()
                let copy = "\(scratch.path)/copy"
                try ChildProcess.copyDirectory(b.directory, to: copy)
                try b.start()
                try a.gateway(seconds: 15).put("second", "2")
                try waitForValue("second", at: b)
                b.kill9()

                // The copy has been opened as often as the original.
                let original = "\(scratch.path)/original"
                try FileManager.default.moveItem(atPath: b.directory, toPath: original)
                try FileManager.default.moveItem(atPath: copy, toPath: b.directory)
                try b.start()
                try eventually("it is refused; it said: \(b.log)", seconds: 20) {
                    b.log.contains("refused: ") && b.log.contains("older copy of its data directory")
                }
                b.kill9()
                try FileManager.default.removeItem(atPath: b.directory)
                try FileManager.default.moveItem(atPath: original, toPath: b.directory)
                try b.start()
                try a.gateway(seconds: 15).put("third", "3")
                try waitForValue("third", at: b)
                b.kill9()

                try FileManager.default.removeItem(atPath: b.directory)
                try b.start()
                #expect(try b.child.wait(seconds: 30) == 1)
                #expect(b.log.contains("has been started before"), "\(b.log)")
            } catch {
                Issue.record("\(error)\n--- a\n\(a.log)\n--- b\n\(b.log)")
            }
            a.kill9()
            b.kill9()
        }
    }
}
