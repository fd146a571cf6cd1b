package import Primitives

/// Waiting times between attempts: doubling from `base` to `limit`, each drawn from the upper half of its
/// step so that a fleet that failed together does not come back together.
package struct Backoff: Sendable {
    package let base: TimeSpan
    package let limit: TimeSpan
    /// Failures in a row.
    package private(set) var failures = 0

    package init(base: TimeSpan, limit: TimeSpan) {
        precondition(base > .zero && base <= limit, "back-off from \(base) to \(limit)")
        self.base = base
        self.limit = limit
    }

    /// Notes one more failure and returns how long to wait.
    package mutating func fail(_ generator: inout SeededGenerator) -> TimeSpan {
        var step = base
        for _ in 0..<min(failures, 40) where step < limit { step = min(step * 2, limit) }
        failures += 1
        return generator.span(step / 2, step)
    }

    package mutating func succeed() {
        failures = 0
    }
}
