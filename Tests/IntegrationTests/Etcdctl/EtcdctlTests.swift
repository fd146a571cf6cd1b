import Testing

extension RealProcesses {
    /// Debian's etcdctl says the same to our members as to etcd's own, which had the same addresses and flags.
    @Suite struct EtcdctlTests {
        @Test("etcdctl sees no difference to etcd", arguments: Scripts.all.map(\.name))
        func same(_ name: String) throws {
            let ours = try Transcripts.both.get().ours[name] ?? []
            let theirs = try Transcripts.both.get().etcd[name] ?? []
            #expect(theirs.count > 1 && !theirs.contains { $0.command == "(failed)" }, "\(theirs)")
            // What follows the first difference has mostly the same reason.
            if let (one, other) = zip(ours, theirs).first(where: { $0 != $1 }) {
                Issue.record("\nGanglion:\n\(one)\netcd:\n\(other)")
            }
            #expect(ours.count == theirs.count)
        }
    }
}

/// All scripts, typed once at each of the two clusters: one after the other, since they share their addresses.
private struct Transcripts: Sendable {
    var ours: [String: [Entry]]
    var etcd: [String: [Entry]]

    static let both = Result {
        let prefix = try Loopback.freePrefix()
        return Transcripts(ours: try record(.registry, prefix: prefix), etcd: try record(.etcd, prefix: prefix))
    }

    private static func record(_ kind: Cluster.Kind, prefix: String) throws -> [String: [Entry]] {
        let cluster = try Cluster.started(kind, prefix: prefix)
        var transcripts: [String: [Entry]] = [:]
        for (name, script) in Scripts.all {
            let console = Console(cluster)
            do { try script(console) } catch { console.fail(error) }
            transcripts[name] = console.entries
        }
        for member in cluster.members {
            guard member.isRunning else { throw TestFailure("a member has ended: \(cluster.logs)") }
        }
        return transcripts
    }
}
