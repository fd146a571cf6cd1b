import KVStore
import Primitives
import Raft
import RegistryModel
import Testing
import Watch

@testable import Replica

private struct Missing: Error { var what: String }

private func ready(_ count: Int) throws -> Cluster {
    var cluster = try Cluster(count: count)
    guard cluster.run(for: .seconds(5), until: { $0.leader != nil }) else { throw Missing(what: "no leader") }
    return cluster
}

private func grant(_ ttlSeconds: Int64, _ cluster: inout Cluster, at id: MemberID) throws -> LeaseID {
    let reply = cluster.call(.write(.leaseGrant(.none, ttlMilliseconds: ttlSeconds * 1_000)), at: id)
    guard case .leaseGranted(let lease, _) = reply?.body else { throw Missing(what: "no lease") }
    return lease
}

@Suite("Rules that only one place keeps")
struct ReplicaRuleTests {
    /// A member whose log holds one entry after the founding one, known to be committed.
    private func member(with entry: Entry, revision: Revision = .initial) throws -> MemberReplica {
        let id = MemberID(1)
        let base = LogBase(
            position: LogPosition(index: LogIndex(1), term: Term(1)), configuration: Configuration(voters: [id]))
        let description = MemberDescription(id: id, name: "", peerURLs: ["http://m1"], clientURLs: [])
        var state = RestoredState(header: .initial, live: [], leases: [], members: [description])
        state.header.configuration = base.configuration.encoded()
        state.header = try RegistryStore(restoring: state).header
        state.header.applied = base.position
        state.header.revision = revision
        let log = RestoredLog(
            base: base, entries: [entry], hardState: HardState(term: Term(1), commit: entry.index))
        return try MemberReplica(
            configuration: ReplicaConfiguration(
                member: id, cluster: ClusterID(1), incarnation: Incarnation(1), description: description, seed: 1),
            log: log, state: state, at: Moment(now: .zero, wallMilliseconds: 0))
    }

    @Test("An entry that this program cannot read stops the member at that entry, by name")
    func unreadableEntry() throws {
        let entry = Entry(index: LogIndex(2), term: Term(1), kind: .command, payload: [250, 1, 2, 3])
        var replica = try member(with: entry)
        var effects = ReplicaEffects()
        replica.step([], at: Moment(now: .zero, wallMilliseconds: 0), into: &effects)
        #expect(effects.fatal?.contains("entry 2 of term 1 cannot be read") == true)
        #expect(effects.fatal?.contains("250") == true)
        #expect(replica.store.applied.index == LogIndex(1))
    }

    @Test("A snapshot that is older than the state is answered only once this disk holds its entry as well")
    func appliedBeforeDurable() throws {
        let ids = [1, 2, 3].map { MemberID($0) }
        let base = LogBase(
            position: LogPosition(index: LogIndex(1), term: Term(1)), configuration: Configuration(voters: ids))
        let description = MemberDescription(id: ids[0], name: "", peerURLs: ["http://m1"], clientURLs: [])
        var state = RestoredState(header: .initial, live: [], leases: [], members: [description])
        state.header.configuration = base.configuration.encoded()
        state.header = try RegistryStore(restoring: state).header
        state.header.applied = base.position
        var replica = try MemberReplica(
            configuration: ReplicaConfiguration(
                member: ids[0], cluster: ClusterID(1), incarnation: Incarnation(1), description: description, seed: 1),
            log: RestoredLog(base: base, entries: [], hardState: HardState(term: Term(1), commit: LogIndex(1))),
            state: state, at: Moment(now: .zero, wallMilliseconds: 0))
        let moment = Moment(now: Instant.zero + .milliseconds(1), wallMilliseconds: 0)

        // The leader and the third member hold the entry; here its write is still under way.
        let noop = Entry(index: LogIndex(2), term: Term(2), kind: .noop, payload: [])
        let append = Message(
            from: ids[1], to: ids[0], term: Term(2),
            body: .append(previous: base.position, entries: [noop], commit: LogIndex(2), readPosition: 0))
        var effects = ReplicaEffects()
        replica.step([.peer(ids[1], .raft(append))], at: moment, into: &effects)
        #expect(replica.store.applied.index == LogIndex(2))
        let batch = try #require(effects.logBatches.last).number

        let identity = SnapshotIdentity(position: noop.position, digest: Digest128(), bytes: 8)
        effects = ReplicaEffects()
        replica.step(
            [.peer(ids[1], .snapshotChunk(identity, offset: 0, bytes: [1]))], at: moment, into: &effects)
        let answer = PeerMessage.snapshotInstalled(identity)
        #expect(!effects.sends.contains { $0.message == answer })
        effects = ReplicaEffects()
        replica.step([.logDurable(batch)], at: moment, into: &effects)
        #expect(effects.sends.contains { $0.message == answer })
    }

    @Test("While the cluster is corrupt no lease ends; when that is over, those that are due do")
    func corruptLeases() throws {
        var cluster = try ready(1)
        let only = cluster.ids[0]
        _ = try grant(2, &cluster, at: only)
        func alarm(_ isRaised: Bool) -> Request {
            .write(.alarm(AlarmChange(member: MemberID(9), kind: .corrupt, isRaised: isRaised)))
        }
        _ = cluster.call(alarm(true), at: only)
        let before = cluster.steps
        _ = cluster.run(for: .seconds(5))
        #expect(cluster[only].replica.store.leaseCount == 1)
        #expect(cluster.steps - before < 500)
        _ = cluster.call(alarm(false), at: only)
        _ = cluster.run(for: .seconds(3))
        #expect(cluster[only].replica.store.leaseCount == 0)
    }

    @Test("Jumps of the wall clock change nothing but the times shown, and those never go back")
    func wallClock() throws {
        var cluster = try ready(3)
        let leader = try #require(cluster.leader)
        _ = try grant(4, &cluster, at: leader)
        var last: Int64 = 0
        for hours in [0, 10, -10, 30, -100] as [Int64] {
            cluster.wallOffset = hours * 3_600_000
            let put = PutRequest(key: Key("k"), value: [1])
            guard case .put = cluster.call(.write(.put(put)), at: cluster.follower)?.body else {
                throw Missing(what: "no write at \(hours) h")
            }
            _ = cluster.run(for: .milliseconds(500))
            #expect(cluster[leader].replica.store.wallMilliseconds >= last)
            last = cluster[leader].replica.store.wallMilliseconds
            #expect(cluster[leader].replica.store.leaseCount == 1)
        }
        #expect(cluster.leader == leader)
        _ = cluster.run(for: .seconds(3))
        #expect(cluster[leader].replica.store.leaseCount == 0)
    }

    @Test("A read below the memory window waits until the state store has what the member has applied")
    func oldRevisions() throws {
        let noop = Entry(index: LogIndex(2), term: Term(1), kind: .noop, payload: [])
        var replica = try member(with: noop, revision: Revision(10))
        var old = RangeRequest(range: .all)
        old.revision = Revision(5)
        old.serializable = true
        let txn = TxnRequest(comparisons: [], success: [.range(old)], failure: [])
        for request in [Request.range(old), .readTxn(txn, serializable: true)] {
            var effects = ReplicaEffects()
            let token = RequestToken(sink: 1, serial: 7)
            let applied = replica.store.applied.index
            replica.step(
                [.request(request, token, RequestContext())], at: Moment(now: .zero, wallMilliseconds: 0),
                into: &effects)
            let job = try #require(effects.reads.first)
            switch job.work {
            case .rangeInHistory, .txnInHistory: #expect(job.minimum >= applied)
            default: Issue.record("the job may overtake the state store: \(job.work)")
            }
        }
    }

    @Test("Digests of an earlier reign are not counted in a later one")
    func digestsForgotten() {
        let voters = [1, 2, 3].map { MemberID($0) }
        let configuration = Configuration(voters: voters)
        func answer(_ member: Int) -> DigestRounds.Answer { .init(member: voters[member], digest: Digest128()) }
        var rounds = DigestRounds()
        #expect(rounds.add(answer(0), at: LogIndex(8), among: configuration) == .open)
        rounds.removeAll()
        #expect(rounds.add(answer(1), at: LogIndex(8), among: configuration) == .open)
        #expect(rounds.add(answer(2), at: LogIndex(8), among: configuration) == .agreed(dissenters: []))
    }

    @Test("Effects that are used again hold nothing of the step before")
    func effectsReset() throws {
        let cluster = try ready(1)
        let only = cluster.ids[0]
        var effects = ReplicaEffects()
        effects.peers = PeerList(members: cluster[only].replica.store.members, removed: [])
        effects.leadership = Leadership(role: .leader, term: Term(1), leader: only, isEstablished: true)
        effects.sends.append(PeerSend(to: only, message: .diskLow))
        effects.compactLog = LogBase(position: .zero, configuration: Configuration(voters: [only]))
        effects.deliveries.append((1, .leaderKnown(true)))
        effects.makeStateDurable = true
        effects.lostEntries = true
        effects.hasRecovered = true
        effects.reset()
        #expect(effects.peers == nil && effects.leadership == nil && effects.compactLog == nil)
        #expect(effects.sends.isEmpty && effects.deliveries.isEmpty)
        #expect(!effects.makeStateDurable && !effects.lostEntries && !effects.hasRecovered)
    }

    @Test("A leader whose uncommitted tail is full refuses writes at once")
    func overload() throws {
        func put(_ value: [UInt8]) -> Request { .write(.put(PutRequest(key: Key("k"), value: value))) }
        var cluster = try Cluster(count: 3) { $0.limits.uncommittedBytesMax = 64 }
        _ = cluster.run(for: .seconds(3))
        let leader = try #require(cluster.leader)
        for id in cluster.ids where id != leader { cluster.cut.insert([leader, id]) }
        let first = cluster.submit(
            put(Array(repeating: 1, count: 70)), at: leader)
        _ = cluster.run(for: .milliseconds(2))
        let second = cluster.submit(put([1]), at: leader)
        _ = cluster.run(for: .milliseconds(2))
        #expect(cluster[leader].replies[first] == nil)
        #expect(cluster[leader].replies[second]?.rejection?.code == .tooManyRequests)
    }

    @Test("The watches of a front door end with it")
    func doorCloses() throws {
        var cluster = try ready(3)
        let at = cluster.follower
        let request = WatchRequest(range: .prefix(Key("w/")), startRevision: .zero)
        guard case .watchCreated = cluster.call(.watchCreate(StreamID(sink: 1, number: 1), request), at: at)?.body
        else {
            throw Missing(what: "not created")
        }
        cluster.tell(at, .sinkDetached(1))
        _ = cluster.call(.write(.put(PutRequest(key: Key("w/1"), value: [1]))), at: try #require(cluster.leader))
        _ = cluster.run(for: .milliseconds(100))
        #expect(cluster[at].watch.isEmpty)
        #expect(cluster[at].replica.hub.watcherCount == 0)
    }

    @Test("New writes are refused while the state store lags too far behind, and reads are not")
    func stateLag() throws {
        let cluster = try ready(1)
        let only = cluster.ids[0]
        var replica = cluster[only].replica
        replica.stateWritten = LogIndex(0)
        var effects = ReplicaEffects()
        let moment = Moment(now: cluster.now, wallMilliseconds: 0)
        let put = Request.write(.put(PutRequest(key: Key("k"), value: [1])))
        let lag = replica.store.applied.index - replica.stateWritten
        replica.stateLagMax = lag - 1
        replica.step([.request(put, RequestToken(sink: 1, serial: 7), RequestContext())], at: moment, into: &effects)
        let refusals = effects.deliveries.compactMap { delivery -> Rejection.Code? in
            if case .reply(7, let reply) = delivery.delivery { return reply.rejection?.code }
            return nil
        }
        #expect(refusals == [.tooManyRequests])
        replica.stateLagMax = lag
        effects.reset()
        replica.step([.request(put, RequestToken(sink: 1, serial: 8), RequestContext())], at: moment, into: &effects)
        #expect(!effects.logBatches.isEmpty)
    }
}
