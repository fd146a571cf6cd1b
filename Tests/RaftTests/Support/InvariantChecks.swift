import Primitives
import Raft

/// What must never happen, looked at from outside all members. Findings are collected, not trapped, so that the seed
/// can be told. R-numbers are those of the simulation's checklist.
struct InvariantChecks {
    private struct Seat: Equatable {
        var host: Int
        var life: Int
    }

    private struct Vote: Hashable {
        var voter: MemberID
        var term: Term
    }

    private struct Written {
        var payload: [UInt8]
        var previousTerm: Term?
    }

    private(set) var findings: [String] = []
    /// Every committed entry, by whoever committed it first.
    var canonical: [UInt64: Entry] = [:]
    private(set) var committed = LogIndex(1)
    private(set) var elections = 0
    private(set) var readsServed = 0
    private(set) var latestTerm = Term.zero
    /// Where changes of the membership were.
    private(set) var configurationsSeen: Set<LogPosition> = []
    private var leaders: [Term: Seat] = [:]
    private var votes: [Vote: MemberID] = [:]
    private var written: [LogPosition: Written] = [:]
    private var floors: [ReadID: LogIndex] = [:]
    private var terms: [Int: Term] = [:]

    private mutating func require(_ condition: Bool, _ text: @autoclosure () -> String) {
        if !condition, findings.count < 5 { findings.append(text()) }
    }

    /// R3: one index and term, one content and one predecessor.
    mutating func written(_ entries: [Entry], after previous: LogPosition?) {
        var previousTerm = previous?.term
        for entry in entries {
            if let known = written[entry.position] {
                require(known.payload == entry.payload, "R3: two contents at \(entry.position)")
                if let before = known.previousTerm, let previousTerm {
                    require(before == previousTerm, "R3: two predecessors of \(entry.position)")
                }
            } else {
                written[entry.position] = Written(payload: entry.payload, previousTerm: previousTerm)
            }
            previousTerm = entry.term
        }
    }

    /// R5, and gap-free delivery.
    mutating func applied(_ entry: Entry, after last: LogIndex) {
        require(entry.index == last.next, "R9: applied \(entry.index.number) after \(last.number)")
        if let known = canonical[entry.index.number] {
            require(known == entry, "R5: \(entry.index.number) applied as term \(known.term) and \(entry.term)")
        } else {
            canonical[entry.index.number] = entry
        }
        committed = max(committed, entry.index)
    }

    /// R10: whatever leaves is true of the disk.
    mutating func leaving(_ message: Message, disk: SimulatedDisk, durableState: LogBase) {
        switch message.body {
        case .voteResponse(granted: true):
            require(
                disk.hardState.term > message.term
                    || (disk.hardState.term == message.term && disk.hardState.votedFor == message.to),
                "R10: vote of \(message.from.number) in \(message.term.number) not durable")
            recordVote(message.from, message.term, for: message.to)
        case .requestVote(let last, _):
            require(
                disk.hardState.term > message.term
                    || (disk.hardState.term == message.term && disk.hardState.votedFor == message.from),
                "R10: candidacy of \(message.from.number) in \(message.term.number) not durable")
            require(
                disk.hardState.term > message.term || disk.lastPosition == last,
                "R10: \(message.from.number) claims \(last), holds \(disk.lastPosition)")
            recordVote(message.from, message.term, for: message.from)
        case .appendAccepted(let match, _):
            let held = max(disk.lastIndex, durableState.position.index)
            require(
                match <= held || disk.hardState.term > message.term,
                "R10: \(message.from.number) acknowledges \(match.number), holds \(held.number)")
        default: break
        }
    }

    /// R7, second half.
    private mutating func recordVote(_ voter: MemberID, _ term: Term, for candidate: MemberID) {
        let vote = Vote(voter: voter, term: term)
        if let earlier = votes[vote] {
            require(earlier == candidate, "R7: \(voter.number) voted twice in \(term.number)")
        }
        votes[vote] = candidate
    }

    mutating func readAsked(_ read: ReadID) {
        floors[read] = committed
    }

    /// R15.
    mutating func readReady(_ ready: ReadReady) {
        guard let floor = floors[ready.id] else {
            require(false, "R15: an answer to nobody's read")
            return
        }
        require(ready.index >= floor, "R15: read at \(ready.index.number), committed before \(floor.number)")
        readsServed += 1
    }

    mutating func restarted(_ host: Int, _ node: RaftNode) {
        terms[host] = node.term
        let committed = committed
        require(
            node.commitIndex <= committed,
            "R8: host \(host) restarts with commit \(node.commitIndex.number), really \(committed.number)")
    }

    /// After each step of `host`.
    mutating func look(at host: Int, in hosts: [Cluster.Host]) {
        guard let node = hosts[host].node else { return }
        let old = hosts[host]
        require(node.commitIndex >= old.lastCommit, "R8: commit went back to \(node.commitIndex.number)")
        require(node.commitIndex <= node.lastIndex, "R8: commit beyond the end")
        require(node.term >= terms[host] ?? .zero, "R7: term went back to \(node.term.number)")
        terms[host] = node.term
        latestTerm = max(latestTerm, node.term)
        checkConfigurations(of: node)
        guard node.role == .leader else { return }
        let seat = Seat(host: host, life: old.life)
        if leaders[node.term] == nil { elected(node, seat) }
        require(leaders[node.term] == seat, "R1: two leaders in term \(node.term.number)")
        for peer in node.progress { checkMatch(peer, of: node, in: hosts) }
    }

    /// R12: no log is more than one configuration ahead of what is committed.
    private mutating func checkConfigurations(of node: RaftNode) {
        let committed = max(committed, node.commitIndex, node.base.position.index)
        guard node.lastIndex > committed else { return }
        let pending = node.entries(from: committed.next, through: node.lastIndex).filter { $0.kind == .configuration }
        require(pending.count <= 1, "R12: \(pending.count) uncommitted configurations on \(node.id.number)")
        if let last = pending.last { configurationsSeen.insert(last.position) }
    }

    /// R4.
    private mutating func elected(_ node: RaftNode, _ seat: Seat) {
        leaders[node.term] = seat
        elections += 1
        let committed = committed
        require(node.lastIndex >= committed, "R4: leader of \(node.term.number) ends before \(committed.number)")
        var place = node.base.position.index
        while place <= min(committed, node.lastIndex) {
            if let known = canonical[place.number], place.number > 1 {
                require(
                    node.term(at: place) == known.term,
                    "R4: leader of \(node.term.number) has another entry at committed \(place.number)")
            }
            place = place.next
        }
    }

    /// R14.
    private mutating func checkMatch(_ peer: Progress, of node: RaftNode, in hosts: [Cluster.Host]) {
        let host = hosts[Int(peer.id.number) - 1]
        // Until its leader has heard of the loss.
        guard host.recovery == nil else { return }
        let held = max(host.disk.lastIndex, host.durableState.position.index)
        require(peer.match <= held, "R14: \(peer.id.number) matched at \(peer.match.number), holds \(held.number)")
        if let own = node.term(at: peer.match), let its = host.disk.term(at: peer.match) {
            require(own == its, "R14: \(peer.id.number) matched at \(peer.match.number) in another term")
        }
    }
}
