import Foundation
import Testing

/// A cluster that starts with one member and changes as its operator orders, with etcd's client.
final class ChangingCluster {
    enum Role {
        case learner
        case voter
    }

    struct Listed: Hashable {
        var id: String
        var name: String
        var isStarted: Bool
        var isLearner: Bool
    }

    private(set) var members: [Member] = []
    /// When a leader was taken away.
    private(set) var elections: [Double] = []
    private let kind: Cluster.Kind
    private let program: String
    private let prefix: String
    private let scratch: Scratch
    /// Those that were removed; they keep their logs for whoever looks for a reason.
    private var former: [Member] = []

    init(_ kind: Cluster.Kind) throws {
        self.kind = kind
        program = try kind == .etcd ? Programs.etcd() : Programs.ours("registryd")
        prefix = try Loopback.freePrefix(addresses: 11...18)
        scratch = try Scratch()
        let first = member("a", initial: "a=\(peerURL("a"))", state: "new")
        try first.start()
        members.append(first)
        try first.waitUntilHealthy()
    }

    deinit {
        for member in members + former { member.kill9() }
    }

    var logs: String {
        (former + members).map { member in
            let lines = member.log.split(separator: "\n").suffix(25).joined(separator: "\n")
            return "\n--- \(member.name) (\(member.isRunning ? "runs" : "does not run"))\n\(lines)"
        }.joined()
    }

    private func host(_ name: String) -> String {
        let letters = ["a", "b", "c", "d", "e", "f", "g", "h"]
        return "\(prefix)\(11 + (letters.firstIndex(of: name) ?? letters.count))"
    }

    private func peerURL(_ name: String) -> String { "http://\(host(name)):2380" }

    private func member(_ name: String, initial: String, state: String) -> Member {
        let client = "http://\(host(name)):2379"
        return Member(
            name: name, host: host(name), folder: scratch.path, program: program,
            arguments: [
                "--name", name, "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peerURL(name), "--initial-advertise-peer-urls", peerURL(name),
                "--initial-cluster", initial, "--initial-cluster-token", Cluster.Kind.token,
                "--initial-cluster-state", state,
            ])
    }

    // MARK: What the operator does

    func add(_ name: String, as role: Role, _ writers: Writers) throws {
        let words = ["member", "add", name, "--peer-urls=\(peerURL(name))"] + (role == .learner ? ["--learner"] : [])
        let output = try order(words)
        let quote = "ETCD_INITIAL_CLUSTER=\""
        guard let line = output.split(separator: "\n").first(where: { $0.hasPrefix(quote) }) else {
            throw TestFailure("member add does not say what to start the member with: \(output)")
        }
        let initial = String(line.dropFirst(quote.count).dropLast())
        let added = member(name, initial: initial, state: "existing")
        // Known from here on: it is ended, whatever happens.
        members.append(added)
        try added.start()
        if role == .learner { try order(["member", "promote", id(of: name)], without: added) }
        try eventually("\(name) is a voter") {
            guard added.isRunning else { throw TestFailure("it has ended") }
            return try list().contains { $0.name == name && $0.isStarted && !$0.isLearner }
        }
        try added.waitUntilHealthy()
        writers.spread(over: members)
        try writers.waitForProgress(of: 10)
    }

    func remove(_ name: String, _ writers: Writers) throws {
        guard let index = members.firstIndex(where: { $0.name == name }) else { throw TestFailure("no \(name)") }
        let removed = members[index]
        let isLeader = try Cluster.leader(of: members) === removed
        let number = try id(of: name)
        members.remove(at: index)
        former.append(removed)
        // Its clients go elsewhere first.
        writers.spread(over: members)
        try writers.waitForProgress(of: 10)
        if isLeader { elections.append(now()) }
        try order(["member", "remove", number])
        guard try removed.child.wait(seconds: 15) != nil else {
            throw TestFailure("\(name) was removed and goes on running")
        }
        _ = try Cluster.leader(of: members)
        try writers.waitForProgress(of: 10)
    }

    private func id(of name: String) throws -> String {
        let listed = try list()
        guard let found = listed.first(where: { $0.name == name || ($0.name.isEmpty && $0.isLearner) }) else {
            throw TestFailure("\(name) is not among \(listed)")
        }
        return found.id
    }

    /// What `member list` says.
    func list() throws -> [Listed] {
        try etcdctl(["member", "list"]).split(separator: "\n").map { line in
            let words = line.components(separatedBy: ", ")
            guard words.count == 6 else { throw TestFailure("member list says '\(line)'") }
            return Listed(
                id: words[0], name: words[2], isStarted: words[1] == "started", isLearner: words[5] == "true")
        }
    }

    /// Gives an order until it is taken: etcd refuses while members have been connected for less than five seconds, and
    /// to promote a learner that is behind.
    @discardableResult
    private func order(_ words: [String], without new: Member? = nil) throws -> String {
        try eventually("\(words.joined(separator: " ")) is done", seconds: 30) {
            if let new, !new.isRunning { throw TestFailure("\(new.name) has ended") }
            return try etcdctl(words)
        }
    }

    private func etcdctl(_ words: [String]) throws -> String {
        // Not the one that was added last: it may not serve yet.
        let serving = members.filter(\.isRunning).prefix(max(1, members.count - 1)).map(\.endpoint)
        let outcome = try ChildProcess.run(
            Programs.etcdctl(), ["--endpoints", serving.joined(separator: ",")] + words,
            environment: ["ETCDCTL_API": "3"], seconds: 20)
        guard outcome.status == 0 else { throw TestFailure("etcdctl \(words): \(outcome.errors)") }
        return outcome.output
    }
}
