import Primitives

/// Entries cut from the log once and sent to several peers: the array is shared, not copied.
struct SharedSlice: Sendable {
    var first: LogIndex?
    var entries: [Entry] = []
    var bytes = 0

    init() {}

    init(first: LogIndex, entries: [Entry], bytes: Int) {
        self.first = first
        self.entries = entries
        self.bytes = bytes
    }
}

// What the leader puts on the wire, within each peer's progress state.
extension RaftNode {
    /// Sends a peer what its state allows.
    ///
    /// - Parameter evenIfEmpty: an append goes out even with nothing new in it (it carries the commit index, and
    ///   its rejection reopens a window whose content was lost).
    mutating func replicate(
        to slot: Int, evenIfEmpty: Bool, shared: inout SharedSlice, at now: Instant, into effects: inout RaftEffects
    ) {
        switch lead.peers[slot].state {
        case .snapshot: return
        case .probe where lead.peers[slot].isPaused: return
        case .probe, .replicate: break
        }
        guard lead.peers[slot].next.previous >= log.basePosition.index else {
            wantSnapshot(for: slot, at: now, into: &effects)
            return
        }
        if lead.peers[slot].state == .probe {
            cut(from: lead.peers[slot].next, into: &shared)
            let previous = log.position(before: lead.peers[slot].next)
            sendAppend(to: slot, after: previous, shared.entries, into: &effects)
            lead.peers[slot].isPaused = true
            return
        }
        var isDue = evenIfEmpty
        while lead.peers[slot].next <= log.lastIndex, !lead.peers[slot].window.isFull(limits) {
            cut(from: lead.peers[slot].next, into: &shared)
            stream(shared, to: slot, into: &effects)
            isDue = false
        }
        if isDue { stream(SharedSlice(), to: slot, into: &effects) }
    }

    private mutating func cut(from first: LogIndex, into shared: inout SharedSlice) {
        guard shared.first != first else { return }
        let (entries, bytes) = log.slice(from: first, bytesMax: limits.appendBytesMax)
        shared = SharedSlice(first: first, entries: entries, bytes: bytes)
    }

    /// Sends ahead of the acknowledgements, joining an append that has not been drained yet.
    private mutating func stream(_ slice: SharedSlice, to slot: Int, into effects: inout RaftEffects) {
        let previous = log.position(before: lead.peers[slot].next)
        let last = previous.index + slice.entries.count
        let isJoined = extendUndrained(slice, to: slot, after: previous.index, in: &effects)
        if !isJoined { sendAppend(to: slot, after: previous, slice.entries, into: &effects) }
        if !slice.entries.isEmpty {
            if isJoined, lead.peers[slot].window.newestBytes(endingAt: previous.index) != nil {
                lead.peers[slot].window.extendNewest(through: last, bytes: slice.bytes)
            } else {
                lead.peers[slot].window.add(through: last, bytes: slice.bytes)
            }
        }
        lead.peers[slot].next = last.next
        precondition(
            lead.peers[slot].match < lead.peers[slot].next,
            "match \(lead.peers[slot].match.number), next \(last.number + 1)")
    }

    /// Adds to an append to this peer that is still in `effects` and ends where the slice begins.
    private mutating func extendUndrained(
        _ slice: SharedSlice, to slot: Int, after index: LogIndex, in effects: inout RaftEffects
    ) -> Bool {
        let place = lead.peers[slot].envelopeSlot
        let peer = lead.peers[slot].id
        guard place < effects.envelopes.count, effects.envelopes[place].message.to == peer,
            effects.envelopes[place].message.term == term,
            case .append(let previous, var entries, _, _) = effects.envelopes[place].message.body,
            previous.index + entries.count == index
        else { return false }
        let held = lead.peers[slot].window.newestBytes(endingAt: index) ?? 0
        guard slice.entries.isEmpty || entries.isEmpty || held + slice.bytes <= limits.appendBytesMax else {
            return false
        }
        if entries.isEmpty {
            entries = slice.entries
        } else if !slice.entries.isEmpty {
            // Frees the array from the message, so that it grows in place.
            effects.envelopes[place].message.body = .timeoutNow
            entries.append(contentsOf: slice.entries)
        }
        effects.envelopes[place].message.body = .append(
            previous: previous, entries: entries, commit: commitIndex, readPosition: reads.position)
        lead.peers[slot].sentCommit = commitIndex
        return true
    }

    private mutating func sendAppend(
        to slot: Int, after previous: LogPosition, _ entries: [Entry], into effects: inout RaftEffects
    ) {
        lead.peers[slot].envelopeSlot = effects.envelopes.count
        lead.peers[slot].sentCommit = commitIndex
        send(
            .append(previous: previous, entries: entries, commit: commitIndex, readPosition: reads.position),
            to: lead.peers[slot].id, into: &effects)
    }

    /// Heartbeats tell a peer only of commits it is known to hold.
    mutating func sendHeartbeats(at now: Instant, into effects: inout RaftEffects) {
        if lead.heartbeatDeadline + timings.heartbeat < now { lateHeartbeats += UInt64(lead.peers.count) }
        lead.heartbeatDeadline = now + timings.heartbeat
        if timings.leaseReads {
            reads.position += 1
            beginLeaseRound(at: now)
        }
        for peer in lead.peers { sendHeartbeat(to: peer, into: &effects) }
    }

    mutating func sendHeartbeat(to peer: Progress, into effects: inout RaftEffects) {
        send(
            .heartbeat(commit: min(peer.match, commitIndex), readPosition: reads.position), to: peer.id,
            into: &effects)
    }
}
