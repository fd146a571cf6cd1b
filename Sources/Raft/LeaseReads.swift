package import Primitives

/// How long a leader knows that nobody else can have been elected.
struct ReadLease: Sendable {
    struct Round: Sendable {
        var position: UInt64
        var sentAt: Instant
    }

    /// Heartbeat rounds not yet confirmed by a majority, ascending.
    var rounds: [Round] = []
    /// When the newest confirmed round was sent.
    var start: Instant?
    /// An order to campaign went out in this term: whoever got it need not respect anybody's recency.
    var isForfeited = false

    mutating func end() {
        rounds = []
        start = nil
    }
}

// Reads without a round trip while a majority cannot vote for another: dissertation §6.4.1. Off by default. Sound only
// with all of these: voters keep their promise of one election timeout whatever happens to their term, also across a
// restart (`isPromised`); instants come from a clock that runs on while the machine sleeps; clocks err by no more than
// `clockErrorPermille`; no order to campaign went out; the no-op of the term is committed.
extension RaftNode {
    /// Whether this voter has promised a leader not to help replace it yet.
    func isPromised(at now: Instant) -> Bool {
        timings.leaseReads && (now < election.holdOffUntil || now < election.leaderContact + timings.election)
    }

    /// A round of heartbeats goes out whose confirmation will extend the lease.
    mutating func beginLeaseRound(at now: Instant) {
        guard timings.leaseReads, !configurations.quorum.isOnly(id) else { return }
        lead.lease.rounds.append(ReadLease.Round(position: reads.position, sentAt: now))
    }

    mutating func extendLease() {
        guard timings.leaseReads else { return }
        let confirmed = confirmedReadPosition()
        var count = 0
        while count < lead.lease.rounds.count, lead.lease.rounds[count].position <= confirmed { count += 1 }
        guard count > 0 else { return }
        lead.lease.start = lead.lease.rounds[count - 1].sentAt
        lead.lease.rounds.removeFirst(count)
    }

    /// Whether a read may be served at once.
    package func holdsReadLease(at now: Instant) -> Bool {
        guard timings.leaseReads, isEstablishedLeader, lead.transfer == nil, !lead.lease.isForfeited,
            let start = lead.lease.start
        else { return false }
        return now < start + timings.readLease
    }
}
