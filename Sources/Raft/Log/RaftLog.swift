import DequeModule
package import Primitives

/// The log in memory: everything after the base, with the terms indexed by run.
package struct RaftLog: Sendable {
    /// What precedes the first entry.
    package private(set) var basePosition: LogPosition
    private var entries: Deque<Entry>
    private var runs: TermRuns

    package init(base: LogPosition) {
        basePosition = base
        entries = []
        runs = TermRuns(base: base)
    }

    package var lastIndex: LogIndex { basePosition.index + entries.count }

    package var lastPosition: LogPosition {
        guard let last = entries.last else { return basePosition }
        return last.position
    }

    package var count: Int { entries.count }

    private func offset(of index: LogIndex) -> Int {
        (index - basePosition.index) - 1
    }

    /// The term at `index`; nil outside base...last.
    package func term(at index: LogIndex) -> Term? {
        if index == basePosition.index { return basePosition.term }
        guard index > basePosition.index, index <= lastIndex else { return nil }
        return entries[offset(of: index)].term
    }

    /// The position before `index`, which must not be before the first entry nor beyond the next one.
    package func position(before index: LogIndex) -> LogPosition {
        guard let term = term(at: index.previous) else {
            preconditionFailure("no term before \(index.number), base \(basePosition.index.number)")
        }
        return LogPosition(index: index.previous, term: term)
    }

    package func contains(_ position: LogPosition) -> Bool {
        term(at: position.index) == position.term
    }

    /// Payload bytes of one entry that is in the log.
    package func payloadBytes(at index: LogIndex) -> Int {
        entries[offset(of: index)].payload.count
    }

    /// Entries `first...last`; empty when `last < first`. Both must lie after the base.
    package func slice(from first: LogIndex, through last: LogIndex) -> [Entry] {
        guard first <= last else { return [] }
        precondition(
            first > basePosition.index && last <= lastIndex,
            "log slice \(first.number)...\(last.number) of \(basePosition.index.number)...\(lastIndex.number)")
        return Array(entries[offset(of: first)...offset(of: last)])
    }

    /// As many entries from `first` on as fit into `bytesMax` payload bytes; at least one when there is one.
    package func slice(from first: LogIndex, bytesMax: Int) -> (entries: [Entry], bytes: Int) {
        guard first <= lastIndex else { return ([], 0) }
        let start = offset(of: first)
        var end = start
        var bytes = 0
        while end < entries.count {
            let size = entries[end].payload.count
            if end > start, bytes + size > bytesMax { break }
            bytes += size
            end += 1
        }
        return (Array(entries[start..<end]), bytes)
    }

    /// See `TermRuns.highest`.
    package func highest(atMost index: LogIndex, term: Term) -> LogIndex? {
        runs.highest(atMost: min(index, lastIndex), term: term)
    }

    /// `added` must continue the log.
    package mutating func append(_ added: [Entry]) {
        var expected = lastIndex.next
        for entry in added {
            precondition(
                entry.index == expected, "entry \(entry.index.number) appended where \(expected.number) is next")
            runs.append(entry.position)
            expected = expected.next
        }
        entries.append(contentsOf: added)
    }

    package mutating func truncate(from index: LogIndex) {
        precondition(index > basePosition.index, "log cut at \(index.number), base \(basePosition.index.number)")
        guard index <= lastIndex else { return }
        entries.removeLast((lastIndex - index) + 1)
        runs.truncate(from: index)
    }

    /// Forgets everything up to and including `index`, which becomes the base.
    package mutating func compact(to index: LogIndex) {
        guard let term = term(at: index) else {
            preconditionFailure(
                "log compacted to \(index.number), has \(basePosition.index.number)...\(lastIndex.number)")
        }
        let position = LogPosition(index: index, term: term)
        entries.removeFirst(index - basePosition.index)
        runs.compact(to: position)
        basePosition = position
    }
}
