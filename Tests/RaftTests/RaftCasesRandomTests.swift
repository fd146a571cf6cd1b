import Primitives
import Raft
import Testing

/// Random scripts in the language of the third-party ones, with membership changes, lost messages, crashes, compaction
/// and elections at any moment: what must never happen is looked for after every directive.
@Suite("RaftCasesRandom")
struct RaftCasesRandomTests {
    private struct Run {
        var random: SeededGenerator
        var script = CasesScript()
        var trace: [String] = []
        /// Who led each term, and the term of each applied index.
        var leaders: [UInt64: UInt64] = [:]
        var applied: [UInt64: String] = [:]
        var taken = 0

        init(seed: UInt64) { random = SeededGenerator(seed: seed, purpose: "random scripts") }

        mutating func perform(_ text: String) throws {
            trace.append(text)
            for block in try CasesFile.parse(text + "\n----\n") {
                let result = try script.run(block)
                if block.command.hasPrefix("propose"), result.output == "ok\n" { taken += 1 }
                try check(result.facts)
            }
        }

        private mutating func check(_ facts: CasesFacts) throws {
            try #require(facts.findings == [], "after \(trace.suffix(12))")
            for seat in facts.leaders {
                let known = leaders[seat.term] ?? seat.leader
                try #require(known == seat.leader, "two leaders in term \(seat.term) after \(trace.suffix(12))")
                leaders[seat.term] = seat.leader
            }
            for (node, places) in facts.applied {
                for place in places.suffix(8) {
                    let parts = place.split(separator: "/").map { UInt64($0) ?? 0 }
                    let known = applied[parts[1]] ?? place
                    try #require(
                        known == place, "node \(node) applied \(place), others \(known), after \(trace.suffix(12))")
                    applied[parts[1]] = place
                }
            }
        }

        private mutating func node() -> UInt64 { 1 + random.below(5) }

        mutating func step() throws {
            let id = node()
            switch random.below(100) {
            case 0..<35: try perform("process-ready \(id)")
            case 35..<65: try perform("deliver-msgs \(id)")
            case 65..<71: try perform("deliver-msgs drop=(\(id))")
            case 71..<74: try perform("campaign \(id)")
            case 74..<84: for leader in leading { try perform("propose \(leader) p\(trace.count)") }
            case 84..<88: for leader in leading { try perform("propose-conf-change \(leader)\n\(operations())") }
            case 88..<93: for leader in leading { try perform("tick-heartbeat \(leader)") }
            case 93..<95: try perform("stabilize \(id) \(1 + id % 5)")
            case 95..<97: for leader in leading { try perform("transfer-leadership from=\(leader) to=\(id)") }
            case 97..<98: try perform("stabilize")
            case 98..<99: try perform("restart \(id)")
            default:
                let applied = script.cluster.hosts[Int(id) - 1].applied.number
                try perform("compact \(id) \(applied)")
            }
        }

        private mutating func operations() -> String {
            (0...random.below(3)).map { _ in ["v", "v", "l", "r"][Int(random.below(4))] + String(node()) }
                .joined(separator: " ")
        }

        var leading: [UInt64] {
            script.cluster.hosts.filter { $0.node.role == .leader }.map(\.node.id.number)
        }

        /// The leader that has committed everything, when its members have too.
        var settled: RaftNode? {
            let nodes = script.cluster.hosts.map(\.node)
            return nodes.first { leader in
                leader.role == .leader && leader.commitIndex == leader.lastIndex && !leader.isChangingConfiguration
                    && nodes.filter { leader.configuration.members.contains($0.id) }
                        .allSatisfy { $0.term == leader.term && $0.commitIndex == leader.commitIndex }
            }
        }
    }

    @Test(
        "However it goes, one leader a term, one entry an index, and in the end all agree",
        arguments: 0..<24 as Range<UInt64>)
    func random(_ seed: UInt64) throws {
        var run = Run(seed: seed)
        try run.perform("add-nodes 5 voters=(1,2,3) learners=(4) index=10")
        for directive in ["campaign 1", "stabilize", "propose 1 first"] { try run.perform(directive) }
        for _ in 0..<600 { try run.step() }
        // No more faults: somebody wins and brings all members along.
        for attempt in 0..<30 where run.settled == nil {
            try run.perform("stabilize")
            for leader in run.leading { try run.perform("tick-heartbeat \(leader)") }
            try run.perform("stabilize")
            if run.settled == nil, attempt % 3 == 2 {
                try run.perform("campaign \(1 + UInt64(attempt / 3) % 5)")
            }
        }
        let leader = try #require(run.settled, "never settled: \(run.trace.suffix(40))")
        #expect(leader.lastIndex > LogIndex(10))
        #expect(run.taken > 0)
    }
}
