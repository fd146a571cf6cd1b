import DequeModule
import Primitives
import Raft

/// The terms of a log by index: all that is needed to say whether two logs agree.
struct TermLog {
    private(set) var base: LogPosition
    private var terms: Deque<Term> = []

    init(base: LogPosition = .zero) {
        self.base = base
    }

    init(_ log: RestoredLog) {
        base = log.base.position
        terms.reserveCapacity(log.entries.count)
        for entry in log.entries { terms.append(entry.term) }
    }

    var count: Int { terms.count }
    var last: LogIndex { base.index + terms.count }

    var lastPosition: LogPosition {
        guard let term = terms.last else { return base }
        return LogPosition(index: last, term: term)
    }

    /// The term of the entry at `index`; nil when there is none or it is compacted away.
    func term(at index: LogIndex) -> Term? {
        if index == base.index { return base.term }
        guard index > base.index, index <= last else { return nil }
        return terms[(index - base.index) - 1]
    }

    func contains(_ position: LogPosition) -> Bool { term(at: position.index) == position.term }

    mutating func reset(to position: LogPosition) {
        base = position
        terms.removeAll(keepingCapacity: true)
    }

    mutating func truncate(from index: LogIndex) {
        guard index <= last, index > base.index else { return }
        terms.removeLast((last - index) + 1)
    }

    /// - Returns: false when the entry does not follow the last one.
    mutating func append(_ position: LogPosition) -> Bool {
        guard position.index == last.next else { return false }
        terms.append(position.term)
        return true
    }

    mutating func compact(to position: LogPosition) {
        guard position.index > base.index else { return }
        terms.removeFirst(min(position.index - base.index, terms.count))
        base = position
    }
}

/// A member's log as its own orders make it, configurations included: what it believes, without asking it.
struct OrderedLog {
    struct Change {
        var index: LogIndex
        var configuration: Configuration
    }

    private(set) var terms: TermLog
    /// Ascending, never empty; the first one belongs to the base.
    private(set) var configurations: [Change]

    init(base: LogBase = LogBase(position: .zero, configuration: Configuration(voters: []))) {
        terms = TermLog(base: base.position)
        configurations = [Change(index: base.position.index, configuration: base.configuration)]
    }

    /// Entries whose configuration cannot be read are left out: the member itself refuses to start with them.
    init(_ log: RestoredLog) {
        self.init(base: log.base)
        terms = TermLog(log)
        for entry in log.entries where entry.kind == .configuration {
            guard let read = try? ConfigurationEntry.decode(entry.payload) else { continue }
            configurations.append(Change(index: entry.index, configuration: read.configuration))
        }
    }

    /// In force since its entry was appended.
    var latest: Change { configurations[configurations.count - 1] }
    var previous: Change? { configurations.count > 1 ? configurations[configurations.count - 2] : nil }

    /// The configuration in force at `index`.
    func configuration(asOf index: LogIndex) -> Configuration? {
        configurations.last { $0.index <= index }?.configuration
    }

    mutating func reset(to base: LogBase) {
        terms.reset(to: base.position)
        configurations = [Change(index: base.position.index, configuration: base.configuration)]
    }

    mutating func truncate(from index: LogIndex) {
        terms.truncate(from: index)
        while configurations.count > 1, latest.index >= index { configurations.removeLast() }
    }

    mutating func append(_ position: LogPosition, _ configuration: Configuration?) -> Bool {
        guard terms.append(position) else { return false }
        if let configuration { configurations.append(Change(index: position.index, configuration: configuration)) }
        return true
    }

    mutating func compact(to base: LogBase) {
        terms.compact(to: base.position)
        while configurations.count > 1, configurations[1].index <= base.position.index { configurations.removeFirst() }
    }
}
