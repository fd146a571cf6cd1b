package import Primitives

/// Majorities of both halves of a configuration. Every decision of the cluster is taken here: votes, pre-votes,
/// commit, check-quorum and read positions.
///
/// Source: Raft paper §6.
package struct JointQuorum: Hashable, Sendable {
    package var incoming: MajorityQuorum
    /// Empty unless joint.
    package var outgoing: MajorityQuorum

    package init(incoming: [MemberID], outgoing: [MemberID] = []) {
        self.incoming = MajorityQuorum(incoming)
        self.outgoing = MajorityQuorum(outgoing)
    }

    package init(_ configuration: Configuration) {
        self.init(incoming: configuration.incoming, outgoing: configuration.outgoing)
    }

    /// The highest value that a majority of each half has reached.
    package func reached(by value: (MemberID) -> UInt64?) -> UInt64 {
        min(incoming.reached(by: value), outgoing.reached(by: value))
    }

    /// Won when both halves are won, lost when one is lost.
    package func outcome(of vote: (MemberID) -> Bool?) -> VoteOutcome {
        let new = incoming.outcome(of: vote)
        let old = outgoing.outcome(of: vote)
        if new == old { return new }
        return new == .lost || old == .lost ? .lost : .pending
    }

    /// Whether this member alone decides.
    package func isOnly(_ member: MemberID) -> Bool {
        incoming.voters.allSatisfy { $0 == member } && outgoing.voters.allSatisfy { $0 == member }
            && !incoming.voters.isEmpty
    }
}
