import KVStore
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

@Suite("Tokens of logins")
struct TokenTests {
    private static let start = Instant.zero + .seconds(10)

    @Test("A token lives as long as it is used, and takes no room when it is over")
    func lifetime() {
        var tokens = SimpleTokens()
        let ttl = TimeSpan.seconds(300)
        tokens.learn("a", of: "alice", lifetime: ttl, at: Self.start)
        tokens.learn("b", of: "bob", lifetime: ttl, at: Self.start)
        #expect(tokens.user(of: "a", lifetime: ttl, at: Self.start + .seconds(299)) == "alice")
        #expect(tokens.user(of: "b", lifetime: ttl, at: Self.start + .seconds(300)) == nil)
        #expect(tokens.user(of: "a", lifetime: ttl, at: Self.start + .seconds(598)) == "alice")
        #expect(tokens.user(of: "c", lifetime: ttl, at: Self.start) == nil)
        tokens.learn("c", of: "carol", lifetime: ttl, at: Self.start + .seconds(600))
        #expect(tokens.count == 2)
        #expect(tokens.user(of: "a", lifetime: ttl, at: Self.start + .seconds(898)) == nil)
        tokens.learn("d", of: "dave", lifetime: ttl, at: Self.start + .seconds(900))
        tokens.learn("d", of: "dave", lifetime: ttl, at: Self.start + .seconds(901))
        #expect(tokens.count == 1)
    }

    @Test("A user's tokens go with the user")
    func forgetting() {
        var tokens = SimpleTokens()
        for (token, user) in [("a", "alice"), ("b", "bob"), ("c", "alice")] {
            tokens.learn(token, of: AuthName(user), lifetime: .seconds(9), at: Self.start)
        }
        tokens.forget("alice")
        #expect(tokens.count == 1 && tokens.user(of: "b", lifetime: .seconds(9), at: Self.start) == "bob")
    }

    @Test("Only two parts, the second a number, name an entry")
    func form() {
        #expect(SimpleTokens.index(in: "ABC.17") == LogIndex(17))
        for token in ["", ".", "ABC", "17", "ABC.", "ABC.x", "a.b.17", "ABC.-1", "ABC.99999999999999999999"] {
            #expect(SimpleTokens.index(in: token) == nil, "\(token)")
        }
    }

    @Test("Tokens end on every member with disuse, a new password, the user, and auth itself")
    func ends() throws {
        var auth = try AuthCluster { $0.tokenLifetime = .seconds(20) }
        let get = AuthCluster.get("a/1", serializable: true)
        func expect(_ token: Credential, _ code: Rejection.Code?) throws {
            for at in auth.cluster.ids { #expect(try auth.code(get, at: at, as: token) == code, "at \(at)") }
        }
        let first = try auth.login("alice", at: auth.follower)
        _ = auth.cluster.run(for: .seconds(1))
        try expect(first, nil)
        _ = auth.cluster.run(for: .seconds(15))
        try expect(first, nil)
        _ = auth.cluster.run(for: .seconds(15))
        try expect(first, nil)
        _ = auth.cluster.run(for: .seconds(21))
        try expect(first, .invalidAuthToken)
        let second = try auth.login("alice", at: auth.leader)
        let bob = try auth.login("bob", at: auth.leader, drawn: "bbbbbbbbbbbbbbbb")
        try auth.change(.userChangePassword("alice", passwordHash: "new"))
        _ = auth.cluster.run(for: .milliseconds(500))
        try expect(second, .invalidAuthToken)
        try expect(bob, .permissionDenied)
        try auth.change(.userDelete("bob"))
        _ = auth.cluster.run(for: .milliseconds(500))
        try expect(bob, .invalidAuthToken)
        let third = try auth.login("alice", at: auth.leader)
        try auth.change(.disable)
        try auth.change(.enable)
        _ = auth.cluster.run(for: .milliseconds(500))
        try expect(third, .invalidAuthToken)
    }

    @Test("A login is void when users were changed after the password was looked at; its token was never given out")
    func race() throws {
        var auth = try AuthCluster()
        let leader = try auth.leader
        let revision = auth.cluster[leader].replica.store.authRevision
        try auth.change(.userChangePassword("alice", passwordHash: "new"))
        let login = AuthOperation.authenticate("alice", token: "AAAAAAAAAAAAAAAA", revision: revision)
        #expect(try auth.code(.write(.auth(login)), at: leader, as: .none) == .authRevisionOld)
        #expect(auth.cluster[leader].replica.tokens.count == 0)
        let empty = AuthOperation.authenticate("alice", token: "", revision: revision + 1)
        guard case .authenticated("", revision + 1) = auth.cluster.call(.write(.auth(empty)), at: leader)?.body else {
            throw Unmet(what: "no login without a token")
        }
        #expect(auth.cluster[leader].replica.tokens.count == 0)
    }

    @Test("What a large read may show is judged again when it is done")
    func largeRead() throws {
        let auth = try AuthCluster(count: 1)
        var replica = auth.cluster[MemberID(1)].replica
        let moment = Moment(now: auth.cluster.now, wallMilliseconds: 5_000)
        let revision = replica.store.authRevision
        let job = ReadJobID(1_000)
        let token = RequestToken(sink: 1, serial: 999)
        for (authRevision, code) in [(revision, nil), (revision - 1, Rejection.Code.authRevisionOld), (0, nil)] {
            replica.readJobs[job] = .request(token, revision: Revision(1), authRevision: authRevision)
            var effects = ReplicaEffects()
            let outcome = ReadOutcome.range(.success(RangeResult(kvs: [], more: false, count: 0)))
            replica.step([.readFinished(job, outcome)], at: moment, into: &effects)
            guard case .reply(999, let reply) = effects.deliveries.last?.delivery else {
                throw Unmet(what: "no reply")
            }
            #expect(reply.rejection?.code == code)
        }
    }

    @Test("A restart forgets tokens: what an earlier life's log says of logins is not learned again")
    func restart() throws {
        let id = MemberID(1)
        let base = LogBase(
            position: LogPosition(index: LogIndex(1), term: Term(1)), configuration: Configuration(voters: [id]))
        let description = MemberDescription(id: id, name: "", peerURLs: ["http://m1"], clientURLs: [])
        var state = RestoredState(header: .initial, live: [], leases: [], members: [description])
        state.auth = AuthRows(
            isEnabled: true, revision: 4, users: [AuthUser(name: "alice", passwordHash: "h")])
        state.header.configuration = base.configuration.encoded()
        state.header = try RegistryStore(restoring: state).header
        state.header.applied = base.position
        let origin = Origin(member: id, incarnation: Incarnation(1), serial: 5)
        let entries = (2...3).map { (index: UInt64) in
            let login = AuthOperation.authenticate("alice", token: "token\(index)", revision: 4)
            let command = Command(wallMilliseconds: 0, origin: origin, operation: .auth(login))
            return Entry(index: LogIndex(index), term: Term(1), kind: .command, payload: command.encoded())
        }
        let log = RestoredLog(base: base, entries: entries, hardState: HardState(term: Term(1), commit: LogIndex(3)))
        var replica = try MemberReplica(
            configuration: ReplicaConfiguration(
                member: id, cluster: ClusterID(1), incarnation: Incarnation(2), description: description, seed: 1),
            log: log, state: state, at: Moment(now: .zero, wallMilliseconds: 0))
        var effects = ReplicaEffects()
        replica.step([], at: Moment(now: .zero, wallMilliseconds: 0), into: &effects)
        #expect(replica.store.applied.index == LogIndex(3) && replica.tokens.count == 0)
    }

    @Test("A snapshot that skips changes of users ends all tokens, another leaves them", arguments: [true, false])
    func snapshot(isChanged: Bool) throws {
        var auth = try AuthCluster()
        let (leader, behind) = (try auth.leader, auth.follower)
        _ = try auth.login("alice", at: leader)
        _ = auth.cluster.run(for: .seconds(1))
        #expect(auth.cluster[behind].replica.tokens.count == 1)
        auth.cluster.cut = [[leader, behind]]
        if isChanged { try auth.change(.userChangePassword("alice", passwordHash: "new")) }
        #expect(try auth.code(AuthCluster.put("b/1"), at: leader, as: .root) == nil)
        let source = auth.cluster[leader].replica
        guard case .result(let all) = source.store.range(RangeRequest(range: .all)) else { throw Unmet(what: "range") }
        let state = RestoredState(
            header: source.store.header, live: all.kvs, leases: [], members: source.store.members,
            auth: source.store.auth)
        let base = LogBase(position: source.store.applied, configuration: source.raft.configuration)
        let identity = SnapshotIdentity(position: base.position, digest: Digest128(), bytes: 1)
        var member = auth.cluster[behind].replica
        var effects = ReplicaEffects()
        let moment = Moment(now: auth.cluster.now, wallMilliseconds: 0)
        member.step([.snapshotInstalled(identity, state, base, sender: leader)], at: moment, into: &effects)
        #expect(member.store.auth == source.store.auth)
        #expect(member.tokens.count == (isChanged ? 0 : 1))
    }
}
