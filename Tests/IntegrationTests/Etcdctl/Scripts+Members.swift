import Foundation

extension Scripts {
    static func alarms(_ console: Console) throws {
        for format in ["simple", "json"] {
            try console.run("alarm list -w \(format)", also: [Normalisation.alarmHeader])
            try console.run("alarm disarm -w \(format)", also: [Normalisation.alarmHeader])
        }
        try console.run("alarm list -w table")
        try console.run("alarm nonsense")
    }

    /// A mirror of a cluster within itself, under another prefix.
    static func mirror(_ console: Console) throws {
        for number in 1...3 { try console.run("put mm/\(number) \(number)") }
        let destination = console.cluster.endpoints[1]
        func mirrored(_ count: Int) throws {
            try eventually("\(count) keys are mirrored") {
                let outcome = try console.cluster.etcdctl(["get", "nn/", "--prefix", "--print-value-only"])
                return outcome.output.split(separator: "\n").count == count
            }
        }
        try console.during("make-mirror --prefix=mm/ --dest-prefix=nn/ \(destination)", until: .lines(0)) { _ in
            try mirrored(3)
            try console.run("put mm/4 4")
            try mirrored(4)
            try console.run("txn", input: "\ndel mm/1\nput mm/2 new\n\n\n")
            try mirrored(3)
        }
        try console.run("get nn/ --prefix")
        try console.run("make-mirror")
    }

    static func snapshotSave(_ console: Console) throws {
        let scratch = try Scratch()
        let file = "\(scratch.path)/saved"
        try console.run("snapshot save \(file)", also: Normalisation.snapshot)
        guard FileManager.default.fileExists(atPath: file) else { throw TestFailure("\(file) was not saved") }
        try console.run("snapshot save \(scratch.path)/none/saved", also: Normalisation.snapshot)
        try console.run("snapshot save", also: Normalisation.snapshot)
        try console.run("snapshot save \(file)", endpoints: console.cluster.endpoints, also: Normalisation.snapshot)
    }

    static func defragmentation(_ console: Console) throws {
        let all = console.cluster.endpoints
        try console.run("put defragmented 1")
        try console.run("defrag")
        try console.run("defrag", endpoints: all)
        try console.run("defrag --cluster")
        try console.run("defrag -w json")
        try console.run("get defragmented")
    }

    static func hashes(_ console: Console) throws {
        let all = console.cluster.endpoints
        let revision = try self.revision(console)
        // Whoever has answered this knows of everything before.
        for member in all { try console.run("get none -w json", endpoints: [member]) }
        for options in ["", " --rev=\(revision)"] {
            let outcome = try console.run("endpoint hashkv\(options)", endpoints: all, also: Normalisation.hashes)
            let values = outcome.output.split(separator: "\n").map { $0.split(separator: " ").last }
            guard values.count == all.count, Set(values).count == 1 else {
                throw TestFailure("the members' hashes differ: \(outcome.output)")
            }
        }
        for format in ["json", "fields", "table"] {
            try console.run(
                "endpoint hashkv -w \(format)", endpoints: all, also: Normalisation.hashes + Normalisation.unpadded)
        }
        try console.run("endpoint hashkv --cluster", also: Normalisation.hashes)
        for other in [1, revision + 1_000] { try console.run("endpoint hashkv --rev=\(other)") }
    }

    static func memberChanges(_ console: Console) throws {
        let peer = console.cluster.members[0].host + ":2399"
        try console.addLearner("d", peer: "http://\(peer)")
        let learner = "@\(console.leases.count)"
        try console.run("member add e --peer-urls=http://\(console.cluster.endpoints[1].dropLast(4))2380 --learner")
        try console.run("member add e --peer-urls=http://\(peer)1 --learner")
        try console.run("member add e --peer-urls=nonsense")
        try console.run("member add e")
        try console.run("member promote \(learner)", also: Normalisation.newMember)
        try console.run("member update \(learner) --peer-urls=http://\(peer)2", also: Normalisation.newMember)
        try console.run(
            "member update \(learner) --peer-urls=http://\(console.cluster.members[0].host):2380",
            also: Normalisation.newMember)
        try console.run("member update \(learner)", also: Normalisation.newMember)
        try console.run("member remove \(learner)", also: Normalisation.newMember)
        try console.run("member remove \(learner)", also: Normalisation.newMember)
        // A follower of etcd's asks the leader about a member that does not exist until the client gives up.
        let leader = try console.cluster.leader().endpoint
        for missing in [learner, "1234"] {
            try console.run("member promote \(missing)", endpoints: [leader], also: Normalisation.leaders)
        }
        for command in [
            "remove 1234", "update 1234 --peer-urls=http://\(peer)", "remove xyz", "remove",
        ] {
            try console.run("member \(command)")
        }
        try console.run("member list")
        try console.run("member list -w fields")
    }

    static func moveLeader(_ console: Console) throws {
        let all = console.cluster.endpoints
        let leader = try console.cluster.leader()
        let other = console.cluster.others(than: leader)[0]
        let ids = try console.cluster.etcdctl(["member", "list"]).output.split(separator: "\n").map {
            $0.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        guard let target = ids.first(where: { $0.contains(other.name) })?.first else {
            throw TestFailure("\(other.name) is not in the list of members")
        }
        try console.run("move-leader 1234", endpoints: all, also: Normalisation.leaders)
        try console.run("move-leader xyz", endpoints: all, also: Normalisation.leaders)
        // Only the leader can give the lead away.
        let follower = other.endpoint
        try console.run("move-leader \(target)", endpoints: [follower], also: Normalisation.leaders)
        try console.run("move-leader \(target)", endpoints: all, also: Normalisation.leaders)
        try eventually("the lead has moved") { try console.cluster.leader().name == other.name }
    }
}
