package import Primitives

/// Who votes and who only listens. While `outgoing` is not empty every decision needs a
/// majority of both halves.
package struct Configuration: Hashable, Sendable {
    /// Voters, ascending. While joint: the new half.
    package var incoming: [MemberID]
    /// The old half while joint, ascending; empty otherwise.
    package var outgoing: [MemberID]
    /// Receive the log, never vote; ascending, disjoint from the voters.
    package var learners: [MemberID]
    /// Voters of `outgoing` that become learners when the joint state is left; ascending.
    package var learnersNext: [MemberID]

    package init(
        voters: [MemberID], outgoing: [MemberID] = [], learners: [MemberID] = [], learnersNext: [MemberID] = []
    ) {
        incoming = voters.sorted()
        self.outgoing = outgoing.sorted()
        self.learners = learners.sorted()
        self.learnersNext = learnersNext.sorted()
    }

    package var isJoint: Bool { !outgoing.isEmpty }

    /// Members of either half, ascending, each once.
    package var voters: [MemberID] {
        guard isJoint else { return incoming }
        var all = incoming
        for member in outgoing where !incoming.contains(member) { all.append(member) }
        return all.sorted()
    }

    /// Everybody who gets the log, ascending, each once.
    package var members: [MemberID] {
        var all = voters
        for member in learners where !all.contains(member) { all.append(member) }
        return all.sorted()
    }

    package func isVoter(_ member: MemberID) -> Bool {
        incoming.contains(member) || outgoing.contains(member)
    }

    private static let formatVersion: UInt8 = 1

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: 64)
        writer.byte(Configuration.formatVersion)
        for list in [incoming, outgoing, learners, learnersNext] {
            writer.varint(UInt64(list.count))
            for member in list { writer.fixed64(member.number) }
        }
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> Configuration {
        var reader = ByteReader(bytes)
        let version = try reader.byte("configuration.version")
        guard version <= formatVersion else {
            throw .newerVersion(found: UInt64(version), known: UInt64(formatVersion))
        }
        var lists: [[MemberID]] = []
        for _ in 0..<4 {
            var list: [MemberID] = []
            let count = try reader.count("configuration.members", unit: 8)
            for _ in 0..<count { list.append(MemberID(try reader.fixed64("configuration.member"))) }
            lists.append(list)
        }
        guard reader.isAtEnd else { throw .invalid("configuration: trailing bytes") }
        let configuration = Configuration(
            voters: lists[0], outgoing: lists[1], learners: lists[2], learnersNext: lists[3])
        guard configuration.isSound else { throw .invalid("configuration: members contradict each other") }
        return configuration
    }

    /// Nobody twice in a list, no learner that votes, and only voters of the old half on their way to be learners.
    private var isSound: Bool {
        for list in [incoming, outgoing, learners, learnersNext] {
            for (left, right) in zip(list, list.dropFirst()) where left == right { return false }
        }
        return learners.allSatisfy { !isVoter($0) }
            && learnersNext.allSatisfy { outgoing.contains($0) && !incoming.contains($0) }
    }
}
