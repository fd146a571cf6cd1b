import MemberLanes
import Primitives
import Raft

/// What one member's disk holds for certain: the writes that were followed by a sync. Kept beside the code under test,
/// from the orders it gave, not from what it believes.
struct DurableModel {
    private(set) var base = LogPosition.zero
    private(set) var last = LogIndex.zero
    private(set) var hardState = HardState()
    private var terms: [UInt64: Term] = [:]
    /// A snapshot was installed: the state contains everything up to here, whatever the log holds.
    private var installed = LogPosition.zero

    /// Starts from a recovered log: nothing is sent before recovery has made all of it durable.
    init(recovered log: RestoredLog) {
        base = log.base.position
        last = base.index
        hardState = log.hardState
        for entry in log.entries {
            terms[entry.index.number] = entry.term
            last = entry.index
        }
    }

    init() {}

    mutating func write(_ batch: LogBatch) {
        if let reset = batch.resetTo, term(at: reset.position.index) != reset.position.term {
            terms = [:]
            base = reset.position
            last = base.index
        }
        if let from = batch.truncateFrom {
            for index in stride(from: from.number, through: max(last.number, from.number), by: 1) { terms[index] = nil }
            last = min(last, from.previous)
        }
        for entry in batch.entries {
            terms[entry.index.number] = entry.term
            last = entry.index
        }
        if let hardState = batch.hardState { self.hardState = hardState }
    }

    mutating func compact(to position: LogPosition) {
        guard position.index > base.index else { return }
        for index in stride(from: base.index.number, through: position.index.number, by: 1) { terms[index] = nil }
        base = position
        last = max(last, base.index)
    }

    mutating func install(_ position: LogPosition) {
        installed = position
    }

    /// The term of the durable entry at `index`; nil when there is none or it is compacted away.
    func term(at index: LogIndex) -> Term? {
        index == base.index ? base.term : terms[index.number]
    }

    /// Whether the entry is durable here, in the log or in the state below it.
    func has(_ position: LogPosition) -> Bool {
        position.index < base.index || term(at: position.index) == position.term
            || position.index < installed.index || position == installed
    }
}

extension DurableModel: CustomStringConvertible {
    var description: String {
        "durable: base \(base.index.number) of term \(base.term.number), last \(last.number) of term "
            + "\(term(at: last)?.number ?? 0), hard state term \(hardState.term.number)"
    }
}
