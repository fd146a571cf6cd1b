import Foundation
import Testing

extension RealProcesses {
    /// Members come and go by etcd's own client while clients write.
    @Suite struct GrowthTests {
        /// A put that is not answered within that has failed.
        private static let patience = 1.0

        /// From the loss of a leader to the last put that may fail by it: it was sent just before the next one led.
        private static func electionSeconds(_ kind: Cluster.Kind) -> Double {
            (kind == .etcd ? 2.3 : LeaderLoss.longest) + patience
        }

        /// `GROWTH_KINDS=registry,etcd` runs the same against etcd, which proves the script.
        private static var kinds: [Cluster.Kind] {
            let names = ProcessInfo.processInfo.environment["GROWTH_KINDS"] ?? "registry"
            return names.split(separator: ",").compactMap { Cluster.Kind(rawValue: String($0)) }
        }

        @Test("From one member to five and back to three, each of them replaced, while clients write", arguments: kinds)
        func growth(_ kind: Cluster.Kind) throws {
            let cluster = try ChangingCluster(kind)
            let writers = Writers(cluster.members, pace: 0.002, patience: Self.patience)
            defer { _ = writers.stop() }
            do {
                try writers.waitForProgress()
                // One more that does not run yet would be half of the votes: a learner first, then a voter.
                for name in ["b", "c"] { try cluster.add(name, as: .learner, writers) }
                for name in ["d", "e"] { try cluster.add(name, as: .voter, writers) }
                for name in ["a", "b"] { try cluster.remove(name, writers) }
                for (old, new) in [("c", "f"), ("d", "g"), ("e", "h")] {
                    try cluster.add(new, as: .voter, writers)
                    try cluster.remove(old, writers)
                }
                try writers.waitForProgress()
                let acknowledged = writers.stop()
                let stray = writers.failed.filter { failed in
                    !cluster.elections.contains { $0...($0 + Self.electionSeconds(kind)) ~= failed.at }
                }
                #expect(stray.count == 0, "\(stray.count) puts failed without an election: \(stray.prefix(5))")
                try expectAll(acknowledged, on: cluster.members)
                #expect(try cluster.list().count == 3)
                let (puts, failed) = (acknowledged.count, writers.failed.count)
                print(
                    "    \(kind.rawValue): 1 -> 3 -> 5 -> 3 members, then each of them replaced: \(puts) puts"
                        + " acknowledged, \(failed) failed during \(cluster.elections.count) elections")
            } catch {
                Issue.record("\(kind.rawValue): \(error)\(cluster.logs)")
            }
        }
    }
}
