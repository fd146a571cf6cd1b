import Primitives
import Raft

// Who lives and dies, whose links break, and what clients ask meanwhile.
extension Cluster {
    // MARK: - Life and death

    mutating func start(_ host: Int) {
        hosts[host].life += 1
        hosts[host].state = hosts[host].durableState
        let disk = hosts[host].disk
        let restored = RestoredLog(
            base: disk.base, entries: disk.entries, hardState: disk.hardState, recovery: hosts[host].recovery)
        let node = RaftNode(
            id: MemberID(UInt64(host + 1)), restored: restored, applied: hosts[host].durableState, timings: timings,
            limits: limits, seed: random.next(), now: now)
        checks.restarted(host, node)
        hosts[host].lastCommit = node.commitIndex
        hosts[host].node = node
        step(host, .timer)
    }

    mutating func crash(_ host: Int) {
        guard let node = hosts[host].node else { return }
        let leader = node.role == .leader
        hosts[host].node = nil
        hosts[host].held = []
        hosts[host].isSyncing = false
        hosts[host].timerAt = .distantFuture
        hosts[host].life += 1
        hosts[host].disk.crash(&random)
        guard leader else { return }
        for other in hosts.indices where other != host && !cuts[host][other] {
            // What was sent before arrives before.
            schedule(faults.delayMax, .linkClosed(at: other, by: host))
        }
    }

    /// The host of `from` closes its link to `to` and opens it again at once.
    mutating func closeLink(from: Int, to: Int) {
        step(to, .linkClosed(MemberID(UInt64(from + 1))))
    }

    mutating func transferLeadership(from host: Int) {
        var effects = RaftEffects()
        _ = hosts[host].node?.transferLeadership(to: nil, at: now, into: &effects)
        settle(host, effects)
    }

    mutating func crashSomebody() {
        guard !isCalm, let every = faults.crashEvery else { return }
        // Now and then all at once: then only what was synced is left.
        let victims =
            random.chance(1, in: 10) ? Array(hosts.indices) : [Int(random.below(UInt64(hosts.count)))]
        for host in victims {
            crash(host)
            schedule(random.span(.milliseconds(10), .milliseconds(800)), .restart(host))
        }
        schedule(random.span(.milliseconds(50), every), .crashSomebody)
    }

    mutating func cutSomething() {
        guard !isCalm, let every = faults.cutEvery else { return }
        for from in hosts.indices {
            for to in hosts.indices where from != to { cuts[from][to] = random.chance(1, in: 4) }
        }
        if random.chance(1, in: 2) {
            for row in cuts.indices { cuts[row] = Array(repeating: false, count: cuts.count) }
        }
        schedule(random.span(.milliseconds(50), every), .cutSomething)
    }

    // MARK: - Clients

    mutating func proposeSomewhere() {
        let host = Int(random.below(UInt64(hosts.count)))
        propose(at: host)
        schedule(random.span(.milliseconds(1), .milliseconds(20)), .propose)
    }

    /// - Returns: whether this host took it.
    @discardableResult
    mutating func propose(at host: Int) -> Bool {
        guard hosts[host].node != nil else { return false }
        var effects = RaftEffects()
        let payloads = (0..<(1 + random.below(3))).map { _ in
            proposed += 1
            return Array("p\(proposed)".utf8)
        }
        let result = hosts[host].node?.propose(payloads, at: now, into: &effects)
        settle(host, effects)
        if case .success = result { return true }
        return false
    }

    mutating func readSomewhere() {
        let host = Int(random.below(UInt64(hosts.count)))
        schedule(random.span(.milliseconds(2), .milliseconds(30)), .read)
        guard hosts[host].node != nil else { return }
        var effects = RaftEffects()
        // The first life of a member and the next ones must not share ids; the checks would notice.
        let read = hosts[host].node?.requestRead(at: now, into: &effects)
        if let read { checks.readAsked(read) }
        settle(host, effects)
    }
}
