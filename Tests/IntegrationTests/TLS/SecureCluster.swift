import Foundation
import RegistryClient

/// Three members with mutual TLS on both ports, ours or etcd's, and the certificates that `registryctl certs` made for
/// them.
final class SecureCluster: Sendable {
    let members: [Member]
    let hosts: [String]
    private let scratch: Scratch

    /// - Parameter asksClients: clients must show a certificate, whose CommonName is their user; else they need none.
    init(_ kind: Cluster.Kind = .registry, asksClients: Bool = true) throws {
        let prefix = try Loopback.freePrefix()
        let scratch = try Scratch()
        self.scratch = scratch
        let hosts = (11...13).map { "\(prefix)\($0)" }
        self.hosts = hosts
        // etcd's members look whether a peer's certificate is for the address it comes from.
        let own = hosts + ["127.0.0.1"]
        try Self.certs("\(scratch.path)/certs", ["--hosts", own.joined(separator: ","), "--clients", "root,alice,bob"])
        try Self.certs("\(scratch.path)/strangers", ["--hosts", hosts.joined(separator: ","), "--clients", "alice"])
        let program = try kind == .registry ? Programs.ours("registryd") : Programs.etcd()
        let initial = zip(["a", "b", "c"], hosts).map { "\($0)=https://\($1):2380" }.joined(separator: ",")
        let certificates = "\(scratch.path)/certs"
        members = zip(["a", "b", "c"], hosts).map { name, host in
            Member(
                name: name, host: host, folder: scratch.path, program: program,
                arguments: [
                    "--name", name, "--listen-client-urls", "https://\(host):2379", "--advertise-client-urls",
                    "https://\(host):2379", "--listen-peer-urls", "https://\(host):2380",
                    "--initial-advertise-peer-urls", "https://\(host):2380", "--initial-cluster", initial,
                    "--cert-file", "\(certificates)/server.pem", "--key-file", "\(certificates)/server.key",
                    "--peer-cert-file", "\(certificates)/peer.pem", "--peer-key-file", "\(certificates)/peer.key",
                    "--peer-trusted-ca-file", "\(certificates)/ca.pem", "--peer-client-cert-auth",
                ] + (asksClients ? ["--trusted-ca-file", "\(certificates)/ca.pem", "--client-cert-auth"] : []))
        }
    }

    deinit {
        for member in members { member.kill9() }
    }

    static func started(_ kind: Cluster.Kind = .registry, asksClients: Bool = true) throws -> SecureCluster {
        let cluster = try SecureCluster(kind, asksClients: asksClients)
        for member in cluster.members { try member.start() }
        for member in cluster.members { try cluster.waitUntilHealthy(member) }
        return cluster
    }

    func waitUntilHealthy(_ member: Member) throws {
        try eventually("\(member.name) is healthy; it said: \(member.log)", seconds: 30) {
            guard member.isRunning else { throw TestFailure("it has ended: \(member.log)") }
            let outcome = try curl("https://\(member.host):2379/health", client: "alice")
            return outcome.output.contains("\"true\"")
        }
    }

    /// Runs `registryctl certs`.
    @discardableResult
    static func certs(_ directory: String, _ options: [String]) throws -> Outcome {
        let outcome = try ChildProcess.run(Programs.ours("registryctl"), ["certs", directory] + options)
        guard outcome.status == 0 else { throw TestFailure("registryctl certs: \(outcome.errors)") }
        return outcome
    }

    /// Where the certificates are.
    var certificates: String { "\(scratch.path)/certs" }

    func path(_ file: String, stranger: Bool = false) -> String {
        "\(scratch.path)/\(stranger ? "strangers" : "certs")/\(file)"
    }

    /// Makes every certificate anew, signed by the same CA, and puts them in the place of those in use.
    func rotate() throws {
        let fresh = "\(scratch.path)/fresh-\(UUID().uuidString)"
        let (old, list) = ("\(scratch.path)/certs", hosts.joined(separator: ","))
        try Self.certs(fresh, ["--ca", old, "--hosts", list, "--clients", "alice,bob"])
        for name in ["server", "peer", "alice", "bob"] {
            for ending in ["key", "pem"] {
                guard rename("\(fresh)/\(name).\(ending)", "\(old)/\(name).\(ending)") == 0 else {
                    throw TestFailure("cannot replace \(name).\(ending)")
                }
            }
        }
    }

    /// The flags with which etcdctl and registryctl show a client's certificate.
    func flags(_ client: String = "alice", stranger: Bool = false, trustsStranger: Bool = false) -> [String] {
        [
            "--cacert", path("ca.pem", stranger: trustsStranger), "--cert",
            path("\(client).pem", stranger: stranger), "--key", path("\(client).key", stranger: stranger),
        ]
    }

    var endpoints: [String] { hosts.map { "https://\($0):2379" } }

    func control(
        _ program: String, _ arguments: [String], endpoints: [String]? = nil, seconds: Double = 30
    ) throws -> Outcome {
        try ChildProcess.run(
            program == "etcdctl" ? Programs.etcdctl() : Programs.ours(program),
            ["--endpoints", (endpoints ?? self.endpoints).joined(separator: ","), "--command-timeout", "2s"]
                + arguments,
            environment: ["ETCDCTL_API": "3"], seconds: seconds)
    }

    func curl(_ url: String, client: String?, also: [String] = []) throws -> Outcome {
        let own = client.map { ["--cert", path("\($0).pem"), "--key", path("\($0).key")] } ?? []
        return try ChildProcess.run(
            Programs.debian("curl", package: "curl"),
            ["--silent", "--max-time", "5", "--cacert", path("ca.pem")] + own + also + [url])
    }

    func openssl(_ arguments: [String], input: String = "") throws -> Outcome {
        try ChildProcess.run(Programs.debian("openssl", package: "openssl"), arguments, input: input)
    }

    /// The serial number of the certificate that a port shows.
    func serial(_ host: String, port: Int) throws -> String {
        let shown = try openssl([
            "s_client", "-connect", "\(host):\(port)", "-cert", path("peer.pem"), "-key", path("peer.key"),
        ])
        let read = try openssl(["x509", "-noout", "-serial"], input: shown.output)
        guard read.status == 0 else { throw TestFailure("\(host):\(port) shows no certificate: \(shown)") }
        return read.output
    }

    /// A client of this process.
    func registry() throws -> Registry {
        var configuration = try Registry.Configuration(endpoints: endpoints)
        var tls = Registry.Configuration.TLS()
        tls.trustedCAFile = path("ca.pem")
        tls.certificateFile = path("alice.pem")
        tls.keyFile = path("alice.key")
        configuration.tls = tls
        configuration.requestTimeout = .seconds(20)
        return Registry(configuration)
    }

    var logs: String {
        members.map { "\n--- \($0.name)\n\($0.log.split(separator: "\n").suffix(30).joined(separator: "\n"))" }.joined()
    }
}
