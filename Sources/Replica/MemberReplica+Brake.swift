import KVStore
import Primitives
import Raft
import RegistryModel

/// The brake on mass expiry: decided by the leader alone, from its lease clock and the keys as they are applied. What
/// it holds is only never proposed, so a leader that is gone leaves nothing behind but its report.
extension MemberReplica {
    /// How long a new leader leaves reports alone that it did not write: by then it has seen who is silent.
    private static let staleReportsAfter = TimeSpan.seconds(60)

    /// Splits leases whose time is over: what may end now, on time or after it was held; the rest is held.
    mutating func brake(_ due: [LeaseID]) -> (onTime: [LeaseID], late: [LeaseID]) {
        let table = store.brakeSettings
        var onTime: [LeaseID] = []
        var late: [LeaseID] = []
        var outcome = LeaseBrake.Outcome()
        for lease in due {
            if leaseClock.isReleased(lease) {
                late.append(lease)
            } else if let later = holdUntil(lease, table, into: &outcome) {
                leaseClock.hold(lease, until: later)
            } else {
                onTime.append(lease)
            }
        }
        carryOut(outcome)
        return (onTime, late)
    }

    /// Until when the brake of any prefix holds the lease; nil when none does.
    private mutating func holdUntil(
        _ lease: LeaseID, _ table: BrakeSettingsTable, into outcome: inout LeaseBrake.Outcome
    ) -> Instant? {
        let places = store.brakedPrefixes(of: lease, in: table)
        guard !places.isEmpty else { return nil }
        // Some deadlines are still a new leader's guess, so who fell silent together does not show yet.
        if isFindingAges { return moment.now + .milliseconds(100) }
        let holder = LeaseBrake.Holder(lease: lease, origin: store.origin(of: lease))
        let (store, clock, now) = (store, leaseClock, moment.now)
        var latest: Instant?
        for place in places {
            let (prefix, settings) = table.rows[place]
            let until = leaseBrake.hold(holder, below: prefix, settings, at: now, into: &outcome) {
                store.brakeCensus(of: prefix) { clock.isSilent($0, at: now) }
            }
            if let until { latest = max(latest ?? until, until) }
        }
        return latest
    }

    private var isFindingAges: Bool {
        (ageSearch != nil || ageSearchFrom != nil) && moment.now - establishedAt < configuration.timings.election * 2
    }

    /// Looks again at what is held, and takes back what an earlier leader reported.
    mutating func lookAtBrakes() {
        guard mayExpireLeases else { return }
        if leaseBrake.nextLook <= moment.now {
            let table = store.brakeSettings
            let (store, clock, now) = (store, leaseClock, moment.now)
            var outcome = LeaseBrake.Outcome()
            leaseBrake.look(
                at: now, into: &outcome, settings: { table[$0] },
                census: { store.brakeCensus(of: $0) { clock.isSilent($0, at: now) } }, isHeld: { clock.isHeld($0) })
            carryOut(outcome)
        }
        if brakeReportsCheckedAt == nil, establishedAt + MemberReplica.staleReportsAfter <= moment.now {
            brakeReportsCheckedAt = moment.now
            for key in store.range(RangeRequest(range: .prefix(BrakeKeys.reports))).keys {
                guard let prefix = BrakeKeys.prefix(of: key, below: BrakeKeys.reports),
                    !leaseBrake.prefixes.contains(prefix)
                else { continue }
                proposeOwn(.deleteRange(DeleteRangeRequest(range: .key(key))), reason: .system)
            }
        }
    }

    var brakeDeadline: Instant {
        let stale = brakeReportsCheckedAt == nil ? establishedAt + MemberReplica.staleReportsAfter : .distantFuture
        return min(leaseBrake.nextLook, stale)
    }

    /// A key was put: perhaps the order to let go what is held.
    mutating func noteBrakeRelease(_ key: Key) {
        guard !leaseBrake.isIdle, let prefix = BrakeKeys.prefix(of: key, below: BrakeKeys.releases) else { return }
        var outcome = LeaseBrake.Outcome()
        let clock = leaseClock
        leaseBrake.release(prefix, at: moment.now, into: &outcome) { clock.isHeld($0) }
        carryOut(outcome)
    }

    private mutating func carryOut(_ outcome: LeaseBrake.Outcome) {
        leaseClock.release(outcome.freed, at: moment.now)
        for notice in outcome.notices {
            let report = leaseBrake.report(
                of: notice.prefix, term: raft.term, at: moment.now, wallMilliseconds: moment.wallMilliseconds)
            brakeNotices.append(BrakeNotice(notice: notice, report: report))
            let key = BrakeKeys.key(BrakeKeys.reports, of: notice.prefix)
            if let report {
                let put = PutRequest(key: key, value: Array(report.text.utf8))
                proposeOwn(.put(put), reason: .system)
            } else {
                proposeOwn(.deleteRange(DeleteRangeRequest(range: .key(key))), reason: .system)
            }
        }
    }
}

extension LeaseBrake.Notice {
    fileprivate var prefix: Key {
        switch self {
        case .engaged(let prefix), .changed(let prefix), .ended(let prefix, _, _): prefix
        }
    }
}

extension RangeAnswer {
    fileprivate var keys: [Key] {
        if case .result(let result) = self { return result.kvs.map(\.key) }
        return []
    }
}
