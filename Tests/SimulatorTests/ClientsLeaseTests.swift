import Primitives
import Raft
import RegistryModel
import Testing

@testable import Simulator

@Suite("Broken promises about leases are found")
struct ClientsLeaseTests {
    private let lease = LeaseID(7)

    /// A lease of a second, granted and answered.
    private func granted() throws -> HandMadeLog {
        var log = HandMadeLog()
        let request = Request.write(.leaseGrant(.none, ttlMilliseconds: 1_000))
        let operation = log.operation(request, serial: 3)
        try log.commit(.leaseGrant(lease, ttlMilliseconds: 1_000), serial: 3)
        try log.answer(operation, .leaseGranted(lease, ttlMilliseconds: 1_000), revision: 1)
        return log
    }

    private func expire(_ log: inout HandMadeLog, by member: UInt64 = 1) throws(Violation) {
        try log.commit(.leaseExpire([lease], issuedTerm: Term(1)), by: member)
    }

    @Test("L1: an end before the time, after a grant and after a renewal")
    func early() throws {
        var log = try granted()
        log.now = log.now + .milliseconds(900)
        expect(.noEarlyExpiry) { () throws(Violation) in try expire(&log) }
        log = try granted()
        log.now = log.now + .milliseconds(900)
        let renewal = log.operation(.keepAlive(lease))
        try log.answer(renewal, .keptAlive(lease, ttlMilliseconds: 1_000), revision: 1)
        log.now = log.now + .milliseconds(900)
        expect(.noEarlyExpiry) { () throws(Violation) in try expire(&log) }
        log = try granted()
        log.now = log.now + .milliseconds(1_000)
        try expire(&log)
    }

    @Test("L2: in calm times a silent holder's lease ends soon")
    func overrun() throws {
        var log = try granted()
        log.history.leases.calmSince = log.now
        log.now = log.now + .milliseconds(4_000)
        expect(.boundedOverrun) { () throws(Violation) in
            try log.history.leases.finish(log.history.model, at: log.now)
        }
        expect(.boundedOverrun) { () throws(Violation) in try expire(&log) }
        log = try granted()
        log.history.leases.calmSince = log.now
        log.now = log.now + .milliseconds(3_000)
        try expire(&log)
        try log.history.leases.finish(log.history.model, at: log.now)
    }

    @Test("L4: a lease that nobody granted so, and one that ends in one member only")
    func alike() throws {
        var log = try granted()
        let other = StateChange.leaseGranted(LeaseRow(id: lease, ttlMilliseconds: 2_000))
        expect(.deadLeases) { () throws(Violation) in
            try log.history.record(log.batch([other], revision: 1), by: MemberID(1), at: log.now)
        }
        expect(.deadLeases) { () throws(Violation) in
            try log.history.record(log.batch([.leaseRemoved(lease)], revision: 1), by: MemberID(1), at: log.now)
        }
    }

    @Test("L5: renewals of the dead, and of those whose end was decided; a living lease called dead")
    func renewals() throws {
        var log = try granted()
        log.now = log.now + .milliseconds(1_500)
        let decided = log.operation(.keepAlive(lease))
        expect(.renewedLeaseLives) { () throws(Violation) in
            try log.answer(decided, .keptAlive(lease, ttlMilliseconds: 0), revision: 1)
        }
        log.now = log.now + .milliseconds(1)
        try expire(&log)
        expect(.renewedLeaseLives) { () throws(Violation) in
            try log.answer(decided, .keptAlive(lease, ttlMilliseconds: 1_000), revision: 1)
        }
        log.now = log.now + .milliseconds(1)
        expect(.renewedLeaseLives) { () throws(Violation) in
            try log.answer(log.operation(.keepAlive(lease)), .keptAlive(lease, ttlMilliseconds: 1_000), revision: 1)
        }
    }

    @Test("L6: an expiry that somebody else than the leader proposed")
    func proposer() throws {
        var log = try granted()
        log.now = log.now + .milliseconds(1_500)
        expect(.expiryByLeader) { () throws(Violation) in try expire(&log, by: 2) }
    }

    @Test("L8: an id that is granted again")
    func ids() throws {
        var log = try granted()
        try log.commit(.leaseRevoke(lease))
        expect(.leaseIDs) { () throws(Violation) in try log.commit(.leaseGrant(lease, ttlMilliseconds: 500)) }
    }

    @Test("L9: more time told than granted, less than none, or more than there was")
    func told() throws {
        var log = try granted()
        let operation = log.operation(.leaseTimeToLive(lease, wantsKeys: false))
        func body(_ remaining: Int64) -> ReplyBody {
            .timeToLive(lease, remainingMilliseconds: remaining, grantedMilliseconds: 1_000, keys: [])
        }
        expect(.toldRemaining) { () throws(Violation) in try log.answer(operation, body(1_001), revision: 1) }
        expect(.toldRemaining) { () throws(Violation) in try log.answer(operation, body(-5), revision: 1) }
        log.now = log.now + .milliseconds(600)
        let later = log.operation(.leaseTimeToLive(lease, wantsKeys: false))
        try log.answer(later, body(900), revision: 1)
        log.now = log.now + .milliseconds(450)
        expect(.toldRemaining) { () throws(Violation) in try expire(&log) }
    }

    @Test("L3: a key listed under a lease that it left, or not listed")
    func keys() throws {
        var log = try granted()
        try log.put("a", lease: 7)
        let operation = log.operation(.leaseTimeToLive(lease, wantsKeys: true))
        func body(_ keys: [Key]) -> ReplyBody {
            .timeToLive(lease, remainingMilliseconds: 500, grantedMilliseconds: 1_000, keys: keys)
        }
        try log.answer(operation, body([Key("a")]), revision: 2)
        expect(.attachedKeys) { () throws(Violation) in try log.answer(operation, body([]), revision: 2) }
        try log.put("a")
        let later = log.operation(.leaseTimeToLive(lease, wantsKeys: true))
        expect(.attachedKeys) { () throws(Violation) in try log.answer(later, body([Key("a")]), revision: 3) }
    }
}
