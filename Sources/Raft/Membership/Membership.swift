package import Primitives

package enum ConfigurationRefusal: Error, Hashable, Sendable {
    case notLeader(known: MemberID?)
    /// The leader's own no-op is not committed yet: it might not know the configuration that is.
    case notEstablished
    /// Leadership is being handed over.
    case transferring
    /// An earlier change is not committed, or its joint configuration not yet left.
    case changePending
    case invalid(MembershipError)
}

// Changing who decides: paper §6, dissertation §4. Configurations take force when appended, so the rules here keep
// any two members at most one configuration apart.
extension RaftNode {
    /// Whether a change is on its way: not committed, or joint.
    package var isChangingConfiguration: Bool {
        configurations.latest.isJoint || configurations.latestIndex > commitIndex
    }

    /// Appends a configuration entry; it is in force from now on. More than one changed voter makes the configuration
    /// joint; whoever leads once that is committed proposes to leave it, with an empty context.
    ///
    /// - Parameters:
    ///   - operations: applied in this order to the present configuration.
    ///   - context: what the state machine is to do with the entry once it is committed.
    /// - Returns: the entry's index.
    package mutating func proposeConfiguration(
        _ operations: [MembershipOperation], context: [UInt8], at now: Instant, into effects: inout RaftEffects
    ) -> Result<LogIndex, ConfigurationRefusal> {
        guard role == .leader else { return .failure(.notLeader(known: leader)) }
        guard isEstablishedLeader else { return .failure(.notEstablished) }
        guard lead.transfer == nil else { return .failure(.transferring) }
        guard !isChangingConfiguration else { return .failure(.changePending) }
        let outcome: MembershipOutcome
        do throws(MembershipError) {
            outcome = try RaftNode.change(configurations.latest, by: operations)
        } catch {
            return .failure(.invalid(error))
        }
        appendConfiguration(outcome, context: context, at: now, into: &effects)
        finish(into: &effects)
        return .success(log.lastIndex)
    }

    private static func change(
        _ configuration: Configuration, by operations: [MembershipOperation]
    ) throws(MembershipError) -> MembershipOutcome {
        do throws(MembershipError) {
            return try configuration.applying(operations)
        } catch {
            guard error == .severalVoters else { throw error }
            return try configuration.enteringJoint(operations)
        }
    }

    private mutating func appendConfiguration(
        _ outcome: MembershipOutcome, context: [UInt8], at now: Instant, into effects: inout RaftEffects
    ) {
        // Whoever comes back under an old name is taken for a new member.
        lead.peers.removeAll { outcome.renewed.contains($0.id) }
        lead.lease.end()
        let payload = ConfigurationEntry(configuration: outcome.configuration, context: context).encoded()
        let entry = Entry(index: log.lastIndex.next, term: term, kind: .configuration, payload: payload)
        appendAndReplicate([entry], bytes: payload.count, at: now, into: &effects)
        // A round may have waited only for somebody who no longer counts.
        finishReadRound(at: now, into: &effects)
    }

    /// The commit index moved, perhaps past a configuration.
    mutating func configurationMayBeCommitted(at now: Instant, into effects: inout RaftEffects) {
        guard isEstablishedLeader, configurations.latestIndex <= commitIndex else { return }
        if configurations.latest.isJoint {
            do throws(MembershipError) {
                let outcome = try configurations.latest.leavingJoint()
                appendConfiguration(outcome, context: [], at: now, into: &effects)
            } catch {
                preconditionFailure("joint configuration cannot be left: \(error)")
            }
        } else if !configurations.latest.isVoter(id), lead.transfer == nil {
            // Its work is done: the change that leaves it out is committed.
            if !startTransfer(to: nil, at: now, into: &effects) { stepDown(at: now, into: &effects) }
        }
    }

    /// Voters of the latest configuration campaign, and those it leaves out while it is not known to be committed:
    /// they may hold its only copy, and those who lack it cannot win against them (dissertation §4.2.2).
    var isElectable: Bool {
        if configurations.latest.isVoter(id) { return true }
        guard configurations.latestIndex > commitIndex, let previous = configurations.previous else { return false }
        return previous.isVoter(id)
    }
}
