package import Primitives

/// What two runs of one seed are compared by when their hashes differ: the hash after every block of events, and in a
/// second run the single events of the first block that differs.
package struct TraceRecording: Sendable {
    /// One event that went into the hash.
    package struct Event: Hashable, Sendable {
        /// Counted from 1.
        package var number: UInt64
        package var at: Instant
        package var kind: UInt8
        package var numbers: [UInt64]
        /// The running hash after it; the last event's only when another one follows it.
        package var hash: UInt64
    }

    package static let blockEvents: UInt64 = 1_024

    /// At place n the hash after `blockEvents * n` events; the first is that of an empty run.
    package private(set) var blocks: [UInt64] = []
    /// Those of `window`.
    package private(set) var events: [Event] = []
    private let window: ClosedRange<UInt64>?

    /// - Parameter window: the events to keep one by one; nil keeps none.
    package init(window: ClosedRange<UInt64>? = nil) {
        self.window = window
    }

    /// An event begins; `before` is the hash after the one before it.
    mutating func begin(_ number: UInt64, at: Instant, kind: UInt8, numbers: [UInt64], before: UInt64) {
        if (number - 1).isMultiple(of: TraceRecording.blockEvents) { blocks.append(before) }
        if let last = events.indices.last, events[last].number == number - 1 { events[last].hash = before }
        guard let window, window.contains(number) else { return }
        events.append(Event(number: number, at: at, kind: kind, numbers: numbers, hash: 0))
    }
}

extension TraceRecording.Event: CustomStringConvertible {
    package var description: String {
        "event \(number) at \(at.nanoseconds / 1_000)us: kind \(kind) \(numbers)"
    }
}
