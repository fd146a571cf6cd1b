import Primitives
import Raft
import Testing

/// One block of a quorum file: voters of one or two majorities, and what each has acknowledged or voted.
struct QuorumCase {
    private let block: CasesFile.Block
    private let incoming: [MemberID]
    /// nil unless the block asks for a joint decision.
    private let outgoing: [MemberID]?
    /// In the order in which values are given.
    private let voters: [MemberID]

    init(_ block: CasesFile.Block) throws(CaseFailure) {
        self.block = block
        incoming = try QuorumCase.members(block.values("cfg") ?? [])
        let second = block.values("cfgj")
        outgoing = second == ["zero"] ? [] : try second.map(QuorumCase.members)
        var distinct: [MemberID] = []
        for voter in incoming + (outgoing ?? []) where !distinct.contains(voter) { distinct.append(voter) }
        voters = distinct
    }

    private static func members(_ words: [String]) throws(CaseFailure) -> [MemberID] {
        var members: [MemberID] = []
        for word in words {
            guard let number = UInt64(word) else { throw CaseFailure("'\(word)' is no voter") }
            members.append(MemberID(number))
        }
        return members
    }

    func run() throws(CaseFailure) -> String {
        switch block.command {
        case "committed": try committed()
        case "vote": try vote()
        default: throw CaseFailure("unknown command '\(block.command)'")
        }
    }

    private func half(_ members: [MemberID]) -> [MemberID] {
        var distinct: [MemberID] = []
        for member in members.sorted() where distinct.last != member { distinct.append(member) }
        return distinct
    }

    private var joint: JointQuorum { JointQuorum(incoming: half(incoming), outgoing: half(outgoing ?? [])) }
    private var swapped: JointQuorum { JointQuorum(incoming: half(outgoing ?? []), outgoing: half(incoming)) }

    /// The block's values by voter; nil for one that has said nothing.
    private func values<Value>(
        _ key: String, _ read: (String) -> Value?
    ) throws(CaseFailure) -> [MemberID: Value] {
        let words = block.values(key) ?? []
        guard words.count == voters.count else {
            throw CaseFailure("\(words.count) values for \(voters.count) voters")
        }
        var values: [MemberID: Value] = [:]
        for (voter, word) in zip(voters, words) where word != "_" {
            guard let value = read(word) else { throw CaseFailure("'\(word)' is no value of '\(key)'") }
            values[voter] = value
        }
        return values
    }

    // MARK: - Committed

    private func committed() throws(CaseFailure) -> String {
        let acknowledged = try values("idx") { UInt64($0) }
        let answer: UInt64
        if outgoing == nil {
            let quorum = MajorityQuorum(half(incoming))
            answer = quorum.reached { acknowledged[$0] }
            // Joining with nobody or with itself changes nothing.
            expect(joint.reached { acknowledged[$0] } == answer, "joined with the empty majority")
            let twice = JointQuorum(incoming: quorum.voters, outgoing: quorum.voters)
            expect(twice.reached { acknowledged[$0] } == answer, "joined with itself")
            // Who is below the answer did not carry it.
            for (voter, value) in acknowledged where value < answer {
                for lower in [0, value - 1] {
                    var less = acknowledged
                    less[voter] = lower
                    expect(quorum.reached { less[$0] } == answer, "with \(voter.number) lowered to \(lower)")
                }
            }
        } else {
            answer = joint.reached { acknowledged[$0] }
            expect(swapped.reached { acknowledged[$0] } == answer, "with the majorities swapped")
        }
        return picture(of: acknowledged) + (answer == .max ? "\u{221E}" : String(answer))
    }

    /// A bar for each voter, as long as the number of voters that are behind it.
    private func picture(of acknowledged: [MemberID: UInt64]) -> String {
        guard !voters.isEmpty else { return "<empty majority quorum>" }
        let count = voters.count
        let ordered = voters.sorted { (acknowledged[$0] ?? 0, $0) < (acknowledged[$1] ?? 0, $1) }
        var ranks: [MemberID: Int] = [:]
        for (place, voter) in ordered.enumerated() {
            let before = place > 0 ? ordered[place - 1] : voter
            let isTied = place > 0 && (acknowledged[before] ?? 0) == (acknowledged[voter] ?? 0)
            ranks[voter] = isTied ? ranks[before] : place
        }
        var text = blanks(count + 4) + "idx\n"
        for voter in voters.sorted() {
            if acknowledged[voter] != nil {
                let rank = ranks[voter] ?? 0
                text += String(repeating: "x", count: rank) + ">" + blanks(count - rank)
            } else {
                text += "?" + blanks(count)
            }
            let number = String(acknowledged[voter] ?? 0)
            text += " " + blanks(5 - number.count) + number
            text += "    (id=" + String(voter.number, radix: 16) + ")\n"
        }
        return text
    }

    private func blanks(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }

    // MARK: - Votes

    private func vote() throws(CaseFailure) -> String {
        let votes = try values("votes") { ["y": true, "n": false][$0] }
        let outcome: VoteOutcome
        if outgoing == nil {
            outcome = MajorityQuorum(half(incoming)).outcome { votes[$0] }
            expect(joint.outcome { votes[$0] } == outcome, "joined with the empty majority")
        } else {
            outcome = joint.outcome { votes[$0] }
            expect(swapped.outcome { votes[$0] } == outcome, "with the majorities swapped")
        }
        switch outcome {
        case .won: return "VoteWon"
        case .lost: return "VoteLost"
        case .pending: return "VotePending"
        }
    }

    private func expect(_ condition: Bool, _ text: String) {
        #expect(condition, "line \(block.line): another answer \(text)")
    }
}

/// A block that cannot be run as it is written.
struct CaseFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
