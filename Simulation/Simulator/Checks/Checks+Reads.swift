import Primitives
import Raft
import RegistryModel
import Replica

// R15: a read is answered at an index not before anything that was committed when it began.
//
// A leader that confirms itself after a read began knows of every commit before: nobody else can have been elected.
// So the bound is the last entry that anybody had committed, not only what clients had been told.
extension Checks {
    /// A request reached a member.
    mutating func asked(_ request: Request, _ token: RequestToken, of id: MemberID, _ glance: Glance) {
        noteLeaseRequest(request, token, at: id)
        let isLinearizable =
            switch request {
            case .range(let range): !range.serializable && range.revision <= .zero
            case .readTxn(_, let serializable): !serializable
            case .readBarrier: true
            case .memberList(let linearizable): linearizable
            default: false
            }
        guard isLinearizable else { return }
        openReads[token] = OpenRead(member: id, term: glance.term, committed: committed.last)
        if glance.role == .leader, facts[place(id)].log.terms.term(at: glance.commit) != glance.term {
            coverage.hit(.readQueuedBeforeNoop)
        }
    }

    /// A member's answer to one of its clients.
    mutating func delivered(
        _ delivery: Delivery, sink: UInt32, by id: MemberID, at now: Instant
    ) throws(Violation) {
        guard case .reply(let serial, let reply) = delivery else { return }
        let token = RequestToken(sink: sink, serial: serial)
        noteLeaseReply(reply, to: token)
        guard let read = openReads.removeValue(forKey: token) else { return }
        guard case .success = reply.outcome else {
            coverage.hit(.readRefused)
            return
        }
        coverage.hit(.readConfirmed)
        if facts[place(id)].glance.term != read.term { coverage.hit(.readCrossedElection) }
        guard facts[place(id)].applied.index >= read.committed else {
            throw Violation(
                .readIndexes,
                "m\(id.number) answers read \(serial) at \(facts[place(id)].applied.index.number), "
                    + "\(read.committed.number) was committed when it began", at: now)
        }
    }

    /// A leader's answer to a member that asked for its clients.
    mutating func readAnswered(
        _ read: ForwardedRead, index: LogIndex, by id: MemberID, at now: Instant
    ) throws(Violation) {
        guard let known = forwardedReads[read] else { return }
        guard index >= known else {
            throw Violation(
                .readIndexes,
                "m\(id.number) answers m\(read.member.number)'s read with \(index.number), \(known.number) was committed "
                    + "when it asked", at: now)
        }
    }

    /// What waited at a dead member is never answered.
    mutating func forgetReads(of id: MemberID) {
        openReads = openReads.filter { $0.value.member != id }
        forwardedReads = forwardedReads.filter { $0.key.member != id }
        openRenewals = openRenewals.filter { $0.value.member != id }
    }
}
