import DequeModule
import Primitives
import Raft
import RegistryModel

/// Who waits for the answer of a lease request.
enum LeaseAsker: Sendable {
    case local(RequestToken)
    /// A member that forwarded it, and its name for it.
    case member(MemberID, RequestName)
}

/// Something that needs a confirmed read index before it may be done.
struct PendingRead: Sendable {
    enum Work: Sendable {
        case range(RequestToken, RangeRequest)
        case txn(RequestToken, TxnRequest)
        case barrier(RequestToken)
        case members(RequestToken)
        case alarms(RequestToken, AlarmKind)
        /// A read about users and roles.
        case auth(RequestToken, Request)
        case history(RequestToken, KeyHistoryRequest)
        /// Renewals that arrived at `arrivedAt`; the round proves that nobody else led at that time.
        case renew([(lease: LeaseID, asker: LeaseAsker)], arrivedAt: Instant)
        case renewForMember(MemberID, RequestName, [LeaseID], arrivedAt: Instant)
        case timeToLive(LeaseID, wantsKeys: Bool, LeaseAsker)
    }

    var work: Work
    var deadline: Instant
    /// Of a client's read; looked at when it is served, because the round may bring what makes it known.
    var credential = Credential.none
    /// Who wants each of the leases of renewals or of a remaining time; empty where auth was off.
    var holders: [Identity] = []
    /// Of another member's renewals, those that were refused before the round began; empty when none was. They stay
    /// refused: the voters have not heard of them.
    var refusals: [Rejection.Code?] = []
    /// Renewals: the round of hints that a majority must have heard first; 0 for none.
    var hintRound: UInt64 = 0

    /// The leases to be renewed; empty for everything else.
    var renewed: [LeaseID] {
        switch work {
        case .renew(let renewals, _): renewals.map(\.lease)
        case .renewForMember(_, _, let leases, _):
            refusals.isEmpty ? leases : zip(leases, refusals).filter { $0.1 == nil }.map(\.0)
        default: []
        }
    }
}

/// Reads from arrival to service: collected for the next round, waiting for a round, waiting for apply.
struct PendingReads: Sendable {
    /// Joined into one round at the end of the step.
    var fresh: [PendingRead] = []
    /// Checksums over the history that were ordered and have not come back: each reads all of it.
    var hashJobs: [ReadJobID] = []
    private var rounds: [(id: ReadID, reads: [PendingRead])] = []
    private var confirmed = Deque<(index: LogIndex, reads: [PendingRead])>()
    private(set) var count = 0
    /// Rounds that came to nothing, and rounds that no answer came to in time; for metrics.
    private(set) var abortedRounds: UInt64 = 0
    private(set) var overdueRounds: UInt64 = 0

    /// The next round is for nothing but renewals.
    var areRenewals: Bool {
        fresh.allSatisfy { read in
            switch read.work {
            case .renew, .renewForMember: true
            default: false
            }
        }
    }

    mutating func add(_ read: PendingRead) {
        fresh.append(read)
        count += 1
    }

    /// What was collected becomes the round `id`.
    mutating func startRound(_ id: ReadID, hintRound: UInt64) {
        for place in fresh.indices { fresh[place].hintRound = hintRound }
        rounds.append((id, fresh))
        fresh = []
    }

    mutating func roundConfirmed(_ id: ReadID, at index: LogIndex) {
        guard let position = rounds.firstIndex(where: { $0.id == id }) else { return }
        confirmed.append((index, rounds.remove(at: position).reads))
    }

    /// The round came to nothing: its reads join the next one.
    mutating func roundAborted(_ id: ReadID) {
        guard let position = rounds.firstIndex(where: { $0.id == id }) else { return }
        abortedRounds += 1
        fresh += rounds.remove(at: position).reads
    }

    /// Reads whose index is applied, in order.
    mutating func takeServable(applied: LogIndex) -> [PendingRead] {
        var ready: [PendingRead] = []
        while let first = confirmed.first, first.index <= applied {
            ready += first.reads
            confirmed.removeFirst()
        }
        count -= ready.count
        return ready
    }

    mutating func takeOverdue(at now: Instant) -> [PendingRead] {
        guard nextDeadline <= now else { return [] }
        var overdue: [PendingRead] = []
        func keep(_ read: PendingRead) -> Bool {
            if read.deadline <= now { overdue.append(read) }
            return read.deadline > now
        }
        for position in rounds.indices {
            let before = overdue.count
            rounds[position].reads = rounds[position].reads.filter(keep)
            if overdue.count > before { overdueRounds += 1 }
        }
        rounds.removeAll { $0.reads.isEmpty }
        for position in confirmed.indices { confirmed[position].reads = confirmed[position].reads.filter(keep) }
        confirmed.removeAll { $0.reads.isEmpty }
        fresh = fresh.filter(keep)
        count -= overdue.count
        return overdue
    }

    /// Reads of one batch arrive together, so the first of each is its earliest.
    var nextDeadline: Instant {
        var next = Instant.distantFuture
        for round in rounds { next = min(next, round.reads.first?.deadline ?? .distantFuture) }
        for batch in confirmed { next = min(next, batch.reads.first?.deadline ?? .distantFuture) }
        return min(next, fresh.first?.deadline ?? .distantFuture)
    }
}
