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
                table.rows.append((prefix, BrakeSettings.read(record.value).settings))
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

    /// The leases with a key below `prefix`, locks and elections left out.
    /// - Complexity: O(n log n) in the keys below it.
    package func brakeCensus(of prefix: Key, isSilent: (LeaseID) -> Bool) -> LeaseBrake.Census {
        var seen: Set<LeaseID> = []
        var silent: [LeaseBrake.Holder] = []
        view.tree.forEachPair(in: .prefix(prefix)) { key, record in
            let lease = record.lease
            guard lease != .none, !key.isContender(lease), seen.insert(lease).inserted else { return true }
            if isSilent(lease) {
                silent.append(LeaseBrake.Holder(lease: lease, origin: leaseTable.origin(of: lease)))
            }
            return true
        }
        return LeaseBrake.Census(leases: seen.count, silent: silent)
    }

    /// The host that last attached a key to the lease; empty when nobody knows.
    package func origin(of lease: LeaseID) -> String {
        leaseTable.origin(of: lease)
    }
}

/// Prefixes and what they want, in key order.
package struct BrakeSettingsTable: Sendable {
    package var rows: [(prefix: Key, settings: BrakeSettings)] = []

    package init() {}

    package subscript(prefix: Key) -> BrakeSettings? {
        let place = upperBound(of: prefix) - 1
        return place >= 0 && rows[place].prefix == prefix ? rows[place].settings : nil
    }

    /// The longest prefix of a key.
    package func place(of key: Key) -> Int? {
        var probe = key
        while true {
            let place = upperBound(of: probe) - 1
            guard place >= 0 else { return nil }
            let candidate = rows[place].prefix
            let common = zip(candidate.bytes, probe.bytes).prefix { $0 == $1 }.count
            if common == candidate.bytes.count { return place }
            // Every prefix of the key that is left is also one of the candidate.
            probe = Key(Array(probe.bytes.prefix(common)))
        }
    }

    private func upperBound(of key: Key) -> Int {
        var low = 0
        var high = rows.count
        while low < high {
            let middle = (low + high) / 2
            if key < rows[middle].prefix { high = middle } else { low = middle + 1 }
        }
        return low
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
