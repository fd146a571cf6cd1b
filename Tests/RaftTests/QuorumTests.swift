import Primitives
import Raft
import Testing

@Suite("Quorum")
struct QuorumTests {
    struct Reached: Sendable {
        var incoming: [UInt64]
        var outgoing: [UInt64] = []
        /// By voter id minus one; nil has said nothing.
        var values: [UInt64?]
        var expected: UInt64
    }

    @Test(
        "The reached index is the highest a majority of each half holds",
        arguments: [
            Reached(incoming: [], values: [], expected: .max),
            Reached(incoming: [1], values: [nil], expected: 0),
            Reached(incoming: [1], values: [12], expected: 12),
            Reached(incoming: [1, 2], values: [12, nil], expected: 0),
            Reached(incoming: [1, 2], values: [12, 5], expected: 5),
            Reached(incoming: [1, 2, 3], values: [12, 5, nil], expected: 5),
            Reached(incoming: [1, 2, 3], values: [12, 5, 6], expected: 6),
            Reached(incoming: [1, 2, 3], values: [5, 5, 6], expected: 5),
            Reached(incoming: [1, 2, 3, 4], values: [101, 104, 103, 103], expected: 103),
            Reached(incoming: [1, 2, 3, 4], values: [101, 102, 103, 103], expected: 102),
            Reached(incoming: [1, 2, 3, 4, 5], values: [101, 104, 103, 103, nil], expected: 103),
            Reached(incoming: [1, 2, 3, 4, 5], values: [101, nil, 103, nil, nil], expected: 0),
            Reached(incoming: [1, 2, 3], outgoing: [4, 5, 6], values: [9, 9, 9, 3, 3, 7], expected: 3),
            Reached(incoming: [1, 2, 3], outgoing: [1, 2, 4], values: [9, 8, 7, 1], expected: 8),
            Reached(incoming: [1], outgoing: [2], values: [9, nil], expected: 0),
        ])
    func reached(_ row: Reached) {
        let quorum = JointQuorum(
            incoming: row.incoming.map { MemberID($0) }, outgoing: row.outgoing.map { MemberID($0) })
        #expect(quorum.reached { row.values[Int($0.number) - 1] } == row.expected)
        let swapped = JointQuorum(incoming: quorum.outgoing.voters, outgoing: quorum.incoming.voters)
        #expect(swapped.reached { row.values[Int($0.number) - 1] } == row.expected)
    }

    struct Tally: Sendable {
        var incoming: [UInt64]
        var outgoing: [UInt64] = []
        var votes: [Bool?]
        var expected: VoteOutcome
    }

    @Test(
        "An election is won by a majority of each half and lost when one half cannot be won",
        arguments: [
            Tally(incoming: [], votes: [], expected: .won),
            Tally(incoming: [1], votes: [nil], expected: .pending),
            Tally(incoming: [1], votes: [true], expected: .won),
            Tally(incoming: [1], votes: [false], expected: .lost),
            Tally(incoming: [1, 2], votes: [true, nil], expected: .pending),
            Tally(incoming: [1, 2], votes: [true, false], expected: .lost),
            Tally(incoming: [1, 2, 3], votes: [true, true, nil], expected: .won),
            Tally(incoming: [1, 2, 3], votes: [true, false, nil], expected: .pending),
            Tally(incoming: [1, 2, 3], votes: [false, false, nil], expected: .lost),
            Tally(incoming: [1, 2, 3, 4], votes: [true, true, false, false], expected: .lost),
            Tally(incoming: [1, 2, 3, 4], votes: [true, true, false, nil], expected: .pending),
            Tally(incoming: [1, 2], outgoing: [3, 4], votes: [true, true, nil, nil], expected: .pending),
            Tally(incoming: [1, 2], outgoing: [3, 4], votes: [true, true, false, nil], expected: .lost),
            Tally(incoming: [1, 2], outgoing: [3, 4], votes: [true, true, true, true], expected: .won),
            Tally(incoming: [1], outgoing: [2], votes: [nil, false], expected: .lost),
        ])
    func outcome(_ row: Tally) {
        let quorum = JointQuorum(
            incoming: row.incoming.map { MemberID($0) }, outgoing: row.outgoing.map { MemberID($0) })
        #expect(quorum.outcome { row.votes[Int($0.number) - 1] } == row.expected)
        let swapped = JointQuorum(incoming: quorum.outgoing.voters, outgoing: quorum.incoming.voters)
        #expect(swapped.outcome { row.votes[Int($0.number) - 1] } == row.expected)
    }

    @Test("Only a quorum of nobody else is a quorum of one")
    func only() {
        #expect(JointQuorum(incoming: members(1)).isOnly(member(1)))
        #expect(!JointQuorum(incoming: members(1)).isOnly(member(2)))
        #expect(!JointQuorum(incoming: members(1, 2)).isOnly(member(1)))
        #expect(!JointQuorum(incoming: members(1), outgoing: members(1, 2)).isOnly(member(1)))
        #expect(!JointQuorum(incoming: []).isOnly(member(1)))
    }
}
