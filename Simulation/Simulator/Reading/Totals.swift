package import Primitives

/// What many seeds came to.
package struct Totals: Sendable {
    package private(set) var seeds = 0
    package private(set) var simulatedMilliseconds: Int64 = 0
    package private(set) var events: UInt64 = 0
    /// In alphabetical order.
    package private(set) var faults: [FaultCount] = []
    package private(set) var coverage = CoverageTally()
    package private(set) var discarded = 0
    package private(set) var violations: [SeedResult] = []

    package init() {}

    package mutating func add(_ result: SeedResult) {
        seeds += 1
        simulatedMilliseconds += result.simulatedMilliseconds
        events += result.events
        if result.isDiscarded { discarded += 1 }
        if result.violation != nil { violations.append(result) }
        for fault in result.faults { add(fault) }
        coverage.add(result.coverage.compactMap(Sometimes.init(rawValue:)))
    }

    private mutating func add(_ fault: FaultCount) {
        if let place = faults.firstIndex(where: { $0.name >= fault.name }) {
            if faults[place].name == fault.name {
                faults[place].count += fault.count
            } else {
                faults.insert(fault, at: place)
            }
        } else {
            faults.append(fault)
        }
    }

    /// More discarded runs than this share mean that the faults go beyond what is promised too often.
    package static let discardedPercentMax = 2

    package var isDiscardingTooMuch: Bool { discarded * 100 > seeds * Totals.discardedPercentMax }

    /// Simulated over real time; 0 when no time has passed.
    package func timesReal(_ real: TimeSpan) -> Int64 {
        real.milliseconds > 0 ? simulatedMilliseconds / real.milliseconds : 0
    }

    /// A few lines for the end of a run.
    ///
    /// - Parameter real: how long it took.
    package func summary(real: TimeSpan) -> [String] {
        let listed = faults.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
        var lines = [
            "\(seeds) seeds, \(simulatedMilliseconds / 1_000) simulated seconds, \(events) events in "
                + "\(real.milliseconds.thousandths) s: \(timesReal(real)) x real time",
            "faults: \(listed.isEmpty ? "none" : listed)",
        ]
        if discarded > 0 { lines.append("discarded: \(discarded), beyond what is promised") }
        lines.append(violations.isEmpty ? "everything held" : "VIOLATED by \(violations.count) of \(seeds) seeds")
        return lines
    }
}

extension Int64 {
    /// With three decimals.
    package var thousandths: String {
        let fraction = String(self % 1_000)
        return "\(self / 1_000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
