import Primitives
import Raft

/// What goes wrong in a run.
struct Faults {
    var dropPercent: UInt64 = 0
    var duplicatePercent: UInt64 = 0
    var delayMax = TimeSpan.milliseconds(2)
    var syncMax = TimeSpan.milliseconds(3)
    /// A member dies and comes back about this often.
    var crashEvery: TimeSpan?
    /// Links are cut at random, and healed, about this often.
    var cutEvery: TimeSpan?
    /// Whoever leads is asked for another membership about this often.
    var changeEvery: TimeSpan?
    /// A member dies and comes back without entries it had acknowledged, knowing it, about this often.
    var loseEvery: TimeSpan?
}

/// A whole cluster in one value: hosts with disks, a network that drops, delays, duplicates and reorders, all drawn
/// from one seed. Invariants are checked at every step.
struct Cluster {
    struct Host {
        var node: RaftNode?
        var disk: SimulatedDisk
        /// What the state machine contains, and what of it survives a crash.
        var state: LogBase
        var durableState: LogBase
        var life = 0
        var held: [Envelope] = []
        var timerAt = Instant.distantFuture
        var isSyncing = false
        var lastCommit = LogIndex.zero
        /// The durable mark of a log that lost entries.
        var recovery: Recovery?
        /// A member from the beginning.
        var wasFounder: Bool
        /// The newest life seen of each other host, by slot: what an older one sent is dropped.
        var livesSeen: [Int]
    }

    enum Happening {
        case deliver(Message, life: Int)
        case synced(Int, life: Int, BatchNumber)
        case timer(Int, life: Int, Instant)
        case crash(Int)
        case restart(Int)
        case linkClosed(at: Int, by: Int)
        case crashSomebody
        case cutSomething
        case propose
        case read
        case stateDurable
        case snapshotArrives(from: Int, to: Int, LogBase)
        case snapshotAnswered(from: Int, by: Int, LogPosition?)
        case changeMembership
        case loseEntries
    }

    var hosts: [Host]
    var faults: Faults
    var random: SeededGenerator
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    var checks = InvariantChecks()
    /// Directed pairs (from, to) that carry nothing.
    var cuts: [[Bool]]
    var proposed = 0
    private(set) var isCalm = false
    /// How often a member got back what it had lost.
    private(set) var recoveries = 0
    /// How many steps the members took.
    private(set) var steps = 0
    private var agenda = Agenda<Happening>()
    let limits: RaftLimits
    let timings: RaftTimings

    init(
        members count: Int, seed: UInt64, faults: Faults = Faults(), limits: RaftLimits = RaftLimits(),
        timings: RaftTimings = RaftTimings(), spares: Int = 0
    ) {
        let ids = (1...UInt64(count)).map { MemberID($0) }
        let base = LogBase(position: position(1, 1), configuration: Configuration(voters: ids))
        let empty = LogBase(position: .zero, configuration: Configuration(voters: []))
        let total = count + spares
        hosts = (0..<total).map { slot in
            let start = slot < count ? base : empty
            return Host(
                disk: SimulatedDisk(base: start), state: start, durableState: start, wasFounder: slot < count,
                livesSeen: Array(repeating: 0, count: total))
        }
        cuts = Array(repeating: Array(repeating: false, count: total), count: total)
        random = SeededGenerator(seed: seed)
        self.faults = faults
        self.limits = limits
        self.timings = timings
        checks.canonical[1] = Entry(index: index(1), term: Term(1), kind: .configuration, payload: [])
        for host in hosts.indices { start(host) }
        schedule(.milliseconds(1), .propose)
        schedule(.milliseconds(3), .read)
        schedule(.milliseconds(50), .stateDurable)
        if faults.crashEvery != nil { schedule(.milliseconds(800), .crashSomebody) }
        if faults.cutEvery != nil { schedule(.milliseconds(400), .cutSomething) }
        if faults.changeEvery != nil { schedule(.milliseconds(600), .changeMembership) }
        if faults.loseEvery != nil { schedule(.milliseconds(700), .loseEntries) }
    }

    func slot(_ member: MemberID) -> Int { Int(member.number) - 1 }

    mutating func schedule(_ after: TimeSpan, _ happening: Happening) {
        agenda.add(happening, at: now + after)
    }

    // MARK: - Running

    mutating func run(for span: TimeSpan) {
        let end = now + span
        while let next = agenda.nextInstant, next <= end {
            now = max(now, next)
            if let happening = agenda.removeNext() { handle(happening) }
        }
        now = end
    }

    /// No more faults; everybody comes back.
    mutating func calm() {
        isCalm = true
        faults = Faults()
        for row in cuts.indices { cuts[row] = Array(repeating: false, count: cuts.count) }
        for host in hosts.indices where hosts[host].node == nil { start(host) }
    }

    var leaders: [Int] { hosts.indices.filter { hosts[$0].node?.role == .leader } }

    private mutating func handle(_ happening: Happening) {
        switch happening {
        case .deliver(let message, let life): deliver(message, life: life)
        case .synced(let host, let life, let batch): synced(host, life: life, batch)
        case .timer(let host, let life, let at):
            if hosts[host].life == life, hosts[host].timerAt == at {
                hosts[host].timerAt = .distantFuture
                step(host, .timer)
            }
        case .crash(let host): crash(host)
        case .restart(let host): if hosts[host].node == nil { start(host) }
        case .linkClosed(let host, let peer): step(host, .linkClosed(MemberID(UInt64(peer + 1))))
        case .crashSomebody: crashSomebody()
        case .cutSomething: cutSomething()
        case .propose: proposeSomewhere()
        case .read: readSomewhere()
        case .stateDurable: makeStateDurable()
        case .snapshotArrives(let sender, let receiver, let base): snapshotArrives(sender, receiver, base)
        case .snapshotAnswered(let sender, let receiver, let position):
            let id = MemberID(UInt64(receiver + 1))
            step(sender, position.map { .snapshotSent(id, $0) } ?? .snapshotFailed(id))
        case .changeMembership: changeMembership()
        case .loseEntries: loseEntries()
        }
    }

    mutating func step(_ host: Int, _ event: RaftEvent) {
        guard hosts[host].node != nil else { return }
        var effects = RaftEffects()
        steps += 1
        hosts[host].node?.step(event, at: now, into: &effects)
        settle(host, effects)
    }

    /// Does what the member ordered, and looks at it.
    mutating func settle(_ host: Int, _ effects: RaftEffects) {
        for batch in effects.batches {
            checks.written(batch.entries, after: batchPrevious(batch, on: host))
            hosts[host].disk.submit(batch)
        }
        for envelope in effects.envelopes {
            if envelope.gate == .none { leave(envelope.message, host) } else { hosts[host].held.append(envelope) }
        }
        for entry in effects.committed { apply(entry, on: host) }
        for ready in effects.readsReady { checks.readReady(ready) }
        for wanted in effects.snapshotsWanted { sendSnapshot(from: host, to: slot(wanted)) }
        if let base = effects.compactTo { hosts[host].disk.compact(to: base) }
        if effects.hasRecovered {
            hosts[host].recovery = nil
            recoveries += 1
        }
        if effects.lostEntries { hosts[host].recovery = Recovery(claimed: nil) }
        checks.look(at: host, in: hosts)
        if let node = hosts[host].node { hosts[host].lastCommit = node.commitIndex }
        beginSync(host)
        rearm(host)
    }

    private func batchPrevious(_ batch: LogBatch, on host: Int) -> LogPosition? {
        guard let first = batch.entries.first, let node = hosts[host].node else { return nil }
        return node.term(at: first.index.previous).map { LogPosition(index: first.index.previous, term: $0) }
    }

    private mutating func apply(_ entry: Entry, on host: Int) {
        checks.applied(entry, after: hosts[host].state.position.index)
        hosts[host].state.position = entry.position
        if entry.kind == .configuration, let change = try? ConfigurationEntry.decode(entry.payload) {
            hosts[host].state.configuration = change.configuration
        }
    }

    private mutating func rearm(_ host: Int) {
        guard let node = hosts[host].node, node.nextDeadline != hosts[host].timerAt,
            node.nextDeadline != .distantFuture
        else { return }
        hosts[host].timerAt = max(node.nextDeadline, now)
        agenda.add(.timer(host, life: hosts[host].life, hosts[host].timerAt), at: hosts[host].timerAt)
    }

    // MARK: - Network

    private mutating func deliver(_ message: Message, life: Int) {
        let (to, from) = (slot(message.to), slot(message.from))
        guard life >= hosts[to].livesSeen[from] else { return }
        hosts[to].livesSeen[from] = life
        step(to, .received(message))
    }

    private mutating func leave(_ message: Message, _ host: Int) {
        checks.leaving(message, disk: hosts[host].disk, durableState: hosts[host].durableState)
        let to = slot(message.to)
        guard !cuts[host][to], !random.chance(faults.dropPercent, in: 100) else { return }
        schedule(delay(), .deliver(message, life: hosts[host].life))
        if random.chance(faults.duplicatePercent, in: 100) {
            schedule(delay() + delay(), .deliver(message, life: hosts[host].life))
        }
    }

    private mutating func delay() -> TimeSpan {
        random.span(.microseconds(50), faults.delayMax)
    }

    private mutating func sendSnapshot(from sender: Int, to receiver: Int) {
        let base = hosts[sender].state
        if cuts[sender][receiver] || random.chance(faults.dropPercent, in: 100) {
            schedule(.milliseconds(20), .snapshotAnswered(from: sender, by: receiver, nil))
        } else {
            schedule(delay(), .snapshotArrives(from: sender, to: receiver, base))
        }
    }

    private mutating func snapshotArrives(_ sender: Int, _ receiver: Int, _ base: LogBase) {
        guard hosts[receiver].node != nil else {
            schedule(.milliseconds(20), .snapshotAnswered(from: sender, by: receiver, nil))
            return
        }
        if base.position.index > hosts[receiver].state.position.index {
            hosts[receiver].state = base
            hosts[receiver].durableState = base
            step(receiver, .snapshotInstalled(base))
        }
        let isDurable = hosts[receiver].durableState.position.index >= base.position.index
        schedule(delay(), .snapshotAnswered(from: sender, by: receiver, isDurable ? base.position : nil))
    }

    // MARK: - Disk

    private mutating func beginSync(_ host: Int) {
        guard !hosts[host].isSyncing, let last = hosts[host].disk.queue.last else { return }
        hosts[host].isSyncing = true
        schedule(
            random.span(.microseconds(100), faults.syncMax), .synced(host, life: hosts[host].life, last.number))
    }

    private mutating func synced(_ host: Int, life: Int, _ batch: BatchNumber) {
        guard hosts[host].life == life, hosts[host].node != nil else { return }
        hosts[host].isSyncing = false
        guard let done = hosts[host].disk.sync(through: batch) else { return }
        let free = hosts[host].held.filter { $0.gate <= done }
        hosts[host].held.removeAll { $0.gate <= done }
        for envelope in free { leave(envelope.message, host) }
        step(host, .persisted(done))
    }

    private mutating func makeStateDurable() {
        for host in hosts.indices where hosts[host].node != nil && random.chance(1, in: 2) {
            hosts[host].durableState = hosts[host].state
            step(host, .stateDurable(hosts[host].state.position.index))
        }
        schedule(random.span(.milliseconds(20), .milliseconds(200)), .stateDurable)
    }
}
