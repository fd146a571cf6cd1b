/// When the operations of a history begin and end, without what they do. Operations are numbers in order of the
/// history.
struct Timeline {
    struct Span {
        var from: Int64
        /// nil: the operation has an unknown outcome.
        var to: Int64?
    }

    struct Event {
        var time: Int64
        var isReturn: Bool
        var operation: Int
    }

    let spans: [Span]
    /// Invocations and returns of the operations that returned, by time.
    let events: [Event]
    /// Places in `events` by operation; meaningless for unknown outcomes.
    let invocations: [Int]
    let returns: [Int]
    /// Operations with an unknown outcome in order of invocation: the search may use them or leave them.
    let optional: [Int]
    /// Places in `optional` by operation; meaningless for known outcomes.
    let optionalPlaces: [Int]
    /// A bit for each operation: those that returned first come first, so that what is done is a run of ones.
    let bits: [Int]

    init(_ spans: [Span]) {
        self.spans = spans
        var events: [Event] = []
        for (operation, span) in spans.enumerated() {
            guard let to = span.to else { continue }
            events.append(Event(time: span.from, isReturn: false, operation: operation))
            events.append(Event(time: to, isReturn: true, operation: operation))
        }
        // Of one instant, invocations come first: simultaneous operations are free to go either way.
        events.sort { ($0.time, $0.isReturn ? 1 : 0, $0.operation) < ($1.time, $1.isReturn ? 1 : 0, $1.operation) }
        var invocations = Array(repeating: -1, count: spans.count)
        var returns = invocations
        var bits = invocations
        var bit = 0
        for (place, event) in events.enumerated() {
            if event.isReturn {
                returns[event.operation] = place
                bits[event.operation] = bit
                bit += 1
            } else {
                invocations[event.operation] = place
            }
        }
        let optional = spans.indices.filter { spans[$0].to == nil }.sorted {
            (spans[$0].from, $0) < (spans[$1].from, $1)
        }
        var optionalPlaces = Array(repeating: -1, count: spans.count)
        for (place, operation) in optional.enumerated() {
            optionalPlaces[operation] = place
            bits[operation] = bit
            bit += 1
        }
        self.events = events
        self.invocations = invocations
        self.returns = returns
        self.optional = optional
        self.optionalPlaces = optionalPlaces
        self.bits = bits
    }

    func isOptional(_ operation: Int) -> Bool { spans[operation].to == nil }
}
