package import Primitives

/// What members say to each other about the log. Snapshot content travels beside it (the replica's business); Raft
/// only learns that a snapshot was offered, installed or lost.
package struct Message: Hashable, Sendable {
    package enum Body: Hashable, Sendable {
        /// The message's term is the one the candidate would start.
        case preVote(last: LogPosition)
        case preVoteResponse(granted: Bool)
        /// `transfer`: the leader asked for this election, so recency does not protect it.
        case requestVote(last: LogPosition, transfer: Bool)
        case voteResponse(granted: Bool)
        case append(previous: LogPosition, entries: [Entry], commit: LogIndex, readPosition: UInt64)
        case appendAccepted(match: LogIndex, readPosition: UInt64)
        /// `rejected` is the `previous.index` that did not match; `hint` where to probe next.
        case appendRejected(rejected: LogIndex, hint: LogPosition, readPosition: UInt64)
        case heartbeat(commit: LogIndex, readPosition: UInt64)
        case heartbeatResponse(readPosition: UInt64)
        /// A follower asks for a read index; `id` is fresh for each attempt.
        case readIndex(id: UInt64)
        case readIndexResponse(id: UInt64, index: LogIndex)
        /// The leader cannot serve it now (no longer leader, or leaving): ask again later.
        case readIndexRefused(id: UInt64)
        case timeoutNow
    }

    package var from: MemberID
    package var to: MemberID
    package var term: Term
    package var body: Body
    /// The sender lost entries it had acknowledged and has not got them back: what it holds is reported so that it
    /// can be brought up to date, and counts for nothing else.
    package var isRecovering: Bool

    package init(from: MemberID, to: MemberID, term: Term, body: Body, isRecovering: Bool = false) {
        self.from = from
        self.to = to
        self.term = term
        self.body = body
        self.isRecovering = isRecovering
    }
}

/// A message and the write batch that must be durable before it may leave.
package struct Envelope: Hashable, Sendable {
    package var message: Message
    /// `none` leaves at once.
    package var gate: BatchNumber

    package init(message: Message, gate: BatchNumber) {
        self.message = message
        self.gate = gate
    }
}
