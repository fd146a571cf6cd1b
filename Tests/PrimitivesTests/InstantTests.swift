import Primitives
import Testing

@Suite struct InstantTests {
    @Test("Adding to never stays never")
    func saturation() {
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
        #expect(Instant(nanoseconds: .max - 1) + .seconds(1) == .distantFuture)
    }

    @Test("Spans and instants calculate in nanoseconds")
    func arithmetic() {
        #expect(TimeSpan.seconds(1) == TimeSpan.milliseconds(1_000))
        #expect(TimeSpan.milliseconds(1) == TimeSpan.microseconds(1_000))
        #expect(Instant.zero + .seconds(2) - (Instant.zero + .seconds(3)) == TimeSpan.seconds(-1))
        #expect((TimeSpan.seconds(3) / 2).milliseconds == 1_500)
        #expect(TimeSpan.seconds(2) * 3 == .seconds(6))
    }

    @Test("Log positions compare by term first")
    func positions() {
        let old = LogPosition(index: LogIndex(9), term: Term(1))
        let new = LogPosition(index: LogIndex(2), term: Term(2))
        #expect(old < new)
        #expect(LogIndex(9) - LogIndex(11) == -2)
        #expect(LogIndex(9) + 3 == LogIndex(12))
    }
}
