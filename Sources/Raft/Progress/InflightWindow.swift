import DequeModule
package import Primitives

/// Appends sent to one peer and not yet acknowledged, bounded by number and by payload bytes.
package struct InflightWindow: Hashable, Sendable {
    private struct Sent: Hashable, Sendable {
        var last: LogIndex
        var bytes: Int
    }

    /// Ascending by index.
    private var sent: Deque<Sent> = []
    package private(set) var bytes = 0

    package init() {}

    package var count: Int { sent.count }

    package func isFull(_ limits: RaftLimits) -> Bool {
        sent.count >= limits.windowMessagesMax || bytes >= limits.windowBytesMax
    }

    package mutating func add(through last: LogIndex, bytes added: Int) {
        if let newest = sent.last {
            precondition(newest.last < last, "append through \(last.number) sent after \(newest.last.number)")
        }
        sent.append(Sent(last: last, bytes: added))
        bytes += added
    }

    /// The newest append was extended before it left.
    package mutating func extendNewest(through last: LogIndex, bytes added: Int) {
        precondition(!sent.isEmpty, "no append to extend")
        sent[sent.count - 1].last = last
        sent[sent.count - 1].bytes += added
        bytes += added
    }

    /// Payload bytes of the newest append, when it ends at `index`.
    package func newestBytes(endingAt index: LogIndex) -> Int? {
        guard let newest = sent.last, newest.last == index else { return nil }
        return newest.bytes
    }

    package mutating func free(through index: LogIndex) {
        while let oldest = sent.first, oldest.last <= index {
            bytes -= oldest.bytes
            sent.removeFirst()
        }
    }

    package mutating func removeAll() {
        sent.removeAll()
        bytes = 0
    }
}
