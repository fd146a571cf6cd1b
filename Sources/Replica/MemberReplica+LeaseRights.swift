import KVStore
import Primitives
import Raft
import RegistryModel

/// What users need for leases: to renew one, the right to write every key attached to it; to see its keys, the right to
/// read them.
extension MemberReplica {
    mutating func receiveRenewals(
        _ leases: [LeaseID], of holders: [Identity], _ name: RequestName, from member: MemberID, deadline: Instant,
        into effects: inout ReplicaEffects
    ) {
        guard raft.role == .leader else {
            return effects.sends.append(PeerSend(to: member, message: .leaseRefused(name)))
        }
        for lease in leases { renewalGathering.arrived(lease, at: moment.now) }
        let work = PendingRead.Work.renewForMember(member, name, leases, arrivedAt: moment.now)
        var read = PendingRead(work: work, deadline: deadline, holders: holders)
        if store.isAuthEnabled {
            for (place, lease) in leases.enumerated() {
                read.refusals.append(earlyRefusal(of: lease, by: read.holder(at: place))?.code)
            }
        }
        // Without anything to announce there is no round to wait for.
        let refused = zip(leases, read.refusals).compactMap { lease, code in
            code.map { LeaseAnswer(lease: lease, ttlMilliseconds: 0, refusal: $0) }
        }
        if !refused.isEmpty, refused.count == leases.count {
            return effects.sends.append(PeerSend(to: member, message: .renewed(name, answers: refused)))
        }
        reads.add(read)
    }

    /// Why a lease may not be renewed, nil when it may; as of the present state.
    mutating func refusal(of lease: LeaseID, by holder: Identity) -> Rejection? {
        guard store.isAuthEnabled else { return nil }
        return store.authRefusal(of: .anyUser, by: holder) ?? store.authRefusal(of: .write, lease: lease, by: holder)
    }

    /// The same before the round that proves this member's leadership. One that has not caught up with what it knows
    /// to be committed does not judge yet.
    mutating func earlyRefusal(of lease: LeaseID, by holder: Identity) -> Rejection? {
        guard store.isAuthEnabled, store.applied.index == raft.commitIndex else { return nil }
        return refusal(of: lease, by: holder)
    }

    /// Answers a client with what the leader said, unless it may not read the keys in it.
    mutating func answerTimeToLive(
        _ lease: LeaseID, _ answer: TimeToLiveAnswer, to token: RequestToken, of holder: Identity,
        into effects: inout ReplicaEffects
    ) {
        if let refusal = store.authRefusal(of: .read, keys: answer.keys, by: holder) {
            return reply(.failure(refusal), to: token, into: &effects)
        }
        let body = ReplyBody.timeToLive(
            lease, remainingMilliseconds: answer.remainingMilliseconds,
            grantedMilliseconds: answer.grantedMilliseconds, keys: answer.keys)
        reply(.success(body), to: token, into: &effects)
    }
}

extension PendingRead {
    /// Who wants the lease at this place; nobody where auth was off.
    func holder(at place: Int) -> Identity {
        holders.isEmpty ? .none : holders[place]
    }
}
