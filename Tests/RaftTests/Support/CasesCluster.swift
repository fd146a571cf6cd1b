import Primitives
import Raft

/// What is under way between the nodes of a script.
enum CasesParcel {
    case message(Message)
    /// Snapshots travel beside the messages.
    case snapshot(from: MemberID, to: MemberID, LogBase)

    var to: MemberID {
        switch self {
        case .message(let message): message.to
        case .snapshot(_, let to, _): to
        }
    }

    /// The scripts' name for this kind.
    var kind: String {
        switch self {
        case .snapshot: "MsgSnap"
        case .message(let message):
            switch message.body {
            case .preVote: "MsgPreVote"
            case .preVoteResponse: "MsgPreVoteResp"
            case .requestVote: "MsgVote"
            case .voteResponse: "MsgVoteResp"
            case .append: "MsgApp"
            case .appendAccepted, .appendRejected: "MsgAppResp"
            case .heartbeat: "MsgHeartbeat"
            case .heartbeatResponse: "MsgHeartbeatResp"
            case .readIndex: "MsgReadIndex"
            case .readIndexResponse, .readIndexRefused: "MsgReadIndexResp"
            case .timeoutNow: "MsgTimeoutNow"
            }
        }
    }
}

/// The nodes of a script: real ones, each with a clock and a disk of its own, which do nothing unless told.
struct CasesCluster {
    struct Host {
        var node: RaftNode
        var disk: SimulatedDisk
        var now: Instant
        var applied: LogIndex
        /// What of the state machine survives a crash.
        var durable: LogBase
        /// Ordered but not done: writes, and what leaves after them.
        var batches: [LogBatch] = []
        var held: [CasesParcel] = []
        let limits: RaftLimits
        /// The last term it led.
        var lastSeat: CasesFacts.Seat?
        /// Ticks until the election, when the script says.
        var ticksLeft: Int?

        var hasWork: Bool { !batches.isEmpty || !held.isEmpty }

        /// The state machine as others would get it.
        var snapshot: LogBase {
            LogBase(
                position: LogPosition(index: applied, term: node.term(at: applied) ?? .zero),
                configuration: node.committedConfiguration)
        }
    }

    static let timings = RaftTimings(heartbeat: .milliseconds(50), election: .milliseconds(150), earlyElection: false)
    static let electionTicks = 3

    private(set) var hosts: [Host] = []
    /// In order of emission.
    private(set) var list: [CasesParcel] = []
    /// What happened since the last `takeFacts`.
    private var facts = CasesFacts()
    /// Whether pre-votes are asked, and whether a leader that was heard lately is protected: as the script says.
    /// Without, what our nodes do all the same is answered or waited for on their behalf.
    var asksFirst = false
    var protectsLeader = false

    mutating func takeFacts() -> CasesFacts {
        defer {
            let applied = facts.applied
            facts = CasesFacts()
            facts.applied = applied
        }
        for host in hosts {
            let id = host.node.id.number
            facts.hardStates[id] = CasesFacts.HardState(
                term: host.node.term.number, vote: host.disk.hardState.votedFor?.number ?? 0,
                commit: host.node.commitIndex.number)
        }
        return facts
    }

    func slot(_ id: UInt64) throws(CaseFailure) -> Int {
        guard id >= 1, id <= UInt64(hosts.count) else { throw CaseFailure("there is no node \(id)") }
        return Int(id) - 1
    }

    // MARK: - Life

    /// Adds a node whose life began with a snapshot. The first ones' is of term 0, since our nodes are never below
    /// their log's term and the scripts begin in term 0; a later one's is of the term the others have there.
    mutating func add(snapshotAt index: LogIndex, configuration: Configuration, windowMessagesMax: Int?) {
        let id = MemberID(UInt64(hosts.count) + 1)
        let known = hosts.compactMap { $0.node.term(at: index) }.first
        let base = LogBase(position: LogPosition(index: index, term: known ?? .zero), configuration: configuration)
        var limits = RaftLimits()
        limits.trailingEntries = 0
        if let windowMessagesMax { limits.windowMessagesMax = windowMessagesMax }
        let start = Instant(nanoseconds: 1_000_000_000)
        let node = RaftNode(
            id: id, restored: RestoredLog(base: base, entries: [], hardState: HardState(commit: index)),
            applied: base, timings: CasesCluster.timings, limits: limits, seed: id.number, now: start)
        // It has been up long enough to vote.
        hosts.append(
            Host(
                node: node, disk: SimulatedDisk(base: base), now: start + CasesCluster.timings.election,
                applied: index, durable: base, limits: limits))
    }

    /// A crash: what was not written and what did not leave is lost.
    mutating func restart(_ slot: Int) {
        let host = hosts[slot]
        let restored = RestoredLog(base: host.disk.base, entries: host.disk.entries, hardState: host.disk.hardState)
        hosts[slot].node = RaftNode(
            id: host.node.id, restored: restored, applied: host.durable, timings: CasesCluster.timings,
            limits: host.limits, seed: host.node.term.number, now: host.now)
        hosts[slot].now = host.now + CasesCluster.timings.election
        hosts[slot].applied = host.durable.position.index
        hosts[slot].batches = []
        hosts[slot].held = []
        hosts[slot].ticksLeft = nil
        step(slot, .timer)
    }

    /// The state machine is durable up to `index`, which lets the log before it go.
    mutating func compact(_ slot: Int, to index: LogIndex) throws(CaseFailure) {
        guard index <= hosts[slot].applied else { throw CaseFailure("entry \(index.number) is not applied") }
        if let base = step(slot, .stateDurable(index)).compactTo { hosts[slot].durable = base }
    }

    // MARK: - Steps

    @discardableResult
    mutating func step(_ slot: Int, _ event: RaftEvent) -> RaftEffects {
        change(slot) { node, now, effects in node.step(event, at: now, into: &effects) }
    }

    @discardableResult
    mutating func change(
        _ slot: Int, _ body: (inout RaftNode, Instant, inout RaftEffects) -> Void
    ) -> RaftEffects {
        var effects = RaftEffects()
        body(&hosts[slot].node, hosts[slot].now, &effects)
        let id = hosts[slot].node.id
        hosts[slot].batches += effects.batches
        hosts[slot].held += effects.envelopes.map { .message($0.message) }
        for entry in effects.committed {
            checkDurable(entry, on: slot)
            hosts[slot].applied = entry.index
            facts.applied[id.number, default: []].append("\(entry.term.number)/\(entry.index.number)")
        }
        for peer in effects.snapshotsWanted {
            hosts[slot].held.append(.snapshot(from: id, to: peer, hosts[slot].snapshot))
        }
        if let base = effects.compactTo { hosts[slot].disk.compact(to: base) }
        if let leadership = effects.leadership, leadership.role == .leader {
            let seat = CasesFacts.Seat(leader: id.number, term: leadership.term.number)
            if hosts[slot].lastSeat != seat { facts.leaders.append(seat) }
            hosts[slot].lastSeat = seat
        }
        return effects
    }

    /// Nobody may learn that an entry is committed before the disks of a quorum have it: of a configuration that
    /// somebody knows, since the leader may have counted by a newer one than this node has.
    private mutating func checkDurable(_ entry: Entry, on slot: Int) {
        func isHeld(in configuration: Configuration) -> Bool {
            let reached = JointQuorum(configuration).reached { member in
                guard let host = hosts.first(where: { $0.node.id == member }) else { return nil }
                let isBehind = host.disk.base.position.index >= entry.index
                return isBehind || host.disk.term(at: entry.index) == entry.term ? entry.index.number : 0
            }
            return !configuration.incoming.isEmpty && reached >= entry.index.number
        }
        let isHeld = hosts.contains { isHeld(in: $0.node.configuration) || isHeld(in: $0.node.committedConfiguration) }
        if !isHeld {
            facts.findings.append("node \(slot + 1) says \(entry.index.number) is committed, but no quorum holds it")
        }
    }

    // MARK: - Directives

    /// Writes what was ordered and lets messages leave.
    mutating func processReady(_ slot: Int) {
        let batches = hosts[slot].batches
        for parcel in hosts[slot].held {
            if case .message(let message) = parcel { facts.leaves(message) }
            list.append(parcel)
        }
        hosts[slot].batches = []
        hosts[slot].held = []
        for batch in batches { hosts[slot].disk.submit(batch) }
        guard let last = batches.last else { return }
        _ = hosts[slot].disk.sync(through: last.number)
        step(slot, .persisted(last.number))
    }

    /// - Returns: how many there were.
    mutating func deliver(to id: UInt64, kind: String?, isDropped: Bool) throws(CaseFailure) -> Int {
        let due = list.filter { $0.to.number == id && (kind == nil || $0.kind == kind) }
        list.removeAll { $0.to.number == id && (kind == nil || $0.kind == kind) }
        if isDropped { return due.count }
        for parcel in due {
            switch parcel {
            case .message(let message): receive(try slot(id), message)
            case .snapshot(let sender, _, let base): install(try slot(id), base, from: sender)
            }
        }
        return due.count
    }

    private mutating func receive(_ slot: Int, _ message: Message) {
        var isAsked = false
        var isPre = false
        switch message.body {
        case .preVote:
            (isAsked, isPre) = (true, true)
            if !protectsLeader, hosts[slot].node.role != .leader { forgetLeader(slot) }
        case .requestVote:
            isAsked = true
            if !protectsLeader, message.term > hosts[slot].node.term { forgetLeader(slot) }
        default: break
        }
        let effects = step(slot, .received(message))
        guard isAsked else { return }
        let isGranted = effects.bodies(to: message.from).contains {
            $0 == .voteResponse(granted: true) || $0 == .preVoteResponse(granted: true)
        }
        facts.votes.insert(
            CasesFacts.Vote(
                voter: message.to.number, candidate: message.from.number, isPre: isPre, isGranted: isGranted))
    }

    /// An election timeout without a word from a leader, or without an answer to one.
    private mutating func forgetLeader(_ slot: Int) {
        hosts[slot].now = hosts[slot].now + CasesCluster.timings.election
        if hosts[slot].node.role == .leader { step(slot, .timer) }
    }

    private mutating func install(_ slot: Int, _ base: LogBase, from sender: MemberID) {
        guard base.position.index > hosts[slot].applied else {
            step(slot, .snapshotInstalled(base))
            return
        }
        hosts[slot].applied = base.position.index
        hosts[slot].durable = base
        step(slot, .snapshotInstalled(base))
    }

    mutating func campaign(_ slot: Int) {
        guard hosts[slot].node.role != .leader else { return }
        hosts[slot].ticksLeft = nil
        hosts[slot].now = max(hosts[slot].now, hosts[slot].node.nextDeadline)
        step(slot, .timer)
        guard !asksFirst else { return }
        hosts[slot].held.removeAll { $0.kind == "MsgPreVote" }
        let node = hosts[slot].node
        for voter in node.configuration.voters where voter != node.id {
            guard hosts[slot].node.role == .preCandidate else { return }
            let grant = Message(
                from: voter, to: node.id, term: node.term.next, body: .preVoteResponse(granted: true))
            step(slot, .received(grant))
        }
    }

    mutating func tick(_ slot: Int) {
        hosts[slot].now = hosts[slot].now + CasesCluster.timings.heartbeat
        guard hosts[slot].node.role != .leader, let left = hosts[slot].ticksLeft else {
            step(slot, .timer)
            return
        }
        hosts[slot].ticksLeft = left - 1
        if left == 1 { campaign(slot) }
    }

    mutating func pinElection(_ slot: Int, ticks: Int) { hosts[slot].ticksLeft = ticks }

    mutating func sendSnapshot(from sender: Int, to receiver: UInt64) {
        list.append(
            .snapshot(
                from: hosts[sender].node.id, to: MemberID(receiver), hosts[sender].snapshot))
    }
}
