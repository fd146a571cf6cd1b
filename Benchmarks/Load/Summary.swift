import FoundationEssentials

/// What a run came to; printed as one line of JSON.
struct Summary: Sendable, Encodable {
    /// What was answered with success, or delivered.
    var done = 0
    /// The same with the warm-up: what processor time is divided by.
    var operations = 0
    /// Failed calls by status code and text, or by why a stream ended.
    var errors: [String: Int] = [:]
    /// From the first to the last thing measured.
    var seconds = 0.0
    /// Microseconds.
    var p50 = 0.0
    var p90 = 0.0
    var p99 = 0.0
    var p999 = 0.0
    var maximum = 0.0
    /// Watches: what should have been delivered. Offered load: what was to be sent.
    var expected = 0

    init(_ latencies: Latencies, operations: Int, errors: [String: Int], seconds: Double, expected: Int) {
        func microseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds / 100) / 10 }
        done = latencies.count
        self.operations = operations
        self.errors = errors
        self.seconds = seconds
        self.expected = expected
        p50 = microseconds(latencies.percentile(0.5))
        p90 = microseconds(latencies.percentile(0.9))
        p99 = microseconds(latencies.percentile(0.99))
        p999 = microseconds(latencies.percentile(0.999))
        maximum = microseconds(latencies.maximum)
    }

    func printed() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
