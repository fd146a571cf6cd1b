package import Primitives

/// The limiter of `rate_limiting`: starts with `averageRate` tokens, refills at that rate, holds `maxBurst`.
///
/// Source: Airbnb's nerve. Counted in billionths of a token, so that slow rates lose nothing to rounding.
package struct TokenBucket: Sendable {
    /// Tokens a second; nil is unlimited.
    package let averageRate: DecimalNumber?
    /// The most tokens held; nil is unlimited.
    package let maxBurst: DecimalNumber?
    private var tokens: Int64
    private var refilledAt: Instant

    package init(averageRate: DecimalNumber?, maxBurst: DecimalNumber?, at now: Instant) {
        self.averageRate = averageRate
        self.maxBurst = maxBurst
        tokens = averageRate?.billionths ?? 0
        refilledAt = now
    }

    /// Takes a token; false when there is none.
    package mutating func take(at now: Instant) -> Bool {
        guard let averageRate else { return true }
        refill(rate: averageRate.billionths, at: now)
        guard tokens >= 1_000_000_000 else { return false }
        tokens -= 1_000_000_000
        return true
    }

    private mutating func refill(rate: Int64, at now: Instant) {
        let elapsed = max((now - refilledAt).nanoseconds, 0)
        refilledAt = now
        let (high, low) = UInt64(max(rate, 0)).multipliedFullWidth(by: UInt64(elapsed))
        // Past 2⁶⁴ the quotient no longer fits and the bucket is full anyway.
        let gained: Int64
        if high >= 500_000_000 {
            gained = .max
        } else {
            gained = Int64(clamping: UInt64(1_000_000_000).dividingFullWidth((high, low)).quotient)
        }
        let (sum, overflow) = tokens.addingReportingOverflow(gained)
        tokens = min(overflow ? .max : sum, maxBurst?.billionths ?? .max)
    }
}
