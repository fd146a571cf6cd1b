import Primitives
import Raft

// Short words for the values tests are full of.

func member(_ number: UInt64) -> MemberID { MemberID(number) }
func members(_ numbers: UInt64...) -> [MemberID] { numbers.map { MemberID($0) } }
func index(_ number: UInt64) -> LogIndex { LogIndex(number) }
func position(_ index: UInt64, _ term: UInt64) -> LogPosition {
    LogPosition(index: LogIndex(index), term: Term(term))
}

func entry(_ index: UInt64, _ term: UInt64, _ text: String = "") -> Entry {
    Entry(index: LogIndex(index), term: Term(term), kind: .command, payload: Array(text.utf8))
}

/// Entries with these terms, from index 1 (or after `base`) on.
func entries(_ terms: [UInt64], after base: UInt64 = 0) -> [Entry] {
    terms.enumerated().map { entry(base + UInt64($0.offset) + 1, $0.element) }
}

extension RaftEffects {
    var messages: [Message] { envelopes.map(\.message) }

    func bodies(to member: MemberID) -> [Message.Body] {
        messages.filter { $0.to == member }.map(\.body)
    }

    var writtenEntries: [Entry] { batches.flatMap(\.entries) }
}

extension Message.Body {
    var isAppend: Bool {
        if case .append = self { true } else { false }
    }

    var isHeartbeat: Bool {
        if case .heartbeat = self { true } else { false }
    }

    var appendedEntries: [Entry]? {
        if case .append(_, let entries, _, _) = self { entries } else { nil }
    }

    var appendPrevious: LogPosition? {
        if case .append(let previous, _, _, _) = self { previous } else { nil }
    }

    var commit: LogIndex? {
        switch self {
        case .append(_, _, let commit, _), .heartbeat(let commit, _): commit
        default: nil
        }
    }

    var readPosition: UInt64? {
        switch self {
        case .append(_, _, _, let position), .heartbeat(_, let position): position
        default: nil
        }
    }
}
