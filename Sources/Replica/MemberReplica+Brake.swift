import KVStore
import Primitives
import Raft
import RegistryModel

/// The brake on mass expiry: decided by the leader alone, from its lease clock and the keys as they are applied. What
/// it holds is only never proposed, so a leader that is gone leaves nothing behind but its report.
extension MemberReplica {
    /// How long a new leader leaves reports alone that it did not write: by then it has seen who is silent.
    private static let staleReportsAfter = TimeSpan.seconds(60)
    private static let findingAgesMax = TimeSpan.seconds(30)

    /// Splits leases whose time is over: what may end now, on time or after it was held; the rest is held.
    mutating func brake(_ due: [LeaseID]) -> (onTime: [LeaseID], late: [LeaseID]) {
        let table = brakeTable()
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
        if let later = findingAgesUntil { return later }
        let holder = LeaseBrake.Holder(lease: lease, origin: store.origin(of: lease))
        let (store, clock, now) = (store, leaseClock, moment.now)
        var latest: Instant?
        for place in places {
            let row = table.rows[place]
            let until = leaseBrake.hold(holder, below: row.prefix, row.settings, at: now, into: &outcome) {
                store.brakeCensus(of: row.prefix, in: table) { clock.isSilent($0, at: now) }
            }
            if let until { latest = max(latest ?? until, until) }
        }
        return latest
    }

    /// While a new leader finds out about its leases, but not for ever: when to see whether it knows.
    private var findingAgesUntil: Instant? {
        let age = moment.now - establishedAt
        guard ageSearch != nil || ageSearchFrom != nil, age < MemberReplica.findingAgesMax else { return nil }
        // There may be many to look at, and it rarely takes longer than this.
        return moment.now + (age < configuration.timings.election * 2 ? .milliseconds(100) : .seconds(1))
    }

    /// The prefixes that want to be braked: parsed once, until a setting changes.
    mutating func brakeTable() -> BrakeSettingsTable {
        if let table = brakeTableMemo { return table }
        let table = store.brakeSettings
        brakeTableMemo = table
        return table
    }

    /// A setting was changed or removed, or the whole state was replaced.
    mutating func forgetBrakeTable() {
        brakeTableMemo = nil
        leaseBrake.settingsVersion += 1
    }

    /// Looks again at what is held, and takes back what an earlier leader reported.
    mutating func lookAtBrakes() {
        guard mayExpireLeases else { return }
        if leaseBrake.nextLook <= moment.now {
            let table = brakeTable()
            let (store, clock, now) = (store, leaseClock, moment.now)
            var outcome = LeaseBrake.Outcome()
            leaseBrake.look(
                at: now, into: &outcome, settings: { table[$0] },
                census: { store.brakeCensus(of: $0, in: table) { clock.isSilent($0, at: now) } },
                isHeld: { clock.isHeld($0) },
                standing: { store.brakeStanding(of: $0, below: $1, in: table) })
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

    /// A key was put or deleted: perhaps a setting, or the order to let go what is held. Every member remembers that:
    /// it may lead soon.
    mutating func noteBrakeRow(_ row: RevisionRow) {
        guard row.kv.key.bytes.starts(with: BrakeKeys.root.bytes) else { return }
        if row.kv.key.bytes.starts(with: BrakeKeys.settings.bytes) { forgetBrakeTable() }
        guard row.kind == .put, let prefix = BrakeKeys.prefix(of: row.kv.key, below: BrakeKeys.releases) else { return }
        // It may have been long ago: a member that starts goes through its log.
        let age = TimeSpan.milliseconds(max(0, moment.wallMilliseconds - row.commitTimeMilliseconds))
        guard age < LeaseBrake.releaseLife else { return }
        var outcome = LeaseBrake.Outcome()
        let clock = leaseClock
        leaseBrake.release(prefix, at: moment.now - age, into: &outcome) { clock.isHeld($0) }
        carryOut(outcome)
    }

    private mutating func carryOut(_ outcome: LeaseBrake.Outcome) {
        leaseClock.release(outcome.freed, at: moment.now)
        leaseClock.recheck(outcome.rejudged, at: moment.now)
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
