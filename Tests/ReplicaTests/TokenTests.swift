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
}
