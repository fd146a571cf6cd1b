import Foundation
import Testing

extension RealProcesses {
    /// The load generator of the benchmarks, for a moment each.
    @Suite struct LoadTests {
        private struct Result: Decodable {
            var done: Int
            var operations: Int
            var errors: [String: Int]
            var expected: Int
            var p50: Double
            var maximum: Double
        }

        @Test("Every kind of load gets through without an error, and puts are as many as they say")
        func kinds() throws {
            let cluster = try Cluster.started()
            let before = try cluster.leader().gateway().status().revision
            let puts = try load(cluster, ["put"])
            let offered = try load(cluster, ["put", "--rate", "200"])
            let made = try cluster.leader().gateway().status().revision - before
            #expect(made == puts.operations + offered.operations)
            #expect(offered.expected == 100 && offered.done >= 99)
            _ = try load(cluster, ["range"])
            _ = try load(cluster, ["range", "--serializable"])
            _ = try load(cluster, ["keepalive", "--leases", "20"])
            let renewals = try load(cluster, ["keepalive", "--leases", "20", "--rate", "100"])
            #expect(renewals.done >= 49)
            let watches = try load(cluster, ["watch", "--streams", "30", "--rate", "100"])
            #expect(watches.done == watches.expected && watches.done >= 30 * 49)
            let saturated = try load(cluster, ["watch", "--streams", "30"])
            #expect(saturated.done == saturated.expected)
        }

        @Test("An endpoint that is none, or where nobody listens, is named")
        func unreachable() throws {
            for endpoint in ["nowhere", "127.0.0.1:1"] {
                let outcome = try ChildProcess.run(
                    Programs.ours("etcdload"), ["put", "--endpoints", endpoint], seconds: 40)
                #expect(outcome.status != 0)
                #expect((outcome.output + outcome.errors).contains(endpoint), "\(outcome)")
            }
        }

        private func load(_ cluster: Cluster, _ words: [String]) throws -> Result {
            let outcome = try ChildProcess.run(
                Programs.ours("etcdload"),
                words + [
                    "--endpoints", cluster.endpoints.joined(separator: ","), "--seconds", "0.5", "--warmup", "0.2",
                    "--connections", "6",
                ], seconds: 60)
            let result = try JSONDecoder().decode(Result.self, from: Data(outcome.output.utf8))
            #expect(outcome.status == 0 && result.errors.isEmpty && result.done > 0, "\(words): \(outcome)")
            #expect(result.operations >= result.done && result.maximum >= result.p50 && result.p50 > 0)
            return result
        }
    }
}
