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
            let flags = ["--auto-compaction-retention=0", "--bcrypt-cost=4"]
            let etcd = try Cluster.started(.etcd, size: 1, extra: flags)
            let ours = try Cluster.started(.registry, size: size, extra: flags)
            let theirs = try await Session("etcd", etcd.members[0], isReference: true)
            var sessions: [Session] = []
            for member in ours.members { sessions.append(try await Session("Ganglion, \(member.name)", member)) }
            for mix in Mix.all {
                let start = now()
                do {
                    let played = try await play(mix, theirs, sessions)
                    let rate = Int(Double(played) / (now() - start))
                    print("    \(mix.name): \(played) calls on etcd and on \(size) of our members, \(rate) a second")
                    // The next mix knows nothing of what this one may have left.
                    for session in [theirs] + sessions { try await session.reset(mix.families) }
                } catch {
                    throw TestFailure("\(mix.name): \(error)\(etcd.logs)\(ours.logs)")
                }
            }
            for member in etcd.members + ours.members {
                #expect(member.isRunning, "\(member.name) has ended: \(member.log)")
            }
        }

        /// Plays as many sequences as there are calls asked for, and reports the differences; how many calls it were.
        private func play(_ mix: Mix, _ etcd: Session, _ sessions: [Session]) async throws -> Int {
            let standard = sessions.count == 1 ? mix.calls.one : mix.calls.three
            let calls = max(1, try setting("DIFFERENTIAL_CALLS", standard: 10_000) * standard / 10_000)
            var seed = UInt64(try setting("DIFFERENTIAL_SEED", standard: 1))
            var played = 0
            var differences = 0
            while played < calls, differences < Self.differencesMax {
                defer { seed += 1 }
                // A sequence stays with one member: the others may be a little behind.
                let ours = sessions[Int(seed % UInt64(sessions.count))]
                let duel = Duel(etcd: etcd, ours: ours, families: mix.families)
                let sequence = Families.sequence(seed: seed, calls: Self.callsPerSequence, of: mix.families)
                played += sequence.count
                do {
                    guard let found = try await difference(duel, sequence, mix) else { continue }
                    differences += 1
                    let (shrunk, smallest) = try await Shrinker(duel, seconds: 20).shrink(sequence, found)
                    let lines = shrunk.map { "  \($0)" }.joined(separator: "\n")
                    Issue.record(
                        """
                        \(mix.name), seed \(seed), shrunk from \(sequence.count) calls:
                        \(lines)
                        the answers:
                        \(smallest)
                        """)
                } catch {
                    throw TestFailure("seed \(seed): \(error)")
                }
            }
            return played
        }

        private func difference(_ duel: Duel, _ sequence: [any Call], _ mix: Mix) async throws -> Difference? {
            guard let found = try await duel.play(sequence) else { return nil }
            guard mix.dependsOnTime else { return found }
            // On a busy machine a call may not have been done when the next was sent: the pauses have to have been long
            // enough.
            for session in [duel.etcd, duel.ours] { session.pauseLonger() }
            return try await duel.play(sequence)
        }
    }
}
