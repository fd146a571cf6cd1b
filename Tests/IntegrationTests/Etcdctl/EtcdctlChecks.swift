import Foundation
import Testing

extension RealProcesses {
    /// etcdctl's own judgements of a cluster. What they say beside PASS is measured, and differs from run to run.
    @Suite struct EtcdctlChecks {
        @Test("etcdctl check passes: datascale, and with ETCDCTL_PERF=1 also perf, which takes a minute")
        func passes() throws {
            let cluster = try Cluster.started()
            var checks = ["datascale"]
            if ProcessInfo.processInfo.environment["ETCDCTL_PERF"] == "1" { checks.append("perf") }
            for check in checks {
                // The check asks one endpoint for its memory.
                let outcome = try cluster.etcdctl(
                    ["check", check, "--load=s"], endpoints: [cluster.members[0].endpoint], seconds: 120)
                #expect(outcome.status == 0 && outcome.output.contains("PASS"), "\(check): \(outcome)")
                #expect(!outcome.output.contains("FAIL"), "\(check): \(outcome)")
            }
            // What a check wrote it also removed.
            #expect(try cluster.members[0].gateway().allPairs().isEmpty)
        }
    }
}
