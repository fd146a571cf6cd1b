import Foundation

/// Durations in seconds, to be printed in milliseconds.
struct Durations: Sendable {
    /// Ascending.
    let values: [Double]

    init(_ values: [Double]) {
        precondition(!values.isEmpty, "no durations were measured")
        self.values = values.sorted()
    }

    /// The smallest value that at least this share of all values is not above.
    func percentile(_ percent: Int) -> Double {
        values[max(0, (values.count * percent + 99) / 100 - 1)]
    }

    var median: Double { percentile(50) }
    var maximum: Double { values[values.count - 1] }

    var summary: String {
        "min \(milliseconds(values[0])), median \(milliseconds(median)), p99 \(milliseconds(percentile(99))),"
            + " max \(milliseconds(maximum)) ms of \(values.count)"
    }

    private static let boundaries = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000]

    /// A row for each range of milliseconds that occurs in any of these, a column for each of these.
    static func histogram(_ columns: [(name: String, durations: Durations)]) -> String {
        let counts = columns.map { column in
            column.durations.values.reduce(into: [Int](repeating: 0, count: boundaries.count + 1)) { counts, value in
                counts[boundaries.firstIndex { value * 1_000 <= Double($0) } ?? boundaries.count] += 1
            }
        }
        let used = (0...boundaries.count).filter { row in counts.contains { $0[row] > 0 } }
        var text = ""
        for row in (used.first ?? 0)...(used.last ?? 0) {
            let range = row < boundaries.count ? "<= \(boundaries[row]) ms" : "above"
            text += "    " + padded(range, 12)
            for (column, counts) in zip(columns, counts) {
                let share = Double(counts[row]) / Double(column.durations.values.count)
                let bar = String(repeating: "#", count: Int((share * 20).rounded(.up)))
                text += " | " + padded("\(column.name) \(counts[row])", 14) + padded(bar, 20)
            }
            text += "\n"
        }
        return text + columns.map { "    \(padded($0.name, 10)) \($0.durations.summary)" }.joined(separator: "\n")
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}

/// With one decimal.
func milliseconds(_ seconds: Double) -> String {
    String(format: "%.1f", seconds * 1_000)
}

/// A number from the environment that makes a test longer.
func setting(_ name: String, standard: Int) throws -> Int {
    guard let text = ProcessInfo.processInfo.environment[name] else { return standard }
    guard let number = Int(text), number > 0 else { throw TestFailure("\(name)=\(text) is not a number above 0") }
    return number
}
