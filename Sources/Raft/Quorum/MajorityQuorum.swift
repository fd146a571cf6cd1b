package import Primitives

/// How an election stands.
package enum VoteOutcome: Hashable, Sendable {
    case won, lost, pending
}

/// A majority of a fixed set of voters. Knows numbers and votes, no messages.
package struct MajorityQuorum: Hashable, Sendable {
    /// Ascending, each once.
    package var voters: [MemberID]

    package init(_ voters: [MemberID]) {
        self.voters = voters
    }

    /// How many voters make a majority.
    package var size: Int { voters.count / 2 + 1 }

    /// The highest value that a majority has reached.
    ///
    /// - Parameter value: what a voter has acknowledged; nil and 0 both mean "nothing".
    /// - Returns: `UInt64.max` without voters, so that an empty half never restrains a joint decision.
    /// - Complexity: O(v²) calls, without allocation; v is 3 to 7.
    package func reached(by value: (MemberID) -> UInt64?) -> UInt64 {
        guard !voters.isEmpty else { return .max }
        var best: UInt64 = 0
        for voter in voters {
            guard let candidate = value(voter), candidate > best else { continue }
            var count = 0
            for other in voters where (value(other) ?? 0) >= candidate { count += 1 }
            if count >= size { best = candidate }
        }
        return best
    }

    /// The outcome of a tally; nil is a voter that has not answered. Without voters: won.
    package func outcome(of vote: (MemberID) -> Bool?) -> VoteOutcome {
        guard !voters.isEmpty else { return .won }
        var granted = 0
        var silent = 0
        for voter in voters {
            switch vote(voter) {
            case true: granted += 1
            case nil: silent += 1
            default: break
            }
        }
        if granted >= size { return .won }
        return granted + silent >= size ? .pending : .lost
    }
}
