import ArgumentParser
import Primitives
import RegistryModel
import Storage

struct StorageForceNewCluster: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "force-new-cluster",
        abstract: "Makes a stopped member the only one of a new cluster: for a quorum that is lost for good.",
        usage: "registryctl storage force-new-cluster DIR --yes-lose-unreplicated-writes")
    @Flag(help: "Yes: what only the lost members had is given up.")
    var yesLoseUnreplicatedWrites = false
    @Argument(help: .hidden)
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        guard words.count == 1 else {
            throw CtlError.arguments(
                "storage force-new-cluster expects one argument, the data directory of a stopped member")
        }
        let directory = words[0]
        guard yesLoseUnreplicatedWrites else {
            let found = try Offline.run { () throws(StorageError) in
                try ClusterForcing.inspect(directory, on: PosixFileSystem(), options: StorageOptions())
            }
            Terminal.error(Self.warning(directory, found))
            throw CtlError.arguments("nothing was done: --yes-lose-unreplicated-writes is missing")
        }
        let cluster = ClusterID(UInt64.random(in: 1 ... .max))
        let before = try Offline.run { () throws(StorageError) in
            try ClusterForcing.force(
                directory, cluster: cluster, wallMilliseconds: Offline.wallMilliseconds(), on: PosixFileSystem(),
                options: StorageOptions())
        }
        Terminal.error(Self.warning(directory, before))
        let member = String(before.member.number, radix: 16)
        Terminal.output(
            """
            Member \(member) in \(directory) is the only member of the new cluster \
            \(String(cluster.number, radix: 16)).
            Start it with the flags it had. Delete the other members' data directories and add them again, one after \
            the other: registryctl member add, then registryd --initial-cluster-state existing.

            """)
    }

    /// What is lost, in numbers where there are any.
    static func warning(_ directory: String, _ found: ForcedCluster) -> String {
        let others = found.others.map { String($0.number, radix: 16) }.joined(separator: ", ")
        let pending = found.last.index > found.known ? found.last.index - found.known : 0
        var lines = [
            "WARNING: \(directory) leaves cluster \(String(found.cluster.number, radix: 16)) with what it has:",
            "  its log ends at entry \(found.last.index.number) of term \(found.last.term.number); every write that "
                + "came later, or that only other members have, is LOST, also if it was acknowledged;",
            "  \(pending) entries at the end of its log were not known to be committed; from now on they count, also "
                + "if their writers were told that they had failed;",
            "  the members \(others.isEmpty ? "(none)" : others) are out; what is in their directories can never come "
                + "back into this cluster;",
            "  revisions that the lost writes had will be given to other writes: restart clients that keep caches or "
                + "watches. `snapshot restore` of a backup avoids that.",
        ]
        if found.isRecovering {
            lines.append("  THIS MEMBER'S LOG IS DAMAGED: entries that it had acknowledged itself are LOST as well.")
        }
        return lines.joined(separator: "\n")
    }
}
