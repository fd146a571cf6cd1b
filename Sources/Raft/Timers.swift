package import Primitives

// One deadline instead of ticks: the shell keeps one timer.
extension RaftNode {
    /// When `.timer` is next due; `distantFuture` when nothing waits for time.
    package var nextDeadline: Instant {
        guard role == .leader else { return election.deadline }
        guard !lead.peers.isEmpty else { return .distantFuture }
        var next = lead.heartbeatDeadline
        if let transfer = lead.transfer { next = min(next, transfer.deadline) }
        if !configurations.quorum.isOnly(id) {
            next = min(next, lead.quorumDeadline)
            if !lead.isStallHandled, let oldest = writes.oldestOutstanding {
                next = min(next, oldest + timings.election)
            }
        }
        return next
    }

    mutating func timerFired(at now: Instant, into effects: inout RaftEffects) {
        guard role == .leader else {
            if election.deadline <= now { electionTimeout(at: now, into: &effects) }
            return
        }
        if lead.quorumDeadline <= now { checkQuorum(at: now, into: &effects) }
        if role == .leader { abortTransferIfDue(at: now, into: &effects) }
        if role == .leader { resignIfDiskStalled(at: now, into: &effects) }
        if role == .leader, lead.heartbeatDeadline <= now { sendHeartbeats(at: now, into: &effects) }
    }
}
