import Primitives
import Raft
import Testing

@Suite("RaftCasesQuorum")
struct RaftCasesQuorumTests {
    @Test("Committed indexes and votes come out byte for byte", arguments: CasesFolder.files(.quorum))
    func file(_ file: CasesFolder.File) throws {
        let blocks = try file.blocks()
        #expect(!blocks.isEmpty)
        for block in blocks {
            do {
                var output = try QuorumCase(block).run()
                if output.last != "\n" { output += "\n" }
                #expect(output == block.expected, "\(file.name):\(block.line)")
            } catch {
                Issue.record("\(file.name):\(block.line): \(error)")
            }
        }
    }

    @Test("On random values the quorum is what sorting them says", arguments: 0..<4 as Range<UInt64>)
    func sorted(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed, purpose: "quorum cases")
        for _ in 0..<2_000 {
            let voters = (1...(1 + random.below(7))).map { MemberID($0) }
            let values = voters.map { _ in random.below(6) }
            let quorum = MajorityQuorum(voters)
            let expected = values.sorted()[voters.count - (voters.count / 2 + 1)]
            #expect(quorum.reached { values[Int($0.number) - 1] } == expected, "\(values)")
            let granted = values.filter { $0 > 3 }.count
            let silent = values.filter { $0 == 0 }.count
            let size = voters.count / 2 + 1
            let outcome = granted >= size ? VoteOutcome.won : granted + silent >= size ? .pending : .lost
            #expect(
                quorum.outcome { voter in
                    let value = values[Int(voter.number) - 1]
                    return value == 0 ? nil : value > 3
                } == outcome, "\(values)")
        }
    }
}
