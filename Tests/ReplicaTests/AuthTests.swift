import KVStore
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

@Suite("Requests of users")
struct AuthTests {
    @Test("A token of one member is known to all, and every request is judged by whose it is")
    func rights() throws {
        var auth = try AuthCluster()
        let alice = try auth.login("alice", at: auth.follower)
        for at in auth.cluster.ids {
            for serializable in [false, true] {
                #expect(try auth.code(AuthCluster.get("a/1", serializable: serializable), at: at, as: alice) == nil)
                let other = AuthCluster.get("c/1", serializable: serializable)
                #expect(try auth.code(other, at: at, as: alice) == .permissionDenied)
                #expect(try auth.code(other, at: at, as: .root) == nil)
                #expect(try auth.code(other, at: at, as: .none) == .userNameEmpty)
                #expect(try auth.code(other, at: at, as: .token("nonsense")) == .invalidAuthToken)
                #expect(try auth.code(AuthCluster.txn("a/1", serializable: serializable), at: at, as: alice) == nil)
                #expect(
                    try auth.code(AuthCluster.txn("c/1", serializable: serializable), at: at, as: alice)
                        == .permissionDenied)
            }
            #expect(try auth.code(AuthCluster.put("b/1"), at: at, as: alice) == nil)
            #expect(try auth.code(AuthCluster.put("a/1"), at: at, as: alice) == .permissionDenied)
            #expect(try auth.code(AuthCluster.put("b/1"), at: at, as: .none) == .userNameEmpty)
            #expect(try auth.code(AuthCluster.put("b/1"), at: at, as: .token("A.1")) == .invalidAuthToken)
        }
        let rows = auth.cluster[auth.follower].appliedRows
        let users = rows.compactMap { row in if case .row(let row) = row { row.origin.user } else { nil } }
        #expect(users == ["alice", "alice", "alice"], "who wrote is part of what is kept")
    }

    @Test("What nobody asks for costs no entry, but for logging in")
    func nobody() throws {
        var auth = try AuthCluster()
        let last = auth.cluster[try auth.leader].replica.raft.lastIndex
        let requests: [Request] = [
            AuthCluster.put("b/1"), .write(.leaseGrant(.none, ttlMilliseconds: 9_000)), .write(.compact(Revision(1))),
            .write(.auth(.disable)),
        ]
        for id in auth.cluster.ids {
            for request in requests {
                let reply = auth.cluster.call(request, at: id, within: .zero)
                #expect(reply?.rejection?.code == .userNameEmpty, "\(request)")
            }
        }
        _ = auth.cluster.run(for: .seconds(1))
        #expect(auth.cluster[try auth.leader].replica.raft.lastIndex == last)
        _ = try auth.login("alice", at: auth.follower)
        #expect(auth.cluster[try auth.leader].replica.raft.lastIndex == last.next)
    }

    @Test("Without auth nobody looks at credentials")
    func off() throws {
        var auth = try AuthCluster()
        try auth.change(.disable)
        _ = auth.cluster.run(for: .seconds(1))
        for credential: Credential in [.none, .token("nonsense.9"), .verified(user: "x", authRevision: 1)] {
            #expect(try auth.code(AuthCluster.get("a"), at: auth.follower, as: credential) == nil)
            #expect(try auth.code(AuthCluster.put("a"), at: auth.follower, as: credential) == nil)
            #expect(try auth.code(.leases, at: auth.follower, as: credential) == nil)
        }
        #expect(try auth.code(.passwordRecord("alice"), at: auth.follower, as: .none) == .authNotEnabled)
    }

    @Test("A certificate's name is a user, known or not; a signed token is as old as its revision")
    func otherCredentials() throws {
        var auth = try AuthCluster()
        let at = auth.follower
        #expect(try auth.code(AuthCluster.get("a/1"), at: at, as: .certificate(commonName: "alice")) == nil)
        for name in ["stranger", ""] {
            let credential = Credential.certificate(commonName: name)
            #expect(try auth.code(AuthCluster.get("a/1"), at: at, as: credential) == .permissionDenied)
            #expect(try auth.code(AuthCluster.put("b/1"), at: at, as: credential) == .permissionDenied)
        }
        let revision = auth.cluster[at].replica.store.authRevision
        let signed = Credential.verified(user: "alice", authRevision: revision)
        #expect(try auth.code(AuthCluster.get("a/1"), at: at, as: signed) == nil)
        #expect(try auth.code(AuthCluster.put("b/1"), at: at, as: signed) == nil)
        try auth.change(.roleAdd("another"))
        _ = auth.cluster.run(for: .seconds(1))
        #expect(try auth.code(AuthCluster.get("a/1"), at: at, as: signed) == .authRevisionOld)
        #expect(try auth.code(AuthCluster.put("b/1"), at: at, as: signed) == .authRevisionOld)
        #expect(try auth.code(AuthCluster.put("b/1"), at: at, as: .root) == nil)
    }

    @Test("What a user may do is judged when the write is carried out, not when it was sent")
    func meanwhile() throws {
        var auth = try AuthCluster()
        let alice = try auth.login("alice", at: auth.leader)
        let leader = try auth.leader
        let change = AuthOperation.userRevokeRole(user: "alice", role: "r")
        let revoked = auth.cluster.submit(.write(.auth(change)), at: leader, as: .root)
        let late = auth.cluster.submit(AuthCluster.put("b/late"), at: leader, as: alice)
        _ = auth.cluster.run(for: .seconds(1))
        #expect(auth.cluster[leader].replies[revoked]?.rejection == nil)
        #expect(auth.cluster[leader].replies[late]?.rejection?.code == .authRevisionOld)
        #expect(try auth.code(AuthCluster.put("b/late"), at: leader, as: alice) == .permissionDenied)
    }

    @Test("A member that lags behind waits for the entry of a token, and not for one that nobody ever wrote")
    func lagging() throws {
        var auth = try AuthCluster()
        let leader = try auth.leader
        let behind = auth.follower
        auth.cluster.cut = [[leader, behind], [behind, leader]]
        let alice = try auth.login("alice", at: leader)
        let stream = StreamID(sink: 1, number: 4)
        let read = auth.cluster.submit(AuthCluster.get("a/1", serializable: true), at: behind, as: alice)
        let watch = auth.cluster.submit(
            .watchCreate(stream, WatchRequest(range: .key(Key("a/1")), watchID: 7)), at: behind, as: alice)
        _ = auth.cluster.submit(.watchCancel(stream, watchID: 7), at: behind, as: alice)
        _ = auth.cluster.run(for: .milliseconds(100))
        #expect(auth.cluster[behind].replies[read] == nil && auth.cluster[behind].replies[watch] == nil)
        auth.cluster.cut = []
        _ = auth.cluster.run(for: .seconds(2))
        #expect(auth.cluster[behind].replies[read]?.body != nil)
        #expect(auth.cluster[behind].replies[watch]?.body != nil)
        let isCanceled = auth.cluster[behind].watch.contains { delivery in
            if case .canceled = delivery.content { delivery.watchID == 7 } else { false }
        }
        #expect(isCanceled, "the cancellation overtook the creation")
        let began = auth.cluster.now
        let forged = Credential.token("ABCDEFGHIJKLMNOP.1000000")
        #expect(try auth.code(AuthCluster.get("a/1", serializable: true), at: behind, as: forged) == .invalidAuthToken)
        #expect(auth.cluster.now - began >= .seconds(6))
        #expect(try auth.code(AuthCluster.get("a/1"), at: behind, as: forged) == .invalidAuthToken)
        #expect(auth.cluster[behind].replica.held.isEmpty)
    }

    @Test("Made-up tokens are held in bounds, and a stream that closes leaves nothing unanswered")
    func forged() throws {
        var auth = try AuthCluster()
        let (at, forged) = (auth.follower, Credential.token("ABCDEFGHIJKLMNOP.1000000"))
        let stream = StreamID(sink: 1, number: 1)
        let watch = auth.cluster.submit(.watchCreate(stream, WatchRequest(range: .all)), at: at, as: forged)
        for _ in 0..<MemberReplica.heldMax {
            _ = auth.cluster.submit(.watchProgress(stream), at: at, as: forged)
        }
        let read = auth.cluster.submit(AuthCluster.get("a/1", serializable: true), at: at, as: forged)
        _ = auth.cluster.run(for: .milliseconds(1))
        #expect(auth.cluster[at].replica.held.count == MemberReplica.heldMax)
        #expect(auth.cluster[at].replies[watch] == nil)
        #expect(auth.cluster[at].replies[read]?.rejection?.code == .invalidAuthToken)
        _ = auth.cluster.submit(.watchStreamClosed(stream), at: at, as: forged)
        _ = auth.cluster.run(for: .milliseconds(1))
        #expect(auth.cluster[at].replica.held.isEmpty)
        #expect(auth.cluster[at].replies[watch]?.rejection?.code == .cancelled)
    }

    @Test("A watch needs the interval exactly as it was asked for")
    func watches() throws {
        var auth = try AuthCluster()
        let at = auth.follower
        let alice = try auth.login("alice", at: at)
        var number: UInt64 = 0
        func watch(_ range: KeyRange, as credential: Credential) throws -> Rejection.Code? {
            number += 1
            let stream = StreamID(sink: 1, number: number)
            return try auth.code(.watchCreate(stream, WatchRequest(range: range)), at: at, as: credential)
        }
        #expect(try watch(.prefix(Key("a/")), as: alice) == nil)
        #expect(try watch(KeyRange(start: Key("a/"), end: .unbounded), as: alice) == .permissionDenied)
        #expect(try watch(.all, as: alice) == .permissionDenied)
        #expect(try watch(.all, as: .root) == nil)
        #expect(try watch(.prefix(Key("a/")), as: .none) == .userNameEmpty)
        #expect(try watch(.prefix(Key("a/")), as: .token("x")) == .invalidAuthToken)
        try auth.change(.roleGrantPermission(role: "r", Permission(kind: .read, range: .init(key: [0], rangeEnd: [0]))))
        _ = auth.cluster.run(for: .seconds(1))
        #expect(try watch(.all, as: alice) == nil, "an empty start is the first key there can be")
    }

    @Test("Members, alarms, status and leadership need a user, and some of them root")
    func management() throws {
        var auth = try AuthCluster()
        let leader = try auth.leader
        let bob = try auth.login("bob", at: leader)
        let forUsers: [Request] = [
            .memberList(linearizable: false), .memberList(linearizable: true), .status, .alarms(.none),
            .authorize(.anyUser),
        ]
        for request in forUsers {
            for at in [leader, auth.follower] {
                #expect(try auth.code(request, at: at, as: .none) == .userNameEmpty, "\(request)")
                #expect(try auth.code(request, at: at, as: .token("x")) == .invalidAuthToken, "\(request)")
                #expect(try auth.code(request, at: at, as: bob) == nil, "\(request)")
            }
        }
        let joining = MemberDescription.joining(peerURLs: ["http://m9"], staysLearner: true)
        let forRoot: [Request] = [
            .moveLeader(MemberID(99)), .authorize(.root), .write(.memberAdd(joining)),
            .write(.memberRemove(MemberID(77))), .write(.memberPromote(MemberID(77))), .write(.compact(Revision(1))),
            .write(.alarm(AlarmChange(member: MemberID(1), kind: .none, isRaised: true))),
        ]
        for request in forRoot {
            for at in [leader, auth.follower] {
                #expect(try auth.code(request, at: at, as: .none) == .userNameEmpty, "\(request)")
                #expect(try auth.code(request, at: at, as: bob) == .permissionDenied, "\(request)")
            }
        }
        #expect(try auth.code(.write(.memberAdd(joining)), at: auth.follower, as: .root) == nil)
        #expect(try auth.code(.write(.memberRemove(MemberID(77))), at: auth.follower, as: .root) == .memberNotFound)
        #expect(try auth.code(.authorize(.root), at: auth.follower, as: .root) == nil)
        #expect(try auth.code(.readBarrier, at: auth.follower, as: .none) == nil, "it shows nothing")
    }

    @Test("Reads about users are for root and for the user itself, on every member")
    func sight() throws {
        var auth = try AuthCluster()
        for at in auth.cluster.ids {
            let alice = try auth.login("alice", at: at)
            for request: Request in [.authStatus, .authUsers, .authRoles, .authUser("bob"), .authRole(.root)] {
                #expect(try auth.code(request, at: at, as: alice) == .permissionDenied, "\(request)")
                #expect(try auth.code(request, at: at, as: .none) == .userNameEmpty)
            }
            guard case .authStatus(true, let revision) = auth.cluster.call(.authStatus, at: at, as: .root)?.body,
                case .authUsers(["alice", "bob", "root"]) = auth.cluster.call(.authUsers, at: at, as: .root)?.body,
                case .authRoles(["r"]) = auth.cluster.call(.authRoles, at: at, as: .root)?.body,
                case .authUser(["r"]) = auth.cluster.call(.authUser("alice"), at: at, as: alice)?.body,
                case .authRole(let permissions) = auth.cluster.call(.authRole("r"), at: at, as: alice)?.body
            else { throw Unmet(what: "something is not shown at \(at)") }
            #expect(revision == 9 && permissions.count == 2)
            #expect(try auth.code(.authRole(.root), at: at, as: .root) == .roleNotFound, "it was never created")
            #expect(try auth.code(.passwordRecord("nobody"), at: at, as: .none) == .authenticationFailed)
        }
    }
}
