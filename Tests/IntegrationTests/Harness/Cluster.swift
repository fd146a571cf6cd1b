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
    /// Where it runs, and where its clients are.
    private let namespaces: (own: Namespace, clients: Namespace)?
    private let process = Mutex<ChildProcess?>(nil)

    init(
        name: String, host: String, folder: String, program: String, arguments: [String],
        environment: [String: String] = [:], namespaces: (own: Namespace, clients: Namespace)? = nil
    ) {
        self.name = name
        self.host = host
        directory = "\(folder)/\(name)"
        logPath = "\(folder)/\(name).log"
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.namespaces = namespaces
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
        let words = (namespaces?.own.prefix ?? []) + [program, "--data-dir", directory] + arguments
        let started = try ChildProcess(
            words[0], Array(words.dropFirst()), environment: environment, output: logPath)
        process.withLock { $0 = started }
    }

    func kill9() { process.withLock { $0?.kill() } }
    func freeze() throws { try child.signal(SIGSTOP) }
    func thaw() throws { try child.signal(SIGCONT) }
    func terminate() throws { try child.signal(SIGTERM) }

    func gateway(seconds: Double = 5) throws -> Gateway {
        try Gateway(host, seconds: seconds, from: namespaces?.clients)
    }

    func waitUntilHealthy(seconds: Double = 30) throws {
        try eventually("\(name) is healthy; it said: \(log)", seconds: seconds) {
            guard isRunning else { throw TestFailure("it has ended: \(log)") }
            return try gateway().get("/health").text.contains("\"true\"")
        }
    }
}

/// What the tests read of a member's metrics.
enum Metric: String {
    case leaderChanges = "etcd_server_leader_changes_seen_total"
    /// Of the member's loop since it started, in seconds.
    case longestStep = "ganglion_core_longest_step_seconds"
    case watchers = "etcd_debugging_mvcc_watcher_total"
}

extension Member {
    func metric(_ metric: Metric) throws -> Double {
        let lines = try gateway().get("/metrics").text.split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix(metric.rawValue + " ") }),
            let value = line.split(separator: " ").last.flatMap({ Double($0) })
        else { throw TestFailure("\(name) has no metric \(metric.rawValue)") }
        return value
    }
}

/// Members on loopback addresses, ours or etcd's, with the same flags; ended and removed when let go.
final class Cluster: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        case registry
        case etcd

        /// Member ids follow from the peer addresses and this, by the same rule in both.
        static let token = "integration"
    }

    let members: [Member]
    /// Where the members are hosts of their own; the last host is the clients'.
    let network: SwitchedNetwork?
    private let scratch: Scratch

    /// - Parameters:
    ///   - prefix: `127.0.88.`; nil takes one that is free.
    ///   - isSwitched: a network namespace for each member and one for the clients, instead of loopback addresses.
    ///   - size: how many members, at most three.
    ///   - extra: more flags of every member.
    ///   - programs: by member, where it is not the usual one.
    init(
        _ kind: Kind = .registry, prefix: String? = nil, isSwitched: Bool = false, token: String = Kind.token,
        size: Int = 3, extra: [String] = [], environment: [String: String] = [:], programs: [String: String] = [:]
    ) throws {
        let network = isSwitched ? try SwitchedNetwork(addresses: [11, 12, 13, 20]) : nil
        self.network = network
        let prefix = try isSwitched ? SwitchedNetwork.addressPrefix : prefix ?? Loopback.freePrefix()
        let scratch = try Scratch()
        self.scratch = scratch
        let program = try kind == .etcd ? Programs.etcd() : Programs.ours("registryd")
        let hosts = (11...13).prefix(size).map { "\(prefix)\($0)" }
        let names = Array(["a", "b", "c"].prefix(size))
        let initial = zip(names, hosts).map { "\($0)=http://\($1):2380" }.joined(separator: ",")
        members = zip(names.indices, zip(names, hosts)).map { index, member in
            let (name, host) = member
            let arguments = [
                "--name", name, "--listen-client-urls", "http://\(host):2379",
                "--advertise-client-urls", "http://\(host):2379", "--listen-peer-urls", "http://\(host):2380",
                "--initial-advertise-peer-urls", "http://\(host):2380", "--initial-cluster", initial,
                "--initial-cluster-token", token, "--initial-cluster-state", "new",
            ]
            return Member(
                name: name, host: host, folder: scratch.path, program: programs[name] ?? program,
                arguments: arguments + extra,
                environment: environment, namespaces: network.map { ($0.hosts[index], $0.hosts[$0.hosts.count - 1]) })
        }
    }

    /// Starts all members and waits until each of them knows a leader.
    static func started(
        _ kind: Kind = .registry, prefix: String? = nil, isSwitched: Bool = false, size: Int = 3, extra: [String] = []
    ) throws -> Cluster {
        let cluster = try Cluster(kind, prefix: prefix, isSwitched: isSwitched, size: size, extra: extra)
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

    /// The latest changes of role in every member's log.
    var roles: String {
        members.map { member in
            let lines = member.log.split(separator: "\n").filter { $0.contains(" role ") }.suffix(8)
            return "\n--- \(member.name)\n\(lines.joined(separator: "\n"))"
        }.joined()
    }

    /// The member that every running member takes for the leader.
    func leader(seconds: Double = 15) throws -> Member { try Self.leader(of: members, seconds: seconds) }

    static func leader(of members: [Member], seconds: Double = 15) throws -> Member {
        try eventually("one leader", seconds: seconds) {
            let running = members.filter { $0.isRunning }
            let states = try running.map { try $0.gateway(seconds: 1).status() }
            guard Set(states.map(\.leader)).count == 1 else { return nil }
            return zip(running, states).first { $1.isLeader }?.0
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

    /// Takes a member off the switch without a word to anybody, or back.
    func unplug(_ member: Member) throws { try switched(member) { try $0.unplug($1) } }
    func plugIn(_ member: Member) throws { try switched(member) { try $0.plugIn($1) } }

    private func switched(_ member: Member, _ body: (SwitchedNetwork, Namespace) throws -> Void) throws {
        guard let network, let index = members.firstIndex(where: { $0 === member }) else {
            throw TestFailure("\(member.name) is not on a switch")
        }
        try body(network, network.hosts[index])
    }

    /// Reads everything from each member's own state, once all are equally far.
    ///
    /// - Returns: what all of them hold.
    /// - Throws: when they do not get equally far, or hold different things.
    func agreedState(seconds: Double = 15) throws -> [GatewayAnswer.Pair] {
        try Self.agreedState(of: members, seconds: seconds)
    }

    static func agreedState(of members: [Member], seconds: Double = 15) throws -> [GatewayAnswer.Pair] {
        // A put that nobody waits for any more may still arrive: then everything is read once more.
        try eventually("all members hold the same", seconds: seconds) {
            let revisions = Set(try members.map { try $0.gateway().range(serializable: true, limit: 1).revision })
            guard revisions.count == 1 else { throw TestFailure("they are at revisions \(revisions.sorted())") }
            let state = try members[0].gateway().allPairs()
            for member in members.dropFirst() {
                guard try member.gateway().allPairs() == state else {
                    throw TestFailure("\(members[0].name) and \(member.name) differ at revision \(revisions)")
                }
            }
            return state
        }
    }
}
