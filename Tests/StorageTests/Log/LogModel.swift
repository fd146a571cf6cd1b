import Primitives
import Raft
import Simulator
import Storage

/// What a log must hold, kept beside the real one by a random workload.
struct LogModel {
    struct State: Equatable {
        var base: LogBase
        var entries: [Entry] = []
        var term = Term(1)
        var vote: MemberID?
        var commit = LogIndex.zero

        var lastIndex: LogIndex { entries.last?.index ?? base.position.index }

        /// Carries out the first `count` records of a group (a truncation without entries is one record).
        func applying(_ batches: [LogBatch], records count: Int = .max) -> State {
            var next = self
            var left = count
            for batch in batches {
                if let cut = batch.truncateFrom, cut <= next.lastIndex, left > 0 {
                    next.entries.removeAll { $0.index >= cut }
                    if batch.entries.isEmpty { left -= 1 }
                }
                for entry in batch.entries where left > 0 {
                    next.entries.append(entry)
                    left -= 1
                }
            }
            return next
        }
    }

    /// What has been acknowledged.
    var acknowledged: State
    /// What was being written when the power failed.
    var inFlight: [LogBatch] = []
    var baseInFlight: LogBase?
    private var number: UInt64 = 0

    init(base: LogBase) {
        acknowledged = State(base: base)
        acknowledged.term = base.position.term
        acknowledged.commit = base.position.index
    }

    static let base = LogBase(
        position: LogPosition(index: LogIndex(1), term: Term(1)),
        configuration: Configuration(voters: [MemberID(1), MemberID(2), MemberID(3)]))

    /// One random thing that a member does to its log.
    mutating func step(_ store: LogStore, _ generator: inout SeededGenerator) throws {
        switch generator.below(20) {
        case 0: try store.certify()
        case 1: try compact(store, &generator)
        case 2: try store.prepareAhead()
        default: try write(store, &generator)
        }
    }

    mutating func write(_ store: LogStore, _ generator: inout SeededGenerator) throws {
        var state = acknowledged
        inFlight = []
        for _ in 0..<(1 + generator.below(3)) {
            number += 1
            var batch = LogBatch(number: BatchNumber(number))
            if generator.chance(1, in: 4) {
                state.term = state.term.next
                state.vote = generator.chance(1, in: 2) ? MemberID(1 + generator.below(3)) : nil
            }
            let uncommitted = state.lastIndex - state.commit
            if uncommitted > 0, generator.chance(1, in: 4) {
                batch.truncateFrom = state.commit + Int(1 + generator.below(UInt64(uncommitted)))
            }
            var last = batch.truncateFrom?.previous ?? state.lastIndex
            for _ in 0..<generator.below(5) {
                last = last.next
                let size = generator.chance(1, in: 8) ? generator.below(6000) : generator.below(300)
                batch.entries.append(
                    Entry(
                        index: last, term: state.term, kind: generator.chance(1, in: 9) ? .noop : .command,
                        payload: [UInt8](repeating: UInt8(1 + generator.below(255)), count: Int(size))))
            }
            if generator.chance(1, in: 2), last > state.commit {
                state.commit = state.commit + Int(generator.below(UInt64(last - state.commit)))
            }
            batch.hardState = HardState(term: state.term, votedFor: state.vote, commit: state.commit)
            inFlight.append(batch)
            state = state.applying([batch])
        }
        try store.write(inFlight)
        acknowledged = state
        inFlight = []
    }

    private mutating func compact(_ store: LogStore, _ generator: inout SeededGenerator) throws {
        let room = acknowledged.commit - acknowledged.base.position.index
        guard room > 0 else { return }
        try compact(store, to: acknowledged.entries[Int(generator.below(UInt64(room)))])
    }

    mutating func compact(_ store: LogStore, to entry: Entry) throws {
        let base = LogBase(position: entry.position, configuration: LogModel.base.configuration)
        baseInFlight = base
        try store.compact(to: base)
        acknowledged.base = base
        acknowledged.entries.removeAll { $0.index <= base.position.index }
        baseInFlight = nil
    }

    /// Says what is wrong with a recovered log; nil when it holds all that was acknowledged and claims no more than
    /// a prefix of the group in flight. Takes the recovered log as the new acknowledged state.
    mutating func accept(_ recovered: RestoredLog) -> String? {
        var candidates: [State] = []
        let records = inFlight.reduce(0) { $0 + max($1.entries.count, 1) }
        for count in 0...records { candidates.append(acknowledged.applying(inFlight, records: count)) }
        guard recovered.base == acknowledged.base || recovered.base == baseInFlight else { return "wrong base" }
        let kept = candidates.map { state in state.entries.filter { $0.index > recovered.base.position.index } }
        guard kept.contains(recovered.entries) else {
            return "entries \(summary(recovered.entries)) instead of \(summary(acknowledged.entries))"
        }
        var votes = [(acknowledged.term, acknowledged.vote)]
        if let state = inFlight.last?.hardState { votes.append((state.term, state.votedFor)) }
        guard votes.contains(where: { $0 == (recovered.hardState.term, recovered.hardState.votedFor) }) else {
            return "hard state went back: term \(recovered.hardState.term.number)"
        }
        let committed = inFlight.compactMap { $0.hardState?.commit }.max() ?? acknowledged.commit
        guard recovered.hardState.commit <= max(committed, acknowledged.commit) else { return "commit invented" }
        acknowledged.base = recovered.base
        acknowledged.entries = recovered.entries
        acknowledged.term = recovered.hardState.term
        acknowledged.vote = recovered.hardState.votedFor
        acknowledged.commit = max(min(acknowledged.commit, acknowledged.lastIndex), recovered.hardState.commit)
        inFlight = []
        baseInFlight = nil
        return nil
    }

    private func summary(_ entries: [Entry]) -> String {
        entries.map { "\($0.index.number)/\($0.term.number)" }.joined(separator: " ")
    }
}

/// A fresh disk with an empty log.
func diskWithLog(_ options: StorageOptions) throws -> MemoryFileSystem {
    let disk = MemoryFileSystem()
    try disk.createDirectory("log")
    try disk.syncDirectory("")
    try LogStore.create("log", on: disk, base: LogModel.base, options: options)
    return disk
}

let smallSegments: StorageOptions = {
    var options = StorageOptions()
    options.segmentBytes = 32 * 1024
    return options
}()
