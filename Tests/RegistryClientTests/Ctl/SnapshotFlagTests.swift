import ArgumentParser
import Storage
import Testing

@testable import CtlCommands

/// The flags of `snapshot`, without files.
@Suite struct SnapshotFlagTests {
    private func plan(_ flags: [String]) throws -> RestorePlan {
        let words = ArgumentOrder.normalized(["snapshot", "restore", "file"] + flags)
        let command = try RegistryCtl.parseAsRoot(words)
        return try #require(command as? SnapshotRestore).plan()
    }

    private func complaint(_ flags: [String]) throws -> String {
        do {
            return "accepted: \(try plan(flags))"
        } catch let error as CtlError {
            #expect(error.exitCode == 128)
            return error.message
        }
    }

    @Test("Revisions jump far and history is compacted, unless the flags say otherwise")
    func defaults() throws {
        let alone = try plan([])
        #expect(alone.members == [RestorePlan.Member(name: "default", peerURLs: ["http://localhost:2380"])])
        #expect(alone.token == "etcd-cluster")
        #expect(alone.bump == 1_000_000_000 && alone.marksCompacted)
        let kept = try plan(["--bump-revision", "0"])
        #expect(kept.bump == 0 && !kept.marksCompacted)
        #expect(try plan(["--bump-revision=0", "--mark-compacted"]).marksCompacted)
        #expect(try plan(["--mark-compacted=true"]).marksCompacted)
        let open = try plan(["--mark-compacted=false", "--bump-revision", "7"])
        #expect(open.bump == 7 && !open.marksCompacted)
    }

    @Test("The cluster is read as registryd reads it")
    func cluster() throws {
        let cluster = "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,a=http://10.0.0.1:2381"
        let plan = try plan(["--name", "b", "--initial-cluster", cluster, "--initial-cluster-token", "t"])
        #expect(
            plan.members == [
                RestorePlan.Member(name: "a", peerURLs: ["http://10.0.0.1:2380", "http://10.0.0.1:2381"]),
                RestorePlan.Member(name: "b", peerURLs: ["http://10.0.0.2:2380"]),
            ])
        #expect(plan.token == "t")
    }

    @Test("A flag that makes no sense is named, with what is wrong with it")
    func refusals() throws {
        let cluster = "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380"
        #expect(
            try complaint(["--name", "c", "--initial-cluster", cluster])
                == "--initial-cluster does not contain --name c (it names: a, b)")
        #expect(
            try complaint(["--name", "a", "--initial-cluster", "a=10.0.0.1:2380"])
                == "--initial-cluster: 10.0.0.1:2380 is not of the form http://HOST:PORT")
        #expect(
            try complaint(["--name", "a", "--initial-cluster", "http://10.0.0.1:2380"])
                == "--initial-cluster: http://10.0.0.1:2380 is not of the form NAME=URL")
        #expect(
            try complaint(["--name", "a", "--initial-cluster", "a=http://h:1,b=http://h:1"])
                == "--initial-cluster gives two members the same peer URLs http://h:1")
        #expect(
            try complaint([
                "--name", "a", "--initial-cluster", cluster, "--initial-advertise-peer-urls", "http://10.0.0.9:1",
            ]).contains("--initial-advertise-peer-urls says http://10.0.0.9:1"))
        #expect(try complaint(["--bump-revision=-1"]).contains("--bump-revision -1 is not a number of revisions"))
    }
}
