import Foundation
import Testing

extension RealProcesses {
    /// Random sequences of calls, played on Debian's etcd and on our members: every answer is the same.
    ///
    /// `DIFFERENTIAL_CALLS` asks for more calls than usual, `DIFFERENTIAL_SEED` for another first seed; a report names
    /// the seed that finds its difference again.
    @Suite struct DifferentialTests {
        private static let callsPerSequence = 50
        private static let differencesMax = 5

        @Test("No call of a random sequence is answered otherwise than by etcd", arguments: [1, 3])
        func same(size: Int) async throws {
            // Three members answer like one: fewer calls show that they do.
            let standard = size == 1 ? 10_000 : 2_000
            let calls = max(1, try setting("DIFFERENTIAL_CALLS", standard: 10_000) * standard / 10_000)
            var seed = UInt64(try setting("DIFFERENTIAL_SEED", standard: 1))
            let etcd = try Cluster.started(.etcd, size: 1, extra: ["--auto-compaction-retention=0"])
            let ours = try Cluster.started(.registry, size: size, extra: ["--auto-compaction-retention=0"])
            let theirs = try await Session("etcd", etcd.members[0])
            var sessions: [Session] = []
            for member in ours.members { sessions.append(try await Session("Ganglion, \(member.name)", member)) }

            let start = now()
            var played = 0
            var differences = 0
            while played < calls, differences < Self.differencesMax {
                defer { seed += 1 }
                // A sequence stays with one member: the others may be a little behind.
                let duel = Duel(etcd: theirs, ours: sessions[Int(seed % UInt64(sessions.count))])
                let sequence = Families.sequence(seed: seed, calls: Self.callsPerSequence)
                played += sequence.count
                let outcome: Difference?
                do {
                    outcome = try await duel.play(sequence)
                } catch {
                    throw TestFailure("seed \(seed): \(error)\(etcd.logs)\(ours.logs)")
                }
                guard let difference = outcome else { continue }
                differences += 1
                let (shrunk, smallest) = try await Shrinker(duel, seconds: 20).shrink(sequence, difference)
                let lines = shrunk.map { "  \($0)" }.joined(separator: "\n")
                Issue.record("seed \(seed), shrunk from \(sequence.count) calls:\n\(lines)\nthe answers:\n\(smallest)")
            }
            let rate = Int(Double(played) / (now() - start))
            print("    \(played) calls on etcd and on \(size) of our members, \(rate) a second")
            for member in etcd.members + ours.members {
                #expect(member.isRunning, "\(member.name) has ended: \(member.log)")
            }
        }
    }
}
