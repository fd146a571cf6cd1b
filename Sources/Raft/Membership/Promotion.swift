package import Primitives

/// What keeps a learner from becoming a voter.
package enum PromotionObstacle: Hashable, Sendable {
    /// Only the leader can tell.
    case notLeader
    /// Another change comes first.
    case changePending
    case notLearner
    /// It has lost entries and is getting them back.
    case recovering
    /// It did not answer within the last election timeout, or never.
    case silent
    /// Its log does not continue ours yet: a probe or a snapshot is under way.
    case notReplicating
    /// It is getting what the log held at some moment, and that takes, or took, longer than an election timeout.
    case catchingUp
    /// This many entries behind.
    case behind(Int)
    /// Too few of the voters there would be are answering.
    case quorumAtRisk
}

// When a learner may vote: dissertation §4.2.1. A voter that is far behind makes the cluster wait for it.
extension RaftNode {
    /// A learner further behind than this is not promoted.
    static let promotionLagMax = 1_000

    /// Why this learner is not to be promoted now; nil when it is ready.
    package func promotionObstacle(of member: MemberID, at now: Instant) -> PromotionObstacle? {
        guard role == .leader else { return .notLeader }
        guard !isChangingConfiguration else { return .changePending }
        guard configurations.latest.learners.contains(member), let slot = lead.slot(of: member) else {
            return .notLearner
        }
        let peer = lead.peers[slot]
        if peer.isRecovering { return .recovering }
        guard isRecentlyActive(member, at: now) else { return .silent }
        guard peer.state == .replicate else { return .notReplicating }
        guard peer.isKeepingUp(within: timings.election, at: now) else { return .catchingUp }
        let lag = log.lastIndex - peer.match
        guard lag <= RaftNode.promotionLagMax else { return .behind(lag) }
        let target = configurations.latest.incoming + [member]
        let active = target.filter { isRecentlyActive($0, at: now) }.count
        return active >= MajorityQuorum(target).size ? nil : .quorumAtRisk
    }

    /// Whether the member answered this leader within the last election timeout, with a log that counts. The leader
    /// itself always did; on other members nobody did.
    package func isRecentlyActive(_ member: MemberID, at now: Instant) -> Bool {
        guard role == .leader else { return false }
        if member == id { return true }
        guard let slot = lead.slot(of: member) else { return false }
        let peer = lead.peers[slot]
        return peer.hasAnswered && !peer.isRecovering && now - peer.lastContact < timings.election
    }
}
