import KVStore
import Primitives
import RegistryModel
import Testing

@Suite struct LeaseClockTests {
    private func row(_ id: Int64, seconds: Int64 = 10) -> LeaseRow {
        LeaseRow(id: LeaseID(id), ttlMilliseconds: seconds * 1_000)
    }

    private func at(_ milliseconds: Int64) -> Instant {
        .zero + .milliseconds(milliseconds)
    }

    @Test("A new leader starts every lease at its full TTL and an extension")
    func promote() {
        var clock = LeaseClock()
        #expect(!clock.isRunning && clock.nextDeadline == .distantFuture)
        clock.promote(at: at(1_000), leases: [row(1), row(2, seconds: 5)], extend: .milliseconds(500))
        #expect(clock.expired(at: at(6_499), limit: 10).isEmpty)
        #expect(clock.expired(at: at(6_500), limit: 10) == [LeaseID(2)])
        #expect(clock.expired(at: at(11_499), limit: 10).isEmpty)
        #expect(clock.expired(at: at(11_500), limit: 10) == [LeaseID(1)])
        clock.demote()
        #expect(clock.promised(LeaseID(1), at: at(0)) == nil)
    }

    @Test("Back in office after a spell of another leader, earlier deadlines are forgotten")
    func secondReign() {
        var clock = LeaseClock()
        clock.promote(at: at(0), leases: [row(1)], extend: .zero)
        clock.demote()
        clock.promote(at: at(9_000), leases: [row(1)], extend: .zero)
        #expect(clock.expired(at: at(18_999), limit: 10).isEmpty)
        #expect(clock.expired(at: at(19_000), limit: 10) == [LeaseID(1)])
    }

    @Test("A renewal counts from its arrival and never shortens")
    func renew() {
        var clock = LeaseClock()
        clock.promote(at: at(0), leases: [row(1)], extend: .seconds(1))
        #expect(clock.renew(LeaseID(1), arrivedAt: at(500)) == .renewed(ttlMilliseconds: 10_000))
        #expect(clock.promised(LeaseID(1), at: at(1_000)) == .milliseconds(9_500))
        #expect(clock.expired(at: at(10_999), limit: 10).isEmpty)
        #expect(clock.renew(LeaseID(1), arrivedAt: at(4_000)) == .renewed(ttlMilliseconds: 10_000))
        #expect(clock.expired(at: at(13_999), limit: 10).isEmpty)
        #expect(clock.expired(at: at(14_000), limit: 10) == [LeaseID(1)])
        #expect(clock.renew(LeaseID(7), arrivedAt: at(0)) == .unknown)
    }

    @Test("A lease whose end is proposed cannot be renewed until that failed")
    func expiring() {
        var clock = LeaseClock()
        clock.promote(at: at(0), leases: [row(1)], extend: .zero)
        #expect(clock.expired(at: at(10_000), limit: 10) == [LeaseID(1)])
        #expect(clock.isExpiring(LeaseID(1)))
        #expect(clock.renew(LeaseID(1), arrivedAt: at(9_000)) == .expiring)
        #expect(clock.expired(at: at(20_000), limit: 10).isEmpty)
        clock.unmark([LeaseID(1)], at: at(20_000))
        #expect(clock.renew(LeaseID(1), arrivedAt: at(20_000)) == .renewed(ttlMilliseconds: 10_000))
        #expect(clock.expired(at: at(20_001), limit: 10).isEmpty)
        #expect(clock.expired(at: at(30_000), limit: 10) == [LeaseID(1)])
        clock.remove(LeaseID(1))
        #expect(clock.renew(LeaseID(1), arrivedAt: at(30_000)) == .unknown)
        clock.unmark([LeaseID(1)], at: at(30_000))
        #expect(clock.nextDeadline == .distantFuture)
    }

    @Test("A standstill pushes all deadlines, hints pull one nearer")
    func moving() {
        var clock = LeaseClock()
        clock.promote(at: at(0), leases: [row(1), row(2)], extend: .zero)
        clock.postpone(by: .seconds(3))
        #expect(clock.expired(at: at(12_999), limit: 10).isEmpty)
        clock.shorten(LeaseID(2), to: at(20_000), promised: at(9_000))
        #expect(clock.expired(at: at(12_999), limit: 10).isEmpty)
        clock.grant(row(3), at: at(12_999))
        clock.shorten(LeaseID(3), to: at(14_000), promised: at(12_000))
        #expect(clock.nextDeadline <= at(13_000))
        #expect(clock.expired(at: at(13_000), limit: 10) == [LeaseID(1), LeaseID(2)])
        #expect(clock.expired(at: at(14_000), limit: 10) == [LeaseID(3)])
    }

    @Test("What is promised of a lease's time leaves out what its leader adds by itself")
    func promises() {
        var clock = LeaseClock()
        clock.promote(at: at(0), leases: [row(1), row(2)], extend: .seconds(1))
        // A new leader knows nothing yet.
        #expect(clock.promised(LeaseID(1), at: at(0)) == .zero)
        clock.shorten(LeaseID(1), to: at(9_000), promised: at(6_000))
        #expect(clock.promised(LeaseID(1), at: at(1_000)) == .milliseconds(5_000))
        clock.postpone(by: .seconds(2))
        #expect(clock.promised(LeaseID(1), at: at(1_000)) == .milliseconds(5_000))
        var ahead = clock
        #expect(ahead.expired(at: at(10_999), limit: 10).isEmpty)
        #expect(ahead.expired(at: at(11_000), limit: 10) == [LeaseID(1)])
        // Never beyond the end itself.
        clock.shorten(LeaseID(2), to: at(4_000), promised: at(5_000))
        #expect(clock.promised(LeaseID(2), at: at(0)) == .milliseconds(4_000))
        _ = clock.renew(LeaseID(1), arrivedAt: at(3_000))
        #expect(clock.promised(LeaseID(1), at: at(3_000)) == .milliseconds(10_000))
        clock.grant(row(3), at: at(3_000))
        #expect(clock.promised(LeaseID(3), at: at(3_500)) == .milliseconds(9_500))
    }

    @Test("A hundred thousand leases of one moment come out in batches, each once")
    func storm() {
        var clock = LeaseClock()
        let leases = (1...100_000).map { row(Int64($0)) }
        clock.promote(at: at(0), leases: leases, extend: .zero)
        var seen: Set<LeaseID> = []
        while true {
            let batch = clock.expired(at: at(10_000), limit: 1_000)
            if batch.isEmpty { break }
            #expect(batch.count == 1_000)
            if seen.count < 99_000 { #expect(clock.nextDeadline <= at(10_000)) }
            seen.formUnion(batch)
        }
        #expect(seen.count == 100_000)
        #expect(clock.nextDeadline == .distantFuture)
    }

    @Test("The longest TTLs do not overflow, forgotten slots are used again")
    func extremes() {
        var clock = LeaseClock()
        let eternal = LeaseRow(id: LeaseID(1), ttlMilliseconds: 9_000_000_000_000)
        clock.promote(at: at(5), leases: [eternal], extend: .seconds(1))
        #expect(clock.expired(at: at(1 << 40), limit: 10).isEmpty)
        for round in 0..<1_000 {
            clock.grant(row(Int64(round) + 10), at: at(0))
            clock.remove(LeaseID(Int64(round) + 10))
        }
        #expect(clock.count == 1)
    }

    @Test("Random renewals: never early, at most a millisecond late", arguments: 0..<10)
    func model(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var clock = LeaseClock()
        clock.promote(at: at(0), leases: [], extend: .zero)
        var deadlines: [LeaseID: Instant] = [:]
        var now = at(0)
        for _ in 0..<3_000 {
            let id = LeaseID(Int64(generator.below(50)) + 1)
            switch generator.below(6) {
            case 0:
                if deadlines[id] == nil {
                    let seconds = generator.within(1...100)
                    clock.grant(row(id.number, seconds: seconds), at: now)
                    deadlines[id] = now + .seconds(seconds)
                }
            case 1, 2:
                let arrived = now - generator.span(.zero, .milliseconds(50))
                if case .renewed(let ttl) = clock.renew(id, arrivedAt: arrived) {
                    deadlines[id] = deadlines[id].map { max($0, arrived + .milliseconds(ttl)) }
                } else {
                    #expect(deadlines[id] == nil)
                }
            case 3:
                clock.remove(id)
                deadlines[id] = nil
            default:
                now =
                    generator.chance(1, in: 2)
                    ? now + generator.span(.zero, .seconds(4)) : max(now, min(clock.nextDeadline, now + .seconds(9)))
                for ended in clock.expired(at: now, limit: 100) {
                    let deadline = deadlines.removeValue(forKey: ended)
                    #expect(deadline.map { $0 <= now } == true)
                    clock.remove(ended)
                }
                for (id, deadline) in deadlines.sorted(by: { $0.key < $1.key }) {
                    #expect(deadline + .milliseconds(1) > now, "lease \(id.number) should have ended")
                    #expect(clock.promised(id, at: now) == deadline - now)
                }
            }
        }
    }
}
