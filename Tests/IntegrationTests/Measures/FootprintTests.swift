import Foundation
import Testing

extension RealProcesses {
    /// Resident memory of programs that have nothing to do.
    @Suite struct FootprintTests {
        /// Long enough for everything that is lazy at the start to have happened.
        private static let idleSeconds = 3.0

        @Test("Idle members stay under 30 MB")
        func members() throws {
            let cluster = try Cluster.started()
            pause(Self.idleSeconds)
            for member in cluster.members {
                let megabytes = Double(try member.child.residentKilobytes()) / 1_024
                print("    idle member \(member.name): \(String(format: "%.1f", megabytes)) MB resident")
                #expect(megabytes < 30, "\(member.name): \(megabytes) MB")
            }
        }

        @Test("Idle agents stay under 15 MB")
        func agents() throws {
            let cluster = try Cluster.started()
            let scratch = try Scratch()
            let hosts = cluster.endpoints.map { "\"\($0)\"" }.joined(separator: ", ")
            try scratch.write(
                "nerve.yaml",
                """
                instance_id: idle
                registry_hosts: [\(hosts)]
                services:
                  web:
                    host: \(cluster.members[0].host)
                    port: 2379
                    reporter_type: registry
                    registry_path: /services/web
                    check_interval: 1
                    checks:
                      - {type: http, uri: /health, rise: 1, fall: 2}

                """)
            try scratch.write(
                "synapse.yaml",
                """
                registry_hosts: [\(hosts)]
                services:
                  web:
                    discovery: {method: registry, path: /services/web}
                    haproxy: {port: 3210}
                haproxy:
                  config_file_path: \(scratch.path)/haproxy.cfg
                  do_writes: true
                  do_reloads: false
                  do_socket: false
                  global: []
                  defaults: []

                """)
            let agents = try ["nerve", "synapse"].map { name in
                let log = "\(scratch.path)/\(name).log"
                return try ChildProcess(
                    Programs.ours(name), ["-c", "\(scratch.path)/\(name).yaml"], output: log)
            }
            func logs() -> String { ["nerve", "synapse"].map { Scratch.read("\(scratch.path)/\($0).log") }.joined() }
            try eventually("the registration has reached the HAProxy configuration: \(logs())") {
                Scratch.read("\(scratch.path)/haproxy.cfg").contains("\(cluster.members[0].host):2379")
            }
            pause(Self.idleSeconds)
            for (agent, name) in zip(agents, ["nerve", "synapse"]) {
                let megabytes = Double(try agent.residentKilobytes()) / 1_024
                print("    idle \(name): \(String(format: "%.1f", megabytes)) MB resident")
                #expect(megabytes < 15, "\(name): \(megabytes) MB")
            }
        }
    }
}
