package import Primitives

/// Which term each stretch of the log belongs to: one run per leader reign, so walking back over terms costs the
/// number of reigns, not of entries.
package struct TermRuns: Sendable {
    private struct Run: Sendable {
        var first: LogIndex
        var term: Term
    }

    /// Ascending by index and by term; never empty. The first one begins at the log's base.
    private var runs: [Run]

    package init(base: LogPosition) {
        runs = [Run(first: base.index, term: base.term)]
    }

    /// Records that the entry after the last one has `term`.
    package mutating func append(_ position: LogPosition) {
        let last = runs[runs.count - 1]
        precondition(position.term >= last.term, "term \(position.term.number) after \(last.term.number)")
        if position.term > last.term { runs.append(Run(first: position.index, term: position.term)) }
    }

    /// Drops everything from `index` on; the base stays.
    package mutating func truncate(from index: LogIndex) {
        while runs.count > 1, runs[runs.count - 1].first >= index { runs.removeLast() }
    }

    /// Moves the base up to `base`, which must lie inside the log.
    package mutating func compact(to base: LogPosition) {
        var dropped = 0
        while dropped + 1 < runs.count, runs[dropped + 1].first <= base.index { dropped += 1 }
        runs.removeFirst(dropped)
        precondition(runs[0].term == base.term, "compacted to term \(base.term.number), log has \(runs[0].term.number)")
        runs[0].first = base.index
    }

    /// The highest index not above `index` whose term is not above `term`; nil when even the base is above it.
    ///
    /// - Complexity: O(runs above the answer).
    package func highest(atMost index: LogIndex, term: Term) -> LogIndex? {
        var end = index
        for run in runs.reversed() where run.first <= end {
            if run.term <= term { return end }
            guard run.first > .zero else { return nil }
            end = run.first.previous
        }
        return nil
    }
}
