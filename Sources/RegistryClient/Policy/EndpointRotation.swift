import NIOCore

/// Which endpoint to use next, and how soon.
///
/// A client stays with an endpoint while it is good. When it fails, the next one is tried at once; only when a whole
/// round of endpoints has failed does it wait, longer each round: between `first` and twice as much before the second
/// round, half as much again each time, at most `max`. Only a good answer starts the count anew, not a mere
/// connection: members that accept connections but cannot serve would be asked in a tight loop otherwise.
struct EndpointRotation: Sendable {
    /// How many endpoints there are.
    let count: Int
    /// How long to wait between rounds.
    let backoff: Backoff
    /// The endpoint in use, or tried now: an index below `count`.
    private(set) var current: Int
    /// Failures since the last good answer.
    private(set) var failures = 0

    init(count: Int, startingAt current: Int, backoff: Backoff) {
        precondition(count > 0 && current >= 0 && current < count, "endpoint \(current) of \(count)")
        self.count = count
        self.current = current
        self.backoff = backoff
    }

    /// The endpoint in use gave an answer that only a working member gives.
    mutating func succeeded() {
        failures = 0
    }

    /// The endpoint in use failed. Moves to the next one.
    ///
    /// - Returns: how long to wait before it is dialled; zero within a round.
    mutating func failed(using generator: inout some RandomNumberGenerator) -> TimeAmount {
        current = (current + 1) % count
        failures += 1
        let (rounds, position) = (failures - 1).quotientAndRemainder(dividingBy: count)
        guard rounds > 0, position == 0 else { return .nanoseconds(0) }
        return backoff.delay(beforeRound: rounds, using: &generator)
    }
}

/// How long to wait between two rounds over all endpoints.
public struct Backoff: Hashable, Sendable {
    /// The least wait before the second round; the most is twice as much.
    public var first: Duration
    /// No wait is longer.
    public var max: Duration

    /// Waits from `first` on, growing by half each round, up to `max`.
    public init(first: Duration = .milliseconds(10), max: Duration = .milliseconds(500)) {
        self.first = first
        self.max = max
    }

    /// A wait drawn between the round's least and twice as much; rounds count from 1.
    func delay(beforeRound round: Int, using generator: inout some RandomNumberGenerator) -> TimeAmount {
        // A day is for ever, and far from overflow.
        let limit = TimeAmount(Swift.min(Swift.max(max, .nanoseconds(1)), .seconds(86_400))).nanoseconds
        var least = TimeAmount(Swift.min(Swift.max(first, .nanoseconds(1)), .nanoseconds(limit))).nanoseconds
        for _ in 1..<Swift.max(round, 1) where least < limit {
            least = Swift.min(least + least / 2 + 1, limit)
        }
        let most = Swift.min(least * 2, limit)
        // At the limit the draw goes below it: clients that wait equally long must not come back together.
        return .nanoseconds(Int64.random(in: Swift.min(least, limit / 2 + 1)...most, using: &generator))
    }
}
