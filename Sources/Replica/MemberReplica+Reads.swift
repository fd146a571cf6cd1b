import KVStore
import Primitives
import Raft
import RegistryModel

/// Who gets what the reader lane finds.
enum ReadJobOwner: Sendable {
    /// `authRevision`: at which the reader's rights were judged; 0 where auth was off.
    case request(RequestToken, revision: Revision, authRevision: UInt64)
    /// A write transaction with reads in history: the last part is missing in `result`.
    case filling(RequestToken, TxnResult, missing: [HistoryRead], revision: Revision)
    case watches(job: UInt64)
}

/// Reads: confirmed by a round where they are linearizable, answered here or in the reader lane.
extension MemberReplica {
    /// Checksums over the history at a time: each takes a look at every version there is, and a client that has gone
    /// away stops none of them.
    private static let hashJobsMax = 2

    /// Everything that arrived in this step shares one round.
    mutating func startReadRound(into effects: inout ReplicaEffects) {
        guard !reads.fresh.isEmpty else { return }
        // A round with anything else in it, or one that asks nobody, begins at once.
        if raft.role == .leader, holdsRenewals(if: reads.areRenewals && !isMajority([configuration.member])) { return }
        let hintRound = announceRenewals(reads.fresh.flatMap(\.renewed), into: &effects)
        reads.startRound(raft.requestRead(at: moment.now, into: &raftEffects), hintRound: hintRound)
    }

    mutating func serveReads(into effects: inout ReplicaEffects) {
        for read in reads.takeServable(applied: store.applied.index) {
            switch read.work {
            case .range(let token, let request):
                guard let identity = reader(of: read, token: token, into: &effects) else { continue }
                serveRange(request, token: token, by: identity, into: &effects)
            case .txn(let token, let request):
                guard let identity = reader(of: read, token: token, into: &effects) else { continue }
                serveTxn(request, token: token, by: identity, into: &effects)
            case .barrier(let token): reply(.success(.barrier), to: token, into: &effects)
            case .members(let token):
                guard reader(of: read, token: token, needs: .anyUser, into: &effects) != nil else { continue }
                reply(.success(.members(store.members)), to: token, into: &effects)
            case .auth(let token, let request):
                serveAuth(request, token: token, read: read, into: &effects)
            case .history(let token, let request):
                guard let identity = reader(of: read, token: token, into: &effects) else { continue }
                serveHistory(request, token: token, by: identity, into: &effects)
            case .alarms(let token, let kind):
                guard reader(of: read, token: token, needs: .anyUser, into: &effects) != nil else { continue }
                let wanted = store.alarms.filter { kind == .none || $0.kind == kind }
                let raised = wanted.map { AlarmChange($0, isRaised: true) }
                reply(.success(.alarms(raised)), to: token, into: &effects)
            case .renew, .renewForMember: serveRenewal(read, into: &effects)
            case .timeToLive(let lease, let wantsKeys, let asker):
                serveTimeToLive(lease, wantsKeys: wantsKeys, asker: asker, read: read, into: &effects)
            }
        }
    }

    mutating func serveRange(
        _ request: RangeRequest, token: RequestToken, by identity: Identity, into effects: inout ReplicaEffects
    ) {
        if let refusal = store.authRefusal(of: .read, request.range, by: identity) {
            return reply(.failure(refusal), to: token, into: &effects)
        }
        counters.ranges += 1
        if store.isLarge(request) {
            // Only where nothing has to be looked up in the state store may the job overtake what that still writes.
            let needsHistory = store.reader.needsHistory(request)
            return order(
                needsHistory ? .rangeInHistory(request) : .rangeInMemory(store.reader, request), for: token,
                by: identity, into: &effects)
        }
        switch store.range(request) {
        case .result(let result): reply(.success(.range(result)), to: token, into: &effects)
        case .rejected(let rejection): reply(.failure(rejection), to: token, into: &effects)
        case .needsHistory: order(.rangeInHistory(request), for: token, by: identity, into: &effects)
        }
    }

    mutating func serveTxn(
        _ request: TxnRequest, token: RequestToken, by identity: Identity, into effects: inout ReplicaEffects
    ) {
        if let refusal = store.authRefusal(of: request, by: identity) {
            return reply(.failure(refusal), to: token, into: &effects)
        }
        if store.isLarge(request) {
            let reader = store.reader
            let needsHistory = reader.needsHistory(request)
            return order(
                needsHistory ? .txnInHistory(reader, request) : .txnInMemory(reader, request), for: token,
                by: identity, into: &effects)
        }
        switch store.readTxn(request) {
        case .result(let result):
            counters.count(result)
            reply(.success(.txn(result)), to: token, into: &effects)
        case .rejected(let rejection): reply(.failure(rejection), to: token, into: &effects)
        case .needsHistory: order(.txnInHistory(store.reader, request), for: token, by: identity, into: &effects)
        }
    }

    /// Answered from local state, like etcd's: members are compared with it. Root's, which the door has asked for.
    mutating func serveHistoryHash(
        _ wanted: Revision, token: RequestToken, by identity: Identity, into effects: inout ReplicaEffects
    ) {
        guard wanted <= store.revision else {
            return reply(.failure(Rejection(.futureRevision)), to: token, into: &effects)
        }
        guard reads.hashJobs.count < MemberReplica.hashJobsMax else {
            return reply(.failure(Rejection(.tooManyRequests)), to: token, into: &effects)
        }
        // The newest is what the state store holds by then: what is the newest now may be compacted when the lane gets to it.
        order(.hashOfHistory(through: max(wanted, .zero)), for: token, by: identity, into: &effects)
    }

    /// Whoever may read the key may know its past.
    private mutating func serveHistory(
        _ request: KeyHistoryRequest, token: RequestToken, by identity: Identity, into effects: inout ReplicaEffects
    ) {
        if let refusal = store.authRefusal(of: .read, .key(request.key), by: identity) {
            return reply(.failure(refusal), to: token, into: &effects)
        }
        guard request.from <= store.revision.next else {
            return reply(.failure(Rejection(.futureRevision)), to: token, into: &effects)
        }
        order(.historyOfKey(request), for: token, by: identity, into: &effects)
    }

    private mutating func order(
        _ work: ReadJob.Work, for token: RequestToken, by identity: Identity, into effects: inout ReplicaEffects
    ) {
        let authRevision = store.isAuthEnabled ? identity.authRevision : 0
        order(
            work, owner: .request(token, revision: store.revision, authRevision: authRevision), into: &effects)
    }

    mutating func order(_ work: ReadJob.Work, owner: ReadJobOwner, into effects: inout ReplicaEffects) {
        lastReadJob += 1
        let id = ReadJobID(lastReadJob)
        readJobs[id] = owner
        if case .hashOfHistory = work { reads.hashJobs.append(id) }
        effects.reads.append(ReadJob(id: id, work: work, minimum: store.applied.index))
    }

    /// A transaction that wrote and also read old revisions that are no longer in memory.
    mutating func fill(
        _ result: TxnResult, from missing: [HistoryRead], token: RequestToken, revision: Revision,
        into effects: inout ReplicaEffects
    ) {
        guard let last = missing.last else {
            return reply(.success(.txn(result)), to: token, revision: revision, into: &effects)
        }
        order(
            .rangeInHistory(last.request), owner: .filling(token, result, missing: missing, revision: revision),
            into: &effects)
    }

    mutating func readFinished(_ job: ReadJobID, _ outcome: ReadOutcome, into effects: inout ReplicaEffects) {
        guard let owner = readJobs.removeValue(forKey: job) else { return }
        reads.hashJobs.removeAll { $0 == job }
        switch owner {
        case .watches(let watchJob):
            watchHistoryRead(watchJob, outcome)
        case .request(let token, let revision, let authRevision):
            if case .txn(.success(let result)) = outcome { counters.count(result) }
            // What the reader may see may have changed while somebody was reading.
            if authRevision != 0, store.isAuthEnabled, authRevision < store.authRevision {
                return reply(.failure(Rejection(.authRevisionOld)), to: token, into: &effects)
            }
            var revision = revision
            if case .hash(let hash) = outcome { revision = max(revision, hash.revision) }
            reply(outcome.body, to: token, revision: revision, into: &effects)
        case .filling(let token, var result, var missing, let revision):
            guard case .range(.success(let range)) = outcome, let last = missing.popLast() else {
                // The write is done; only the old reading beside it failed. Say so rather than invent an answer.
                let rejection = Rejection(.internalError, "the transaction was carried out; its reading failed")
                return reply(.failure(rejection), to: token, revision: revision, into: &effects)
            }
            result.fill(last.path, with: range)
            fill(result, from: missing, token: token, revision: revision, into: &effects)
        }
    }
}

extension ReadOutcome {
    fileprivate var body: Result<ReplyBody, Rejection> {
        switch self {
        case .range(let result): result.map { .range($0) }
        case .txn(let result): result.map { .txn($0) }
        case .compacted: .failure(Rejection(.compacted))
        case .failed(let reason): .failure(Rejection(.internalError, reason))
        case .hash(let hash): .success(.historyHash(hash))
        case .history(let history): .success(.history(history))
        case .events: .failure(Rejection(.internalError, "events for a read"))
        }
    }
}
