import Primitives
import RegistryModel

@testable import KVStore

/// The tree of live keys with 100 000 of them, through functions that are compiled for it: generic ones called from
/// another module are not what the server runs.
enum IndexBenchmarks {
    static let all = [lookup, insert, range]

    private static let keyCount = 100_000
    private static let rangeKeys = 100
    private static let value: [UInt8] = Array("10.0.0.1:8080".utf8)

    /// Holds the even numbers below twice the count.
    private static func store() throws -> RegistryStore {
        var header = StateHeader.initial
        header.revision = Revision(Int64(2 * keyCount))
        let live = (0..<keyCount).map { Samples.pair(2 * $0, value: value) }
        return try RegistryStore(restoring: RestoredState(header: header, live: live, leases: [], members: []))
    }

    /// Visits the ranges in turn, each of so many pairs.
    private static func visits(_ ranges: [KeyRange], pairs: Int) throws -> Work {
        let tree = try store().view.tree
        var turns = Turns(ranges)
        return Work(yield: pairs * value.count) { count in
            var bytes = 0
            for _ in 0..<count {
                tree.forEachPair(in: turns.next()) { _, record in
                    bytes += record.value.count
                    return true
                }
            }
            return bytes
        }
    }

    private static let lookup = Benchmark(
        "index-lookup", "a key among 100 000 is found", iterations: 10_000
    ) { _ in
        try visits(Samples.numbers(1_000, below: keyCount).map { .key(Samples.key(2 * $0)) }, pairs: 1)
    }

    private static let insert = Benchmark(
        "index-insert", "a put of a new key is applied to 100 000", iterations: 2_000
    ) { place in
        var store = try store()
        var changes = AppliedChanges()
        let commands = Samples.numbers(place.operationsMax, below: keyCount).map { number in
            Samples.command(.put(PutRequest(key: Samples.key(2 * number + 1), value: value)))
        }
        return Work(yield: 1) { count in
            let before = store.keyCount
            for command in commands.prefix(count) {
                let position = LogPosition(index: store.applied.index.next, term: Term(1))
                _ = store.apply(command, at: position, into: &changes)
                changes.removeAll()
            }
            return store.keyCount - before
        }
    }

    private static let range = Benchmark(
        "index-range-100", "100 neighbours among 100 000 keys are visited", iterations: 500
    ) { _ in
        let ranges = Samples.numbers(100, below: keyCount - rangeKeys).map { start in
            KeyRange(start: Samples.key(2 * start), end: .before(Samples.key(2 * (start + rangeKeys))))
        }
        return try visits(ranges, pairs: rangeKeys)
    }
}
