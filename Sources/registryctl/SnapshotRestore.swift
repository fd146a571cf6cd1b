import ArgumentParser
import Primitives
import RegistryModel
import Storage

struct SnapshotRestore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Makes a data directory from a backup: one member of a new cluster. Run it for each member.",
        usage: """
            registryctl snapshot restore FILE --name NAME --data-dir DIR --initial-cluster NAME=URL,... \
            [--initial-cluster-token TOKEN] [--initial-advertise-peer-urls URL,...] [--bump-revision N] \
            [--mark-compacted=false]
            """)
    @Option(help: "This member's name (default \"default\").")
    var name = "default"
    @Option(help: "The directory to make (default NAME.etcd, as registryd's).")
    var dataDir: String?
    @Option(help: "All members of the new cluster with their peer URLs (default \"NAME=http://localhost:2380\").")
    var initialCluster: String?
    @Option(help: "Must differ when the same file is restored again (default \"etcd-cluster\").")
    var initialClusterToken = "etcd-cluster"
    @Option(help: "This member's peer URLs; must be those that --initial-cluster gives it.")
    var initialAdvertisePeerUrls: String?
    @Option(help: "How far the revision jumps, past all that the lost cluster gave out (default 1000000000).")
    var bumpRevision: String?
    @Flag(inversion: .prefixedNo, help: "Watches from before learn that history is gone (default: when bumped).")
    var markCompacted: Bool?
    @Flag(help: "Accepted; a backup is always verified.")
    var skipHashCheck = false
    @Argument(help: .hidden)
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    /// At a thousand changes a second, the changes of more than eleven days: a backup is younger.
    static let standardBump: Int64 = 1_000_000_000

    func run() async throws {
        guard words.count == 1 else { throw CtlError.arguments("snapshot restore requires exactly one argument") }
        let plan = try plan()
        let directory = dataDir ?? "\(name).etcd"
        let restored = try Offline.run { () throws(StorageError) in
            let files = PosixFileSystem()
            return try BackupRestore.restore(
                try BackupFile(words[0], on: files), as: name, to: directory, plan, on: files,
                options: StorageOptions())
        }
        let compacted = restored.compactRevision.number
        let history = compacted == restored.revision.number ? "history is compacted" : "history from \(compacted)"
        Terminal.output(
            """
            Restored \(words[0]) to \(directory)
            cluster \(String(restored.cluster.number, radix: 16)), member \
            \(String(restored.member.number, radix: 16)) (\(name)) of \(restored.members.count), \
            revision \(restored.revision.number), \(history)

            """)
    }

    /// - Throws: `.arguments` naming the flag and what is wrong with it.
    func plan() throws(CtlError) -> RestorePlan {
        let text = initialCluster ?? "\(name)=\(initialAdvertisePeerUrls ?? "http://localhost:2380")"
        var members: [RestorePlan.Member] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let equals = part.firstIndex(of: "="), equals > part.startIndex else {
                throw .arguments("--initial-cluster: \(part) is not of the form NAME=URL")
            }
            let name = String(part[..<equals])
            let url = try Self.checked(String(part[part.index(after: equals)...]), "--initial-cluster")
            if let position = members.firstIndex(where: { $0.name == name }) {
                members[position].peerURLs.append(url)
            } else {
                members.append(RestorePlan.Member(name: name, peerURLs: [url]))
            }
        }
        let urls = members.map { $0.peerURLs.sorted() }
        for (position, one) in urls.enumerated() where urls[..<position].contains(one) {
            throw .arguments("--initial-cluster gives two members the same peer URLs \(one.joined(separator: ","))")
        }
        try checkOwn(members)
        let bump = try bump()
        return RestorePlan(
            members: members, token: initialClusterToken, bump: bump, marksCompacted: markCompacted ?? (bump > 0))
    }

    private func checkOwn(_ members: [RestorePlan.Member]) throws(CtlError) {
        guard let own = members.first(where: { $0.name == name }) else {
            let names = members.map(\.name).joined(separator: ", ")
            throw .arguments("--initial-cluster does not contain --name \(name) (it names: \(names))")
        }
        guard let given = initialAdvertisePeerUrls, initialCluster != nil else { return }
        guard given.split(separator: ",").map(String.init).sorted() == own.peerURLs.sorted() else {
            throw .arguments(
                "--initial-cluster gives \(name) the peer URLs \(own.peerURLs.joined(separator: ",")), but "
                    + "--initial-advertise-peer-urls says \(given)")
        }
    }

    private func bump() throws(CtlError) -> Int64 {
        guard let bumpRevision else { return Self.standardBump }
        guard let bump = Int64(bumpRevision), bump >= 0 else {
            throw .arguments("--bump-revision \(bumpRevision) is not a number of revisions, 0 or more")
        }
        return bump
    }

    private static func checked(_ url: String, _ flag: String) throws(CtlError) -> String {
        let rest = url.hasPrefix("http://") ? url.dropFirst(7) : url.hasPrefix("https://") ? url.dropFirst(8) : ""
        guard let colon = rest.lastIndex(of: ":"), colon > rest.startIndex,
            let port = UInt16(rest[rest.index(after: colon)...].prefix { $0 != "/" }), port > 0
        else { throw .arguments("\(flag): \(url) is not of the form http://HOST:PORT") }
        return url
    }
}
