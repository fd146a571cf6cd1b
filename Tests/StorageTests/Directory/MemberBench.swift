import Primitives
import Raft
import RegistryModel
import Simulator
import Storage

/// A member's directory on a simulated disk.
struct MemberBench {
    let name: String
    private(set) var disk = MemoryFileSystem()
    var options = StorageOptions()
    private(set) var vfs: SQLiteVFS

    static let cluster = ClusterID(0xC1)
    static let member = MemberID(0xA1)
    static let base = LogBase(
        position: LogPosition(index: LogIndex(1), term: Term(1)),
        configuration: Configuration(voters: [MemberID(0xA1), MemberID(0xA2), MemberID(0xA3)]))
    static let members = [
        MemberDescription(id: MemberID(0xA1), name: "one", peerURLs: ["http://127.0.0.1:2380"], clientURLs: [])
    ]

    init(_ name: String) throws {
        self.name = uniqueName(name)
        options.vfs = self.name
        options.segmentBytes = 32 * 1024
        options.pageCacheBytes = 1024 * 1024
        vfs = try StateBench.register(self.name, disk)
        try disk.createDirectory("data")
        try disk.syncDirectory("")
    }

    static let founding = FoundingState(base: base, members: members, liveDigest: Digest128(low: 5))

    func bootstrap(base: LogBase = MemberBench.base) throws {
        try MemberDirectory.bootstrap(
            "data/one", on: disk, cluster: MemberBench.cluster, member: MemberBench.member, base: base,
            members: MemberBench.members, liveDigest: Digest128(low: 5), options: options)
    }

    func open(
        cluster: ClusterID = MemberBench.cluster, member: MemberID = MemberBench.member
    ) throws -> MemberDirectory {
        try MemberDirectory.open("data/one", on: disk, cluster: cluster, member: member, options: options)
    }

    /// The same files on a disk of their own.
    func copy() throws -> MemberBench {
        var copy = try MemberBench(name)
        copy.vfs.unregister()
        copy.disk = MemoryFileSystem(copyOf: disk)
        copy.vfs = try StateBench.register(copy.name, copy.disk)
        return copy
    }

    /// A new process life after a power loss.
    mutating func restart() throws {
        vfs.unregister()
        vfs = try StateBench.register(name, disk)
    }
}
