package import RegistryModel

/// Which leases the brake on mass expiry may concern, as the keys tell.
extension RegistryStore {
    /// The prefixes that want to be braked, in key order; those switched off are among them.
    package var brakeSettings: BrakeSettingsTable {
        var table = BrakeSettingsTable()
        let range = KeyRange.prefix(BrakeKeys.settings)
        guard view.tree.totals(in: range).count > 0 else { return table }
        view.tree.forEachPair(in: range) { key, record in
            if let prefix = BrakeKeys.prefix(of: key, below: BrakeKeys.settings) {
                table.rows.append(BrakeSettingsTable.Row(prefix, BrakeSettings.read(record.value).settings))
            }
            return true
        }
        return table
    }

    /// The prefixes a lease belongs to; empty when the brake must not touch it. That is so unless each of its keys
    /// lies below a prefix that opted in and none looks like that of a lock or an election: whoever waits for those
    /// counts on the lease's end.
    package func brakedPrefixes(of lease: LeaseID, in table: BrakeSettingsTable) -> [Int] {
        guard !table.rows.isEmpty, let keys = leaseTable.keys(of: lease), !keys.isEmpty,
            keys.count <= RegistryStore.registrationsMax
        else { return [] }
        var places: [Int] = []
        for key in keys {
            guard let place = table.place(of: key), table.rows[place].settings.isOn, !key.isContender(lease) else {
                return []
            }
            if !places.contains(place) { places.append(place) }
        }
        return places
    }

    /// Whoever has more keys under one lease than this does not register services.
    private static let registrationsMax = 1_000

    /// The leases with a key that belongs to `prefix` and to no longer one of the table, locks and elections left out.
    /// - Complexity: O(n log n) in those keys.
    package func brakeCensus(
        of prefix: Key, in table: BrakeSettingsTable, isSilent: (LeaseID) -> Bool
    ) -> LeaseBrake.Census {
        var seen: Set<LeaseID> = []
        var silent: [LeaseBrake.Holder] = []
        for range in table.ownRanges(of: prefix) {
            view.tree.forEachPair(in: range) { key, record in
                let lease = record.lease
                guard lease != .none, !key.isContender(lease), seen.insert(lease).inserted else { return true }
                if isSilent(lease) {
                    silent.append(LeaseBrake.Holder(lease: lease, origin: leaseTable.origin(of: lease)))
                }
                return true
            }
        }
        return LeaseBrake.Census(leases: seen.count, silent: silent)
    }

    /// What a lease held below `prefix` has to do with it.
    package func brakeStanding(
        of lease: LeaseID, below prefix: Key, in table: BrakeSettingsTable
    ) -> LeaseBrake.Standing {
        let places = brakedPrefixes(of: lease, in: table)
        if places.isEmpty { return .unbraked }
        return places.contains { table.rows[$0].prefix == prefix } ? .below : .elsewhere
    }

    /// The host that last put a key with the lease; empty when nobody knows.
    package func origin(of lease: LeaseID) -> String {
        leaseTable.origin(of: lease)
    }
}

/// Prefixes and what they want, in key order.
package struct BrakeSettingsTable: Sendable {
    package struct Row: PrefixRow, Sendable {
        package var prefix: Key
        package var settings: BrakeSettings

        package init(_ prefix: Key, _ settings: BrakeSettings) {
            self.prefix = prefix
            self.settings = settings
        }
    }

    package var rows: [Row] = []

    package init() {}

    package subscript(prefix: Key) -> BrakeSettings? {
        rows.place(of: prefix).map { rows[$0].settings }
    }

    /// The longest prefix of a key.
    package func place(of key: Key) -> Int? {
        rows.longestPrefix(of: key)
    }

    /// The keys below `prefix` that are below no longer one of the table.
    package func ownRanges(of prefix: Key) -> [KeyRange] {
        let whole = KeyRange.prefix(prefix)
        var ranges: [KeyRange] = []
        var start = prefix
        var place = rows.upperBound(of: prefix)
        while place < rows.count, whole.contains(rows[place].prefix) {
            let nested = KeyRange.prefix(rows[place].prefix)
            let before = KeyRange(start: start, end: .before(nested.start))
            if !before.isEmpty { ranges.append(before) }
            guard case .before(let bound) = nested.end else { return ranges }
            start = bound
            repeat { place += 1 } while place < rows.count && rows[place].prefix < bound
        }
        let rest = KeyRange(start: start, end: whole.end)
        if !rest.isEmpty { ranges.append(rest) }
        return ranges
    }
}

extension Key {
    /// Whether it is built as etcd's locks and elections build theirs: a name, a slash, the lease in hexadecimal.
    fileprivate func isContender(_ lease: LeaseID) -> Bool {
        let tail = Array(lease.hexadecimal.utf8)
        guard bytes.count > tail.count else { return false }
        return bytes[bytes.count - tail.count - 1] == UInt8(ascii: "/") && bytes.suffix(tail.count).elementsEqual(tail)
    }
}
