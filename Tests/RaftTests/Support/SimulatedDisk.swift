import Primitives
import Raft

/// A log lane's disk: batches become durable in order; a crash loses the rest, perhaps tearing one.
struct SimulatedDisk {
    private(set) var base: LogBase
    private(set) var entries: [Entry] = []
    var hardState = HardState()
    private(set) var queue: [LogBatch] = []

    init(base: LogBase) {
        self.base = base
        hardState.term = base.position.term
    }

    var lastIndex: LogIndex { base.position.index + entries.count }
    var lastPosition: LogPosition { entries.last?.position ?? base.position }

    func term(at index: LogIndex) -> Term? {
        if index == base.position.index { return base.position.term }
        guard index > base.position.index, index <= lastIndex else { return nil }
        return entries[(index - base.position.index) - 1].term
    }

    mutating func submit(_ batch: LogBatch) {
        queue.append(batch)
    }

    /// - Returns: the newest durable batch, nil when all was durable.
    mutating func sync(through number: BatchNumber) -> BatchNumber? {
        var done: BatchNumber?
        while let first = queue.first, first.number <= number {
            write(first, entriesMax: .max, withHardState: true)
            done = first.number
            queue.removeFirst()
        }
        return done
    }

    mutating func compact(to newBase: LogBase) {
        guard newBase.position.index > base.position.index, term(at: newBase.position.index) != nil else { return }
        entries.removeFirst(newBase.position.index - base.position.index)
        base = newBase
    }

    /// Acknowledged entries after `index` are gone.
    mutating func lose(after index: LogIndex) {
        guard index < lastIndex else { return }
        entries.removeLast(lastIndex - index)
    }

    /// Unsynced batches are lost from a random one on, which may be torn.
    mutating func crash(_ random: inout SeededGenerator) {
        let kept = Int(random.below(UInt64(queue.count) + 1))
        for batch in queue.prefix(kept) { write(batch, entriesMax: .max, withHardState: true) }
        if kept < queue.count {
            let torn = queue[kept]
            switch random.below(3) {
            case 0: break
            case 1: write(torn, entriesMax: Int(random.below(UInt64(torn.entries.count) + 1)), withHardState: false)
            default: if let state = torn.hardState { hardState = state }
            }
        }
        queue.removeAll()
    }

    private mutating func write(_ batch: LogBatch, entriesMax: Int, withHardState: Bool) {
        if let newBase = batch.resetTo {
            base = newBase
            entries = []
        }
        if let index = batch.truncateFrom, index <= lastIndex {
            precondition(index > base.position.index, "cut at \(index.number) behind the base")
            entries.removeLast((lastIndex - index) + 1)
        }
        for entry in batch.entries.prefix(entriesMax) {
            precondition(entry.index == lastIndex.next, "gap on disk at \(entry.index.number)")
            entries.append(entry)
        }
        if withHardState, let state = batch.hardState { hardState = state }
    }
}
