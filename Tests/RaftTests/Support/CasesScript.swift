import Primitives
import Raft

/// Runs the directives of a script.
struct CasesScript {
    private(set) var cluster = CasesCluster()

    /// What a block did: its text where the directive asks for one, and the facts.
    struct Result {
        var output: String?
        var facts: CasesFacts
    }

    mutating func run(_ block: CasesFile.Block) throws(CaseFailure) -> Result {
        let output = try perform(block)
        return Result(output: output, facts: cluster.takeFacts())
    }

    /// - Returns: the text of directives that only look.
    private mutating func perform(_ block: CasesFile.Block) throws(CaseFailure) -> String? {
        switch block.command {
        case "log-level": break
        case "add-nodes": try addNodes(block)
        case "campaign": cluster.campaign(try node(block))
        case "tick-heartbeat": cluster.tick(try node(block))
        case "tick-election":
            for _ in 0..<CasesCluster.electionTicks { cluster.tick(try node(block)) }
        case "set-randomized-election-timeout":
            guard let ticks = block.value("timeout").flatMap({ Int($0) }) else { throw CaseFailure("no timeout") }
            cluster.pinElection(try node(block), ticks: ticks)
        case "propose": return try propose(block)
        case "propose-conf-change": return try proposeChange(block)
        case "process-ready": for id in try ids(block) { cluster.processReady(try cluster.slot(id)) }
        case "deliver-msgs": try deliver(block)
        case "stabilize": try stabilize(block)
        case "compact":
            guard block.words.count == 2, let index = UInt64(block.words[1]) else { throw CaseFailure("no index") }
            try cluster.compact(try node(block), to: LogIndex(index))
            return log(try node(block))
        // Not a directive of theirs.
        case "restart": cluster.restart(try node(block))
        case "send-snapshot": cluster.sendSnapshot(from: try node(block), to: try ids(block)[1])
        case "report-unreachable":
            cluster.step(try node(block), .unreachable(MemberID(try ids(block)[1])))
        case "transfer-leadership": try transfer(block)
        case "status": return status(try node(block))
        case "raft-log": return log(try node(block))
        case "raft-state": return states()
        default: throw CaseFailure("unknown directive '\(block.command)'")
        }
        return nil
    }

    // MARK: - Arguments

    private func ids(_ block: CasesFile.Block) throws(CaseFailure) -> [UInt64] {
        var ids: [UInt64] = []
        for word in block.words {
            guard let id = UInt64(word) else { throw CaseFailure("'\(word)' is no node") }
            ids.append(id)
        }
        return ids
    }

    /// The node the directive begins with.
    private func node(_ block: CasesFile.Block) throws(CaseFailure) -> Int {
        guard let word = block.words.first, let id = UInt64(word) else { throw CaseFailure("no node is named") }
        return try cluster.slot(id)
    }

    private func members(_ words: [String]?) throws(CaseFailure) -> [MemberID] {
        var members: [MemberID] = []
        for word in words ?? [] {
            guard let id = UInt64(word) else { throw CaseFailure("'\(word)' is no member") }
            members.append(MemberID(id))
        }
        return members
    }

    // MARK: - Doing

    private mutating func addNodes(_ block: CasesFile.Block) throws(CaseFailure) {
        guard let count = try ids(block).first else { throw CaseFailure("how many?") }
        for argument in block.arguments.dropFirst() {
            switch argument.key {
            // These change nothing here: our snapshots are positions, and a drain applies everything.
            case "voters", "learners", "index", "inflight", "content", "max-committed-size-per-ready": break
            case "prevote": cluster.asksFirst = argument.values == ["true"]
            case "checkquorum": cluster.protectsLeader = argument.values == ["true"]
            default: throw CaseFailure("unknown option '\(argument.key)'")
            }
        }
        let configuration = Configuration(
            voters: try members(block.values("voters")), learners: try members(block.values("learners")))
        let index = block.value("index").flatMap { UInt64($0) } ?? 0
        for _ in 0..<count {
            cluster.add(
                snapshotAt: LogIndex(index), configuration: configuration,
                windowMessagesMax: block.value("inflight").flatMap { Int($0) })
        }
    }

    /// - Returns: the scripts' word for a refusal.
    private mutating func propose(_ block: CasesFile.Block) throws(CaseFailure) -> String {
        guard block.words.count == 2 else { throw CaseFailure("propose what?") }
        let payload = Array(block.words[1].utf8)
        var isTaken = false
        cluster.change(try node(block)) { node, now, effects in
            if case .success = node.propose([payload], at: now, into: &effects) { isTaken = true }
        }
        return isTaken ? "ok\n" : "raft proposal dropped\n"
    }

    /// Without operations a joint configuration is to be left, which our leaders do by themselves.
    private mutating func proposeChange(_ block: CasesFile.Block) throws(CaseFailure) -> String {
        let operations = try MembershipCases.operations(block.input)
        guard !operations.isEmpty else { return "ok\n" }
        var isTaken = false
        cluster.change(try node(block)) { node, now, effects in
            if case .success = node.proposeConfiguration(operations, context: [], at: now, into: &effects) {
                isTaken = true
            }
        }
        return isTaken ? "ok\n" : "raft proposal dropped\n"
    }

    private mutating func transfer(_ block: CasesFile.Block) throws(CaseFailure) {
        guard let from = block.value("from").flatMap({ UInt64($0) }), let to = block.value("to").flatMap({ UInt64($0) })
        else { throw CaseFailure("from whom to whom?") }
        cluster.change(try cluster.slot(from)) { node, now, effects in
            _ = node.transferLeadership(to: MemberID(to), at: now, into: &effects)
        }
    }

    private mutating func deliver(_ block: CasesFile.Block) throws(CaseFailure) {
        let kind = block.value("type")
        for id in try ids(block) { _ = try cluster.deliver(to: id, kind: kind, isDropped: false) }
        for member in try members(block.values("drop")) {
            _ = try cluster.deliver(to: member.number, kind: kind, isDropped: true)
        }
    }

    private mutating func stabilize(_ block: CasesFile.Block) throws(CaseFailure) {
        var chosen = try ids(block)
        if chosen.isEmpty { chosen = cluster.hosts.map(\.node.id.number) }
        for _ in 0..<1_000 {
            var isDone = true
            for id in chosen {
                let slot = try cluster.slot(id)
                guard cluster.hosts[slot].hasWork else { continue }
                cluster.processReady(slot)
                isDone = false
            }
            for id in chosen where try cluster.deliver(to: id, kind: nil, isDropped: false) > 0 { isDone = false }
            if isDone { return }
        }
        throw CaseFailure("the nodes do not come to rest")
    }

    // MARK: - Looking

    private func status(_ slot: Int) -> String {
        let host = cluster.hosts[slot]
        guard host.node.role == .leader else { return "ok\n" }
        let durable = host.node.durableIndex.number
        var lines = [(host.node.id, "StateReplicate match=\(durable) next=\(durable + 1)")]
        for peer in host.node.progress {
            let limits = host.limits.windowMessagesMax
            let isFull = peer.window.count >= limits
            var text: String
            let isPaused: Bool
            switch peer.state {
            case .probe: (text, isPaused) = ("StateProbe", peer.isPaused)
            case .replicate: (text, isPaused) = ("StateReplicate", isFull)
            case .snapshot: (text, isPaused) = ("StateSnapshot", true)
            }
            text += " match=\(peer.match.number) next=\(peer.next.number)"
            if !host.node.configuration.isVoter(peer.id) { text += " learner" }
            if isPaused { text += " paused" }
            if case .snapshot(let pending) = peer.state { text += " pendingSnap=\(pending.number)" }
            if !host.node.isRecentlyActive(peer.id, at: host.now) { text += " inactive" }
            if peer.window.count > 0 { text += " inflight=\(peer.window.count)\(isFull ? "[full]" : "")" }
            lines.append((peer.id, text))
        }
        return lines.sorted { $0.0 < $1.0 }.map { "\($0.0.number): \($0.1)\n" }.joined()
    }

    private func log(_ slot: Int) -> String {
        let disk = cluster.hosts[slot].disk
        guard !disk.entries.isEmpty else {
            return "log is empty: first index=\(disk.lastIndex.number + 1), last index=\(disk.lastIndex.number)\n"
        }
        return disk.entries.map { entry in
            let head = "\(entry.term.number)/\(entry.index.number) "
            if entry.kind == .configuration { return head + "EntryConfChangeV2\n" }
            return head + "EntryNormal \"\(String(decoding: entry.payload, as: UTF8.self))\"\n"
        }.joined()
    }

    private func states() -> String {
        cluster.hosts.map { host in
            let node = host.node
            let role =
                switch node.role {
                case .follower: "StateFollower"
                case .preCandidate: "StatePreCandidate"
                case .candidate: "StateCandidate"
                case .leader: "StateLeader"
                }
            let standing = node.configuration.isVoter(node.id) ? "(Voter)" : "(Non-Voter)"
            let term = node.term.number
            return "\(node.id.number): \(role) \(standing) Term:\(term) Lead:\(node.leader?.number ?? 0)\n"
        }.joined()
    }
}
