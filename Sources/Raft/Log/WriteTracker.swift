import DequeModule
package import Primitives

/// Which write batch holds the present version of each entry, and how far the log is durable.
///
/// Batches are durable in order and later entries are never in earlier batches, so runs of entries suffice. A late
/// notice about an overwritten version cannot make the new one look durable: the new one belongs to a later batch.
package struct WriteTracker: Sendable {
    private struct Run: Sendable {
        var through: LogIndex
        var batch: BatchNumber
    }

    private struct Start: Sendable {
        var batch: BatchNumber
        var at: Instant
    }

    /// The newest batch handed out.
    package private(set) var lastBatch = BatchNumber.none
    /// Batches up to here are durable.
    package private(set) var confirmed = BatchNumber.none
    /// The log is durable up to here.
    package private(set) var durable: LogIndex
    /// Entries beyond `durable`, ascending by index and by batch.
    private var runs: Deque<Run> = []
    /// Batches not yet confirmed, ascending.
    private var starts: Deque<Start> = []

    package init(durable: LogIndex) {
        self.durable = durable
    }

    /// When the oldest batch that is not durable yet was handed out.
    package var oldestOutstanding: Instant? { starts.first?.at }

    package mutating func begin(at now: Instant) -> BatchNumber {
        lastBatch = lastBatch.next
        starts.append(Start(batch: lastBatch, at: now))
        return lastBatch
    }

    /// The newest batch holds entries up to `index`.
    package mutating func wrote(through index: LogIndex) {
        if let last = runs.last, last.batch == lastBatch {
            runs[runs.count - 1].through = index
        } else {
            runs.append(Run(through: index, batch: lastBatch))
        }
    }

    package mutating func truncate(from index: LogIndex) {
        durable = min(durable, index.previous)
        while let last = runs.last, last.through >= index {
            runs.removeLast()
            let before = runs.last?.through ?? durable
            if before < index.previous {
                runs.append(Run(through: index.previous, batch: last.batch))
            }
        }
    }

    /// The log now begins after `index`, which the state machine holds durably.
    package mutating func reset(to index: LogIndex) {
        durable = index
        runs.removeAll()
    }

    /// Entries up to `index` are held durably by the state machine and leave the log.
    package mutating func compact(to index: LogIndex) {
        while let first = runs.first, first.through <= index { runs.removeFirst() }
        durable = max(durable, index)
    }

    package mutating func confirm(_ batch: BatchNumber) {
        precondition(batch <= lastBatch, "batch \(batch.number) confirmed, \(lastBatch.number) was the last")
        guard batch > confirmed else { return }
        confirmed = batch
        while let first = runs.first, first.batch <= batch {
            durable = first.through
            runs.removeFirst()
        }
        while let first = starts.first, first.batch <= batch { starts.removeFirst() }
    }

    /// The batch that must be durable so that the log is durable up to `index`.
    package func gate(for index: LogIndex) -> BatchNumber {
        guard index > durable else { return .none }
        for run in runs where run.through >= index { return run.batch }
        preconditionFailure("no batch holds entry \(index.number); durable up to \(durable.number)")
    }

    /// `batch`, or `none` when it is durable already.
    package func pending(_ batch: BatchNumber) -> BatchNumber {
        batch > confirmed ? batch : .none
    }
}
