package import Primitives

/// What the leader knows about one other member. `match < next` always.
package struct Progress: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// One append at a time until one is accepted. Goes to `replicate` then, or to `snapshot`.
        case probe
        /// Appends are sent ahead of their acknowledgements. Goes to `probe` on a rejection or a lost link.
        case replicate
        /// The log no longer reaches back to the peer; nothing but a snapshot helps. `pending` is the base it must
        /// reach. Goes to `replicate` or `probe` when an acknowledgement reconnects it to our log.
        case snapshot(pending: LogIndex)
    }

    package let id: MemberID
    /// Durable on the peer and equal to our log up to here.
    package internal(set) var match: LogIndex
    /// The next entry to send.
    package internal(set) var next: LogIndex
    package internal(set) var state = State.probe
    package internal(set) var window = InflightWindow()
    /// A probe is out; no other one before an answer or a heartbeat's answer.
    package internal(set) var isPaused = false
    /// Last answer in this term; a new peer counts as just heard, or adding one could depose the leader.
    package internal(set) var lastContact: Instant
    /// Whether it answered in this term at all.
    package internal(set) var hasAnswered = false
    /// It lost entries it had acknowledged: what it holds counts for nothing yet.
    package internal(set) var isRecovering = false
    /// How long its last catch-up round took: from some moment until it held what the log held at that moment.
    package internal(set) var lastRound: TimeSpan?
    /// The round under way; nil while it holds the whole log.
    private var roundEnd: LogIndex?
    private var roundStart: Instant
    /// The highest commit index the peer was told.
    var sentCommit: LogIndex
    /// The highest read position the peer has confirmed.
    var readPosition: UInt64 = 0
    /// Not before this instant does a heartbeat's answer cause another probe: read rounds answer far more often
    /// than the heartbeat interval.
    var nudgeAt: Instant
    /// When the snapshot state began: it pins the log for a while.
    var snapshotSince: Instant
    /// Where in the undrained effects the last append to this peer may lie.
    var envelopeSlot = 0

    init(id: MemberID, logEnd: LogIndex, now: Instant) {
        self.id = id
        match = .zero
        next = logEnd.next
        lastContact = now
        roundEnd = logEnd
        roundStart = now
        sentCommit = .zero
        nudgeAt = now
        snapshotSince = now
    }

    /// What a majority may count on.
    var counted: LogIndex { isRecovering ? .zero : match }

    mutating func heard(at now: Instant) {
        lastContact = now
        hasAnswered = true
    }

    /// Forgets all that is known of the peer's log. A snapshot under way stays so.
    mutating func beginAnew(isRecovering: Bool, next first: LogIndex) {
        self.isRecovering = isRecovering
        match = .zero
        readPosition = 0
        sentCommit = .zero
        if case .snapshot = state { return }
        state = .probe
        next = first
        isPaused = false
        window.removeAll()
    }

    mutating func becomeProbe() {
        if case .snapshot(let pending) = state {
            next = max(match.next, pending.next)
        } else {
            next = match.next
        }
        state = .probe
        isPaused = false
        sentCommit = min(sentCommit, next.previous)
        window.removeAll()
    }

    mutating func becomeReplicate() {
        state = .replicate
        isPaused = false
        next = match.next
        sentCommit = min(sentCommit, match)
        window.removeAll()
    }

    mutating func becomeSnapshot(pending: LogIndex, at now: Instant) {
        state = .snapshot(pending: pending)
        isPaused = false
        next = max(match, pending).next
        sentCommit = min(sentCommit, match)
        snapshotSince = now
        window.removeAll()
    }

    /// - Returns: whether the acknowledgement says anything new.
    mutating func acknowledged(_ index: LogIndex) -> Bool {
        window.free(through: index)
        guard index > match else { return false }
        match = index
        next = max(next, index.next)
        return true
    }

    /// After an acknowledgement: a round ends when the peer holds what the log held at its start.
    mutating func roundMayEnd(logEnd: LogIndex, at now: Instant) {
        if let end = roundEnd {
            guard match >= end else { return }
            lastRound = now - roundStart
        }
        roundEnd = match < logEnd ? logEnd : nil
        roundStart = now
    }

    /// Whether the last catch-up round was, and the present one still is, shorter than `limit`.
    func isKeepingUp(within limit: TimeSpan, at now: Instant) -> Bool {
        // It holds the whole log, however long it was away before.
        if roundEnd == nil, lastRound != nil { return true }
        guard let lastRound, lastRound < limit else { return false }
        return now - roundStart < limit
    }

    /// Handles a rejection of the append after `rejected`.
    ///
    /// - Parameter hint: the highest index of our log where the peer may agree.
    /// - Returns: false when the rejection is stale.
    mutating func rejected(_ rejected: LogIndex, hint: LogIndex) -> Bool {
        if isRecovering, rejected > .zero {
            // It may have lost still more since it last said what it holds.
            match = min(match, hint, rejected.previous)
        }
        switch state {
        case .replicate:
            guard rejected > match else { return false }
            becomeProbe()
            return true
        case .probe:
            guard rejected == next.previous else { return false }
            next = max(min(rejected, hint.next), match.next)
            sentCommit = min(sentCommit, next.previous)
            isPaused = false
            return true
        case .snapshot:
            return false
        }
    }

    /// Whether telling the peer of `commit` could let it commit more.
    func canUse(commit: LogIndex) -> Bool {
        commit > sentCommit && sentCommit < next.previous
    }
}
