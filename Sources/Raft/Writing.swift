package import Primitives

// Everything that goes to the log lane passes here, and every gate comes from here.
extension RaftNode {
    /// What the start found in need of a write.
    mutating func writeStart(at now: Instant, into effects: inout RaftEffects) {
        if let base = startReset {
            startReset = nil
            let batch = openBatch(at: now, into: &effects)
            effects.batches[batch].resetTo = base
        }
        if isHardStateDirty { writeHardState(at: now, into: &effects) }
    }

    /// The batch to add to: the last one while it has not been drained, else a new one.
    ///
    /// - Parameter atStart: what is to be added comes before entries, so a batch that has some will not do.
    /// - Returns: its offset in `effects.batches`.
    private mutating func openBatch(
        at now: Instant, atStart: Bool = false, into effects: inout RaftEffects
    ) -> Int {
        if let last = effects.batches.last, last.number == writes.lastBatch,
            !atStart || (last.entries.isEmpty && last.truncateFrom == nil && last.resetTo == nil)
        {
            return effects.batches.count - 1
        }
        effects.batches.append(LogBatch(number: writes.begin(at: now)))
        return effects.batches.count - 1
    }

    /// Term and vote changed. The commit index rides along as a hint, bounded by what is durable already: a batch
    /// half written by a crash must not vouch for entries it did not write.
    mutating func writeHardState(at now: Instant, into effects: inout RaftEffects) {
        isHardStateDirty = false
        let batch = openBatch(at: now, into: &effects)
        effects.batches[batch].hardState = HardState(
            term: term, votedFor: votedFor, commit: min(commitIndex, writes.durable))
        hardStateBatch = writes.lastBatch
    }

    /// Appends entries that continue the log. Configurations take force at once.
    mutating func append(_ entries: [Entry], at now: Instant, into effects: inout RaftEffects) {
        log.append(entries)
        var isReconfigured = false
        for entry in entries where entry.kind == .configuration {
            configurations.append(RaftNode.configuration(in: entry), at: entry.index)
            isReconfigured = true
        }
        let batch = openBatch(at: now, into: &effects)
        if effects.batches[batch].entries.isEmpty {
            effects.batches[batch].entries = entries
        } else {
            effects.batches[batch].entries.append(contentsOf: entries)
        }
        writes.wrote(through: log.lastIndex)
        if isReconfigured { reconcilePeers(at: now) }
    }

    /// Drops entries from `index` on; a configuration among them is no longer in force.
    mutating func truncate(from index: LogIndex, at now: Instant, into effects: inout RaftEffects) {
        precondition(
            index > commitIndex,
            "member \(id.number), term \(term.number): log cut at \(index.number), committed up to \(commitIndex.number)"
        )
        log.truncate(from: index)
        writes.truncate(from: index)
        _ = configurations.truncate(from: index)
        let batch = openBatch(at: now, atStart: true, into: &effects)
        effects.batches[batch].truncateFrom = index
    }

    /// Replaces the log by `base`, where the state machine stands durably.
    mutating func reset(to base: LogBase, at now: Instant, into effects: inout RaftEffects) {
        log = RaftLog(base: base.position)
        configurations = ConfigurationHistory(base: base)
        writes.reset(to: base.position.index)
        retention = Retention(durable: base.position.index)
        let batch = openBatch(at: now, atStart: true, into: &effects)
        effects.batches[batch].resetTo = base
    }

    /// The batch after which this member's promise for entries up to `index` in the present term is durable; `index`
    /// must not be beyond the log's end.
    package mutating func gate(for index: LogIndex) -> BatchNumber {
        max(writes.gate(for: index), writes.pending(hardStateBatch))
    }

    /// A write has not returned for an election timeout.
    func isDiskStalled(at now: Instant) -> Bool {
        guard let oldest = writes.oldestOutstanding else { return false }
        return now - oldest >= timings.election
    }
}
