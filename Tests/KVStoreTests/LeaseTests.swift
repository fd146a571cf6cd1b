import KVStore
import Primitives
import RegistryModel
import Testing

@Suite struct LeaseTests {
    @Test("Granting: a used id is refused, none at all is our own mistake")
    func grant() {
        var feeder = Feeder()
        #expect(feeder.grant(5, ttl: 700) == .success(.leaseGranted(LeaseID(5), ttlMilliseconds: 700)))
        #expect(feeder.grant(5) == .failure(Rejection(.leaseExists)))
        #expect(feeder.grant(-5) == .success(.leaseGranted(LeaseID(-5), ttlMilliseconds: 10_000)))
        guard case .failure(let rejection) = feeder.grant(0) else {
            Issue.record("a lease without an id was granted")
            return
        }
        #expect(rejection.code == .internalError)
        #expect(feeder.store.leases.map(\.id.number) == [-5, 5])
        #expect(feeder.store.lease(LeaseID(5))?.ttlMilliseconds == 700)
        #expect(feeder.store.revision == .initial)
    }

    @Test("Revoking deletes the keys in key order in one revision, and without keys makes none")
    func revoke() {
        var feeder = Feeder()
        feeder.grant(1)
        feeder.grant(2)
        // More keys than a small set holds, in no order.
        let keys = (0..<100).map { "k\(($0 * 37) % 100 + 100)" }
        for key in keys { feeder.put(key, lease: 1) }
        feeder.changes.removeAll()
        #expect(feeder.apply(.leaseRevoke(LeaseID(1))) == .success(.leaseRevoked))
        #expect(feeder.changes.revisions.map { $0.events.map(\.kv.key.text) } == [keys.sorted()])
        #expect(feeder.changes.revisions[0].origin.reason == .leaseRevoked)
        #expect(feeder.changes.changes.last == .leaseRemoved(LeaseID(1)))
        let revision = feeder.store.revision
        #expect(feeder.apply(.leaseRevoke(LeaseID(2))) == .success(.leaseRevoked))
        #expect(feeder.store.revision == revision)
        #expect(feeder.apply(.leaseRevoke(LeaseID(2))) == .failure(Rejection(.leaseNotFound)))
    }

    @Test("A key dies with the lease it has now, not with one it had")
    func moved() {
        var feeder = Feeder()
        feeder.grant(1)
        feeder.grant(2)
        for key in ["moved", "detached", "kept"] { feeder.put(key, lease: 1) }
        feeder.put("moved", lease: 2)
        feeder.put("detached")
        var keeping = PutRequest(key: Key("kept"), value: [1])
        keeping.ignoreLease = true
        feeder.apply(.put(keeping))
        #expect(feeder.store.keys(of: LeaseID(1)) == [Key("kept")])
        #expect(feeder.store.keys(of: LeaseID(2)) == [Key("moved")])
        feeder.apply(.leaseExpire([LeaseID(1)], issuedTerm: feeder.term))
        #expect(feeder.keys == ["detached", "moved"])
        feeder.delete(.key(Key("moved")))
        #expect(feeder.store.keys(of: LeaseID(2)) == [])
        feeder.put("moved")
        feeder.apply(.leaseExpire([LeaseID(2)], issuedTerm: feeder.term))
        #expect(feeder.keys == ["detached", "moved"])
        #expect(feeder.store.leaseCount == 0)
    }

    @Test("Expiry counts only in the term that decided it")
    func staleTerm() {
        var feeder = Feeder()
        feeder.grant(1)
        feeder.put("k", lease: 1)
        let digest = feeder.store.digest
        let stale = feeder.apply(.leaseExpire([LeaseID(1)], issuedTerm: Term(feeder.term.number - 1)))
        #expect(stale == .success(.leasesExpired([])))
        #expect(feeder.store.digest == digest)
        #expect(feeder.keys == ["k"])
        let current = feeder.apply(.leaseExpire([LeaseID(1)], issuedTerm: feeder.term))
        #expect(current == .success(.leasesExpired([LeaseID(1)])))
        #expect(feeder.keys.isEmpty)
    }

    @Test("The end of a lease counts as several puts for each of its keys, and as something without any")
    func touches() {
        var feeder = Feeder()
        for lease in 1...200 as ClosedRange<Int64> {
            feeder.grant(lease)
            feeder.put("k\(lease)", lease: lease)
        }
        let leases = (1...200).map { LeaseID($0) }
        #expect(feeder.store.estimatedTouches(of: .leaseExpire(leases, issuedTerm: feeder.term)) >= 1_000)
        feeder.grant(201)
        #expect(feeder.store.estimatedTouches(of: .leaseRevoke(LeaseID(201))) == 2)
    }

    @Test("Many leases expire in one command, each with keys in a revision of its own")
    func many() {
        var feeder = Feeder()
        for lease in 1...4 { feeder.grant(Int64(lease)) }
        feeder.put("a", lease: 3)
        feeder.put("b", lease: 1)
        feeder.put("c", lease: 1)
        feeder.changes.removeAll()
        let ids = [3, 2, 9, 1].map { LeaseID($0) }
        let result = feeder.apply(.leaseExpire(ids, issuedTerm: feeder.term))
        #expect(result == .success(.leasesExpired([LeaseID(3), LeaseID(2), LeaseID(1)])))
        #expect(feeder.changes.revisions.map { $0.events.map(\.kv.key.text) } == [["a"], ["b", "c"]])
        #expect(feeder.changes.revisions.allSatisfy { $0.origin.reason == .leaseExpired })
        #expect(feeder.store.leases.map(\.id.number) == [4])
    }

    @Test("Attaching needs a lease that exists")
    func attach() {
        var feeder = Feeder()
        #expect(feeder.put("k", lease: 8) == .failure(Rejection(.leaseNotFound)))
        #expect(feeder.keys.isEmpty && feeder.changes.isEmpty)
    }
}
