import KVStore
import Primitives
import Raft
import Replica

// R16: what is not for this member, or from nobody it knows, changes nothing. Tried now and then on a copy, so that the
// run itself goes on as if nothing had been tried.
extension World {
    /// Every so many frames that arrive.
    static let strangersEvery: UInt64 = 1_009

    func tryStrangers(
        _ message: PeerMessage, from sender: MemberID, at member: SimulatedMember,
        _ process: SimulatedMember.Process
    ) throws(Violation) {
        checks.framesHeard += 1
        guard checks.framesHeard % World.strangersEvery == 0 else { return }
        var control = process.replica
        let moment = moment(of: member)
        let unmoved = Strangers.outcome(of: &control, [], at: moment)
        for (what, from, altered) in Strangers.alterations(of: message, from: sender, to: process.replica) {
            var twin = process.replica
            guard Strangers.outcome(of: &twin, [.peer(from, altered)], at: moment) != unmoved else { continue }
            throw Violation(.strangers, "m\(member.id.number) is moved by a message \(what): \(altered)", at: now)
        }
    }
}

enum Strangers {
    /// Of a step: everything that others, or the member's own disk, could notice.
    struct Outcome: Equatable {
        var glance: Glance
        var last: LogPosition
        var deadline: Instant
        var messages: [PeerMessage]
        var receivers: [MemberID]
        var batches: Int
        var states: Int
        var deliveries: Int
        var orders: Int
    }

    static func outcome(of replica: inout MemberReplica, _ events: [ReplicaEvent], at moment: Moment) -> Outcome {
        var effects = ReplicaEffects()
        replica.step(events, at: moment, into: &effects)
        let raft = replica.raft
        return Outcome(
            glance: Glance(term: raft.term, role: raft.role, leader: raft.leader, commit: raft.commitIndex),
            last: raft.lastPosition, deadline: replica.nextDeadline, messages: effects.sends.map(\.message),
            receivers: effects.sends.map(\.to), batches: effects.logBatches.count,
            states: effects.stateBatches.count, deliveries: effects.deliveries.count,
            orders: effects.snapshots.count + effects.reads.count)
    }

    typealias Alteration = (what: String, from: MemberID, message: PeerMessage)

    /// The same message, wrongly addressed or signed.
    static func alterations(
        of message: PeerMessage, from sender: MemberID, to replica: MemberReplica
    ) -> [Alteration] {
        var all: [Alteration] = []
        let nobody = MemberID(1 << 40)
        if case .raft(let raft) = message {
            var misdirected = raft
            misdirected.to = nobody
            misdirected.term = misdirected.term.next
            all.append(("for another member", sender, .raft(misdirected)))
            var forged = raft
            forged.from = nobody
            all.append(("signed by another member", sender, .raft(forged)))
        }
        if let gone = replica.store.removedMembers.first, gone != replica.raft.leader {
            var last = message
            if case .raft(var raft) = message {
                raft.from = gone
                raft.term = raft.term.next
                last = .raft(raft)
            }
            all.append(("of a removed member", gone, last))
        }
        // Nothing this life asked: ids begin at random, far above.
        let answer = Message(
            from: sender, to: replica.configuration.member, term: replica.raft.term,
            body: .readIndexResponse(id: 1, index: .zero))
        all.append(("that answers an earlier life", sender, .raft(answer)))
        return all
    }
}
