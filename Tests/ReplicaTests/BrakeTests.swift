import KVStore
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

private struct Missing: Error {
    var what: String
}

/// A cluster and the hosts that register a service with it, each with leases of two seconds.
private struct Fleet {
    var cluster: Cluster
    /// By host.
    var leases: [[LeaseID]] = []

    static let prefix = Key("/s/web/")

    /// - Parameter settings: nil: nobody opts in.
    init(hosts: Int, settings: String? = "on window=5") throws {
        cluster = try Cluster(count: 3)
        #expect(cluster.run(for: .seconds(5)) { $0.leader != nil })
        if let settings { put(BrakeKeys.key(BrakeKeys.settings, of: Fleet.prefix), settings) }
        for host in 0..<hosts { try register(host) }
    }

    mutating func put(_ key: Key, _ value: String = "v", lease: LeaseID = .none, from peer: String = "") {
        var request = PutRequest(key: key, value: Array(value.utf8))
        request.lease = lease
        _ = cluster.call(.write(.put(request)), at: cluster.follower, from: peer)
    }

    /// One more instance on a host.
    mutating func register(_ host: Int, lockLike: Bool = false) throws {
        let reply = cluster.call(.write(.leaseGrant(.none, ttlMilliseconds: 2_000)), at: cluster.follower)
        guard case .leaseGranted(let lease, _) = reply?.body else { throw Missing(what: "no lease") }
        while leases.count <= host { leases.append([]) }
        leases[host].append(lease)
        let name = lockLike ? "lock/\(lease.hexadecimal)" : "i\(host)_\(lease.hexadecimal)"
        put(Key(Fleet.prefix.text + name), lease: lease, from: "10.0.0.\(host):\(40_000 + leases[host].count)")
    }

    /// Lets time pass in which only these hosts renew.
    mutating func live(_ hosts: [Int], for span: TimeSpan) {
        let end = cluster.now + span
        while cluster.now < end {
            for host in hosts {
                for lease in leases[host] { _ = cluster.submit(.keepAlive(lease), at: cluster.follower) }
            }
            _ = cluster.run(for: .milliseconds(500))
        }
    }

    func keys(below prefix: Key) -> [Key] {
        let id = cluster.leader ?? cluster.ids[0]
        guard case .result(let result) = cluster[id].replica.store.range(RangeRequest(range: .prefix(prefix))) else {
            return []
        }
        return result.kvs.map(\.key)
    }

    var registered: Int { keys(below: Fleet.prefix).count }
    var isReported: Bool { !keys(below: BrakeKeys.reports).isEmpty }

    var report: BrakeReport? {
        guard let id = cluster.leader,
            case .result(let result) = cluster[id].replica.store.range(RangeRequest(range: .prefix(BrakeKeys.reports)))
        else { return nil }
        return result.kvs.first.flatMap { BrakeReport($0.value) }
    }

    /// Why the registrations that are gone went, as the leader stored it.
    var reasons: [ReasonCode] {
        guard let id = cluster.leader else { return [] }
        return cluster[id].appliedRows.compactMap { change in
            guard case .row(let row) = change, row.kind == .delete, row.kv.key.bytes.starts(with: Fleet.prefix.bytes)
            else { return nil }
            return row.origin.reason
        }
    }
}

@Suite("Brake on mass expiry")
struct BrakeTests {
    @Test("A host's death ends its leases on time, however many of them there are")
    func oneHost() throws {
        var fleet = try Fleet(hosts: 3)
        for _ in 0..<8 { try fleet.register(0) }
        fleet.live([1, 2], for: .seconds(4))
        #expect(fleet.registered == 2 && !fleet.isReported)
        #expect(fleet.reasons == [ReasonCode](repeating: .leaseExpired, count: 9))
    }

    @Test("Half of the hosts may die; when more fall silent together nothing ends, and that is reported")
    func massExpiry() throws {
        var half = try Fleet(hosts: 6)
        half.live([0, 1, 2], for: .seconds(4))
        #expect(half.registered == 3 && !half.isReported)

        var most = try Fleet(hosts: 6)
        most.live([0, 1], for: .seconds(60))
        #expect(most.registered == 6)
        let report = try #require(most.report)
        #expect(report.phase == .holding && report.held == 4 && report.silent == 4)
        #expect(report.leases == 6 && report.origins == 4)
        let leader = try #require(most.cluster.leader)
        #expect(most.cluster[leader].replica.gauges.heldLeases == 4)
    }

    @Test("Who did not opt in, or switched it off, is not braked", arguments: [nil, "off"])
    func notWanted(settings: String?) throws {
        var fleet = try Fleet(hosts: 6, settings: settings)
        fleet.live([0], for: .seconds(4))
        #expect(fleet.registered == 1 && !fleet.isReported)
    }

    @Test("A lease with a key of a lock, or with one that nobody wants braked, ends on time")
    func locks() throws {
        var fleet = try Fleet(hosts: 5)
        for host in 0..<5 { try fleet.register(host, lockLike: true) }
        fleet.put(Key("/elsewhere"), lease: fleet.leases[0][0])
        fleet.live([], for: .seconds(5))
        // The five locks, and the registration with something beside it.
        #expect(fleet.registered == 4 && fleet.keys(below: Key("/elsewhere")).isEmpty)
    }

    @Test("Released by its key, everything ends at once, late and named so; nothing is held again for a while")
    func release() throws {
        var fleet = try Fleet(hosts: 6)
        fleet.live([0, 1], for: .seconds(10))
        #expect(fleet.registered == 6)
        fleet.put(BrakeKeys.key(BrakeKeys.releases, of: Key("/s/other/")))
        fleet.live([0, 1], for: .seconds(1))
        #expect(fleet.registered == 6)
        fleet.put(BrakeKeys.key(BrakeKeys.releases, of: Fleet.prefix), "rack 7 is dark")
        fleet.live([0, 1], for: .seconds(1))
        #expect(fleet.registered == 2 && !fleet.isReported)
        #expect(fleet.reasons == [ReasonCode](repeating: .leaseHeld, count: 4))
        for host in 2..<6 { try fleet.register(host) }
        fleet.live([0], for: .seconds(4))
        #expect(fleet.registered == 1)
    }

    @Test("Holders that come back keep what they had; when enough are back, the rest ends")
    func comingBack() throws {
        var fleet = try Fleet(hosts: 6)
        fleet.live([0, 1], for: .seconds(10))
        fleet.live([0, 1, 2, 3, 4], for: .seconds(3))
        #expect(fleet.registered == 6)
        fleet.live([0, 1, 2, 3, 4], for: .seconds(6))
        #expect(fleet.registered == 5 && !fleet.isReported)
        #expect(fleet.reasons == [.leaseHeld])
        // One that had been held dies like any other.
        fleet.live([0, 1, 2, 3], for: .seconds(4))
        #expect(fleet.registered == 4 && fleet.reasons == [.leaseHeld, .leaseExpired])
    }

    @Test("After the hold the silent ones end one by one, then the brake is over")
    func spreading() throws {
        var fleet = try Fleet(hosts: 12, settings: "window=5 hold=10 spread=20 share=20")
        fleet.live([0, 1], for: .seconds(10))
        #expect(fleet.registered == 12)
        var seen: [Int] = []
        for _ in 0..<5 {
            fleet.live([0, 1], for: .seconds(4))
            seen.append(fleet.registered)
        }
        #expect(seen == seen.sorted(by: >) && Set(seen).count >= 4, "\(seen)")
        fleet.live([0, 1], for: .seconds(6))
        #expect(fleet.registered == 2 && !fleet.isReported)
    }

    @Test("A new leader decides anew, from what it finds out about the leases")
    func leaderChange() throws {
        var fleet = try Fleet(hosts: 6)
        fleet.live([0, 1], for: .seconds(10))
        let old = try #require(fleet.cluster.leader)
        let term = try #require(fleet.report).term
        fleet.cluster.kill(old)
        fleet.live([0, 1], for: .seconds(30))
        #expect(fleet.cluster.leader != old && fleet.registered == 6)
        #expect(try #require(fleet.report).term > term)
    }

    @Test("A release just after a change of leaders, before anything is held again, is not lost")
    func releaseAfterElection() throws {
        var fleet = try Fleet(hosts: 6)
        fleet.live([0, 1], for: .seconds(10))
        let old = try #require(fleet.cluster.leader)
        fleet.cluster.kill(old)
        #expect(fleet.cluster.run(for: .seconds(5)) { $0.leader != nil && $0.leader != old })
        let leader = try #require(fleet.cluster.leader)
        #expect(fleet.cluster[leader].replica.gauges.heldLeases == 0)
        fleet.put(BrakeKeys.key(BrakeKeys.releases, of: Fleet.prefix), "rack 7 is dark")
        fleet.live([0, 1], for: .seconds(8))
        #expect(fleet.registered == 2 && fleet.cluster.leader == leader)
    }

    @Test("A release is still in force below the next leader, and not when it was long ago")
    func releaseBeforeElection() throws {
        for (pause, expected) in [(1, 2), (15, 6)] as [(Int64, Int)] {
            var fleet = try Fleet(hosts: 6, settings: "window=5 hold=10")
            fleet.live([0, 1, 2, 3, 4, 5], for: .seconds(1))
            fleet.put(BrakeKeys.key(BrakeKeys.releases, of: Key("/s/")))
            fleet.live([0, 1, 2, 3, 4, 5], for: .seconds(pause))
            fleet.cluster.kill(try #require(fleet.cluster.leader))
            fleet.live([0, 1], for: .seconds(6))
            #expect(fleet.registered == expected)
        }
    }

    @Test("Settings changed while something is held take effect on it; so does a longer prefix that is off")
    func changedSettings() throws {
        for (prefix, settings) in [(Fleet.prefix, "window=5 hold=1 spread=0"), (Key("/s/web/i"), "off")] {
            var fleet = try Fleet(hosts: 6)
            fleet.live([0, 1], for: .seconds(10))
            #expect(fleet.registered == 6)
            fleet.put(BrakeKeys.key(BrakeKeys.settings, of: prefix), settings)
            fleet.live([0, 1], for: .seconds(2))
            #expect(fleet.registered == 2)
            #expect(fleet.reasons == [ReasonCode](repeating: .leaseHeld, count: 4))
        }
    }

    @Test("What a longer prefix takes over while it is held is decided about there")
    func takenOver() throws {
        var fleet = try Fleet(hosts: 6)
        fleet.live([0, 1], for: .seconds(10))
        fleet.put(BrakeKeys.key(BrakeKeys.settings, of: Key("/s/web/i")), "on window=5")
        fleet.live([0, 1], for: .seconds(3))
        #expect(fleet.registered == 6)
        let leader = try #require(fleet.cluster.leader)
        let brake = fleet.cluster[leader].replica.leaseBrake
        #expect(
            brake.prefixes.contains(Key("/s/web/i"))
                && brake.report(
                    of: Key("/s/web/i"), term: Term(1), at: .zero, wallMilliseconds: 0)?.held == 4
        )
    }

    @Test("A report whose leader can no longer take it back is removed by the next one, once it has seen who is silent")
    func staleReport() throws {
        var fleet = try Fleet(hosts: 1)
        fleet.put(BrakeKeys.key(BrakeKeys.reports, of: Key("/old/")), "of a leader that is gone")
        fleet.live([0], for: .seconds(40))
        #expect(fleet.isReported)
        fleet.live([0], for: .seconds(30))
        #expect(fleet.registered == 1 && !fleet.isReported)
    }
}
