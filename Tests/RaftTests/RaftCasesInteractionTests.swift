import Raft
import Testing

/// Scripts that drive a whole cluster. Their traces are those of one library; compared is what any correct
/// implementation must show: the answers of `status`, `raft-log` and `raft-state`, and the facts of the other blocks
/// (who was elected in which term, votes given and refused, terms, commit indexes, applied entries, no more probes).
@Suite("RaftCasesInteraction")
struct RaftCasesInteractionTests {
    @Test("Scripted clusters come to the same facts", arguments: CasesFolder.files(.interaction))
    func file(_ file: CasesFolder.File) throws {
        if let reason = InteractionNotes.leftOut(file.name) {
            print("RaftCases: \(file.name) is not run: \(reason)")
            return
        }
        run(try file.blocks(), of: file.name)
    }

    private func run(_ blocks: [CasesFile.Block], of name: String) {
        var script = CasesScript()
        var notes = InteractionNotes.differences[name] ?? []
        var compared = 0
        for block in blocks {
            let result: CasesScript.Result
            do {
                result = try script.run(block)
            } catch {
                Issue.record("\(name):\(block.line): \(error)")
                return
            }
            for finding in result.facts.findings { Issue.record("\(name):\(block.line): \(finding)") }
            guard let differences = InteractionNotes.differences(of: result, from: block) else { continue }
            compared += 1
            for difference in differences {
                let note = notes.firstIndex { $0.line == block.line && $0.aspect == difference.aspect }
                if let note {
                    notes[note].isSeen = true
                } else {
                    Issue.record("\(name):\(block.line): \(difference.text)")
                }
            }
        }
        #expect(compared > 0, "nothing in \(name) was compared")
        for note in notes where !note.isSeen {
            Issue.record("\(name):\(note.line): no such difference (\(note.aspect)): \(note.why)")
        }
    }

    @Test("Joint change and handover, as a script of our own")
    func replacement() throws {
        let text = """
            add-nodes 3 voters=(1,2,3) index=10 prevote=true checkquorum=true
            ----
            ok

            campaign 1
            ----
            ok

            stabilize
            ----
            > 1 handling Ready
              INFO 2 [logterm: 0, index: 10, vote: 0] cast MsgPreVote for 1 [logterm: 0, index: 10] at term 0
              INFO 3 [logterm: 0, index: 10, vote: 0] cast MsgPreVote for 1 [logterm: 0, index: 10] at term 0
              INFO 2 [logterm: 0, index: 10, vote: 0] cast MsgVote for 1 [logterm: 0, index: 10] at term 1
              INFO 3 [logterm: 0, index: 10, vote: 0] cast MsgVote for 1 [logterm: 0, index: 10] at term 1
              INFO 1 became leader at term 1
              HardState Term:1 Vote:1 Commit:11

            add-nodes 2
            ----
            ok

            propose-conf-change 1
            v4 v5 r2
            ----
            ok

            # One change at a time.
            propose-conf-change 1
            l2
            ----
            raft proposal dropped

            stabilize
            ----
            ok

            # Entered and left; the newcomers began with a snapshot.
            raft-log 1
            ----
            1/11 EntryNormal ""
            1/12 EntryConfChangeV2
            1/13 EntryConfChangeV2

            status 1
            ----
            1: StateReplicate match=13 next=14
            3: StateReplicate match=13 next=14
            4: StateReplicate match=13 next=14
            5: StateReplicate match=13 next=14

            transfer-leadership from=1 to=4
            ----
            ok

            stabilize 1 3 4 5
            ----
            ok

            # The one that left got the joint entry and nothing after it, so it believes that it still votes.
            raft-state
            ----
            1: StateFollower (Voter) Term:2 Lead:4
            2: StateFollower (Voter) Term:1 Lead:1
            3: StateFollower (Voter) Term:2 Lead:4
            4: StateLeader (Voter) Term:2 Lead:4
            5: StateFollower (Voter) Term:2 Lead:4

            propose 1 late
            ----
            raft proposal dropped
            """
        run(try CasesFile.parse(text), of: "replacement")
    }

    @Test("A snapshot older than the log's end, as a script of our own")
    func olderSnapshot() throws {
        let text = """
            add-nodes 2 voters=(1,2,3) index=10
            ----
            ok

            campaign 1
            ----
            ok

            stabilize
            ----
            ok

            compact 1 11
            ----
            log is empty: first index=12, last index=11

            add-nodes 1
            ----
            ok

            deliver-msgs drop=(3)
            ----
            ok

            tick-heartbeat 1
            ----
            ok

            stabilize 1
            ----
            ok

            stabilize 3
            ----
            ok

            # The leader orders a snapshot for the newcomer, which is lost.
            stabilize 1
            ----
            ok

            deliver-msgs type=MsgSnap drop=(3)
            ----
            ok

            status 1
            ----
            1: StateReplicate match=11 next=12
            2: StateReplicate match=11 next=12
            3: StateSnapshot match=0 next=12 paused pendingSnap=11

            send-snapshot 1 3
            ----
            ok

            propose 1 newer
            ----
            ok

            stabilize 3
            ----
            > 3 handling Ready
              HardState Term:1 Commit:11

            # What it has is enough to go on from the log.
            deliver-msgs 1
            ----
            ok

            status 1
            ----
            1: StateReplicate match=11 next=12
            2: StateReplicate match=11 next=13 inflight=1
            3: StateReplicate match=11 next=13 inflight=1

            stabilize
            ----
            > 3 handling Ready
              HardState Term:1 Commit:12
              CommittedEntries:
              1/12 EntryNormal "newer"
            """
        run(try CasesFile.parse(text), of: "older snapshot")
    }
}

/// What does not apply to this implementation, and why.
enum InteractionNotes {
    struct Difference {
        var line: Int
        var aspect: CasesFacts.Aspect
        var why: String
        var isSeen = false
    }

    /// - Returns: nil when the block says nothing.
    static func differences(
        of result: CasesScript.Result, from block: CasesFile.Block
    ) -> [(aspect: CasesFacts.Aspect, text: String)]? {
        if let output = result.output {
            let isProposal = block.command.hasPrefix("propose")
            if block.expected.hasPrefix("ok"), !isProposal { return nil }
            let wanted = comparable(block.expected)
            let shown = comparable(output)
            return shown == wanted ? [] : [(.output, "\(block.command) says\n\(shown)expected\n\(wanted)")]
        }
        guard !block.expected.hasPrefix("ok") else { return nil }
        let node = block.command == "process-ready" ? block.words.first.flatMap { UInt64($0) } : nil
        let expected = CasesFacts(trace: block.expected, of: node)
        return result.facts.differences(from: expected, isStep: block.command == "process-ready")
    }

    /// Without what is no fact of the protocol:
    /// - `next` and `pendingSnap` of a peer that waits for a snapshot: ours is the base the peer must reach, since
    ///   which snapshot is sent is not the log's business;
    /// - what a configuration entry says: ours holds the whole configuration.
    private static func comparable(_ text: String) -> String {
        text.split(separator: "\n").map { line in
            var words = line.split(separator: " ")
            if words.contains("StateSnapshot") {
                words.removeAll { $0.hasPrefix("next=") || $0.hasPrefix("pendingSnap=") }
            }
            if words.count > 1, words[1].hasPrefix("EntryConfChange") { words = [words[0], "EntryConfChange"] }
            return words.joined(separator: " ") + "\n"
        }.joined()
    }

    /// Why a whole script does not apply; by how its name begins.
    private static let leftOut = [
        ("async_storage_writes", "it is about the messages of storage threads; here a write is a numbered batch"),
        ("confchange_", "configurations take force there when applied, here when appended"),
        ("forget_leader", "members here have no such order: a closed link or silence makes them forget"),
    ]

    static func leftOut(_ name: String) -> String? {
        leftOut.first { name.hasPrefix($0.0) }?.1
    }

    static let differences = [
        "prevote.txt": [
            Difference(
                line: 139, aspect: .votes,
                why: "A leader grants nobody a pre-vote: here it always protects itself, not only with check-quorum.")
        ]
    ]
}
