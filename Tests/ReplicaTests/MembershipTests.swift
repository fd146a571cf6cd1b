import KVStore
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

private struct Missing: Error { var what: String }

private func ready(_ count: Int) throws -> Cluster {
    var cluster = try Cluster(count: count) { $0.digestInterval = .milliseconds(500) }
    guard cluster.run(for: .seconds(5), until: { $0.leader != nil }) else { throw Missing(what: "no leader") }
    // Names are published.
    _ = cluster.run(for: .seconds(1))
    return cluster
}

private func put(_ key: String) -> Request {
    .write(.put(PutRequest(key: Key(key), value: [1])))
}

private func adding(_ number: UInt64, isLearner: Bool = false) -> Request {
    .write(
        .memberAdd(
            MemberDescription(
                id: MemberID(number), name: "", peerURLs: ["http://m\(number)"], clientURLs: [],
                isLearner: isLearner)))
}

@Suite("Members come and go")
struct ReplicaMembershipTests {
    @Test("A new member becomes a voter by itself once it is there, and its address reaches everybody")
    func add() throws {
        var cluster = try ready(3)
        let reply = cluster.call(adding(4), at: cluster.follower)
        guard case .memberAdded(let added, let all) = reply?.body else { throw Missing(what: "not added") }
        #expect(added.id == MemberID(4))
        #expect(added.isLearner)
        #expect(all.count == 4)
        // Nobody there yet: the cluster works on, and the new member has no say.
        _ = cluster.run(for: .seconds(3))
        guard case .put = cluster.call(put("k"), at: cluster.follower)?.body else { throw Missing(what: "no write") }
        #expect(cluster[cluster.follower].replica.raft.configuration.voters.count == 3)
        for id in cluster.ids { #expect(cluster[id].peers?.members.map(\.id).contains(MemberID(4)) == true) }

        try cluster.start(MemberID(4), peerURL: "http://m4")
        _ = cluster.run(for: .seconds(2))
        let leader = try #require(cluster.leader)
        #expect(cluster[leader].replica.raft.configuration.voters.count == 4)
        guard case .members(let members) = cluster.call(.memberList(linearizable: true), at: MemberID(4))?.body else {
            throw Missing(what: "no list")
        }
        #expect(members.allSatisfy { !$0.isLearner && !$0.name.isEmpty })
        #expect(cluster[MemberID(4)].replica.store.digest == cluster[leader].replica.store.digest)
    }

    @Test("A learner stays one until it is promoted, and is not promoted before it has caught up")
    func learner() throws {
        var cluster = try ready(3)
        guard case .memberAdded = cluster.call(adding(4, isLearner: true), at: cluster.follower)?.body else {
            throw Missing(what: "not added")
        }
        let early = cluster.call(.write(.memberPromote(MemberID(4))), at: cluster.follower)
        #expect(early?.rejection?.code == .learnerNotReady)
        #expect(cluster.call(adding(5, isLearner: true), at: cluster.follower)?.rejection?.code == .tooManyLearners)
        try cluster.start(MemberID(4), peerURL: "http://m4")
        _ = cluster.run(for: .seconds(2))
        #expect(cluster[cluster.follower].replica.raft.configuration.learners == [MemberID(4)])
        #expect(cluster[MemberID(4)].isToldLearner == true, "front doors are told")
        let promoted = cluster.call(.write(.memberPromote(MemberID(4))), at: cluster.follower)
        guard case .membersChanged = promoted?.body else { throw Missing(what: "not promoted: \(promoted as Any)") }
        _ = cluster.run(for: .seconds(1))
        #expect(cluster[MemberID(4)].isToldLearner == false)
        #expect(cluster[cluster.follower].replica.raft.configuration.voters.count == 4)
    }

    @Test("What is not known, known already or removed for good is refused in words")
    func refusals() throws {
        var cluster = try ready(3)
        let at = cluster.follower
        #expect(cluster.call(.write(.memberRemove(MemberID(9))), at: at)?.rejection?.code == .memberNotFound)
        #expect(cluster.call(.write(.memberPromote(MemberID(1))), at: at)?.rejection?.code == .memberNotLearner)
        #expect(cluster.call(adding(3), at: at)?.rejection?.code == .memberExists)
        let gone = try #require(cluster.ids.first { $0 != cluster.leader && $0 != at })
        guard case .membersChanged(let rest) = cluster.call(.write(.memberRemove(gone)), at: at)?.body else {
            throw Missing(what: "not removed")
        }
        #expect(rest.count == 2)
        #expect(cluster.call(adding(gone.number), at: at)?.rejection?.code == .memberExists)
    }

    @Test("A removal that would leave no majority of living members is refused; that of a dead one never")
    func unsafeRemoval() throws {
        var cluster = try ready(3)
        let leader = try #require(cluster.leader)
        let others = cluster.ids.filter { $0 != leader }
        cluster.kill(others[0])
        _ = cluster.run(for: .seconds(1))
        let refused = cluster.call(.write(.memberRemove(others[1])), at: leader)
        #expect(refused?.rejection?.code == .unhealthyCluster)
        guard case .membersChanged = cluster.call(.write(.memberRemove(others[0])), at: leader)?.body else {
            throw Missing(what: "the dead one was not removed")
        }
        guard case .put = cluster.call(put("k"), at: leader)?.body else { throw Missing(what: "no write") }
    }

    @Test("A leader can remove itself: another one leads, and it knows that it is out")
    func leaderRemovesItself() throws {
        var cluster = try ready(3)
        let leader = try #require(cluster.leader)
        guard case .membersChanged = cluster.call(.write(.memberRemove(leader)), at: leader)?.body else {
            throw Missing(what: "not removed")
        }
        _ = cluster.run(for: .seconds(2))
        let next = try #require(cluster.leader)
        #expect(next != leader)
        #expect(cluster[leader].isRemoved)
        guard case .put = cluster.call(put("k"), at: next)?.body else { throw Missing(what: "no write") }
        // It may go on asking: nobody listens.
        let term = cluster[next].replica.raft.term
        _ = cluster.run(for: .seconds(5))
        #expect(cluster[next].replica.raft.term == term)
    }

    @Test("From one member to five and back to three, all of them replaced, without a lost write")
    func replaceAll() throws {
        var cluster = try ready(1)
        var written = 0
        func write() throws {
            let at = try #require(cluster.leader)
            guard case .put = cluster.call(put("k\(written)"), at: at)?.body else { throw Missing(what: "no write") }
            written += 1
        }
        for number in 2...7 as ClosedRange<UInt64> {
            try write()
            guard case .memberAdded = cluster.call(adding(number), at: try #require(cluster.leader))?.body else {
                throw Missing(what: "\(number) not added")
            }
            try cluster.start(MemberID(number), peerURL: "http://m\(number)")
            _ = cluster.run(for: .seconds(2))
            try write()
            guard number > 3 else { continue }
            let oldest = MemberID(number - 3)
            guard case .membersChanged = cluster.call(.write(.memberRemove(oldest)), at: MemberID(number))?.body else {
                throw Missing(what: "\(oldest.number) not removed")
            }
            _ = cluster.run(for: .seconds(1))
            cluster.kill(oldest)
            _ = cluster.run(for: .seconds(2))
        }
        let leader = try #require(cluster.leader)
        #expect(cluster[leader].replica.raft.configuration.voters == [MemberID(5), MemberID(6), MemberID(7)])
        #expect(cluster[MemberID(7)].replica.store.keyCount == written)
    }
}

@Suite("Members that disagree, and disks that fill")
struct ReplicaHealthTests {
    @Test("A member whose state differs from the majority's stops, leader or not", arguments: [true, false])
    func divergence(isLeader: Bool) throws {
        var cluster = try ready(3)
        let leader = try #require(cluster.leader)
        let victim = isLeader ? leader : cluster.follower
        cluster.corruptNext(victim)
        _ = cluster.call(put("x"), at: cluster.follower)
        _ = cluster.run(for: .seconds(3))
        #expect(cluster[victim].stopped?.contains("differs from the majority's") == true)
        #expect(cluster[victim].replica.status.divergedAt != nil)
        for id in cluster.ids where id != victim { #expect(cluster[id].stopped == nil) }
    }

    @Test("Without a majority for any state everything stops changing, loudly")
    func split() throws {
        var cluster = try ready(2)
        let leader = try #require(cluster.leader)
        cluster.corruptNext(cluster.follower)
        _ = cluster.call(put("x"), at: leader)
        _ = cluster.run(for: .seconds(3))
        for id in cluster.ids { #expect(cluster[id].stopped == nil) }
        #expect(cluster.call(put("y"), at: leader)?.rejection?.code == .corrupt)
    }

    @Test("A leader without disk space gives way and goes on serving")
    func leaderDiskFull() throws {
        var cluster = try ready(3)
        let leader = try #require(cluster.leader)
        cluster.tell(leader, .diskLow(true))
        _ = cluster.run(for: .milliseconds(500))
        #expect(cluster.leader != leader)
        guard case .put = cluster.call(put("k"), at: leader)?.body else { throw Missing(what: "no write") }
        guard case .status(let status) = cluster.call(.status, at: leader)?.body else {
            throw Missing(what: "no status")
        }
        #expect(status.diskIsLow)
    }

    @Test("A majority without disk space refuses what adds data, allows what frees it, and recovers by itself")
    func majorityDiskFull() throws {
        var cluster = try ready(3)
        for id in cluster.ids.prefix(2) { cluster.tell(id, .diskLow(true)) }
        _ = cluster.run(for: .seconds(3))
        let at = cluster.follower
        #expect(cluster.call(put("k"), at: at)?.rejection?.code == .noSpace)
        let erase = Request.write(.deleteRange(DeleteRangeRequest(range: .key(Key("k")))))
        guard case .deleteRange = cluster.call(erase, at: at)?.body else { throw Missing(what: "no delete") }
        for id in cluster.ids.prefix(2) { cluster.tell(id, .diskLow(false)) }
        _ = cluster.run(for: .seconds(6))
        guard case .put = cluster.call(put("k"), at: at)?.body else { throw Missing(what: "not recovered") }
    }

    @Test("A leader whose disk fills together with others' does not hand over to one of them")
    func fillTogether() throws {
        var cluster = try ready(3)
        let leader = try #require(cluster.leader)
        cluster.tell(leader, .diskLow(true))
        cluster.tell(cluster.follower, .diskLow(true))
        _ = cluster.run(for: .seconds(1))
        #expect(cluster.leader == leader)
        #expect(cluster.call(put("k"), at: leader)?.rejection?.code == .noSpace)
    }

    @Test("A member that is removed while its disk is full leaves no alarm behind")
    func removedWhileFull() throws {
        var cluster = try ready(3)
        let leader = try #require(cluster.leader)
        let others = cluster.ids.filter { $0 != leader }
        for id in others { cluster.tell(id, .diskLow(true)) }
        _ = cluster.run(for: .seconds(2))
        #expect(cluster.call(put("k"), at: leader)?.rejection?.code == .noSpace)
        guard case .membersChanged = cluster.call(.write(.memberRemove(others[1])), at: leader)?.body else {
            throw Missing(what: "not removed")
        }
        _ = cluster.run(for: .milliseconds(1_500))
        cluster.tell(others[0], .diskLow(false))
        _ = cluster.run(for: .seconds(6))
        guard case .put = cluster.call(put("k"), at: leader)?.body else { throw Missing(what: "still refused") }
        #expect(cluster[leader].replica.store.alarms.isEmpty)
    }

    @Test("An alarm that is on its way when its member is removed does not outlast the full disks")
    func removedWithAlarmUnderWay() throws {
        var cluster = try ready(3)
        let leader = try #require(cluster.leader)
        let others = cluster.ids.filter { $0 != leader }
        _ = cluster.submit(.write(.memberRemove(others[1])), at: leader)
        // The reports arrive before anybody has acknowledged the removal.
        for id in others { cluster.tell(id, .diskLow(true)) }
        let isOrphaned = cluster.run(for: .seconds(1)) {
            let store = $0[leader].replica.store
            return store.removedMembers == [others[1]] && store.alarms.contains { $0.member == others[1] }
        }
        #expect(isOrphaned)
        cluster.tell(others[0], .diskLow(false))
        _ = cluster.run(for: .seconds(6))
        guard case .put = cluster.call(put("k"), at: leader)?.body else { throw Missing(what: "still refused") }
        #expect(cluster[leader].replica.store.alarms.isEmpty)
    }

    @Test("A new leader does not take its ignorance of full disks for room")
    func leaderChangeWithFullDisks() throws {
        var cluster = try ready(3)
        let old = try #require(cluster.leader)
        let roomy = cluster.follower
        // The leader is the last one, so that it sees no majority with room to give way to.
        for id in cluster.ids where id != roomy && id != old { cluster.tell(id, .diskLow(true)) }
        _ = cluster.run(for: .milliseconds(1_500))
        cluster.tell(old, .diskLow(true))
        #expect(cluster.run(for: .seconds(3)) { $0[roomy].replica.store.isRaised(.noSpace) })
        // The longer the cluster runs, the longer ago is whatever a new leader might take for the start of its reign.
        _ = cluster.run(for: .seconds(6))
        #expect(cluster.leader == old)
        _ = cluster.submit(.moveLeader(roomy), at: old)
        #expect(cluster.run(for: .seconds(1)) { $0.leader == roomy })
        #expect(!cluster.run(for: .seconds(8)) { !$0[roomy].replica.store.isRaised(.noSpace) })
        for id in cluster.ids { cluster.tell(id, .diskLow(false)) }
        #expect(cluster.run(for: .seconds(8)) { !$0[roomy].replica.store.isRaised(.noSpace) })
    }
}
