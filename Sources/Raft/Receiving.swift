import Primitives

// What every message passes before its kind and our role matter: the paper's §5.1.
extension RaftNode {
    mutating func receive(_ message: Message, at now: Instant, into effects: inout RaftEffects) {
        guard message.to == id, message.from != id else { return }
        if message.term > term {
            guard takeHigherTerm(message, at: now, into: &effects) else { return }
        } else if message.term < term {
            answerLowerTerm(message, into: &effects)
            return
        }
        dispatch(message, at: now, into: &effects)
    }

    /// - Returns: whether the message is to be handled.
    private mutating func takeHigherTerm(
        _ message: Message, at now: Instant, into effects: inout RaftEffects
    ) -> Bool {
        switch message.body {
        case .preVote:
            return !isInRecencyWindow(at: now)
        case .preVoteResponse(granted: true):
            // Echoes the term we would start; only a grant of the real vote makes it ours.
            return true
        case .requestVote(_, let transfer):
            if !transfer, isInRecencyWindow(at: now) { return false }
            becomeFollower(in: message.term, leader: nil, at: now, into: &effects)
        case .append, .heartbeat, .timeoutNow:
            becomeFollower(in: message.term, leader: message.from, at: now, into: &effects)
        case .preVoteResponse, .voteResponse, .appendAccepted, .appendRejected, .heartbeatResponse, .readIndex,
            .readIndexResponse, .readIndexRefused:
            becomeFollower(in: message.term, leader: nil, at: now, into: &effects)
        }
        return true
    }

    /// A leader of a lower term must learn ours, or a member whose term ran ahead could neither be reached nor depose
    /// it; a pre-candidate must not wait for an answer that never comes. All else is stale.
    private mutating func answerLowerTerm(_ message: Message, into effects: inout RaftEffects) {
        switch message.body {
        case .append:
            send(
                .appendRejected(rejected: .zero, hint: .zero, readPosition: 0), to: message.from, into: &effects)
        case .heartbeat:
            send(.heartbeatResponse(readPosition: 0), to: message.from, into: &effects)
        case .preVote:
            send(.preVoteResponse(granted: false), to: message.from, into: &effects)
        case .preVoteResponse, .requestVote, .voteResponse, .appendAccepted, .appendRejected, .heartbeatResponse,
            .readIndex, .readIndexResponse, .readIndexRefused, .timeoutNow:
            break
        }
    }

    private mutating func dispatch(_ message: Message, at now: Instant, into effects: inout RaftEffects) {
        let from = message.from
        noteMark(of: message)
        switch message.body {
        case .preVote(let last): answerPreVote(message, last: last, into: &effects)
        case .preVoteResponse(let granted):
            preVoteAnswered(by: from, granted: granted, in: message.term, at: now, into: &effects)
        case .requestVote(let last, let transfer):
            answerVote(from, last: last, transfer: transfer, at: now, into: &effects)
        case .voteResponse(let granted): voteAnswered(by: from, granted: granted, at: now, into: &effects)
        case .append(let previous, let entries, let commit, let position):
            heardLeader(from, at: now, into: &effects)
            followAppend(
                AppendRequest(
                    leader: from, previous: previous, entries: entries, commit: commit, readPosition: position),
                at: now, into: &effects)
        case .heartbeat(let commit, let position):
            heardLeader(from, at: now, into: &effects)
            followHeartbeat(from, commit: commit, readPosition: position, at: now, into: &effects)
        case .appendAccepted(let match, let position):
            appendAccepted(by: from, match: match, readPosition: position, at: now, into: &effects)
        case .appendRejected(let rejected, let hint, let position):
            appendRejected(by: from, at: rejected, hint: hint, readPosition: position, now: now, into: &effects)
        case .heartbeatResponse(let position):
            heartbeatAnswered(by: from, readPosition: position, at: now, into: &effects)
        case .readIndex(let read): readForwarded(by: from, read, at: now, into: &effects)
        case .readIndexResponse(let read, let index):
            forwardedReadAnswered(read, index: index, from: from, at: now, into: &effects)
        case .readIndexRefused(let read): forwardedReadRefused(read, from: from, at: now, into: &effects)
        case .timeoutNow: campaignNow(orderedBy: from, at: now, into: &effects)
        }
    }
}
