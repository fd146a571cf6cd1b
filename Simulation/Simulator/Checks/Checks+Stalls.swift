import Primitives
import Raft
import Replica

// R20 while it runs: a leader whose disk hangs makes room, or what it leads waits as long as its disk does.
extension Checks {
    /// Handing over is tried after one election timeout and has another to come off.
    static let stallTimeouts: Int64 = 3

    /// Batches that are on their way to the disk.
    mutating func noteOutstanding(_ batch: LogBatch, by id: MemberID, at now: Instant) {
        facts[place(id)].outstanding.append(MemberFacts.Outstanding(batch: batch.number, since: now))
    }

    mutating func noteDurable(_ batch: BatchNumber, by id: MemberID) {
        facts[place(id)].outstanding.removeAll { $0.batch <= batch }
    }

    /// After each step. Whoever stands still can do nothing: only time counts in which the member took steps.
    mutating func checkStall(of id: MemberID, _ glance: Glance, at now: Instant) throws(Violation) {
        let place = place(id)
        if now - facts[place].steppedAt > options.election { facts[place].awakeSince = now }
        facts[place].steppedAt = now
        guard glance.role == .leader, let oldest = facts[place].outstanding.first else { return }
        let since = max(oldest.since, facts[place].awakeSince)
        guard now - since > options.election * Checks.stallTimeouts,
            facts[place].log.latest.configuration.voters != [id]
        else { return }
        throw Violation(
            .liveness,
            "m\(id.number) still leads term \(glance.term.number), \((now - since).milliseconds) ms after it ordered a "
                + "write that has not ended", at: now)
    }

    /// R12: what was derived from the log goes with it. A configuration is in force exactly as long as its entry is there.
    func checkConfigurationKept(
        by id: MemberID, _ current: @autoclosure () -> Configuration, _ effects: ReplicaEffects, at now: Instant
    ) throws(Violation) {
        guard effects.logBatches.contains(where: { $0.truncateFrom != nil || $0.resetTo != nil }) else { return }
        let (latest, configuration) = (facts[place(id)].log.latest, current())
        guard latest.configuration != configuration else { return }
        throw Violation(
            .configurations,
            "m\(id.number) cut its log and goes by voters \(configuration.voters.map(\.number)), the log says "
                + "\(latest.configuration.voters.map(\.number)) since entry \(latest.index.number)", at: now)
    }
}
