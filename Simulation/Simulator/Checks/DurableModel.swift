import MemberLanes
import Primitives
import Raft

/// What one member's disk holds for certain: the writes that were followed by a sync. Kept beside the code under test,
/// from the orders it gave, not from what it believes.
struct DurableModel {
    private(set) var log = TermLog()
    private(set) var hardState = HardState()
    /// A snapshot was installed: the state contains everything up to here, whatever the log holds.
    private(set) var installed = LogPosition.zero
    /// How far the state store was last said to be durable.
    private(set) var state = LogIndex.zero

    init() {}

    /// Starts anew from a recovered log: nothing is sent before recovery has made all of it durable.
    mutating func recovered(_ log: RestoredLog) {
        self.log = TermLog(log)
        hardState = log.hardState
        installed = .zero
    }

    /// The state was lost with the disk's bytes: it is what the log begins with.
    mutating func stateLost() {
        state = .zero
    }

    mutating func write(_ batch: LogBatch) {
        if let reset = batch.resetTo, !log.contains(reset.position) { log.reset(to: reset.position) }
        if let from = batch.truncateFrom { log.truncate(from: from) }
        for entry in batch.entries where !log.append(entry.position) {
            // A write that overlaps what is there; the checks of the order have spoken already.
            log.truncate(from: entry.index)
            _ = log.append(entry.position)
        }
        if let hardState = batch.hardState { self.hardState = hardState }
    }

    mutating func compact(to position: LogPosition) {
        log.compact(to: position)
    }

    mutating func install(_ position: LogPosition) {
        installed = position
        state = max(state, position.index)
    }

    mutating func stateDurable(_ index: LogIndex) {
        state = max(state, index)
    }

    /// Whether the entry is durable here, in the log or in the state. The state may be ahead: a full disk can hold up the
    /// log's writes, and a start with such a state begins the log where it stands.
    func has(_ position: LogPosition) -> Bool {
        position.index < log.base.index || position.index <= state || log.contains(position)
            || position.index < installed.index || position == installed
    }
}

extension DurableModel: CustomStringConvertible {
    var description: String {
        "durable: base \(log.base.index.number) of term \(log.base.term.number), last \(log.last.number) of term "
            + "\(log.lastPosition.term.number), state \(installed.index.number), hard state term "
            + "\(hardState.term.number)"
    }
}
