import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

/// A follower of a cluster at work, by itself: what it asks its leader is kept, and its answers are made up.
private struct Follower {
    var replica: MemberReplica
    let leader: MemberID
    private let moment: Moment
    private var effects = ReplicaEffects()

    init() throws {
        var cluster = try Cluster(count: 3)
        guard cluster.run(for: .seconds(5), until: { $0.leader != nil }) else { throw Rejection(.noLeader) }
        // Every member has told who it is: nothing of its own is on its way any more.
        _ = cluster.run(for: .seconds(1))
        leader = try #require(cluster.leader)
        replica = cluster[cluster.follower].replica
        moment = Moment(now: cluster.now, wallMilliseconds: 0)
    }

    /// What a client's request has this member send to its leader.
    mutating func request(_ request: Request, serial: UInt64) -> [PeerMessage] {
        step(.request(request, RequestToken(sink: 1, serial: serial), RequestContext()))
    }

    /// What a message of the leader has this member send to it.
    mutating func hear(_ message: PeerMessage) -> [PeerMessage] {
        step(.peer(leader, message))
    }

    private mutating func step(_ event: ReplicaEvent) -> [PeerMessage] {
        effects.reset()
        replica.step([event], at: moment, into: &effects)
        return effects.sends.filter { $0.to == leader }.map(\.message)
    }

    /// The serials that the latest step answered.
    var answered: [UInt64] {
        effects.deliveries.compactMap { if case .reply(let serial, _) = $0.delivery { serial } else { nil } }
    }
}

extension RequestName {
    /// The same number, given by the life before.
    fileprivate var ofEarlierLife: RequestName { RequestName(Incarnation(incarnation.number - 1), number) }
}

@Suite("Answers that were meant for an earlier life of a member")
struct ReplicaLivesTests {
    @Test("They answer no lease request of this life, though both lives count from one")
    func leaseAnswers() throws {
        var follower = try Follower()
        let lease = LeaseID(7)
        guard case .renew(let name, [lease]) = follower.request(.keepAlive(lease), serial: 50).first else {
            throw Rejection(.leaseNotFound)
        }
        #expect(name == RequestName(Incarnation(1), 1))
        let left = TimeToLiveAnswer(remainingMilliseconds: 270, grantedMilliseconds: 1_000, keys: [])
        _ = follower.hear(.timeToLiveAnswer(name.ofEarlierLife, left))
        #expect(follower.answered.isEmpty)
        let answers = [LeaseAnswer(lease: lease, ttlMilliseconds: 9_000)]
        _ = follower.hear(.renewed(name.ofEarlierLife, answers: answers))
        #expect(follower.answered.isEmpty)
        _ = follower.hear(.leaseRefused(name.ofEarlierLife))
        #expect(follower.replica.leaseCalls.queue.isEmpty)
        _ = follower.hear(.renewed(name, answers: answers))
        #expect(follower.answered == [50])
    }

    @Test("A refusal among them does not hand a write of this life to the leader a second time")
    func forwardRefused() throws {
        var follower = try Follower()
        let put = Request.write(.put(PutRequest(key: Key("k"), value: [1])))
        guard case .forward(_, let commands) = follower.request(put, serial: 51).first, let command = commands.first,
            let name = Command.name(of: command)
        else { throw Rejection(.noLeader) }
        let earlier = Incarnation(name.incarnation.number - 1)
        _ = follower.hear(.forwardRefused(earlier, serials: [name.serial], overloaded: false))
        #expect(follower.replica.writes.isQueueEmpty)
        _ = follower.hear(.forwardRefused(earlier, serials: [name.serial], overloaded: true))
        #expect(follower.answered.isEmpty)
        _ = follower.hear(.forwardRefused(name.incarnation, serials: [name.serial], overloaded: true))
        #expect(follower.answered == [51])
    }

    @Test("A refusal among them ends no change of the membership, and no other write, of this life")
    func membershipRefused() throws {
        var follower = try Follower()
        guard
            case .forwardMembership(_, let bytes) = follower.request(.write(.memberRemove(MemberID(99))), serial: 52)
                .first
        else { throw Rejection(.noLeader) }
        let found = try #require(Command.name(of: bytes))
        let name = RequestName(found.incarnation, found.serial)
        _ = follower.hear(.membershipRefused(name.ofEarlierLife, Rejection(.memberNotFound)))
        #expect(follower.answered.isEmpty)
        _ = follower.hear(.membershipRefused(name, Rejection(.memberNotFound)))
        #expect(follower.answered == [52])
    }
}
