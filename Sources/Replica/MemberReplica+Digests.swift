import KVStore
import Primitives
import Raft
import RegistryModel

/// Members compare what they are made of. The leader marks an entry now and then; each member tells it the digest of its
/// state as of that entry. Whoever a majority contradicts must not go on.
extension MemberReplica {
    /// Marks the log when something has happened since the last mark.
    mutating func markDigest() {
        guard raft.isEstablishedLeader, digestAgainAt <= moment.now, configuration.digestInterval > .zero else {
            return
        }
        digestAgainAt = moment.now + configuration.digestInterval
        guard store.applied.index > lastMark, raft.configuration.voters.count > 1 else { return }
        proposeOwn(.digestMark, reason: .system)
    }

    /// The mark was applied: `digest` is of the state as of it.
    mutating func marked(_ digest: Digest128, at index: LogIndex, into effects: inout ReplicaEffects) {
        lastMark = index
        ownMark = (index, digest)
        if raft.role == .leader {
            judge(DigestRounds.Answer(member: configuration.member, digest: digest), at: index, into: &effects)
        } else if let leader = raft.leader {
            effects.sends.append(PeerSend(to: leader, message: .digest(index: index, digest)))
        }
    }

    mutating func judge(_ answer: DigestRounds.Answer, at index: LogIndex, into effects: inout ReplicaEffects) {
        guard raft.role == .leader else { return }
        switch digestRounds.add(answer, at: index, among: raft.configuration) {
        case .open: break
        case .agreed(let dissenters):
            for member in dissenters where member != configuration.member {
                effects.sends.append(PeerSend(to: member, message: .diverged(index: index)))
            }
            if dissenters.contains(configuration.member) { isolate(at: index) }
        case .split:
            guard !store.isRaised(.corrupt) else { return }
            proposeOwn(
                .alarm(AlarmChange(member: configuration.member, kind: .corrupt, isRaised: true)), reason: .system)
        }
    }

    /// A majority disagrees with this member's state: nothing it says may be believed. It stops; the next start takes
    /// the state from the others.
    mutating func isolate(at index: LogIndex) {
        divergedAt = index
        needsRebuild = true
        fatal =
            "the state differs from the majority's at entry \(index.number): it is discarded and will be fetched from "
            + "the other members at the next start"
    }
}
