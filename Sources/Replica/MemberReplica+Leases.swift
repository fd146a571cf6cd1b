import KVStore
import Primitives
import Raft
import RegistryModel

/// Renewals, remaining times and expiry. Deadlines live in the leader's clock only; a renewal counts when a read round
/// that began after its arrival has proved that nobody else leads.
extension MemberReplica {
    /// Leases in one expiry entry, and their keys: no budget can slice an entry.
    private static let expireBatch = 200
    private static let expireKeysMax = 500
    /// Overdue leases looked at in one step, held ones included.
    private static let expireLooksMax = 1_000

    /// How many expiry entries may be under way. A write waits for those before it, so that there is but one as long as
    /// somebody writes.
    private var expireEntriesInFlight: Int {
        guard let foregroundAt else { return 6 }
        return moment.now - foregroundAt < .milliseconds(50) ? 1 : 6
    }

    mutating func flushLeaseCalls(into effects: inout ReplicaEffects) {
        guard !leaseCalls.queue.isEmpty, leaseCalls.heldUntil <= moment.now else { return }
        leaseCalls.heldUntil = .zero
        if raft.role == .leader {
            // They are gathered for the round, with those of other members.
            serveLocally(leaseCalls.takeQueue(), into: &effects)
        } else if let leader = raft.leader, leader != configuration.member {
            if holdsRenewals(if: leaseCalls.areRenewals) { return }
            forward(leaseCalls.takeQueue(), to: leader, into: &effects)
        }
    }

    private mutating func serveLocally(_ calls: [LeaseCall], into effects: inout ReplicaEffects) {
        // One round for all, and its start counts for each: no holder sent its renewal later than that.
        var renewals: [(lease: LeaseID, asker: LeaseAsker)] = []
        var holders: [Identity] = []
        var deadline = Instant.distantFuture
        for call in calls {
            switch call.work {
            case .renew(let lease):
                if let refusal = earlyRefusal(of: lease, by: call.holder) {
                    reply(.failure(refusal), to: call.token, into: &effects)
                    continue
                }
                renewals.append((lease, .local(call.token)))
                if store.isAuthEnabled { holders.append(call.holder) }
                deadline = min(deadline, call.deadline)
            case .timeToLive(let lease, let wantsKeys):
                let work = PendingRead.Work.timeToLive(lease, wantsKeys: wantsKeys, .local(call.token))
                let holder = store.isAuthEnabled ? [call.holder] : []
                reads.add(PendingRead(work: work, deadline: call.deadline, holders: holder))
            }
        }
        if !renewals.isEmpty {
            let work = PendingRead.Work.renew(renewals, arrivedAt: moment.now)
            reads.add(PendingRead(work: work, deadline: deadline, holders: holders))
        }
    }

    private mutating func forward(_ calls: [LeaseCall], to leader: MemberID, into effects: inout ReplicaEffects) {
        var renewals: [LeaseCall] = []
        var named: [LeaseCall] = []
        for call in calls {
            switch call.work {
            case .renew where call.holder == .none: renewals.append(call)
            case .renew: named.append(call)
            case .timeToLive(let lease, let wantsKeys):
                let name = RequestName(configuration.incarnation, leaseCalls.markSent([call], at: moment.now))
                let message = PeerMessage.timeToLive(name, lease: lease, wantsKeys: wantsKeys)
                effects.sends.append(PeerSend(to: leader, message: message))
            }
        }
        if !renewals.isEmpty {
            let name = RequestName(configuration.incarnation, leaseCalls.markSent(renewals, at: moment.now))
            effects.sends.append(PeerSend(to: leader, message: .renew(name, leases: renewals.map(\.lease))))
        }
        if !named.isEmpty {
            let name = RequestName(configuration.incarnation, leaseCalls.markSent(named, at: moment.now))
            let message = PeerMessage.renewAs(name, leases: named.map(\.lease), holders: named.map(\.holder))
            effects.sends.append(PeerSend(to: leader, message: message))
        }
    }

    mutating func receiveLeaseMessage(
        _ message: PeerMessage, from member: MemberID, into effects: inout ReplicaEffects
    ) {
        let deadline = moment.now + configuration.requestTimeout
        switch message {
        case .renew(let name, let leases):
            receiveRenewals(leases, of: [], name, from: member, deadline: deadline, into: &effects)
        case .renewAs(let name, let leases, let holders):
            receiveRenewals(leases, of: holders, name, from: member, deadline: deadline, into: &effects)
        case .timeToLive(let name, let lease, let wantsKeys):
            guard raft.role == .leader else { return refuseLease(name, to: member, into: &effects) }
            let work = PendingRead.Work.timeToLive(lease, wantsKeys: wantsKeys, .member(member, name))
            reads.add(PendingRead(work: work, deadline: deadline))
        case .renewed(let name, let answers):
            for (call, answer) in leaseCalls.answered(name.number, by: answers) {
                let body = ReplyBody.keptAlive(answer.lease, ttlMilliseconds: answer.ttlMilliseconds)
                let refusal = answer.refusal.map { Rejection($0) }
                reply(refusal.map { .failure($0) } ?? .success(body), to: call.token, into: &effects)
            }
        case .timeToLiveAnswer(let name, let answer):
            for call in leaseCalls.answered(name.number) {
                answerTimeToLive(call.lease, answer, to: call.token, of: call.holder, into: &effects)
            }
        case .leaseRefused(let name):
            leaseCalls.refused(name.number, retryAt: moment.now + .milliseconds(20))
        default:
            preconditionFailure("not a lease message")
        }
    }

    private func refuseLease(_ name: RequestName, to member: MemberID, into effects: inout ReplicaEffects) {
        effects.sends.append(PeerSend(to: member, message: .leaseRefused(name)))
    }

    mutating func retryLeaseCalls() {
        leaseCalls.requeueUnanswered(at: moment.now, patience: LeaseCalls.patience)
    }

    /// The round of these renewals is confirmed and applied.
    mutating func serveRenewal(_ read: PendingRead, into effects: inout ReplicaEffects) {
        guard leaseClock.isRunning, !hintRounds.isVoid(read.hintRound) else {
            return redirectLease(read, into: &effects)
        }
        guard !hintRounds.isOpen(read.hintRound) else { return waitingRenewals.append(read) }
        switch read.work {
        case .renew(let renewals, let arrivedAt):
            var waiting: [(lease: LeaseID, asker: LeaseAsker)] = []
            var holders: [Identity] = []
            for (place, renewal) in renewals.enumerated() {
                guard case .local(let token) = renewal.asker else { continue }
                if let refusal = refusal(of: renewal.lease, by: read.holder(at: place)) {
                    reply(.failure(refusal), to: token, into: &effects)
                    continue
                }
                switch leaseClock.renew(renewal.lease, arrivedAt: arrivedAt) {
                case .renewed(let ttl):
                    counters.leasesRenewed += 1
                    reply(.success(.keptAlive(renewal.lease, ttlMilliseconds: ttl)), to: token, into: &effects)
                case .unknown:
                    reply(.success(.keptAlive(renewal.lease, ttlMilliseconds: 0)), to: token, into: &effects)
                case .expiring:
                    waiting.append(renewal)
                    holders.append(read.holder(at: place))
                }
            }
            if !waiting.isEmpty {
                let work = PendingRead.Work.renew(waiting, arrivedAt: arrivedAt)
                var later = PendingRead(work: work, deadline: read.deadline, holders: holders)
                later.hintRound = read.hintRound
                waitingRenewals.append(later)
            }
        case .renewForMember(let member, let name, let leases, let arrivedAt):
            if leases.contains(where: { leaseClock.isExpiring($0) }) { return waitingRenewals.append(read) }
            var answers: [LeaseAnswer] = []
            for (place, lease) in leases.enumerated() {
                var answer = LeaseAnswer(lease: lease, ttlMilliseconds: 0)
                let early = read.refusals.isEmpty ? nil : read.refusals[place]
                if let refusal = early ?? refusal(of: lease, by: read.holder(at: place))?.code {
                    answer.refusal = refusal
                } else if case .renewed(let ttl) = leaseClock.renew(lease, arrivedAt: arrivedAt) {
                    counters.leasesRenewed += 1
                    answer.ttlMilliseconds = ttl
                }
                answers.append(answer)
            }
            effects.sends.append(PeerSend(to: member, message: .renewed(name, answers: answers)))
        default:
            preconditionFailure("not a renewal")
        }
    }

    mutating func serveTimeToLive(
        _ lease: LeaseID, wantsKeys: Bool, asker: LeaseAsker, read: PendingRead, into effects: inout ReplicaEffects
    ) {
        guard leaseClock.isRunning else { return redirectLease(read, into: &effects) }
        // A new leader says what is left once it knows, unless the others do not tell it.
        let isSearching = ageSearch != nil || ageSearchFrom != nil
        if isSearching, moment.now - establishedAt < configuration.timings.election * 2 {
            return waitingRenewals.append(read)
        }
        var answer = TimeToLiveAnswer(remainingMilliseconds: -1, grantedMilliseconds: 0, keys: [])
        if let row = store.lease(lease) {
            // Not the deadline: what a fresh leader, or one that stood still, adds is its own caution, of which the next
            // leader would not know.
            let promised = leaseClock.promised(lease, at: moment.now) ?? .zero
            answer.remainingMilliseconds = min(promised.milliseconds, row.ttlMilliseconds)
            answer.grantedMilliseconds = row.ttlMilliseconds
            if wantsKeys { answer.keys = store.keys(of: lease) ?? [] }
        }
        switch asker {
        case .local(let token):
            answerTimeToLive(lease, answer, to: token, of: read.holder(at: 0), into: &effects)
        case .member(let member, let name):
            effects.sends.append(PeerSend(to: member, message: .timeToLiveAnswer(name, answer)))
        }
    }

    /// Leadership went away between the round and its service: local calls start over, members ask elsewhere.
    private mutating func redirectLease(_ read: PendingRead, into effects: inout ReplicaEffects) {
        switch read.work {
        case .renew(let renewals, _):
            for (place, renewal) in renewals.enumerated() {
                guard case .local(let token) = renewal.asker else { continue }
                leaseCalls.add(
                    LeaseCall(
                        work: .renew(renewal.lease), token: token, deadline: read.deadline,
                        holder: read.holder(at: place)))
            }
        case .renewForMember(let member, let name, _, _), .timeToLive(_, _, .member(let member, let name)):
            refuseLease(name, to: member, into: &effects)
        case .timeToLive(let lease, let wantsKeys, .local(let token)):
            leaseCalls.add(
                LeaseCall(
                    work: .timeToLive(lease, wantsKeys: wantsKeys), token: token, deadline: read.deadline,
                    holder: read.holder(at: 0)))
        default:
            preconditionFailure("not a lease read")
        }
    }

    /// This member stopped leading: nothing may wait here for an expiry that others decide now.
    mutating func abandonLeaseService(into effects: inout ReplicaEffects) {
        let waiting = waitingRenewals
        waitingRenewals = []
        for read in waiting { redirectLease(read, into: &effects) }
    }

    /// Something was applied or heard: renewals that waited for an expiry's outcome or for a majority's ears are looked
    /// at again.
    mutating func serveWaitingRenewals(into effects: inout ReplicaEffects) {
        guard !waitingRenewals.isEmpty else { return }
        let waiting = waitingRenewals
        waitingRenewals = []
        for read in waiting {
            if case .timeToLive(let lease, let wantsKeys, let asker) = read.work {
                serveTimeToLive(lease, wantsKeys: wantsKeys, asker: asker, read: read, into: &effects)
            } else {
                serveRenewal(read, into: &effects)
            }
        }
    }

    /// Proposes the end of overdue leases, many an entry; never forwarded, and void in any other term.
    mutating func expireLeases() {
        var looks = 0
        while looks < MemberReplica.expireLooksMax, mayExpireLeases,
            max(leaseClock.nextDeadline, expireAgainAt) <= moment.now
        {
            let due = takeOverdue()
            guard !due.isEmpty else { return }
            looks += due.count
            let going = brake(due)
            guard proposeExpiry(going.onTime, reason: .leaseExpired) else {
                return leaseClock.unmark(going.late, at: expireAgainAt)
            }
            guard proposeExpiry(going.late, reason: .leaseHeld) else { return }
        }
    }

    /// As many as one entry takes; at least one, however many keys it has.
    private mutating func takeOverdue() -> [LeaseID] {
        var due: [LeaseID] = []
        var keys = 0
        while due.count < MemberReplica.expireBatch, let lease = leaseClock.expired(at: moment.now, limit: 1).first {
            keys += store.keyCount(of: lease)
            guard due.isEmpty || keys <= MemberReplica.expireKeysMax else {
                leaseClock.unmark([lease], at: moment.now)
                break
            }
            due.append(lease)
        }
        return due
    }

    /// False when the log takes no more; then the leases are due again a little later.
    private mutating func proposeExpiry(_ leases: [LeaseID], reason: ReasonCode) -> Bool {
        guard !leases.isEmpty else { return true }
        let before = raft.lastIndex
        proposeOwn(.leaseExpire(leases, issuedTerm: raft.term), reason: reason)
        if raft.lastIndex == before {
            expireAgainAt = moment.now + .milliseconds(50)
            leaseClock.unmark(leases, at: expireAgainAt)
            return false
        }
        expiriesInFlight += 1
        return true
    }

    /// Whether overdue leases can be ended now; else there is nothing to wake up for.
    var mayExpireLeases: Bool {
        leaseClock.isRunning && raft.isEstablishedLeader && !raft.isTransferring && !store.isRaised(.corrupt)
            && expiriesInFlight < expireEntriesInFlight
    }
}
