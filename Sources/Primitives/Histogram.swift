/// A cumulative histogram of spans of time, as Prometheus reads it.
package struct Histogram: Hashable, Sendable {
    /// etcd's buckets for work on the disk: 1 ms, doubling up to 8.192 s.
    package static let disk = Histogram(first: .milliseconds(1), count: 14)
    /// etcd's buckets for round trips between members: 0.1 ms, doubling up to 3.2768 s.
    package static let roundTrip = Histogram(first: .microseconds(100), count: 16)
    /// etcd's buckets for checksums over the history: 10 ms, doubling up to 163.84 s.
    package static let historyHash = Histogram(first: .milliseconds(10), count: 15)

    /// Upper bounds in microseconds, ascending.
    package let bounds: [Int64]
    /// How many spans were not longer than the bound at the same place.
    package private(set) var counts: [UInt64]
    package private(set) var sum = TimeSpan.zero
    package private(set) var total: UInt64 = 0

    /// - Parameters:
    ///   - first: the first bound, in whole microseconds; each further one is twice the one before.
    ///   - count: how many bounds.
    package init(first: TimeSpan, count: Int) {
        bounds = (0..<count).map { (first.nanoseconds / 1_000) << Int64($0) }
        counts = Array(repeating: 0, count: count)
    }

    package mutating func observe(_ span: TimeSpan) {
        total += 1
        sum = sum + span
        let microseconds = span.nanoseconds / 1_000
        for position in bounds.indices.reversed() {
            guard microseconds <= bounds[position] else { break }
            counts[position] += 1
        }
    }
}
