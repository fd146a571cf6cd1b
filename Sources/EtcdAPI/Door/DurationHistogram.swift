import NIOCore

/// Durations of calls, in the buckets of the Prometheus libraries.
struct DurationHistogram: Sendable {
    /// Upper bounds, ascending, in milliseconds.
    static let bounds: [Int64] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000]

    /// How many took at most the bound at the same place, and more than the one before; the last ones took longer
    /// than all of them.
    private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    private(set) var nanoseconds: Int64 = 0

    mutating func observe(_ time: TimeAmount) {
        // Wraps after 292 years of calls, which scrapers take for a restart.
        nanoseconds &+= time.nanoseconds
        let index = Self.bounds.firstIndex { time.nanoseconds <= $0 * 1_000_000 }
        counts[index ?? Self.bounds.count] += 1
    }

    mutating func add(_ other: DurationHistogram) {
        nanoseconds &+= other.nanoseconds
        for index in counts.indices { counts[index] += other.counts[index] }
    }
}
