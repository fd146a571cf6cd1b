import Testing

extension RealProcesses {
    /// Clients that were written for etcd by others, in another language, drive three members with TLS.
    ///
    /// What they do, and what they must be answered, is in `Tests/PythonClients`.
    @Suite struct ClientsTests {
        private static let steps = [
            "keys_and_ranges", "transactions", "leases", "watches", "locks", "members", "users",
        ]

        @Test("etcd3, over gRPC with certificates on both sides: keys, transactions, leases, watches, locks, users")
        func gRPC() throws {
            try Self.play("etcd3_scenario.py", on: SecureCluster.started())
        }

        @Test("etcd3gw, over the JSON gateway: keys, transactions, leases, watches, locks, users")
        func gateway() throws {
            // The gateway refuses whoever shows a name while there are users.
            try Self.play("etcd3gw_scenario.py", on: SecureCluster.started(asksClients: false))
        }

        private static func play(_ script: String, on cluster: SecureCluster) throws {
            let outcome = try ChildProcess.run(
                Programs.python(),
                ["\(Repository.root)/Tests/PythonClients/\(script)", cluster.certificates] + cluster.hosts, seconds: 60)
            #expect(outcome.status == 0, "\(outcome.errors)\(cluster.logs)")
            #expect(outcome.output == steps.map { "\($0)\n" }.joined())
        }
    }
}
