import Primitives
import Raft
import RegistryModel

/// Snapshots on their way to and from this member. One chunk is in flight to a peer at a time; the shell reads and
/// stores the bytes.
struct SnapshotTransfers: Sendable {
    struct Outbound: Sendable {
        enum Stage: Sendable {
            /// The shell writes the snapshot. Goes to `sending`, or the transfer ends.
            case opening
            /// `offset` is where the peer wants to continue.
            case sending(SnapshotIdentity, offset: Int64)
            /// Everything is stored there; it verifies and switches.
            case installing(SnapshotIdentity)
        }

        var peer: MemberID
        var stage: Stage
        /// When the peer last confirmed something new.
        var progressAt: Instant
        /// When to send the chunk again if nothing comes.
        var retryAt: Instant
    }

    static let chunkBytes = 256 * 1024
    private static let retryAfter = TimeSpan.milliseconds(1_000)
    private static let giveUpAfter = TimeSpan.seconds(60)
    private static let installPatience = TimeSpan.seconds(600)

    private(set) var outbound: [Outbound] = []
    /// In id order; for metrics.
    private(set) var tallies: [SnapshotTally] = []
    /// A received snapshot is being verified and switched in: nothing may be applied meanwhile.
    private(set) var installing: SnapshotIdentity?

    var isInstalling: Bool { installing != nil }

    mutating func beginInstalling(_ identity: SnapshotIdentity) {
        installing = identity
    }

    mutating func endInstalling() {
        installing = nil
    }

    mutating func want(_ peer: MemberID, at now: Instant, into effects: inout ReplicaEffects) {
        guard !outbound.contains(where: { $0.peer == peer }) else { return }
        outbound.append(Outbound(peer: peer, stage: .opening, progressAt: now, retryAt: .distantFuture))
        tally(peer) { $0.isSending = true }
        effects.snapshots.append(.open(peer))
    }

    mutating func opened(
        _ peer: MemberID, _ identity: SnapshotIdentity, at now: Instant, into effects: inout ReplicaEffects
    ) {
        guard let position = outbound.firstIndex(where: { $0.peer == peer }) else {
            effects.snapshots.append(.close(peer))
            return
        }
        outbound[position].stage = .sending(identity, offset: 0)
        advance(position, at: now, into: &effects)
    }

    /// The peer has stored everything below `nextOffset`.
    mutating func stored(
        _ identity: SnapshotIdentity, nextOffset: Int64, by peer: MemberID, at now: Instant,
        into effects: inout ReplicaEffects
    ) {
        guard let position = outbound.firstIndex(where: { $0.peer == peer }) else { return }
        if case .installing(identity) = outbound[position].stage, nextOffset < identity.bytes {
            // It began anew before it had installed anything.
            outbound[position].stage = .sending(identity, offset: nextOffset)
            return advance(position, at: now, into: &effects)
        }
        guard case .sending(identity, let offset) = outbound[position].stage else { return }
        if nextOffset >= identity.bytes {
            outbound[position].stage = .installing(identity)
            outbound[position].progressAt = now
            outbound[position].retryAt = now + SnapshotTransfers.retryAfter
            return
        }
        guard nextOffset != offset || outbound[position].retryAt <= now else { return }
        outbound[position].stage = .sending(identity, offset: nextOffset)
        advance(position, at: now, into: &effects)
    }

    /// The transfer is over, if it was under way: the peer uses the snapshot, or it came to nothing.
    mutating func end(_ peer: MemberID, isDone: Bool, into effects: inout ReplicaEffects) {
        guard let position = outbound.firstIndex(where: { $0.peer == peer }) else { return }
        outbound.remove(at: position)
        ended(peer, isDone: isDone)
        effects.snapshots.append(.close(peer))
    }

    mutating func endAll(into effects: inout ReplicaEffects) {
        for transfer in outbound {
            ended(transfer.peer, isDone: false)
            effects.snapshots.append(.close(transfer.peer))
        }
        outbound.removeAll()
    }

    /// What this member received of a snapshot is in use, or was of no use.
    mutating func received(from peer: MemberID, isUsed: Bool) {
        tally(peer) { tally in
            if isUsed { tally.received += 1 } else { tally.receiveFailures += 1 }
        }
    }

    private mutating func ended(_ peer: MemberID, isDone: Bool) {
        tally(peer) { tally in
            tally.isSending = false
            if isDone { tally.sent += 1 } else { tally.sendFailures += 1 }
        }
    }

    private mutating func tally(_ peer: MemberID, _ change: (inout SnapshotTally) -> Void) {
        let place = tallies.firstIndex { $0.peer >= peer } ?? tallies.count
        if place == tallies.count || tallies[place].peer != peer {
            tallies.insert(SnapshotTally(peer: peer), at: place)
        }
        change(&tallies[place])
    }

    /// The link is fresh: whatever was in flight is lost.
    mutating func linkUp(_ peer: MemberID, into effects: inout ReplicaEffects) {
        guard let position = outbound.firstIndex(where: { $0.peer == peer }) else { return }
        ask(position, into: &effects)
    }

    /// Sends what the peer has to answer: the chunk that it lacks, or, where it has everything, the last byte once more,
    /// since its word that it is done may have been lost.
    private func ask(_ position: Int, into effects: inout ReplicaEffects) {
        let peer = outbound[position].peer
        switch outbound[position].stage {
        case .opening: break
        case .sending(let identity, let offset):
            effects.snapshots.append(.read(peer, identity, offset: offset, count: SnapshotTransfers.chunkBytes))
        case .installing(let identity):
            effects.snapshots.append(.read(peer, identity, offset: max(0, identity.bytes - 1), count: 1))
        }
    }

    mutating func retry(at now: Instant, into effects: inout ReplicaEffects) {
        for position in outbound.indices where outbound[position].retryAt <= now {
            outbound[position].retryAt = now + SnapshotTransfers.retryAfter
            ask(position, into: &effects)
        }
    }

    /// Peers whose transfer has made no progress for too long.
    func stalled(at now: Instant) -> [MemberID] {
        outbound.filter { deadline(of: $0) <= now }.map(\.peer)
    }

    var nextDeadline: Instant {
        outbound.reduce(.distantFuture) { min($0, min($1.retryAt, deadline(of: $1))) }
    }

    private func deadline(of transfer: Outbound) -> Instant {
        switch transfer.stage {
        case .opening, .installing: transfer.progressAt + SnapshotTransfers.installPatience
        case .sending: transfer.progressAt + SnapshotTransfers.giveUpAfter
        }
    }

    private mutating func advance(_ position: Int, at now: Instant, into effects: inout ReplicaEffects) {
        outbound[position].progressAt = now
        outbound[position].retryAt = now + SnapshotTransfers.retryAfter
        ask(position, into: &effects)
    }
}
