import Primitives
import Raft

/// What of a block of a script is the same for every correct implementation. Read from the expected trace, and
/// collected from our nodes.
struct CasesFacts: Equatable {
    struct Seat: Hashable {
        var leader: UInt64
        var term: UInt64
    }

    struct Vote: Hashable {
        var voter: UInt64
        var candidate: UInt64
        var isPre: Bool
        var isGranted: Bool
    }

    struct HardState: Hashable {
        var term: UInt64
        /// 0 for none.
        var vote: UInt64
        var commit: UInt64
    }

    struct Heartbeat: Hashable {
        var from: UInt64
        var to: UInt64
        var commit: UInt64
    }

    /// Elected, in order.
    var leaders: [Seat] = []
    var votes: Set<Vote> = []
    /// The last one of each node.
    var hardStates: [UInt64: HardState] = [:]
    /// Committed entries handed out by each node, as term/index; of our own nodes since the beginning, since they
    /// may have done so earlier.
    var applied: [UInt64: [String]] = [:]
    var heartbeats: Set<Heartbeat> = []
    /// How many appends each node has refused.
    var refusedAppends: [UInt64: Int] = [:]
    /// Of our own: what must never happen.
    var findings: [String] = []

    init() {}

    /// - Parameter node: whose trace it is where the trace does not say.
    init(trace: String, of node: UInt64?) {
        var node = node
        var section = ""
        for line in trace.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard let first = words.first else { continue }
            if first == ">", words.count > 1 {
                node = UInt64(words[1])
                section = ""
            } else if first == "INFO" {
                readLog(words)
            } else if first == "HardState" {
                if let node { hardStates[node] = CasesFacts.hardState(words) }
            } else if first.hasSuffix(":"), words.count == 1 {
                section = first
            } else if section == "CommittedEntries:", let node, first.contains("/") {
                applied[node, default: []].append(first)
            } else if section == "Messages:" {
                readMessage(words)
            }
        }
    }

    private mutating func readLog(_ words: [String]) {
        guard words.count > 3, let node = UInt64(words[1]) else { return }
        if words[2...].starts(with: ["became", "leader"]), let term = words.last.flatMap(UInt64.init) {
            leaders.append(Seat(leader: node, term: term))
        }
        for (place, word) in words.enumerated() where ["cast", "rejected", "ignored"].contains(word) {
            guard place + 3 < words.count, let candidate = UInt64(words[place + 3]) else { continue }
            guard ["MsgVote", "MsgPreVote"].contains(words[place + 1]) else { continue }
            votes.insert(
                Vote(
                    voter: node, candidate: candidate, isPre: words[place + 1] == "MsgPreVote",
                    isGranted: word == "cast"))
        }
    }

    private static func hardState(_ words: [String]) -> HardState {
        func number(_ key: String) -> UInt64 {
            words.first { $0.hasPrefix(key) }.flatMap { UInt64($0.dropFirst(key.count)) } ?? 0
        }
        return HardState(term: number("Term:"), vote: number("Vote:"), commit: number("Commit:"))
    }

    private mutating func readMessage(_ words: [String]) {
        guard words.count > 1, let arrow = words[0].firstRange(of: "->"),
            let from = UInt64(words[0][..<arrow.lowerBound]), let to = UInt64(words[0][arrow.upperBound...])
        else { return }
        switch words[1] {
        case "MsgHeartbeat":
            heartbeats.insert(Heartbeat(from: from, to: to, commit: CasesFacts.hardState(words).commit))
        case "MsgAppResp" where words.contains("Rejected"): refusedAppends[from, default: 0] += 1
        default: break
        }
    }
}

extension CasesFacts {
    /// One of our own messages leaves.
    mutating func leaves(_ message: Message) {
        let from = message.from.number
        switch message.body {
        case .heartbeat(let commit, _):
            heartbeats.insert(Heartbeat(from: from, to: message.to.number, commit: commit.number))
        case .appendRejected: refusedAppends[from, default: 0] += 1
        default: break
        }
    }

    /// What can differ.
    enum Aspect: String, CaseIterable {
        case output, leaders, votes, hardStates, applied, heartbeats, probes
    }

    /// How `self`, observed, differs from what was expected.
    func differences(from expected: CasesFacts, isStep: Bool) -> [(aspect: Aspect, text: String)] {
        var found: [(aspect: Aspect, text: String)] = []
        func compare<Value: Equatable>(_ aspect: Aspect, _ value: Value, _ wanted: Value, _ what: String) {
            if value != wanted { found.append((aspect, "\(what): \(value), expected \(wanted)")) }
        }
        compare(.leaders, leaders, expected.leaders, "leaders")
        compare(.votes, votes.sortedByText, expected.votes.sortedByText, "votes")
        for (node, state) in expected.hardStates.sorted(by: { $0.key < $1.key }) {
            compare(.hardStates, hardStates[node], state, "node \(node)")
        }
        for (node, wanted) in expected.applied.sorted(by: { $0.key < $1.key }) where !isStep {
            compare(.applied, Array((applied[node] ?? []).suffix(wanted.count)), wanted, "applied by node \(node)")
        }
        if isStep { compare(.heartbeats, heartbeats.sortedByText, expected.heartbeats.sortedByText, "heartbeats") }
        for (node, count) in refusedAppends.sorted(by: { $0.key < $1.key }) {
            let wanted = expected.refusedAppends[node] ?? 0
            if count > wanted { found.append((.probes, "node \(node) refused \(count) appends, expected \(wanted)")) }
        }
        return found
    }
}

extension Set {
    fileprivate var sortedByText: [String] { map { "\($0)" }.sorted() }
}
