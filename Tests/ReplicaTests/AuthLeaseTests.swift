import KVStore
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

@Suite("Leases of users")
struct AuthLeaseTests {
    private func grant(_ auth: inout AuthCluster, at id: MemberID, as credential: Credential) throws -> LeaseID {
        let request = Request.write(.leaseGrant(.none, ttlMilliseconds: 10_000))
        guard case .leaseGranted(let lease, _) = auth.cluster.call(request, at: id, as: credential)?.body else {
            throw Unmet(what: "no lease")
        }
        return lease
    }

    @Test("A lease is renewed, looked into and ended by those who may do so with all its keys, on every member")
    func rights() throws {
        var auth = try AuthCluster()
        for at in auth.cluster.ids {
            let alice = try auth.login("alice", at: at)
            let bob = try auth.login("bob", at: at, drawn: "bbbbbbbbbbbbbbbb")
            #expect(
                try auth.code(.write(.leaseGrant(.none, ttlMilliseconds: 9_000)), at: at, as: .none) == .userNameEmpty)
            let lease = try grant(&auth, at: at, as: alice)
            let bare = try grant(&auth, at: at, as: bob)
            #expect(try auth.code(AuthCluster.put("b/1", lease: lease), at: at, as: alice) == nil)
            #expect(try auth.code(.keepAlive(lease), at: at, as: alice) == nil)
            #expect(try auth.code(.keepAlive(lease), at: at, as: bob) == .permissionDenied)
            #expect(try auth.code(.keepAlive(lease), at: at, as: .none) == .userNameEmpty)
            #expect(try auth.code(.keepAlive(lease), at: at, as: .token("x")) == .invalidAuthToken)
            #expect(try auth.code(.keepAlive(bare), at: at, as: alice) == nil, "nothing hangs on it")
            #expect(try auth.code(.keepAlive(LeaseID(99)), at: at, as: bob) == nil, "there is no such lease")
            #expect(try auth.code(.leaseTimeToLive(lease, wantsKeys: false), at: at, as: bob) == nil)
            #expect(try auth.code(.leaseTimeToLive(lease, wantsKeys: false), at: at, as: .none) == .userNameEmpty)
            #expect(try auth.code(.leaseTimeToLive(lease, wantsKeys: true), at: at, as: bob) == .permissionDenied)
            #expect(try auth.code(.leaseTimeToLive(lease, wantsKeys: true), at: at, as: alice) == nil)
            _ = auth.cluster.run(for: .milliseconds(200))
            #expect(try auth.code(.leases, at: at, as: bob) == .permissionDenied)
            #expect(try auth.code(.leases, at: at, as: alice) == nil)
            #expect(try auth.code(.leases, at: at, as: .none) == .userNameEmpty)
            #expect(try auth.code(AuthCluster.put("c/1", lease: lease), at: at, as: .root) == nil)
            #expect(try auth.code(.keepAlive(lease), at: at, as: alice) == .permissionDenied)
            #expect(try auth.code(.keepAlive(lease), at: at, as: .root) == nil)
            #expect(try auth.code(.write(.leaseRevoke(lease)), at: at, as: alice) == .permissionDenied)
            #expect(try auth.code(.write(.leaseRevoke(lease)), at: at, as: .root) == nil)
            #expect(try auth.code(.write(.leaseRevoke(bare)), at: at, as: alice) == nil)
        }
    }

    @Test("Of renewals that travel together each is judged alone, and one that is refused prolongs nothing")
    func together() throws {
        var auth = try AuthCluster()
        let (leader, at) = (try auth.leader, auth.follower)
        let alice = try auth.login("alice", at: at)
        let hers = try grant(&auth, at: at, as: alice)
        let other = try grant(&auth, at: at, as: .root)
        #expect(try auth.code(AuthCluster.put("b/1", lease: hers), at: at, as: alice) == nil)
        #expect(try auth.code(AuthCluster.put("c/1", lease: other), at: at, as: .root) == nil)
        for place in [at, leader] {
            _ = auth.cluster.run(for: .seconds(4))
            let one = auth.cluster.submit(.keepAlive(other), at: place, as: alice)
            let two = auth.cluster.submit(.keepAlive(hers), at: place, as: alice)
            _ = auth.cluster.run(for: .milliseconds(300))
            #expect(auth.cluster[place].replies[one]?.rejection?.code == .permissionDenied)
            guard case .keptAlive(hers, 10_000) = auth.cluster[place].replies[two]?.body else {
                throw Unmet(what: "no renewal at \(place)")
            }
        }
        // 8.6 s after its grant nothing is left of the one but what it was granted.
        for voter in auth.cluster.ids {
            let store = auth.cluster[voter].replica.store
            #expect(store.lease(other) != nil && store.lease(hers) != nil)
        }
        _ = auth.cluster.run(for: .milliseconds(2_500))
        #expect(auth.cluster[leader].replica.store.lease(other) == nil)
        #expect(auth.cluster[leader].replica.store.lease(hers) != nil)
    }

    @Test("A refused renewal leaves no trace with the voters, from whom the next leader learns")
    func hints() throws {
        var auth = try AuthCluster()
        let at = auth.follower
        let alice = try auth.login("alice", at: at)
        let lease = try grant(&auth, at: at, as: .root)
        #expect(try auth.code(AuthCluster.put("c/1", lease: lease), at: at, as: .root) == nil)
        for _ in 0..<4 {
            _ = auth.cluster.run(for: .seconds(2))
            for place in auth.cluster.ids {
                #expect(try auth.code(.keepAlive(lease), at: place, as: alice) == .permissionDenied)
            }
        }
        auth.cluster.kill(try auth.leader)
        #expect(auth.cluster.run(for: .seconds(1)) { $0.leader != nil })
        _ = auth.cluster.run(for: .milliseconds(500))
        let survivor = auth.follower
        let reply = auth.cluster.call(.leaseTimeToLive(lease, wantsKeys: false), at: survivor, as: .root)
        guard case .timeToLive(_, let remaining, _, _) = reply?.body else { throw Unmet(what: "no answer") }
        #expect(remaining < 2_000, "\(remaining) ms are left of 10 s, more than 8 s after the grant")
    }
}
