package import Primitives
package import RegistryModel

/// The cluster that is to begin with a backup's contents, as its operator describes it: the same for every member.
package struct RestorePlan: Hashable, Sendable {
    package struct Member: Hashable, Sendable {
        package var name: String
        package var peerURLs: [String]

        package init(name: String, peerURLs: [String]) {
            self.name = name
            self.peerURLs = peerURLs
        }
    }

    package var members: [Member]
    /// Tells apart what is restored from the same backup for the same members.
    package var token: String
    /// Added to the backup's revision, so that no revision that the lost cluster gave out after the backup comes again.
    package var bump: Int64
    /// Whether history up to the new revision counts as compacted: a watch that goes on from before the restoration
    /// then learns that it missed something.
    package var marksCompacted: Bool

    package init(members: [Member], token: String, bump: Int64, marksCompacted: Bool) {
        self.members = members
        self.token = token
        self.bump = bump
        self.marksCompacted = marksCompacted
    }
}

/// Who the restored members are. Every member computes the same from the same backup and plan, and something else from
/// another backup or plan: members that would not agree about their state refuse each other.
package struct RestoredIdentity: Hashable, Sendable {
    package var cluster: ClusterID
    /// The life that the backup was written in; the restored members' lives count on from it.
    package var incarnation: Incarnation
    /// By ascending ids, with the plan's names beside them.
    package var members: [(name: String, description: MemberDescription)] {
        zip(names, descriptions).map { (name: $0, description: $1) }
    }
    private var names: [String]
    private var descriptions: [MemberDescription]

    package init(_ plan: RestorePlan, of backup: BackupHeader) {
        incarnation = backup.incarnation
        var seed = ByteWriter()
        seed.prefixed("restored cluster")
        seed.fixed64(backup.cluster.number)
        seed.fixed64(backup.incarnation.number + 1)
        backup.stream.encode(into: &seed)
        seed.fixed64(UInt64(bitPattern: backup.createdMilliseconds))
        seed.prefixed(plan.token)
        seed.fixed64(UInt64(bitPattern: plan.bump))
        seed.bool(plan.marksCompacted)
        let addresses = plan.members.map { $0.peerURLs.sorted() }
        for urls in addresses.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            seed.varint(UInt64(urls.count))
            for url in urls { seed.prefixed(url) }
        }
        func number(_ subject: [String]) -> UInt64 {
            var writer = ByteWriter()
            writer.raw(seed.bytes)
            for text in subject { writer.prefixed(text) }
            // 0 is nobody's number.
            return max(Digest128.hash(writer.bytes).low, 1)
        }
        cluster = ClusterID(number(["cluster"]))
        let members = zip(plan.members, addresses).map { member, urls in
            // A member has no name in the list until it has published itself.
            let id = MemberID(number(["member"] + urls))
            return (member.name, MemberDescription(id: id, name: "", peerURLs: urls, clientURLs: []))
        }.sorted { $0.1.id < $1.1.id }
        names = members.map(\.0)
        descriptions = members.map(\.1)
    }

    package func member(named name: String) -> MemberDescription? {
        members.first { $0.name == name }?.description
    }
}
