import Foundation
import Testing

extension RealProcesses {
    /// Backups of a working cluster, and clusters made from them or from what is left.
    @Suite struct BackupTests {
        private static let bump = 1_000_000_000

        private func ctl(_ arguments: [String]) throws -> Outcome {
            try ChildProcess.run(try Programs.ours("registryctl"), arguments, seconds: 60)
        }

        private func expectDone(_ outcome: Outcome) throws {
            guard outcome.status == 0 else { throw TestFailure("\(outcome)") }
        }

        /// What a backup says about itself.
        private func status(_ file: String) throws -> [String: Any] {
            let outcome = try ctl(["snapshot", "status", file, "-w", "json"])
            try expectDone(outcome)
            let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
            return try #require(object as? [String: Any])
        }

        /// Three members of a cluster restored from `file`, started on the addresses of `old`.
        private func restored(_ file: String, _ old: Cluster, in scratch: Scratch, token: String) throws -> [Member] {
            let initial = old.members.map { "\($0.name)=http://\($0.host):2380" }.joined(separator: ",")
            let flags: (Member) -> [String] = { member in
                [
                    "--name", member.name, "--initial-cluster", initial, "--initial-cluster-token", token,
                    "--initial-advertise-peer-urls", "http://\(member.host):2380",
                ]
            }
            let program = try Programs.ours("registryd")
            return try old.members.map { member in
                let directory = "\(scratch.path)/\(member.name)"
                try expectDone(
                    try ctl(["snapshot", "restore", file, "--data-dir", directory] + flags(member)))
                return Member(
                    name: member.name, host: member.host, folder: scratch.path, program: program,
                    arguments: flags(member) + [
                        "--listen-client-urls", "http://\(member.host):2379", "--advertise-client-urls",
                        "http://\(member.host):2379", "--listen-peer-urls", "http://\(member.host):2380",
                    ])
            }
        }

        @Test(
            "Backups taken under load by registryctl and etcdctl become a cluster that has all that was acknowledged before"
        )
        func underLoad() throws {
            let cluster = try Cluster.started()
            let scratch = try Scratch()
            var fresh: [Member] = []
            defer { for member in fresh { member.kill9() } }
            do {
                let writers = Writers(cluster.members)
                try writers.waitForProgress()
                let before = try cluster.members[0].gateway().allPairs().count
                let follower = cluster.others(than: try cluster.leader())[0]
                let ours = "\(scratch.path)/ours"
                let theirs = "\(scratch.path)/theirs"
                try cluster.members[1].gateway().put("marker", "before the backup")
                // Acknowledged by a quorum; the follower that is asked has it once it has read linearizably.
                _ = try follower.gateway().range(prefix: "marker")
                try expectDone(try ctl(["snapshot", "save", ours, "--endpoints", follower.endpoint]))
                try expectDone(try cluster.etcdctl(["snapshot", "save", theirs], endpoints: [follower.endpoint]))
                try writers.waitForProgress()
                let again = try ctl(["snapshot", "save", ours, "--endpoints", follower.endpoint])
                #expect(again.status == 1 && again.errors.contains("--force replaces it"), "\(again)")
                _ = writers.stop()
                let lost = try cluster.members[0].gateway().put("after", "the backup")
                for file in [ours, theirs] {
                    let contents = try status(file)
                    #expect(try #require(contents["totalKey"] as? Int) > before)
                    #expect(try #require(contents["revision"] as? Int) < lost)
                }
                for member in cluster.members { member.kill9() }

                fresh = try restored(theirs, cluster, in: scratch, token: "restored")
                for member in fresh { try member.start() }
                for member in fresh { try member.waitUntilHealthy() }
                let state = try Cluster.agreedState(of: fresh)
                #expect(state.count >= before)
                #expect(state.contains { $0.value == Data("before the backup".utf8) })
                #expect(!state.contains { $0.value == Data("the backup".utf8) })
                #expect(try fresh[0].gateway().put("later", "on") > lost, "revisions only grow")
                try expectCompacted(fresh[1], from: lost)
            } catch {
                Issue.record("\(error)\(cluster.logs)\(fresh.map { "\n--- \($0.name)\n\($0.log)" }.joined())")
            }
        }

        /// A watch that goes on from before the restoration must learn that it cannot.
        private func expectCompacted(_ member: Member, from revision: Int) throws {
            let outcome = try ChildProcess.run(
                Programs.etcdctl(), ["--endpoints", member.endpoint, "watch", "later", "--rev", "\(revision)"],
                environment: ["ETCDCTL_API": "3"], seconds: 20)
            #expect(outcome.errors.contains("required revision has been compacted"), "\(outcome)")
        }

        @Test("The only survivor becomes a cluster of its own with all it had, and the dead do not come back into it")
        func forced() throws {
            let cluster = try Cluster.started()
            do {
                let writers = Writers(cluster.members)
                try writers.waitForProgress()
                let acknowledged = writers.stop()
                let all = try cluster.agreedState()
                let survivor = cluster.members[0]
                for member in cluster.members { member.kill9() }

                let warned = try ctl(["storage", "force-new-cluster", survivor.directory])
                #expect(warned.status != 0 && warned.errors.contains("nothing was done"), "\(warned)")
                let forced = try ctl([
                    "storage", "force-new-cluster", survivor.directory, "--yes-lose-unreplicated-writes",
                ])
                try expectDone(forced)
                #expect(forced.errors.contains("is LOST") && forced.output.contains("the only member"), "\(forced)")
                for member in cluster.members { try member.start() }
                try survivor.waitUntilHealthy()
                #expect(try survivor.gateway().allPairs() == all)
                _ = acknowledged
                let members = try ctl(["--endpoints", survivor.endpoint, "member", "list"])
                #expect(members.output.split(separator: "\n").count == 1, "\(members)")
                let revision = try survivor.gateway().put("alone", "yes")
                // The others elect one of themselves, in the old cluster, and neither side hears the other.
                let leader = try Cluster.leader(of: Array(cluster.members.dropFirst()))
                _ = try leader.gateway().put("other", "cluster")
                #expect(try survivor.gateway().range(prefix: "other").kvs?.isEmpty ?? true)
                #expect(try survivor.gateway().range(prefix: "alone").revision == revision)
            } catch {
                Issue.record("\(error)\(cluster.logs)")
            }
        }

        @Test("A stopped member's directory can be backed up, too")
        func stopped() throws {
            let cluster = try Cluster.started()
            let scratch = try Scratch()
            do {
                let member = cluster.members[0]
                let revision = try member.gateway().put("key", "value")
                _ = try cluster.agreedState()
                let running = try ctl(["snapshot", "save", "\(scratch.path)/b", "--data-dir", member.directory])
                #expect(running.status == 1 && running.errors.contains("another process"), "\(running)")
                try member.terminate()
                try eventually("the member has stopped") { !member.isRunning }
                try expectDone(try ctl(["snapshot", "save", "\(scratch.path)/b", "--data-dir", member.directory]))
                #expect(try status("\(scratch.path)/b")["revision"] as? Int == revision)
                let table = try ctl(["snapshot", "status", "\(scratch.path)/b", "-w", "table"])
                #expect(table.output.contains("| REVISION"), "\(table)")
                try member.start()
                try member.waitUntilHealthy()
            } catch {
                Issue.record("\(error)\(cluster.logs)")
            }
        }
    }
}
