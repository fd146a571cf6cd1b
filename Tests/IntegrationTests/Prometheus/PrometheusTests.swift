import Foundation
import Testing

extension RealProcesses {
    /// Dashboards and alerts made for etcd go on working: Debian's Prometheus scrapes three members.
    @Suite struct PrometheusTests {
        @Test("Every alert made for etcd has what it needs; a lost member is seen by those that are meant to see it")
        func alerts() throws {
            let cluster = try Cluster.started(extra: ["--metrics", "extensive"])
            let host = cluster.members[0].host
            let server = try PrometheusServer(
                host: String(host.dropLast(2)) + "20", targets: cluster.endpoints, alerts: Alert.all)
            do {
                try work(on: cluster)
                try expectData(server)
                try expectValues(server)
                try expectAlertsOfLoss(cluster, server)
            } catch {
                Issue.record("\(error)\n--- Prometheus\n\(server.log)\(cluster.logs)")
            }
        }

        @Test("promtool can read what a member shows")
        func format() throws {
            let cluster = try Cluster.started(size: 1)
            let text = try cluster.members[0].gateway().get("/metrics").text
            let check = try ChildProcess.run(Programs.promtool(), ["check", "metrics"], input: text)
            // 3: names that are not in Prometheus' style, such as counters of etcd without _total.
            #expect([0, 3].contains(check.status), "\(check)")
        }

        private func work(on cluster: Cluster) throws {
            for (number, member) in cluster.members.enumerated() {
                let gateway = try member.gateway()
                for key in 0..<20 { try gateway.put("k\(number)-\(key)", "v") }
                _ = try gateway.range(prefix: "k")
            }
        }

        private func expectData(_ server: PrometheusServer) throws {
            for alert in Alert.all {
                for expression in alert.data {
                    try eventually("\(alert.name) finds something for \(expression)", seconds: 40) {
                        try !server.query(expression).isEmpty
                    }
                }
            }
            try eventually("every alert has been evaluated", seconds: 20) {
                let rules = try server.rules()
                #expect(rules.count == Alert.all.count)
                if let broken = rules.first(where: { $0.health == "err" }) {
                    throw TestFailure("\(broken.name): \(broken.lastError ?? "?")")
                }
                return rules.allSatisfy { $0.health == "ok" }
            }
        }

        /// Of the values themselves, those that follow from what was done.
        private func expectValues(_ server: PrometheusServer) throws {
            for (expression, value) in [
                ("count(up == 1)", 3.0), ("sum(etcd_server_is_leader)", 1), ("min(etcd_mvcc_put_total)", 60),
                ("max(etcd_mvcc_put_total)", 60), ("count(etcd_network_active_peers == 1)", 6),
                ("count(etcd_network_known_peers == 1)", 6), ("sum(etcd_server_proposals_pending)", 0),
                ("count(etcd_network_peer_round_trip_time_seconds_count > 0)", 6),
                ("count(etcd_disk_backend_commit_duration_seconds_count > 0)", 3),
                // The leader sends to two, and both answer it.
                ("count(etcd_network_peer_sent_bytes_total > 1000) >= bool 4", 1),
                ("count(etcd_network_peer_received_bytes_total > 1000) >= bool 4", 1),
                ("sum(etcd_server_client_requests_total{type=\"unary\"}) >= bool 63", 1),
            ] {
                try eventually("\(expression) is \(value)", seconds: 20) {
                    let found = try server.query(expression).map(\.value.number)
                    guard found == [value] else { throw TestFailure("it is \(found)") }
                    return true
                }
            }
            for expression in Alert.all.filter({ $0.name == Alert.membersDown || $0.name == Alert.insufficientMembers })
            {
                #expect(try server.query(expression.expression).isEmpty, "\(expression.name)")
            }
        }

        private func expectAlertsOfLoss(_ cluster: Cluster, _ server: PrometheusServer) throws {
            let leader = try cluster.leader()
            cluster.others(than: leader)[0].kill9()
            let down = try #require(Alert.all.first { $0.name == Alert.membersDown })
            try eventually("\(down.name) fires", seconds: 20) { try !server.query(down.expression).isEmpty }
            // As the leader says itself, not only because the member is not there to be scraped.
            let failures = "sum without (instance) (rate(etcd_network_peer_sent_failures_total[5s])) > 0.01"
            try eventually("messages to one member fail", seconds: 20) { try server.query(failures).count == 1 }
            try eventually("a link is known to be lost", seconds: 20) {
                try server.query("etcd_network_disconnected_peers_total > 0").count >= 2
                    && server.query("etcd_network_active_peers == 0").count == 2
            }
        }
    }
}
