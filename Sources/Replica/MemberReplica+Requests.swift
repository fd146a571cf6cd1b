import KVStore
package import Primitives
import Raft
package import RegistryModel
import Watch

/// Requests from front doors: each is answered once, now or later.
extension MemberReplica {
    mutating func accept(
        _ request: Request, token: RequestToken, context: RequestContext, into effects: inout ReplicaEffects
    ) {
        if context.requiresLeader, knownLeader == nil, request.isAnswered {
            return reply(.failure(Rejection(.noLeader)), to: token, into: &effects)
        }
        let pending = writes.count + reads.count + readJobs.count + leaseCalls.count + held.count
        if request.isAnswered, pending >= configuration.requestsMax {
            return reply(.failure(Rejection(.tooManyRequests)), to: token, into: &effects)
        }
        let deadline = moment.now + configuration.requestTimeout
        if holdsBehind(request, token: token, context: context, deadline: deadline, into: &effects) { return }
        perform(request, token: token, context: context, deadline: deadline, into: &effects)
    }

    /// Takes a request on, unless who asks is refused or not known yet.
    mutating func perform(
        _ request: Request, token: RequestToken, context: RequestContext, deadline: Instant,
        into effects: inout ReplicaEffects
    ) {
        guard
            let identity = admit(request, token: token, context: context, deadline: deadline, into: &effects)
        else { return }
        func read(_ work: PendingRead.Work) -> PendingRead {
            PendingRead(work: work, deadline: deadline, credential: context.credential)
        }
        switch request {
        case .range(let range):
            if range.serializable {
                serveRange(range, token: token, by: identity, into: &effects)
            } else {
                reads.add(read(.range(token, range)))
            }
        case .readTxn(let txn, let serializable):
            if serializable {
                serveTxn(txn, token: token, by: identity, into: &effects)
            } else {
                reads.add(read(.txn(token, txn)))
            }
        case .write(let operation):
            acceptWrite(operation, token: token, context: context, identity, deadline: deadline, into: &effects)
        case .keepAlive(let lease):
            acceptLeaseCall(.renew(lease), token: token, by: identity, deadline: deadline, into: &effects)
        case .leaseTimeToLive(let lease, let wantsKeys):
            let work = LeaseCall.Work.timeToLive(lease, wantsKeys: wantsKeys)
            acceptLeaseCall(work, token: token, by: identity, deadline: deadline, into: &effects)
        case .memberList(linearizable: true): reads.add(read(.members(token)))
        case .alarms(let kind): reads.add(read(.alarms(token, kind)))
        case .readBarrier: reads.add(read(.barrier(token)))
        case .authStatus, .authUser, .authUsers, .authRole, .authRoles, .passwordRecord:
            reads.add(read(.auth(token, request)))
        case .historyHash(let revision): serveHistoryHash(revision, token: token, by: identity, into: &effects)
        case .history(let wanted): reads.add(read(.history(token, wanted)))
        case .leases, .memberList, .status, .moveLeader, .authorize:
            answerAtOnce(request, token: token, by: identity, into: &effects)
        case .watchCreate, .watchCancel, .watchProgress, .watchConsumed, .watchStreamClosed:
            acceptWatch(request, token: token, by: identity, into: &effects)
        }
    }

    /// What needs no round and no entry.
    private mutating func answerAtOnce(
        _ request: Request, token: RequestToken, by identity: Identity, into effects: inout ReplicaEffects
    ) {
        let refusal: Rejection?
        switch request {
        case .leases: refusal = store.authRefusalOfLeases(by: identity)
        case .moveLeader: refusal = store.authRefusal(of: .root, by: identity)
        case .authorize(let authority): refusal = store.authRefusal(of: authority, by: identity)
        default: refusal = store.authRefusal(of: .anyUser, by: identity)
        }
        if let refusal { return reply(.failure(refusal), to: token, into: &effects) }
        switch request {
        case .leases: reply(.success(.leases(store.leases.map(\.id))), to: token, into: &effects)
        case .memberList: reply(.success(.members(store.members)), to: token, into: &effects)
        case .status: reply(.success(.status(status)), to: token, into: &effects)
        case .moveLeader(let target): moveLeader(to: target, token: token, into: &effects)
        case .authorize: reply(.success(.authorized), to: token, into: &effects)
        default: preconditionFailure("not answered at once")
        }
    }

    private mutating func acceptLeaseCall(
        _ work: LeaseCall.Work, token: RequestToken, by identity: Identity, deadline: Instant,
        into effects: inout ReplicaEffects
    ) {
        if let refusal = store.authRefusal(of: .anyUser, by: identity) {
            return reply(.failure(refusal), to: token, into: &effects)
        }
        if case .renew(let lease) = work { renewalGathering.arrived(lease, at: moment.now) }
        leaseCalls.add(LeaseCall(work: work, token: token, deadline: deadline, holder: identity))
    }

    private mutating func acceptWrite(
        _ operation: Command.Operation, token: RequestToken, context: RequestContext, _ identity: Identity,
        deadline: Instant, into effects: inout ReplicaEffects
    ) {
        if store.applied.index - stateWritten > stateLagMax {
            return reply(.failure(Rejection(.tooManyRequests)), to: token, into: &effects)
        }
        if let refusal = store.alarmRefusal(of: operation) {
            return reply(.failure(refusal), to: token, into: &effects)
        }
        if refusesByQuota(operation) { return reply(.failure(Rejection(.noSpace)), to: token, into: &effects) }
        if let refusal = refusalOfNobody(operation, identity) {
            return reply(.failure(refusal), to: token, into: &effects)
        }
        var operation = operation
        if case .memberAdd(let member) = operation { operation = .memberAdd(completed(member)) }
        if case .leaseGrant(let id, let ttl) = operation {
            // A positive random 63-bit number, as etcd's; a clash is refused like any other.
            let chosen = id == .none ? LeaseID(Int64(bitPattern: generator.next() >> 1) | 1) : id
            operation = .leaseGrant(chosen, ttlMilliseconds: max(ttl, configuration.minLeaseTTLMilliseconds))
        }
        writes.enqueue(
            QueuedWrite(
                operation: operation, token: token, context: context, deadline: deadline, identity: identity))
    }

    /// Why a write without a user is refused when it is carried out: said here, so that those whom nobody knows cost no
    /// entries. Only a member that has applied all it knows of can tell.
    private mutating func refusalOfNobody(_ operation: Command.Operation, _ identity: Identity) -> Rejection? {
        guard identity.authRevision == 0, store.isAuthEnabled, store.applied.index == raft.commitIndex else {
            return nil
        }
        return store.authRefusal(of: operation, by: identity)
    }

    private mutating func moveLeader(to target: MemberID, token: RequestToken, into effects: inout ReplicaEffects) {
        guard raft.role == .leader else {
            return reply(.failure(Rejection(.notLeader)), to: token, into: &effects)
        }
        let chosen = target == MemberID(0) ? nil : target
        if let chosen, !raft.configuration.isVoter(chosen) {
            return reply(.failure(Rejection(.badTransferee)), to: token, into: &effects)
        }
        if chosen == configuration.member {
            return reply(.success(.leaderMoved), to: token, into: &effects)
        }
        guard raft.transferLeadership(to: chosen, at: moment.now, into: &raftEffects) else {
            return reply(.failure(Rejection(.badTransferee)), to: token, into: &effects)
        }
        reply(.success(.leaderMoved), to: token, into: &effects)
    }

    /// This member as its status answers show it.
    package var status: MemberStatus {
        var status = MemberStatus(
            leader: knownLeader, term: raft.term, commitIndex: raft.commitIndex, appliedIndex: store.applied.index,
            isLearner: raft.configuration.learners.contains(configuration.member), databaseBytes: sizes.bytes,
            databaseBytesInUse: sizes.inUse, digest: store.digest,
            errors: knownLeader == nil ? ["etcdserver: no leader"] : [])
        status.alarms = store.alarms
        status.divergedAt = divergedAt
        status.isRecovering = raft.isRecovering
        status.diskIsLow = isDiskLow
        return status
    }

    /// Answers what waited too long. A write that was handed to a leader may still be carried out.
    mutating func rejectOverdue(into effects: inout ReplicaEffects) {
        let now = moment.now
        let timeout = timeoutRejection
        if writes.nextDeadline <= now {
            let overdue = writes.takeOverdue(at: now)
            for write in overdue.queued { reject(write, rejection(ofQueued: write) ?? timeout, into: &effects) }
            for write in overdue.sent { reject(write, timeout, into: &effects) }
        }
        for read in reads.takeOverdue(at: now) { rejectRead(read, timeout, into: &effects) }
        for call in leaseCalls.takeOverdue(at: now) {
            reply(.failure(Rejection(.noLeader)), to: call.token, into: &effects)
        }
        let waiting = waitingRenewals
        if waiting.contains(where: { $0.deadline <= now }) {
            waitingRenewals = waiting.filter { $0.deadline > now }
            for read in waiting where read.deadline <= now { rejectRead(read, timeout, into: &effects) }
        }
    }

    /// Of a write that no leader was found for, in etcd's way.
    private func rejection(ofQueued write: QueuedWrite) -> Rejection? {
        guard knownLeader == nil else { return nil }
        if case .memberPromote = write.operation { return Rejection(.noLeader) }
        return Rejection(.deadlineExceeded)
    }

    var timeoutRejection: Rejection {
        if let lost = leaderLostAt,
            moment.now - lost < configuration.requestTimeout + configuration.timings.election * 2
        {
            return Rejection(.timedOutLeaderFailed)
        }
        return Rejection(.timedOut)
    }

    func rejectRead(_ read: PendingRead, _ rejection: Rejection, into effects: inout ReplicaEffects) {
        switch read.work {
        case .range(let token, _), .txn(let token, _), .barrier(let token), .members(let token), .alarms(let token, _),
            .auth(let token, _), .history(let token, _):
            reply(.failure(rejection), to: token, into: &effects)
        case .renew(let renewals, _):
            for renewal in renewals {
                if case .local(let token) = renewal.asker { reply(.failure(rejection), to: token, into: &effects) }
            }
        case .timeToLive(_, _, .local(let token)):
            reply(.failure(rejection), to: token, into: &effects)
        case .timeToLive, .renewForMember:
            // The member that forwarded it has its own deadline.
            break
        }
    }
}

extension Request {
    /// Whether the request gets an answer of its own.
    var isAnswered: Bool {
        switch self {
        case .watchCancel, .watchProgress, .watchConsumed, .watchStreamClosed: false
        default: true
        }
    }
}

/// Numbers of one moment, for metrics.
package struct ReplicaGauges: Sendable {
    package var term: Term
    package var commitIndex: LogIndex
    package var appliedIndex: LogIndex
    package var revision: Revision
    package var compactRevision: Revision
    package var keys: Int
    package var leases: Int
    package var watchers: Int
    package var watchStreams: Int
    package var catchingUp: Int
    package var databaseBytes: Int64
    package var databaseBytesInUse: Int64
    package var isLearner: Bool
    package var isRecovering: Bool
    package var isDiverged: Bool
    /// The last entry at which members compared their states.
    package var checkedIndex: LogIndex
    package var alarms: Int
    package var isAuthEnabled: Bool
    package var authRevision: UInt64
    package var counters: ReplicaCounters
    package var raisedAlarms: [Alarm]
    /// This member's writes that are not decided yet.
    package var pendingProposals: Int
    package var lateHeartbeats: UInt64
    /// Rounds of linearizable reads that no answer came to in time, and that came to nothing.
    package var slowReadRounds: UInt64
    package var failedReadRounds: UInt64
    package var isInstallingSnapshot: Bool
    /// In id order; only members that a snapshot went to or came from.
    package var snapshots: [SnapshotTally]
    /// Leases whose time is over, held by the brake on mass expiry; only the leader knows.
    package var heldLeases: Int
    /// Prefixes below which it holds them.
    package var brakes: Int
}

extension MemberReplica {
    /// Cheap: reads counters, touches no key.
    package var gauges: ReplicaGauges {
        ReplicaGauges(
            term: raft.term, commitIndex: raft.commitIndex, appliedIndex: store.applied.index,
            revision: store.revision, compactRevision: store.compactRevision, keys: store.keyCount,
            leases: store.leaseCount, watchers: hub.watcherCount, watchStreams: hub.streamCount,
            catchingUp: hub.catchingUpCount, databaseBytes: sizes.bytes, databaseBytesInUse: sizes.inUse,
            isLearner: raft.configuration.learners.contains(configuration.member), isRecovering: raft.isRecovering,
            isDiverged: divergedAt != nil, checkedIndex: lastMark, alarms: store.alarms.count,
            isAuthEnabled: store.isAuthEnabled, authRevision: store.authRevision, counters: counters,
            raisedAlarms: store.alarms, pendingProposals: writes.count, lateHeartbeats: raft.lateHeartbeats,
            slowReadRounds: reads.overdueRounds, failedReadRounds: reads.abortedRounds,
            isInstallingSnapshot: snapshots.isInstalling, snapshots: snapshots.tallies,
            heldLeases: leaseBrake.heldCount, brakes: leaseBrake.prefixes.count)
    }
}
