internal import Primitives
internal import Raft

/// Which entries the log holds, by runs: enough to truncate, compact and compare positions without the entries.
struct LogShape {
    /// Consecutive entries of one segment.
    private struct Run {
        var segment: UInt64
        var first: LogIndex
        var last: LogIndex
    }

    private(set) var base: LogPosition
    private var runs: [Run] = []
    private var terms: [(first: LogIndex, term: Term)] = []

    init(base: LogPosition) {
        self.base = base
    }

    var lastIndex: LogIndex { runs.last?.last ?? base.index }

    /// Removes the entries from `index` on.
    mutating func truncate(from index: LogIndex) {
        while let run = runs.last, run.last >= index {
            runs.removeLast()
            if run.first < index { runs.append(Run(segment: run.segment, first: run.first, last: index.previous)) }
        }
        while let start = terms.last, start.first >= index { terms.removeLast() }
    }

    /// Adds the entry after the last; one at or below the base is ignored.
    mutating func append(_ index: LogIndex, term: Term, segment: UInt64) {
        guard index > base.index else { return }
        precondition(index == lastIndex.next, "a gap in the log")
        if let run = runs.last, run.segment == segment {
            runs[runs.count - 1].last = index
        } else {
            runs.append(Run(segment: segment, first: index, last: index))
        }
        if terms.last?.term != term { terms.append((index, term)) }
    }

    /// Moves the base up to a position the log contains.
    mutating func compact(to position: LogPosition) {
        precondition(contains(position), "compaction to a position the log does not have")
        base = position
        runs.removeAll { $0.last <= position.index }
        if let run = runs.first, run.first <= position.index { runs[0].first = position.index.next }
        while terms.count > 1, terms[1].first <= position.index.next { terms.removeFirst() }
        if runs.isEmpty { terms.removeAll() }
    }

    func contains(_ position: LogPosition) -> Bool {
        position.index == base.index ? position == base : term(at: position.index) == position.term
    }

    /// The oldest segment that holds an entry; nil when there is none.
    var firstSegment: UInt64? { runs.map(\.segment).min() }

    private func term(at index: LogIndex) -> Term? {
        guard index > base.index, index <= lastIndex else { return nil }
        return terms.last { $0.first <= index }?.term
    }
}
