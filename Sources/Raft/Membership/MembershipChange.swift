package import Primitives

/// One operation on the membership. Operations are applied in the order written; duplicates are allowed, and
/// operations on id 0 are ignored.
package enum MembershipOperation: Hashable, Sendable {
    /// A new voter, or a learner that becomes one.
    case addVoter(MemberID)
    /// A new learner, or a voter that becomes one.
    case addLearner(MemberID)
    case remove(MemberID)
    /// Changes what is known of a member, not what it may do.
    case update(MemberID)
}

package enum MembershipError: Error, Hashable, Sendable {
    /// The configuration is joint already: it must be left first.
    case joint
    /// Only a joint configuration can be left.
    case notJoint
    /// Without voters nobody could decide on a joint configuration.
    case zeroVoters
    /// Nobody would be left to vote.
    case removedAllVoters
    /// More than one voter would change at once, which only a joint configuration makes safe.
    case severalVoters
}

package struct MembershipOutcome: Hashable, Sendable {
    package var configuration: Configuration
    /// Members that were removed and added again within the change, ascending: what the leader knows of their
    /// logs is void.
    package var renewed: [MemberID]

    package init(configuration: Configuration, renewed: [MemberID] = []) {
        self.configuration = configuration
        self.renewed = renewed
    }
}

// Pure functions of a configuration and operations. Paper §6, dissertation §4.
extension Configuration {
    /// A change of at most one voter, and of any number of learners.
    ///
    /// - Throws: `joint`, `removedAllVoters`, `severalVoters`; the first that holds.
    package func applying(_ operations: [MembershipOperation]) throws(MembershipError) -> MembershipOutcome {
        guard !isJoint else { throw .joint }
        var draft = MembershipDraft(self)
        try draft.apply(operations)
        let arrived = draft.incoming.filter { !incoming.contains($0) }.count
        let departed = incoming.filter { !draft.incoming.contains($0) }.count
        guard arrived + departed <= 1 else { throw .severalVoters }
        return draft.outcome
    }

    /// Any change: until `leavingJoint` every decision needs a majority of the old and of the new voters.
    ///
    /// - Throws: `joint`, `zeroVoters`, `removedAllVoters`; the first that holds.
    package func enteringJoint(_ operations: [MembershipOperation]) throws(MembershipError) -> MembershipOutcome {
        guard !isJoint else { throw .joint }
        guard !incoming.isEmpty else { throw .zeroVoters }
        var draft = MembershipDraft(self)
        draft.outgoing = incoming
        try draft.apply(operations)
        return draft.outcome
    }

    /// The new half alone; voters that were to be learners become learners, the others of the old half are gone.
    ///
    /// - Throws: `notJoint`.
    package func leavingJoint() throws(MembershipError) -> MembershipOutcome {
        guard isJoint else { throw .notJoint }
        return MembershipOutcome(configuration: Configuration(voters: incoming, learners: learners + learnersNext))
    }
}

/// A configuration being changed.
private struct MembershipDraft {
    var incoming: [MemberID]
    var outgoing: [MemberID]
    var learners: [MemberID]
    var learnersNext: [MemberID]
    /// Who was forgotten on the way.
    private var dropped: [MemberID] = []

    init(_ configuration: Configuration) {
        incoming = configuration.incoming
        outgoing = configuration.outgoing
        learners = configuration.learners
        learnersNext = configuration.learnersNext
    }

    var outcome: MembershipOutcome {
        let configuration = Configuration(
            voters: incoming, outgoing: outgoing, learners: learners, learnersNext: learnersNext)
        return MembershipOutcome(
            configuration: configuration, renewed: configuration.members.filter { dropped.contains($0) })
    }

    mutating func apply(_ operations: [MembershipOperation]) throws(MembershipError) {
        for operation in operations {
            switch operation {
            case .addVoter(let member): if member.number != 0 { addVoter(member) }
            case .addLearner(let member): if member.number != 0 { addLearner(member) }
            case .remove(let member): if member.number != 0 { remove(member) }
            case .update: break
            }
        }
        guard !incoming.isEmpty else { throw .removedAllVoters }
    }

    private mutating func addVoter(_ member: MemberID) {
        takeOut(member)
        incoming.append(member)
    }

    /// A voter of the old half stays one until the joint configuration is left.
    private mutating func addLearner(_ member: MemberID) {
        guard !learners.contains(member) else { return }
        takeOut(member)
        if outgoing.contains(member) {
            learnersNext.append(member)
        } else {
            learners.append(member)
        }
    }

    private mutating func remove(_ member: MemberID) {
        let isKnown = incoming.contains(member) || learners.contains(member)
        takeOut(member)
        if isKnown, !outgoing.contains(member) { dropped.append(member) }
    }

    private mutating func takeOut(_ member: MemberID) {
        incoming.removeAll { $0 == member }
        learners.removeAll { $0 == member }
        learnersNext.removeAll { $0 == member }
    }
}
