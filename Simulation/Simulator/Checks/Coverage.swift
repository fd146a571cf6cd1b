/// Situations that a set of runs must have been in at least sometimes: a run that holds proves little when nothing
/// happened in it. The raw value is what reports show.
package enum Sometimes: String, CaseIterable, Hashable, Sendable {
    // MARK: Raft
    case electionWon = "election won"
}

/// Which situations one run was in.
package struct Coverage: Sendable {
    /// One bit for each name, in the order of the enumeration.
    private var words = [UInt64](repeating: 0, count: (Sometimes.allCases.count + 63) / 64)

    package init() {}

    /// Notes that the run is in this situation; O(1).
    package mutating func hit(_ name: Sometimes) {
        let number = name.number
        words[number / 64] |= 1 << UInt64(number % 64)
    }

    package mutating func hit(_ name: Sometimes, if condition: @autoclosure () -> Bool) {
        if condition() { hit(name) }
    }

    package func contains(_ name: Sometimes) -> Bool {
        words[name.number / 64] & (1 << UInt64(name.number % 64)) != 0
    }

    /// The names hit, in the order of the enumeration.
    package var names: [Sometimes] { Sometimes.allCases.filter(contains) }
}

extension Sometimes {
    /// The place in the enumeration, from 0. A case without a payload is stored as this number; comparing raw values,
    /// strings, would cost more than all the rest of a hit.
    fileprivate var number: Int {
        precondition(MemoryLayout<Sometimes>.size == 1, "more than 256 names")
        return Int(unsafeBitCast(self, to: UInt8.self))
    }
}

/// How many of a set of runs were in each situation.
package struct CoverageTally: Sendable {
    /// Runs counted.
    package private(set) var runs = 0
    private var counts: [Sometimes: Int] = [:]

    package init() {}

    package mutating func add(_ coverage: [Sometimes]) {
        runs += 1
        for name in coverage { counts[name, default: 0] += 1 }
    }

    /// Runs that were in this situation.
    package func count(_ name: Sometimes) -> Int { counts[name] ?? 0 }

    /// The names that too few runs hit, with their counts, in the order of the enumeration.
    ///
    /// - Parameter floor: a name is wanted once in this many runs; with fewer runs than that nothing is missing yet.
    package func missing(floor: Int = 1_000) -> [Sometimes] {
        Sometimes.allCases.filter { count($0) < runs / floor }
    }

    /// What to say when a long run did not see enough; nil when it did.
    package func failure(floor: Int = 1_000) -> String? {
        let missing = missing(floor: floor)
        guard !missing.isEmpty else { return nil }
        let list = missing.map { "\($0.rawValue) (\(count($0)))" }.joined(separator: ", ")
        return "of \(runs) runs fewer than one in \(floor) were in these situations: \(list)"
    }
}
