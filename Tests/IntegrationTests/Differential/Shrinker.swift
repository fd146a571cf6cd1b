import Foundation

/// Makes a sequence with a difference small: first fewer calls, then less in each.
///
/// Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input" (2002).
struct Shrinker {
    private let duel: Duel
    /// When to leave it at what was reached.
    private let deadline: Double

    init(_ duel: Duel, seconds: Double) {
        var duel = duel
        duel.patience = 0.5
        self.duel = duel
        deadline = now() + seconds
    }

    /// - Returns: the small sequence and its difference, which is at the same kind of call.
    func shrink(_ calls: [any Call], _ difference: Difference) async throws -> ([any Call], Difference) {
        var best = (calls: Array(calls.prefix(difference.position + 1)), difference: difference)
        if let again = try await check(best.calls, difference.kind) {
            best.difference = again
        } else {
            return (calls, difference)
        }
        try await dropCalls(&best)
        try await simplifyCalls(&best)
        try await dropCalls(&best)
        return best
    }

    private func check(_ calls: [any Call], _ kind: String) async throws -> Difference? {
        guard now() < deadline, let difference = try await duel.play(calls), difference.kind == kind else { return nil }
        return difference
    }

    private func dropCalls(_ best: inout (calls: [any Call], difference: Difference)) async throws {
        var size = max(best.calls.count / 2, 1)
        while true {
            var start = 0
            while start < best.calls.count {
                var fewer = best.calls
                fewer.removeSubrange(start..<min(start + size, fewer.count))
                if let difference = try await check(fewer, best.difference.kind) {
                    best = (fewer, difference)
                } else {
                    start += size
                }
            }
            if size == 1 { return }
            size = max(size / 2, 1)
        }
    }

    private func simplifyCalls(_ best: inout (calls: [any Call], difference: Difference)) async throws {
        var position = 0
        while position < best.calls.count {
            var isSmaller = false
            for simpler in best.calls[position].simpler {
                var calls = best.calls
                calls[position] = simpler
                guard let difference = try await check(calls, best.difference.kind) else { continue }
                best = (calls, difference)
                isSmaller = true
                break
            }
            if !isSmaller { position += 1 }
        }
    }
}
