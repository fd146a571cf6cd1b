import NIOCore

/// How the checks of `/livez` and `/readyz` came out.
struct HealthCheckCounters: Sendable {
    struct Entry: Sendable {
        let kind: HealthProbe.Kind
        let check: HealthProbe.Check
        var successes: UInt64 = 0
        var failures: UInt64 = 0
        /// The last one, and when it was; nil before the first.
        var last: (isHealthy: Bool, at: NIODeadline)?
    }

    /// Every check of every probe, in their order.
    private(set) var entries = HealthProbe.Kind.allCases.flatMap { kind in
        kind.checks.map { Entry(kind: kind, check: $0) }
    }

    mutating func count(_ kind: HealthProbe.Kind, _ check: HealthProbe.Check, isHealthy: Bool) {
        guard let index = entries.firstIndex(where: { $0.kind == kind && $0.check == check }) else {
            preconditionFailure("\(kind) has no check \(check)")
        }
        entries[index].successes += isHealthy ? 1 : 0
        entries[index].failures += isHealthy ? 0 : 1
        entries[index].last = (isHealthy, .now())
    }

    /// Takes in what another loop counted.
    mutating func add(_ other: HealthCheckCounters) {
        for index in entries.indices {
            entries[index].successes += other.entries[index].successes
            entries[index].failures += other.entries[index].failures
            guard let theirs = other.entries[index].last else { continue }
            if let ours = entries[index].last, ours.at >= theirs.at { continue }
            entries[index].last = theirs
        }
    }
}
