import Primitives
import Raft
import Testing

@Suite("RaftCasesConfchange")
struct RaftCasesConfchangeTests {
    @Test("Membership changes come out byte for byte", arguments: CasesFolder.files(.confchange))
    func file(_ file: CasesFolder.File) throws {
        var machine = MembershipCases()
        let blocks = try file.blocks()
        #expect(!blocks.isEmpty)
        for block in blocks {
            do {
                var output = try machine.run(block)
                if output.last != "\n" { output += "\n" }
                #expect(output == block.expected, "\(file.name):\(block.line)")
                for finding in machine.findings() { Issue.record("\(file.name):\(block.line): \(finding)") }
            } catch {
                Issue.record("\(file.name):\(block.line): \(error)")
            }
        }
    }

    /// The rules these rows pin down: the same operation twice; opposite ones in one change; nobody twice in a list;
    /// what is refused leaves no trace.
    @Test("Changes within a change")
    func combined() throws {
        let text = """
            # The same operation twice is one.
            simple
            v1 v1
            ----
            voters=(1)
            1: StateProbe match=0 next=1

            # Added and removed: nothing happened. Removed and added: the record is new.
            simple
            v2 r2 u1 u7 r9
            ----
            voters=(1)
            1: StateProbe match=0 next=1

            simple
            l2
            ----
            voters=(1) learners=(2)
            1: StateProbe match=0 next=1
            2: StateProbe match=0 next=2 learner

            simple
            r2 l2 l2
            ----
            voters=(1) learners=(2)
            1: StateProbe match=0 next=1
            2: StateProbe match=0 next=3 learner

            simple
            r2 v2
            ----
            voters=(1 2)
            1: StateProbe match=0 next=1
            2: StateProbe match=0 next=4

            leave-joint
            ----
            can't leave a non-joint config

            # Who is still in the old half keeps the record, removed and added or not.
            enter-joint autoleave=true
            r1 v1 v3 l4 l2
            ----
            voters=(1 3)&&(1 2) learners=(4) learners_next=(2) autoleave
            1: StateProbe match=0 next=1
            2: StateProbe match=0 next=4
            3: StateProbe match=0 next=6
            4: StateProbe match=0 next=6 learner

            simple
            v9
            ----
            can't apply simple config change in joint config

            enter-joint
            v9
            ----
            config is already joint

            leave-joint
            ----
            voters=(1 3) learners=(2 4)
            1: StateProbe match=0 next=1
            2: StateProbe match=0 next=4 learner
            3: StateProbe match=0 next=6
            4: StateProbe match=0 next=6 learner

            enter-joint
            r1 r3
            ----
            removed all voters

            enter-joint
            v0 l0 r0
            ----
            voters=(1 3)&&(1 3) learners=(2 4)
            1: StateProbe match=0 next=1
            2: StateProbe match=0 next=4 learner
            3: StateProbe match=0 next=6
            4: StateProbe match=0 next=6 learner
            """
        var machine = MembershipCases()
        for block in try CasesFile.parse(text) {
            let output = try machine.run(block)
            #expect(output + (output.last == "\n" ? "" : "\n") == block.expected, "line \(block.line)")
            #expect(machine.findings() == [], "line \(block.line)")
        }
    }

    @Test("Nobody can be removed from nothing, and nothing made joint")
    func empty() throws {
        var machine = MembershipCases()
        let text = """
            enter-joint
            v1
            ----
            can't make a zero-voter config joint

            simple
            ----
            removed all voters

            simple
            r1 l2
            ----
            removed all voters

            """
        for block in try CasesFile.parse(text) {
            #expect(try machine.run(block) + "\n" == block.expected, "line \(block.line)")
        }
    }

    /// The description of the cases, done step by step on sets, against the real functions.
    @Test("Random changes come out as described", arguments: 0..<8 as Range<UInt64>)
    func random(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed, purpose: "membership cases")
        var machine = MembershipCases()
        var described = DescribedMembership()
        for step in 0..<1_500 {
            let words = (0..<random.below(5)).map { _ in
                let kind = ["v", "v", "l", "r", "u"][Int(random.below(5))]
                return kind + String(random.below(7))
            }
            let command = ["simple", "simple", "enter-joint", "leave-joint"][Int(random.below(4))]
            let block = CasesFile.Block(
                line: step, command: command, arguments: [], input: [words.joined(separator: " ")], expected: "")
            let output = try machine.run(block)
            let expected = try described.run(block)
            try #require(output == expected, "step \(step): \(command) \(words)")
            try #require(machine.findings() == [], "step \(step): \(command) \(words)")
        }
    }
}
