import Primitives
import Raft

/// Three voters in one thread, with a network and disks that are done at once; the first one leads.
struct RaftGroup {
    private var nodes: [RaftNode] = []
    private var now = Instant.zero + .seconds(1)
    private var events: [(node: Int, event: RaftEvent)] = []
    private var effects = RaftEffects()
    /// Entries committed on the leader.
    private(set) var committed = 0

    init() throws {
        let ids = (1...3).map { MemberID(UInt64($0)) }
        let base = LogBase(
            position: LogPosition(index: LogIndex(1), term: Term(1)), configuration: Configuration(voters: ids))
        let log = RestoredLog(base: base, entries: [], hardState: HardState(term: Term(1), commit: LogIndex(1)))
        nodes = ids.map { id in
            RaftNode(
                id: id, restored: log, applied: base, timings: RaftTimings(), limits: RaftLimits(), seed: 70, now: now)
        }
        // Nobody votes in the first election timeout of its life.
        now = now + .seconds(5)
        for _ in 0..<10 where !nodes[0].isEstablishedLeader {
            now = max(now, nodes[0].nextDeadline)
            step(0, .timer)
            settle()
        }
        guard nodes[0].isEstablishedLeader else { throw MicroFailure("no leader was elected") }
    }

    /// One entry through the group: proposed, sent, stored by all, acknowledged, committed.
    mutating func commit(_ payload: [UInt8]) throws {
        guard case .success = nodes[0].propose([payload], at: now, into: &effects) else {
            throw MicroFailure("the leader refused an entry")
        }
        drain(0)
        settle()
    }

    private mutating func settle() {
        var place = 0
        while place < events.count {
            let (node, event) = events[place]
            place += 1
            step(node, event)
        }
        events.removeAll(keepingCapacity: true)
    }

    private mutating func step(_ node: Int, _ event: RaftEvent) {
        nodes[node].step(event, at: now, into: &effects)
        drain(node)
    }

    private mutating func drain(_ node: Int) {
        // First, so that whatever waits for the write is sent behind it.
        if let last = effects.batches.last { events.append((node, .persisted(last.number))) }
        for envelope in effects.envelopes {
            events.append((Int(envelope.message.to.number) - 1, .received(envelope.message)))
        }
        if node == 0 { committed += effects.committed.count }
        effects = RaftEffects()
    }
}
