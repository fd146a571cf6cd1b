package import Primitives

/// Leadership on its way to another voter.
struct Transfer: Sendable {
    var target: MemberID
    var deadline: Instant
    var isOrderSent = false
}

// Leadership transfer: dissertation §3.10. And what a leader does when its disk hangs.
extension RaftNode {
    /// Hands leadership to `target`: proposals are refused until it has taken over or an election timeout has
    /// passed, it is brought up to date, and told to campaign.
    ///
    /// - Parameter target: nil lets the leader choose the most caught-up voter it hears from. Another target than
    ///   that of a transfer under way replaces it.
    /// - Returns: false when not leader, or the target is no other voter, or there is none.
    package mutating func transferLeadership(
        to target: MemberID?, at now: Instant, into effects: inout RaftEffects
    ) -> Bool {
        let isStarted = startTransfer(to: target, at: now, into: &effects)
        finish(into: &effects)
        return isStarted
    }

    mutating func startTransfer(
        to target: MemberID?, at now: Instant, into effects: inout RaftEffects
    ) -> Bool {
        guard role == .leader, let target = target ?? mostCaughtUpVoter(at: now) else { return false }
        guard target != id, configurations.latest.incoming.contains(target), !isKnownRecovering(target) else {
            return false
        }
        if lead.transfer?.target == target { return true }
        // Whoever must make room because its disk hangs is given no more time by being told another successor.
        let latest = lead.isStallHandled ? lead.transfer?.deadline : nil
        lead.transfer = Transfer(target: target, deadline: min(latest ?? .distantFuture, now + timings.election))
        orderElectionIfReady(into: &effects)
        return true
    }

    private func mostCaughtUpVoter(at now: Instant) -> MemberID? {
        var best: Progress?
        for peer in lead.peers where configurations.latest.incoming.contains(peer.id) {
            guard now - peer.lastContact < timings.election, !peer.isRecovering else { continue }
            if let known = best, (known.match, known.lastContact) >= (peer.match, peer.lastContact) { continue }
            best = peer
        }
        return best?.id
    }

    /// The order goes out once, when the target holds the whole log.
    mutating func orderElectionIfReady(into effects: inout RaftEffects) {
        guard let transfer = lead.transfer, !transfer.isOrderSent, match(of: transfer.target) == log.lastIndex
        else { return }
        lead.transfer?.isOrderSent = true
        lead.lease.isForfeited = true
        send(.timeoutNow, to: transfer.target, into: &effects)
    }

    mutating func abortTransferIfDue(at now: Instant, into effects: inout RaftEffects) {
        guard let transfer = lead.transfer else { return }
        let isTargetGone = !configurations.latest.incoming.contains(transfer.target)
        guard transfer.deadline <= now || isTargetGone || isKnownRecovering(transfer.target) else { return }
        lead.transfer = nil
        let isLeftOut = !isChangingConfiguration && !configurations.latest.isVoter(id)
        if isLeftOut || (lead.isStallHandled && isDiskStalled(at: now)) { stepDown(at: now, into: &effects) }
    }

    private func isKnownRecovering(_ member: MemberID) -> Bool {
        lead.slot(of: member).map { lead.peers[$0].isRecovering } ?? false
    }

    /// A leader whose disk hangs still answers heartbeats, so nobody would replace it: it hands over, or resigns.
    /// The only voter has nobody to hand over to.
    mutating func resignIfDiskStalled(at now: Instant, into effects: inout RaftEffects) {
        guard !lead.isStallHandled, isDiskStalled(at: now), !configurations.quorum.isOnly(id) else { return }
        lead.isStallHandled = true
        if lead.transfer != nil || startTransfer(to: nil, at: now, into: &effects) { return }
        stepDown(at: now, into: &effects)
    }
}
