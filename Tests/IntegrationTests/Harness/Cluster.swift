import Foundation
import Synchronization

/// One member as a process; survives being killed and started again.
final class Member: Sendable {
    let name: String
    let host: String
    /// Of this member alone; made at its first start.
    let directory: String
    let logPath: String
    private let program: String
    private let arguments: [String]
    private let environment: [String: String]
    private let process = Mutex<ChildProcess?>(nil)

    init(
        name: String, host: String, folder: String, program: String, arguments: [String],
        environment: [String: String]
    ) {
        self.name = name
        self.host = host
        directory = "\(folder)/\(name)"
        logPath = "\(folder)/\(name).log"
        self.program = program
        self.arguments = arguments
        self.environment = environment
    }

    var endpoint: String { "\(host):2379" }
    var log: String { Scratch.read(logPath) }
    /// The process as it runs now.
    var child: ChildProcess {
        get throws {
            guard let child = process.withLock({ $0 }) else { throw TestFailure("\(name) was not started") }
            return child
        }
    }
    var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }

    func start() throws {
        guard !isRunning else { throw TestFailure("\(name) runs already") }
        let started = try ChildProcess(
            program, ["--data-dir", directory] + arguments, environment: environment, output: logPath)
        process.withLock { $0 = started }
    }

    func kill9() { process.withLock { $0?.kill() } }
    func freeze() throws { try child.signal(SIGSTOP) }
    func thaw() throws { try child.signal(SIGCONT) }
    func terminate() throws { try child.signal(SIGTERM) }

    func gateway(seconds: Double = 5) throws -> Gateway { try Gateway(host, seconds: seconds) }

    func waitUntilHealthy(seconds: Double = 30) throws {
        try eventually("\(name) is healthy; it said: \(log)", seconds: seconds) {
            guard isRunning else { throw TestFailure("it has ended: \(log)") }
            return try gateway().get("/health").text.contains("\"true\"")
        }
    }
}

/// Three members on loopback addresses, ours or etcd's, with the same flags; ended and removed when let go.
final class Cluster: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        case registry
        case etcd

        /// Member ids follow from the peer addresses and this, by the same rule in both.
        static let token = "integration"
    }

    let members: [Member]
    private let scratch: Scratch

    /// - Parameters:
    ///   - prefix: `127.0.88.`; nil takes one that is free.
    ///   - extra: more flags of every member.
    init(
        _ kind: Kind = .registry, prefix: String? = nil, token: String = Kind.token, extra: [String] = [],
        environment: [String: String] = [:]
    ) throws {
        let prefix = try prefix ?? Loopback.freePrefix()
        let scratch = try Scratch()
        self.scratch = scratch
        let program = try kind == .etcd ? Programs.etcd() : Programs.ours("registryd")
        let hosts = (11...13).map { "\(prefix)\($0)" }
        let names = ["a", "b", "c"]
        let initial = zip(names, hosts).map { "\($0)=http://\($1):2380" }.joined(separator: ",")
        members = zip(names, hosts).map { name, host in
            let arguments = [
                "--name", name, "--listen-client-urls", "http://\(host):2379",
                "--advertise-client-urls", "http://\(host):2379", "--listen-peer-urls", "http://\(host):2380",
                "--initial-advertise-peer-urls", "http://\(host):2380", "--initial-cluster", initial,
                "--initial-cluster-token", token, "--initial-cluster-state", "new",
            ]
            return Member(
                name: name, host: host, folder: scratch.path, program: program, arguments: arguments + extra,
                environment: environment)
        }
    }

    /// Starts all members and waits until each of them knows a leader.
    static func started(_ kind: Kind = .registry, prefix: String? = nil, extra: [String] = []) throws -> Cluster {
        let cluster = try Cluster(kind, prefix: prefix, extra: extra)
        for member in cluster.members { try member.start() }
        for member in cluster.members { try member.waitUntilHealthy() }
        return cluster
    }

    deinit {
        for member in members { member.kill9() }
    }

    var endpoints: [String] { members.map(\.endpoint) }

    /// The end of every member's log, as the explanation of a failure.
    var logs: String {
        members.map { member in
            let lines = member.log.split(separator: "\n").suffix(40).joined(separator: "\n")
            return "\n--- \(member.name) (\(member.isRunning ? "runs" : "does not run"))\n\(lines)"
        }.joined()
    }

    /// The member that every running member takes for the leader's.
    func leader(seconds: Double = 15) throws -> Member {
        try eventually("one leader", seconds: seconds) {
            let leading = try members.filter { $0.isRunning }.filter { try $0.gateway(seconds: 1).status().isLeader }
            return leading.count == 1 ? leading[0] : nil
        }
    }

    func others(than member: Member) -> [Member] { members.filter { $0 !== member } }

    /// Runs etcdctl against all members, or those given.
    func etcdctl(_ arguments: [String], endpoints: [String]? = nil, input: String = "", seconds: Double = 20)
        throws -> Outcome
    {
        try ChildProcess.run(
            Programs.etcdctl(), ["--endpoints", (endpoints ?? self.endpoints).joined(separator: ",")] + arguments,
            environment: ["ETCDCTL_API": "3"], input: input, seconds: seconds)
    }

    /// Reads everything from each member's own state, once all are equally far.
    ///
    /// - Returns: what all of them hold.
    /// - Throws: when they do not get equally far, or hold different things.
    func agreedState(seconds: Double = 15) throws -> [GatewayAnswer.Pair] {
        let answers = try eventually("all members are at the same revision", seconds: seconds) {
            let answers = try members.map { try $0.gateway().range(serializable: true) }
            return Set(answers.map(\.revision)).count == 1 ? answers : nil
        }
        let states = answers.map { $0.kvs ?? [] }
        guard states.allSatisfy({ $0 == states[0] }) else {
            throw TestFailure("members hold different things at revision \(answers[0].revision)")
        }
        return states[0]
    }
}
