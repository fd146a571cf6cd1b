/// A Raft term. 0 is "before the first election".
package struct Term: Hashable, Comparable, Sendable {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package static let zero = Term(0)
    package var next: Term { Term(number + 1) }
    package static func < (left: Term, right: Term) -> Bool { left.number < right.number }
}

/// A position in the replicated log. The first entry has index 1; 0 is the sentinel before it.
package struct LogIndex: Hashable, Comparable, Sendable {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package static let zero = LogIndex(0)
    package var next: LogIndex { LogIndex(number + 1) }
    /// The index before this one; traps on the sentinel.
    package var previous: LogIndex { LogIndex(number - 1) }
    package static func < (left: LogIndex, right: LogIndex) -> Bool { left.number < right.number }
    package static func + (index: LogIndex, count: Int) -> LogIndex {
        LogIndex(index.number + UInt64(count))
    }
    /// How many entries lie between two indexes: `left - right`.
    package static func - (left: LogIndex, right: LogIndex) -> Int {
        Int(left.number) - Int(right.number)
    }
}

/// Index and term of one log entry.
package struct LogPosition: Hashable, Comparable, Sendable {
    package var index: LogIndex
    package var term: Term
    package init(index: LogIndex, term: Term) {
        self.index = index
        self.term = term
    }
    package static let zero = LogPosition(index: .zero, term: .zero)
    /// Raft's "up to date" order: by term, then by index (§5.4.1 of the paper).
    package static func < (left: LogPosition, right: LogPosition) -> Bool {
        (left.term, left.index) < (right.term, right.index)
    }
}

/// A server of the cluster. Never reused; 0 means none.
package struct MemberID: Hashable, Comparable, Sendable {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package static func < (left: MemberID, right: MemberID) -> Bool { left.number < right.number }
}

/// The cluster a member belongs to; messages and directories of another one are refused.
package struct ClusterID: Hashable, Sendable {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
}

/// Counts the starts of one member; answers addressed to an earlier life are dropped.
package struct Incarnation: Hashable, Comparable, Sendable {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package static func < (left: Incarnation, right: Incarnation) -> Bool { left.number < right.number }
}
