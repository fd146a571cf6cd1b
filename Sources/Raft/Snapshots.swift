import Primitives

/// How much of the log is kept behind the durable state machine.
struct Retention: Sendable {
    /// The state machine is durable up to here.
    var durable: LogIndex
    /// Payload of the entries after the base, up to `durable`.
    var bytes = 0

    init(durable: LogIndex) {
        self.durable = durable
    }
}

// Compaction and snapshots: paper §7.
extension RaftNode {
    /// A peer being sent a snapshot still finds the log behind it, for this long.
    static let snapshotPin = TimeSpan.seconds(60)
    /// Lagging peers may keep this many times the usual tail.
    static let laggingFactor = 4

    // MARK: - Leader

    mutating func wantSnapshot(for slot: Int, at now: Instant, into effects: inout RaftEffects) {
        // Nobody there to take it; the next answer brings us back.
        guard now - lead.peers[slot].lastContact < timings.election else { return }
        lead.peers[slot].becomeSnapshot(pending: log.basePosition.index, at: now)
        effects.snapshotsWanted.append(lead.peers[slot].id)
    }

    /// The peer stands durably at a committed position, whoever sent it there.
    mutating func snapshotSent(
        to member: MemberID, _ position: LogPosition, at now: Instant, into effects: inout RaftEffects
    ) {
        guard role == .leader, let slot = lead.slot(of: member),
            case .snapshot = lead.peers[slot].state, position.index <= commitIndex
        else { return }
        lead.peers[slot].heard(at: now)
        let isNews = lead.peers[slot].acknowledged(position.index)
        lead.peers[slot].roundMayEnd(logEnd: log.lastIndex, at: now)
        lead.peers[slot].state = .probe
        lead.peers[slot].becomeProbe()
        if isNews, advanceCommit(at: now, into: &effects) { return }
        var shared = SharedSlice()
        replicate(to: slot, evenIfEmpty: true, shared: &shared, at: now, into: &effects)
    }

    /// Waits for a heartbeat's answer before anything is tried again.
    mutating func snapshotFailed(to member: MemberID, at now: Instant) {
        guard role == .leader, let slot = lead.slot(of: member),
            case .snapshot = lead.peers[slot].state
        else { return }
        lead.peers[slot].state = .probe
        lead.peers[slot].becomeProbe()
        lead.peers[slot].isPaused = true
        lead.peers[slot].nudgeAt = now + timings.heartbeat
    }

    // MARK: - Receiver

    /// The state machine was replaced. A log that contains the position is kept, and agrees with it; any other is
    /// discarded whole, since what follows a conflicting entry conflicts too.
    mutating func snapshotInstalled(_ base: LogBase, at now: Instant, into effects: inout RaftEffects) {
        let position = base.position
        if position.index > delivered {
            delivered = position.index
            if log.contains(position) {
                commitIndex = max(commitIndex, position.index)
            } else {
                precondition(
                    role != .leader && position.index > commitIndex,
                    "snapshot at \(position.index.number) contradicts the log of member \(id.number), "
                        + "committed up to \(commitIndex.number)")
                commitIndex = position.index
                reset(to: base, at: now, into: &effects)
            }
        }
        recoveryMayEnd(into: &effects)
        guard let leader, leader != id, position.index <= commitIndex else { return }
        send(
            .appendAccepted(match: position.index, readPosition: 0), to: leader, gate: gate(for: position.index),
            into: &effects)
    }

    // MARK: - Compaction

    /// Forgets what the durable state machine makes superfluous, in steps worth a write, keeping a tail for slow
    /// followers and more of it for those that are being served right now.
    mutating func stateDurable(_ index: LogIndex, at now: Instant, into effects: inout RaftEffects) {
        precondition(
            index <= delivered, "state durable up to \(index.number), handed out up to \(delivered.number)")
        guard index > retention.durable else { return }
        let first = max(retention.durable, log.basePosition.index)
        for offset in 0..<(index - first) { retention.bytes += log.payloadBytes(at: first.next + offset) }
        retention.durable = index

        let base = compactionTarget(at: now)
        let dropped = base.index - log.basePosition.index
        guard dropped > 0, dropped > limits.trailingEntries / 8 || base.bytes > limits.trailingBytesMax / 8 else {
            return
        }
        retention.bytes -= base.bytes
        let configuration = configurations.configuration(asOf: base.index)
        log.compact(to: base.index)
        configurations.compact(to: base.index)
        writes.compact(to: base.index)
        effects.compactTo = LogBase(position: log.basePosition, configuration: configuration)
    }

    /// The highest index that can go, and the payload up to it.
    private func compactionTarget(at now: Instant) -> (index: LogIndex, bytes: Int) {
        let needed = lowestNeeded(at: now)
        var index = log.basePosition.index
        var bytes = 0
        while index < retention.durable {
            let isNeeded = index >= needed
            let factor = isNeeded ? RaftNode.laggingFactor : 1
            let isCountOver = retention.durable - index > limits.trailingEntries * factor
            let isSizeOver = retention.bytes - bytes > limits.trailingBytesMax * factor
            guard isCountOver || isSizeOver else { break }
            index = index.next
            bytes += log.payloadBytes(at: index)
        }
        return (index, bytes)
    }

    /// Peers that take appends, or are about to after a snapshot, still need what follows this index.
    private func lowestNeeded(at now: Instant) -> LogIndex {
        var lowest = retention.durable
        for peer in lead.peers {
            switch peer.state {
            case .replicate: lowest = min(lowest, peer.match)
            case .snapshot(let pending):
                if now - peer.snapshotSince < RaftNode.snapshotPin { lowest = min(lowest, pending) }
            case .probe: break
            }
        }
        return lowest
    }
}
