package import Primitives

/// The verdict on one seed.
package struct RunReport: Sendable {
    package var seed: UInt64
    package var options: String
    package var hash: UInt64
    package var events: UInt64
    package var simulatedSeconds: Int64
    package var simulated: TimeSpan
    /// What went wrong, by class.
    package var faults: [FaultCount]
    package var statistics: String
    /// nil: everything held.
    package var violation: String?
    /// Why the end of the run could demand nothing of a part of the members; nil: it did.
    package var discarded: String?
    package var isDiscarded: Bool { discarded != nil }
    /// The last lines before a violation.
    package var trace: [String]
    /// The situations it was in.
    package var coverage: [Sometimes]

    package var hashText: String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// Runs one seed after another; everything a run needs follows from its seed.
package enum Runner {
    /// - Parameters:
    ///   - members: nil lets the seed draw.
    ///   - traceLines: lines kept for the report of a violation.
    package static func run(seed: UInt64, members: Int?, traceLines: Int = 400) -> RunReport {
        let options = SimulationOptions(seed: seed, members: members)
        let world = World(options, traceLines: traceLines)
        var violation: String?
        do throws(Violation) {
            try world.run()
        } catch {
            violation = error.description
        }
        world.end()
        let numbers = world.statistics
        let statistics = """
            crashes=\(numbers.crashes) powerLosses=\(numbers.powerLosses) partitions=\(numbers.partitions) \
            breaks=\(numbers.linkBreaks) frames=\(numbers.framesSent) lost=\(numbers.framesLost) \
            acknowledged=\(numbers.acknowledged) refused=\(numbers.refused) unknown=\(numbers.unknown) \
            snapshots=\(numbers.snapshotsInstalled) joined=\(numbers.membersAdded) left=\(numbers.membersRemoved) \
            rots=\(numbers.rots) recovered=\(numbers.recoveries) lost=\(numbers.lostMembers) full=\(numbers.fullDisks) \
            keysJudged=\(numbers.keysJudged) keysUnknown=\(numbers.keysUnknown)
            """
        return RunReport(
            seed: seed, options: options.description, hash: world.trace.hash, events: world.trace.events,
            simulatedSeconds: world.now.nanoseconds / 1_000_000_000, simulated: world.now - .zero,
            faults: FaultCount.sorted(numbers.faults), statistics: statistics, violation: violation,
            discarded: world.liveness.discarded,
            trace: violation == nil ? [] : world.trace.lines.suffix(traceLines).map(\.description),
            coverage: world.coverage.names)
    }
}
