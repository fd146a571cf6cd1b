package import Primitives

/// What a member expects of those who dial it.
package struct LinkPolicy: Sendable {
    package var cluster: ClusterID
    package var member: MemberID
    package var versions: ProtocolVersions
    /// This member's own life, told in every answer.
    package var life: Life
    /// The other members as far as this one knows.
    package var peers: [MemberID] = []
    /// Members that were removed from the cluster: told so, whatever else they say.
    package var removed: [MemberID] = []

    package init(
        cluster: ClusterID, member: MemberID, life: Life, versions: ProtocolVersions = .supported
    ) {
        self.cluster = cluster
        self.member = member
        self.life = life
        self.versions = versions
    }

    /// The verdict on a hello, with a text that names both sides.
    ///
    /// A sender that is not among `peers` is welcome when it says where it can be answered: it may have been added,
    /// and have come to lead, while this member was away, and then nobody else could tell this one.
    ///
    /// - Parameter latest: the latest life of the sender that was seen, if any.
    package func judge(_ hello: Hello, latest: Life? = nil) -> HelloAnswer {
        let sender = "member \(hex(hello.from.number))"
        if versions.agreed(with: hello.versions) == nil {
            return answer(.protocolVersion, versions.refusal(of: hello.versions))
        }
        if hello.cluster != cluster {
            return answer(
                .otherCluster, "cluster id \(hex(hello.cluster.number)) is not ours (\(hex(cluster.number)))")
        }
        if removed.contains(hello.from) {
            return answer(.removed, "\(sender) was removed from this cluster")
        }
        if hello.to != member {
            return answer(
                .otherMember, "member id \(hex(hello.to.number)) was expected here, this is \(hex(member.number))")
        }
        if hello.from == member || hello.from.number == 0 {
            return answer(.unknownSender, "\(sender) is not another member")
        }
        if let obstacle = hello.life.obstacle(after: latest) {
            return answer(.earlierLife, "\(sender): \(obstacle)")
        }
        if !peers.contains(hello.from), hello.addresses.isEmpty {
            return answer(.unknownSender, "\(sender) is not a known member and names no address to answer to")
        }
        return answer(.none)
    }

    package func answer(_ refusal: LinkRefusal, _ text: String = "") -> HelloAnswer {
        HelloAnswer(versions: versions, life: life, refusal: refusal, text: text)
    }

    private func hex(_ number: UInt64) -> String { String(number, radix: 16) }
}
