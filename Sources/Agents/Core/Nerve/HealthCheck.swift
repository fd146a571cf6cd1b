/// What a probe found.
package enum ProbeResult: Equatable, Sendable {
    case passed
    /// With a short text for people: "connection refused", "status 503".
    case failed(String)

    package var hasPassed: Bool { self == .passed }
}

/// The rise and fall machine of one check.
///
/// Source: Airbnb's nerve, exactly: the very first result decides at once; after that `fall` failures in a row
/// bring it down and `rise` passes in a row bring it up. Equivalent to the Ruby result buffer of
/// max(rise, fall) places, which the tests replay against it.
package struct HealthCheck: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// Never run. Goes to `up` or `down` by its first result.
        case none
        /// To `down` after `fall` failures in a row.
        case up
        /// To `up` after `rise` passes in a row.
        case down
    }

    package let rise: Int
    package let fall: Int
    package private(set) var state = State.none
    /// How often in a row the last result came, as if the first one had filled the buffer.
    private var streak = 0
    private var lastPassed = false

    package init(rise: Int, fall: Int) {
        precondition(rise >= 1 && fall >= 1, "rise \(rise), fall \(fall)")
        self.rise = rise
        self.fall = fall
    }

    /// True between a first failure and the verdict on it.
    package var isInDoubt: Bool { state == .up && !lastPassed }

    /// Takes one result and returns the state after it.
    package mutating func probeFinished(passed: Bool) -> State {
        if state == .none {
            streak = max(rise, fall)
        } else {
            streak = passed == lastPassed ? min(streak + 1, max(rise, fall)) : 1
        }
        lastPassed = passed
        if passed {
            if state == .none || streak >= rise { state = .up }
        } else if state == .none || streak >= fall {
            state = .down
        }
        return state
    }
}
