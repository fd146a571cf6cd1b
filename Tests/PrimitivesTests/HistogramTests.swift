import Primitives
import Testing

@Suite struct HistogramTests {
    @Test("A span counts in its bucket and all longer ones, in none when it is longer than all")
    func buckets() {
        var histogram = Histogram(first: .milliseconds(1), count: 3)
        #expect(histogram.bounds == [1_000, 2_000, 4_000])
        for span in [TimeSpan.milliseconds(1), .microseconds(1_001), .milliseconds(4), .milliseconds(5)] {
            histogram.observe(span)
        }
        #expect(histogram.counts == [1, 2, 3])
        #expect(histogram.total == 4)
        #expect(histogram.sum == .microseconds(11_001))
    }

    @Test("The buckets are etcd's")
    func bounds() {
        #expect(Histogram.disk.bounds.last == 8_192_000 && Histogram.disk.bounds.count == 14)
        #expect(Histogram.roundTrip.bounds.first == 100 && Histogram.roundTrip.bounds.count == 16)
        #expect(Histogram.historyHash.bounds.last == 163_840_000)
    }
}
