import Primitives
import Raft
import RegistryModel
import Replica

// What leaves a member is true at that moment: R10, and what leaders believe of others: R14, R17.
extension Checks {
    mutating func sent(
        _ send: PeerSend, by id: MemberID, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        switch send.message {
        case .raft(let message): try sent(message, by: id, glance, at: now)
        case .snapshotChunk(let identity, let offset, let bytes):
            try chunkSent(identity, bytes: bytes.count, by: id, at: now)
            if offset == 0 { coverage.hit(.snapshotSent) }
        case .snapshotInstalled(let identity):
            try promise(
                id, "says that its state contains entry \(identity.position.index.number)",
                holds(id, identity.position), at: now)
            // A leader may count on it.
            if identity.position.index > facts[place(id)].acknowledged.index {
                facts[place(id)].acknowledged = identity.position
            }
        case .leaseHintsHeard(let term, _), .leaseHints(let term, _, _), .leaseAges(let term, _, _):
            try promise(
                id, "speaks for term \(term.number) in term \(glance.term.number)", term <= glance.term, at: now)
        case .digest(let index, let digest):
            try compare(digest, at: index, by: id, at: now)
        case .snapshotStored, .snapshotRefused, .forward, .forwardRefused, .forwardMembership, .membershipRefused,
            .renew, .renewAs, .renewed, .timeToLive, .timeToLiveAnswer, .leaseAgesWanted, .leaseRefused, .diverged,
            .diskLow:
            break
        }
    }

    // Inlined: for a call the closure, which looks at `self`, would need a copy of everything that is known.
    @inline(__always)
    private func promise(
        _ id: MemberID, _ what: @autoclosure () -> String, _ holds: Bool, at now: Instant
    ) throws(Violation) {
        if holds { return }
        throw Violation(.honesty, "m\(id.number) \(what()): not so (\(facts[place(id)].durable))", at: now)
    }

    private mutating func sent(
        _ message: Message, by id: MemberID, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        switch message.body {
        case .voteResponse(true):
            let written = facts[place].durable.hardState
            try promise(
                id, "votes for m\(message.to.number) in term \(message.term.number)",
                written.term > message.term || (written.term == message.term && written.votedFor == message.to), at: now
            )
            try checkDamagedVote(by: id, for: message.to, in: message.term, at: now)
            try voted(id, for: message.to, in: message.term, at: now)
            noteVote(by: id)
        case .requestVote(let last, _):
            let written = facts[place].durable.hardState
            try promise(
                id, "campaigns in term \(message.term.number)",
                written.term > message.term || (written.term == message.term && written.votedFor == id), at: now)
            // A request that waited for a disk that hung may leave when its candidacy is over: in a past term, or as
            // the follower of whoever won this one, which may have overwritten the claimed entry. Then a vote for it
            // elects nobody: a member is a candidate once in a term, and only a candidate counts votes.
            if message.term == glance.term, glance.role == .candidate || glance.role == .leader {
                try promise(id, "claims entry \(last.index.number)", facts[place].durable.has(last), at: now)
            }
            try voted(id, for: id, in: message.term, at: now)
            claim(last, by: id, in: message.term)
        case .appendAccepted(let match, _): try acknowledged(match, message, by: id, glance, at: now)
        case .appendRejected, .heartbeatResponse, .readIndex:
            try spoke(message, by: id, glance, at: now)
            if case .readIndex(let read) = message.body {
                forwardedReads[ForwardedRead(member: id, id: read)] = committed.last
            }
        case .append(let previous, let entries, let commit, _):
            try appendSent(message, after: previous, entries, by: id, at: now)
            try leaderSpoke(message, commit: commit, by: id, at: now)
        case .heartbeat(let commit, _):
            try leaderSpoke(message, commit: commit, by: id, at: now)
            try checkCommitTold(commit, to: message.to, by: id, at: now)
        case .readIndexResponse(let read, let index):
            try readAnswered(ForwardedRead(member: message.to, id: read), index: index, by: id, at: now)
        case .timeoutNow:
            transferOrders[message.term] = message.to
            try checkTransfer(to: message.to, by: id, at: now)
        case .preVote, .preVoteResponse, .voteResponse, .readIndexRefused:
            break
        }
    }

    private mutating func claim(_ last: LogPosition, by id: MemberID, in term: Term) {
        var known = claims[term] ?? []
        guard !known.contains(where: { $0.candidate == id }) else { return }
        known.append(Claim(candidate: id, last: last))
        claims[term] = known
    }

    /// An acknowledgement: term and entries are durable. One that waited for its write may be of a past term, whose
    /// entries are no longer known.
    private mutating func acknowledged(
        _ match: LogIndex, _ message: Message, by id: MemberID, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        try promise(
            id, "acknowledges in term \(message.term.number)", facts[place].durable.hardState.term >= message.term,
            at: now)
        facts[place].promisedTerm = max(facts[place].promisedTerm, message.term)
        guard message.term == glance.term, let term = facts[place].log.terms.term(at: match) else { return }
        let position = LogPosition(index: match, term: term)
        try promise(
            id, "acknowledges entry \(match.number) of term \(term.number)", facts[place].durable.has(position), at: now
        )
        if match > facts[place].acknowledged.index { facts[place].acknowledged = position }
    }

    /// Messages that leave at once: of the present term, and marked while the member gets back what it lost.
    private func spoke(
        _ message: Message, by id: MemberID, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        try promise(
            id, "speaks in term \(message.term.number), its own is \(glance.term.number)", message.term <= glance.term,
            at: now)
        try promise(
            id, "has lost entries and does not say so", message.isRecovering || !facts[place(id)].isRecovering, at: now)
    }

    /// Nobody speaks as leader before its own vote is durable, nor of commits that are none.
    private func leaderSpoke(
        _ message: Message, commit: LogIndex, by id: MemberID, at now: Instant
    ) throws(Violation) {
        let written = facts[place(id)].durable.hardState
        try promise(
            id, "leads term \(message.term.number)",
            leaders[message.term] == id && written.term >= message.term, at: now)
        try promise(
            id, "takes entry \(commit.number) for committed, \(committed.last.number) is", commit <= committed.last,
            at: now)
    }

    /// The entries of an append are the leader's own, and as many as one message may carry: R3, R17.
    private func appendSent(
        _ message: Message, after previous: LogPosition, _ entries: [Entry], by id: MemberID, at now: Instant
    ) throws(Violation) {
        var expected = previous.index
        var bytes = 0
        for entry in entries {
            expected = expected.next
            bytes += entry.payload.count
            let known = self.entries[entry.position]
            guard entry.index == expected, let known, known.payload == entry.payload else {
                throw Violation(
                    .logMatching,
                    "m\(id.number) sends an entry \(entry.index.number) of term \(entry.term.number) that is not the one "
                        + "that was written", at: now)
            }
        }
        if bytes > options.appendBytesMax, entries.count > 1 {
            throw Violation(
                .bounds, "m\(id.number) sends \(entries.count) entries of \(bytes) bytes in one append", at: now)
        }
    }

    /// R14: heartbeats tell of what the peer has acknowledged.
    private func checkCommitTold(
        _ commit: LogIndex, to peer: MemberID, by id: MemberID, at now: Instant
    ) throws(Violation) {
        guard facts.indices.contains(place(peer)), let term = committed.term(at: commit) else { return }
        if commit == .zero || isExcused(peer) || holds(peer, LogPosition(index: commit, term: term)) { return }
        throw Violation(
            .matches,
            "m\(id.number) tells m\(peer.number) of commit \(commit.number), which that does not hold "
                + "(\(facts[place(peer)].durable))", at: now)
    }

    /// R14: who is told to campaign at once holds the whole log, as it was before this step: when its time is over in the
    /// same step, the leader goes on leading and adds to it.
    private func checkTransfer(to peer: MemberID, by id: MemberID, at now: Instant) throws(Violation) {
        let log = facts[place(id)].log.terms
        let index = min(facts[place(id)].lastBeforeStep, log.last)
        let last = log.term(at: index).map { LogPosition(index: index, term: $0) } ?? log.lastPosition
        if !facts.indices.contains(place(peer)) || isExcused(peer) || holds(peer, last) { return }
        throw Violation(
            .matches,
            "m\(id.number) hands over to m\(peer.number), which lacks entry \(last.index.number) "
                + "(\(facts[place(peer)].durable))", at: now)
    }

    /// Its disk was damaged: leaders believe it until it finds out itself.
    private func isExcused(_ id: MemberID) -> Bool {
        facts[place(id)].isDamaged || facts[place(id)].isRecovering
    }

    /// R14, R17: what a leader believes of the others, and how far it runs ahead of them.
    mutating func peersSeen(by id: MemberID, _ peers: [Progress], at now: Instant) throws(Violation) {
        let log = facts[place(id)].log.terms
        // One append goes beyond the window: of a single entry, where that alone is larger than appends should be.
        let entryBytesMax = 4 * (options.valueBytesMax + options.load.largeValueBytes) + 4_096
        let windowBytesMax = options.windowBytesMax + max(options.appendBytesMax, entryBytesMax)
        for peer in peers {
            notePeer(peer, of: id)
            if peer.window.count > options.windowMessagesMax || peer.window.bytes > windowBytesMax {
                throw Violation(
                    .bounds,
                    "m\(id.number) has \(peer.window.count) appends of \(peer.window.bytes) bytes under way to "
                        + "m\(peer.id.number)", at: now)
            }
            // A later term may already have overwritten what this leader, deposed without knowing it, was told of.
            guard facts.indices.contains(place(peer.id)),
                facts[place(peer.id)].glance.term <= facts[place(id)].glance.term
            else { continue }
            guard !peer.isRecovering, peer.match > log.base.index,
                let term = log.term(at: peer.match), !isExcused(peer.id),
                !holds(peer.id, LogPosition(index: peer.match, term: term))
            else { continue }
            throw Violation(
                .matches,
                "m\(id.number) counts on m\(peer.id.number) up to \(peer.match.number) of term \(term.number) "
                    + "(\(facts[place(peer.id)].durable))", at: now)
        }
    }
}
