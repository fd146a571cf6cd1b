import KVStore
import Primitives
import RegistryModel

/// Commands applied to a store of 10 000 keys.
enum StoreBenchmarks {
    static let all = [put, txn, delete, leases, range]

    private static let keyCount = 10_000

    /// A store, and the changes that its commands leave behind.
    private struct Applying {
        var store: RegistryStore
        private var changes = AppliedChanges()

        init() throws {
            var generator = SeededGenerator(seed: 10)
            var header = StateHeader.initial
            header.revision = Revision(Int64(keyCount) + 2)
            let live = (0..<keyCount).map { Samples.pair($0, value: Samples.value(&generator)) }
            store = try RegistryStore(restoring: RestoredState(header: header, live: live, leases: [], members: []))
        }

        /// Applies one command and drains what it changed.
        ///
        /// - Returns: how many changes the state store would get; -1 for a refusal.
        mutating func apply(_ operation: Command.Operation) -> Int {
            let position = LogPosition(index: store.applied.index.next, term: Term(1))
            let outcome = store.apply(Samples.command(operation), at: position, into: &changes)
            defer { changes.removeAll() }
            guard case .success = outcome else { return -1 }
            return changes.changes.count
        }
    }

    private static let put = Benchmark(
        "store-put", "a put of 256 bytes over a key is applied", iterations: 2_000
    ) { _ in
        var applying = try Applying()
        let value = Samples.value(seed: 11)
        var keys = Turns(Samples.numbers(1_000, below: keyCount).map(Samples.key))
        return Work(yield: 1) { count in
            var changes = 0
            for _ in 0..<count { changes += applying.apply(.put(PutRequest(key: keys.next(), value: value))) }
            return changes
        }
    }

    private static let txn = Benchmark(
        "store-txn", "a transaction compares a revision, and puts the key and reads it", iterations: 1_000
    ) { _ in
        var applying = try Applying()
        let value = Samples.value(seed: 13)
        let requests = Samples.numbers(1_000, below: keyCount).map(Samples.key).map { key in
            TxnRequest(
                comparisons: [
                    Comparison(range: .key(key), relation: .greater, target: .createRevision(Revision(1)))
                ],
                success: [.put(PutRequest(key: key, value: value)), .range(RangeRequest(range: .key(key)))],
                failure: [])
        }
        var turns = Turns(requests)
        return Work(yield: 1) { count in
            var changes = 0
            for _ in 0..<count { changes += applying.apply(.txn(turns.next())) }
            return changes
        }
    }

    private static let delete = Benchmark(
        "store-delete", "a key is deleted", iterations: 2_000
    ) { place in
        var applying = try Applying()
        let keys = Samples.numbers(place.operationsMax, below: keyCount).map(Samples.key)
        return Work(yield: 1) { count in
            var changes = 0
            for key in keys.prefix(count) {
                changes += applying.apply(.deleteRange(DeleteRangeRequest(range: .key(key))))
            }
            return changes
        }
    }

    /// A lease comes, a key joins it, the key goes, the lease goes: four changes.
    private static let leases = Benchmark(
        "store-leases-100", "100 leases are granted, get a key each, and expire together", iterations: 10
    ) { _ in
        var applying = try Applying()
        let ids = (1...100).map { LeaseID($0) }
        let puts = ids.map { id in
            var request = PutRequest(key: Samples.key(keyCount + Int(id.number)), value: Samples.value(seed: 16))
            request.lease = id
            return request
        }
        return Work(yield: 4 * ids.count) { count in
            var changes = 0
            for _ in 0..<count {
                for id in ids { changes += applying.apply(.leaseGrant(id, ttlMilliseconds: 10_000)) }
                for put in puts { changes += applying.apply(.put(put)) }
                changes += applying.apply(.leaseExpire(ids, issuedTerm: Term(1)))
            }
            return changes
        }
    }

    private static let range = Benchmark(
        "store-range-100", "100 pairs are read", iterations: 500
    ) { _ in
        let store = try Applying().store
        let requests = Samples.numbers(100, below: keyCount - 100).map { start in
            RangeRequest(range: KeyRange(start: Samples.key(start), end: .before(Samples.key(start + 100))))
        }
        var turns = Turns(requests)
        return Work(yield: 100) { count in
            var pairs = 0
            for _ in 0..<count {
                if case .result(let result) = store.range(turns.next()) { pairs += result.kvs.count }
            }
            return pairs
        }
    }
}
