package import Primitives

/// One entry of the replicated log.
package struct Entry: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        /// A leader's first entry of its term; also keeps an otherwise idle log moving.
        case noop = 0
        case command = 1
        /// The payload is an encoded `ConfigurationEntry`.
        case configuration = 2
    }

    package var index: LogIndex
    package var term: Term
    package var kind: Kind
    /// Opaque to Raft unless `kind` is `configuration`.
    package var payload: [UInt8]

    package init(index: LogIndex, term: Term, kind: Kind, payload: [UInt8]) {
        self.index = index
        self.term = term
        self.kind = kind
        self.payload = payload
    }

    package var position: LogPosition { LogPosition(index: index, term: term) }
}

/// What must survive a crash beside the log. Term and vote are one record and are written together.
package struct HardState: Hashable, Sendable {
    package var term: Term
    /// The member voted for in `term`.
    package var votedFor: MemberID?
    /// A hint: never needed for safety, it shortens restart and certifies entries.
    package var commit: LogIndex

    package init(term: Term = .zero, votedFor: MemberID? = nil, commit: LogIndex = .zero) {
        self.term = term
        self.votedFor = votedFor
        self.commit = commit
    }
}

/// Write batches are numbered from 1 and are made durable in order.
package struct BatchNumber: Hashable, Comparable, Sendable {
    package var number: UInt64
    package init(_ number: UInt64) { self.number = number }
    /// "Already durable".
    package static let none = BatchNumber(0)
    package var next: BatchNumber { BatchNumber(number + 1) }
    package static func < (left: BatchNumber, right: BatchNumber) -> Bool { left.number < right.number }
}

/// One write of the log lane: reset, truncate, append, hard state, then one sync for all of it.
package struct LogBatch: Sendable {
    package var number: BatchNumber
    /// The whole stored log is discarded and begins anew after this base. The state machine already stands there
    /// durably, so a crash before this write is harmless.
    package var resetTo: LogBase?
    /// Entries from this index on are dropped before appending.
    package var truncateFrom: LogIndex?
    /// Consecutive, beginning right after what remains.
    package var entries: [Entry]
    /// nil when it did not change.
    package var hardState: HardState?

    package init(
        number: BatchNumber, resetTo: LogBase? = nil, truncateFrom: LogIndex? = nil, entries: [Entry] = [],
        hardState: HardState? = nil
    ) {
        self.number = number
        self.resetTo = resetTo
        self.truncateFrom = truncateFrom
        self.entries = entries
        self.hardState = hardState
    }
}

/// Where a log begins: everything up to `position` is in the state machine and gone from the log.
package struct LogBase: Hashable, Sendable {
    package var position: LogPosition
    /// The committed configuration as of `position`.
    package var configuration: Configuration

    package init(position: LogPosition, configuration: Configuration) {
        self.position = position
        self.configuration = configuration
    }
}
