import Foundation
import RegistryClient
import Synchronization
import Testing

extension RealProcesses {
    /// Members, clients and agents that know each other by certificates.
    @Suite struct TLSTests {
        @Test("etcdctl, registryctl and curl work with certificates; other CAs, none, and plaintext are refused")
        func mutual() throws {
            let cluster = try SecureCluster.started()
            for program in ["etcdctl", "registryctl"] {
                let put = try cluster.control(program, cluster.flags() + ["put", program, "value"])
                #expect(put.output == "OK\n", "\(put) \(cluster.logs)")
                let get = try cluster.control(program, cluster.flags("bob") + ["get", program])
                #expect(get.output == "\(program)\nvalue\n", "\(get)")
                let refused = [
                    "another CA's certificate": cluster.flags(stranger: true),
                    "trust in another CA": cluster.flags(trustsStranger: true),
                    "no certificate": ["--cacert", cluster.path("ca.pem")],
                ]
                for (how, flags) in refused {
                    let outcome = try cluster.control(program, flags + ["put", "stranger", "x"])
                    #expect(outcome.status != 0 && outcome.output.isEmpty, "\(program), \(how): \(outcome)")
                }
                let plain = cluster.hosts.map { "http://\($0):2379" }
                let outcome = try cluster.control(program, ["put", "stranger", "x"], endpoints: plain)
                #expect(outcome.status != 0 && outcome.output.isEmpty, "\(program), plaintext: \(outcome)")
            }
            let members = try cluster.control("etcdctl", cluster.flags() + ["member", "list"])
            #expect(members.output.split(separator: "\n").count == 3 && members.output.contains("https://"))
            let all = try cluster.control("etcdctl", cluster.flags() + ["get", "--prefix", "", "--keys-only"])
            #expect(!all.output.contains("stranger"))
            let careless = try cluster.curl("http://\(cluster.hosts[0]):2379/health", client: nil)
            #expect(careless.output.contains("HTTP request to an HTTPS server"), "\(careless)")
            let nobody = try cluster.curl("https://\(cluster.hosts[0]):2379/health", client: nil)
            #expect(nobody.status != 0 && nobody.output.isEmpty, "\(nobody)")
        }

        @Test("Members refuse at their own port what they refuse at the clients': other CAs, none, and plaintext")
        func memberPort() throws {
            let cluster = try SecureCluster.started()
            let place = "\(cluster.hosts[0]):2380"
            // TLS 1.2, so that the refusal is part of the handshake.
            let handshake = ["s_client", "-connect", place, "-tls1_2"]
            let pair = { (stranger: Bool) in
                [
                    "-cert", cluster.path("peer.pem", stranger: stranger), "-key",
                    cluster.path("peer.key", stranger: stranger),
                ]
            }
            let welcome = try cluster.openssl(handshake + pair(false) + ["-CAfile", cluster.path("ca.pem")])
            #expect(welcome.status == 0 && welcome.output.contains("Verify return code: 0"), "\(welcome)")
            let stranger = try cluster.openssl(handshake + pair(true))
            #expect(stranger.status != 0 && stranger.errors.contains("alert unknown ca"), "\(stranger)")
            let nobody = try cluster.openssl(handshake)
            #expect(nobody.status != 0 && nobody.errors.contains("alert"), "\(nobody)")
            let plain = try cluster.curl("http://\(place)/", client: nil)
            #expect(plain.output.contains("HTTP request to an HTTPS server"), "\(plain)")
            let log = cluster.members[0].log
            #expect(log.contains("member port: refused a connection"), "\(log)")

            // A new member of another CA is not even told who the members are.
            let added = try cluster.control(
                "etcdctl", cluster.flags() + ["member", "add", "d", "--peer-urls=https://\(cluster.hosts[0]):2390"])
            #expect(added.status == 0, "\(added)")
            for isStranger in [true, false] {
                let scratch = try Scratch()
                let names = zip(["a", "b", "c"], cluster.hosts).map { "\($0)=https://\($1):2380" }
                let host = cluster.hosts[0]
                let joining = Member(
                    name: "d", host: host, folder: scratch.path, program: try Programs.ours("registryd"),
                    arguments: [
                        "--name", "d", "--listen-client-urls", "http://\(host):2389", "--advertise-client-urls",
                        "http://\(host):2389", "--listen-peer-urls", "https://\(host):2390",
                        "--initial-advertise-peer-urls", "https://\(host):2390", "--initial-cluster-state", "existing",
                        "--initial-cluster", (names + ["d=https://\(host):2390"]).joined(separator: ","),
                        "--peer-cert-file", cluster.path("peer.pem", stranger: isStranger), "--peer-key-file",
                        cluster.path("peer.key", stranger: isStranger), "--peer-trusted-ca-file",
                        cluster.path("ca.pem", stranger: isStranger),
                    ])
                try joining.start()
                defer { joining.kill9() }
                if isStranger {
                    try eventually("the stranger gives up: \(joining.log)", seconds: 30) { !joining.isRunning }
                    #expect(joining.log.contains("not signed by a trusted CA"), "\(joining.log)")
                } else {
                    try eventually("it has caught up: \(joining.log)", seconds: 30) {
                        let list = try cluster.control("etcdctl", cluster.flags() + ["member", "list"])
                        return list.output.contains("started, d,")
                    }
                }
            }
        }

        @Test("Certificates are replaced while requests flow: none fails, and the new ones are shown everywhere")
        func rotation() async throws {
            let cluster = try SecureCluster.started()
            let before = try (2379...2380).map { try cluster.serial(cluster.hosts[0], port: $0) }
            let stop = Mutex(false)
            let registry = try cluster.registry()
            async let written = Self.write(with: registry) { stop.withLock { $0 } }
            for _ in 0..<2 {
                try cluster.rotate()
                // etcdctl makes a new connection each time, with the client's new certificate.
                for round in 0..<8 {
                    let put = try cluster.control("etcdctl", cluster.flags("bob") + ["put", "round", "\(round)"])
                    #expect(put.output == "OK\n", "\(put) \(cluster.logs)")
                }
                try eventually("new certificates at both ports: \(cluster.logs)") {
                    try zip(before, 2379...2380).allSatisfy { try cluster.serial(cluster.hosts[0], port: $1) != $0 }
                }
                // New links between members, made with what lies there now.
                let follower = cluster.members[2]
                try follower.terminate()
                try eventually("\(follower.name) has stopped") { !follower.isRunning }
                try follower.start()
                try cluster.waitUntilHealthy(follower)
            }
            stop.withLock { $0 = true }
            let count = try await written
            await registry.close()
            #expect(count > 100)
            for member in cluster.members { #expect(member.isRunning) }
            // A key that does not belong to its certificate is complained about, and the old pair goes on.
            let other = try String(contentsOfFile: cluster.path("bob.key"), encoding: .utf8)
            try other.write(toFile: cluster.path("server.key"), atomically: true, encoding: .utf8)
            try eventually("the complaint: \(cluster.logs)") {
                _ = try cluster.curl("https://\(cluster.hosts[0]):2379/health", client: "alice")
                return cluster.members[0].log.contains("the earlier ones stay in force: --key-file")
            }
            let put = try cluster.control("etcdctl", cluster.flags() + ["put", "last", "x"])
            #expect(put.output == "OK\n", "\(put)")
        }

        /// Writes one key after the other; how many there were.
        private static func write(with registry: Registry, until isOver: () -> Bool) async throws -> Int {
            var count = 0
            while !isOver() {
                try await registry.put(Array("flow".utf8), Array("\(count)".utf8))
                count += 1
            }
            return count
        }

        @Test("nerve registers and synapse discovers over mutual TLS")
        func agents() throws {
            let cluster = try SecureCluster.started()
            let scratch = try Scratch()
            let hosts = cluster.hosts.map { "\"\($0):2379\"" }.joined(separator: ", ")
            let tls =
                "{ca: \(cluster.path("ca.pem")), cert: \(cluster.path("alice.pem")), key: \(cluster.path("alice.key"))}"
            try scratch.write(
                "nerve.yaml",
                """
                instance_id: secure
                registry_hosts: [\(hosts)]
                registry_tls: \(tls)
                services:
                  web:
                    host: \(cluster.hosts[0])
                    port: 2379
                    reporter_type: registry
                    registry_path: /services/web
                    check_interval: 1
                    checks:
                      - {type: tcp, rise: 1, fall: 2}

                """)
            try scratch.write(
                "synapse.yaml",
                """
                services:
                  web:
                    discovery: {method: registry, path: /services/web, registry_hosts: [\(hosts)], registry_tls: \(tls)}
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
                try ChildProcess(
                    Programs.ours(name), ["-c", "\(scratch.path)/\(name).yaml"], output: "\(scratch.path)/\(name).log")
            }
            func logs() -> String { ["nerve", "synapse"].map { Scratch.read("\(scratch.path)/\($0).log") }.joined() }
            try eventually("the registration has reached the HAProxy configuration: \(logs())") {
                Scratch.read("\(scratch.path)/haproxy.cfg").contains("\(cluster.hosts[0]):2379")
            }
            for agent in agents { #expect(agent.isRunning) }
        }

        @Test("registryctl certs keeps keys to their owner and overwrites nothing")
        func certificates() throws {
            let scratch = try Scratch()
            let directory = "\(scratch.path)/certs"
            try SecureCluster.certs(directory, [])
            for name in ["ca", "server", "peer", "client"] {
                let key = try FileManager.default.attributesOfItem(atPath: "\(directory)/\(name).key")
                #expect((key[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(name)")
            }
            let before = Scratch.read("\(directory)/ca.pem")
            let again = try ChildProcess.run(Programs.ours("registryctl"), ["certs", directory])
            #expect(again.status == 1 && again.errors.contains("\(directory)/ca.pem"), "\(again)")
            #expect(Scratch.read("\(directory)/ca.pem") == before)
            let openssl = try Programs.debian("openssl", package: "openssl")
            for (name, purpose) in [
                ("server", "sslserver"), ("peer", "sslserver"), ("peer", "sslclient"), ("client", "sslclient"),
            ] {
                let outcome = try ChildProcess.run(
                    openssl,
                    [
                        "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "\(directory)/ca.pem",
                        "\(directory)/\(name).pem",
                    ])
                #expect(outcome.status == 0, "\(name), \(purpose): \(outcome)")
            }
        }
    }
}
