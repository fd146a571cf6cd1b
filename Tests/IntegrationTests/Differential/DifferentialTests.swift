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

        @Test(
            "No call of a random sequence is answered otherwise than by etcd", arguments: [1, 3], Mix.all.map(\.name))
        func same(size: Int, name: String) async throws {
            let mix = try #require(Mix.all.first { $0.name == name })
            let standard = size == 1 ? mix.calls.one : mix.calls.three
            let calls = max(1, try setting("DIFFERENTIAL_CALLS", standard: 10_000) * standard / 10_000)
            var seed = UInt64(try setting("DIFFERENTIAL_SEED", standard: 1))
            let flags = ["--auto-compaction-retention=0", "--bcrypt-cost=4"]
            let etcd = try Cluster.started(.etcd, size: 1, extra: flags)
            let ours = try Cluster.started(.registry, size: size, extra: flags)
            let theirs = try await Session("etcd", etcd.members[0], isReference: true)
            var sessions: [Session] = []
            for member in ours.members { sessions.append(try await Session("Ganglion, \(member.name)", member)) }

            let start = now()
            var played = 0
            var differences = 0
            while played < calls, differences < Self.differencesMax {
                defer { seed += 1 }
                // A sequence stays with one member: the others may be a little behind.
                let duel = Duel(
                    etcd: theirs, ours: sessions[Int(seed % UInt64(sessions.count))], families: mix.families)
                let sequence = Families.sequence(seed: seed, calls: Self.callsPerSequence, of: mix.families)
                played += sequence.count
                var outcome: Difference?
                do {
                    outcome = try await duel.play(sequence)
                    if outcome != nil, mix.dependsOnTime {
                        // On a busy machine a call may not have been done when the next was sent: the pauses have to
                        // have been long enough.
                        for session in [theirs] + sessions { session.pauseLonger() }
                        outcome = try await duel.play(sequence)
                    }
                } catch {
                    throw TestFailure("seed \(seed): \(error)\(etcd.logs)\(ours.logs)")
                }
                guard let difference = outcome else { continue }
                differences += 1
                let (shrunk, smallest) = try await Shrinker(duel, seconds: 20).shrink(sequence, difference)
                let lines = shrunk.map { "  \($0)" }.joined(separator: "\n")
                Issue.record(
                    "\(name), seed \(seed), shrunk from \(sequence.count) calls:\n\(lines)\nthe answers:\n\(smallest)")
            }
            let rate = Int(Double(played) / (now() - start))
            print("    \(name): \(played) calls on etcd and on \(size) of our members, \(rate) a second")
            for member in etcd.members + ours.members {
                #expect(member.isRunning, "\(member.name) has ended: \(member.log)")
            }
        }
    }
}
