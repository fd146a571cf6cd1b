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
        var script = CasesScript()
        var notes = InteractionNotes.differences[file.name] ?? []
        var compared = 0
        for block in try file.blocks() {
            let result: CasesScript.Result
            do {
                result = try script.run(block)
            } catch {
                Issue.record("\(file.name):\(block.line): \(error)")
                return
            }
            for finding in result.facts.findings { Issue.record("\(file.name):\(block.line): \(finding)") }
            guard let differences = InteractionNotes.differences(of: result, from: block) else { continue }
            compared += 1
            for difference in differences {
                let note = notes.firstIndex { $0.line == block.line && $0.aspect == difference.aspect }
                if let note {
                    notes[note].isSeen = true
                } else {
                    Issue.record("\(file.name):\(block.line): \(difference.text)")
                }
            }
        }
        #expect(compared > 0, "nothing in \(file.name) was compared")
        for note in notes where !note.isSeen {
            Issue.record("\(file.name):\(note.line): no such difference (\(note.aspect)): \(note.why)")
        }
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
            if block.command != "propose", block.expected.hasPrefix("ok") { return nil }
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
    /// - "inactive": a peer that was never heard counts as just heard here, so that it gets a whole timeout;
    /// - `next` and `pendingSnap` of a peer that waits for a snapshot: ours is the base the peer must reach, since
    ///   which snapshot is sent is not the log's business;
    /// - what a configuration entry says: ours holds the whole configuration.
    private static func comparable(_ text: String) -> String {
        text.split(separator: "\n").map { line in
            var words = line.split(separator: " ").filter { $0 != "inactive" }
            if words.contains("StateSnapshot") {
                words.removeAll { $0.hasPrefix("next=") || $0.hasPrefix("pendingSnap=") }
            }
            if words.count > 1, words[1].hasPrefix("EntryConfChange") { words = [words[0], "EntryConfChange"] }
            return words.joined(separator: " ") + "\n"
        }.joined()
    }

    static func leftOut(_ name: String) -> String? { nil }

    static let differences: [String: [Difference]] = [:]
}
