/// How long things took: a histogram whose buckets are less than 1.6 % wide, from 1 ns to hours, of constant size.
///
/// Source: the bucket layout of HdrHistogram, with 64 buckets for each power of two.
struct Latencies {
    private static let split = 6
    private var counts = [Int](repeating: 0, count: (64 - split + 1) << split)
    private(set) var count = 0
    private(set) var maximum: UInt64 = 0

    mutating func record(_ nanoseconds: UInt64) {
        counts[Latencies.bucket(nanoseconds)] += 1
        count += 1
        maximum = max(maximum, nanoseconds)
    }

    /// In nanoseconds: the upper end of the bucket below or in which this share of all values is.
    ///
    /// - Parameter share: above 0 and at most 1.
    func percentile(_ share: Double) -> UInt64 {
        let wanted = Int((Double(count) * share).rounded(.up))
        var seen = 0
        for (bucket, found) in counts.enumerated() where found > 0 {
            seen += found
            if seen >= wanted { return min(Latencies.upperEnd(bucket), maximum) }
        }
        return maximum
    }

    private static func bucket(_ value: UInt64) -> Int {
        let exponent = max(0, 63 - split - value.leadingZeroBitCount)
        return exponent << split + Int(value >> UInt64(exponent))
    }

    private static func upperEnd(_ bucket: Int) -> UInt64 {
        let exponent = max(0, bucket >> split - 1)
        return UInt64(bucket - exponent << split + 1) << UInt64(exponent) - 1
    }
}
