import KVStore
import Primitives
import Raft
import RegistryModel

@testable import Replica

/// Replicas joined by a perfect network and perfect disks, in one thread, on a clock the test moves.
struct Cluster {
    struct Node {
        var replica: MemberReplica
        var isUp = true
        /// Deliveries to sink 1, in order.
        var replies: [UInt64: Reply] = [:]
        var watch: [WatchDelivery] = []
        /// As sink 1 was last told.
        var isLeaderKnown: Bool?
        var isToldLearner: Bool?
        var appliedRows: [StateChange] = []
        /// As the shell was last told.
        var peers: PeerList?
        var isRemoved = false
        var stopped: String?
    }

    private(set) var nodes: [MemberID: Node] = [:]
    private(set) var ids: [MemberID]
    private let founding: (state: RestoredState, log: RestoredLog)
    private(set) var now = Instant.zero + .seconds(1)
    private(set) var steps = 0
    private var pending: [(MemberID, ReplicaEvent)] = []
    private var lastSerial: UInt64 = 0
    /// Links that lose everything, directed.
    var cut: Set<[MemberID]> = []
    /// Hints of renewals do not arrive, everything else does.
    var losesHints = false
    /// Milliseconds by which every member's wall clock is off.
    var wallOffset: Int64 = 0
    let delay = TimeSpan.microseconds(200)
    private var inFlight: [(at: Instant, to: MemberID, from: MemberID, bytes: [UInt8])] = []

    init(count: Int, snapshotCount: Int64 = 10_000, configure: (inout ReplicaConfiguration) -> Void = { _ in }) throws {
        ids = (1...count).map { MemberID(UInt64($0)) }
        let members = ids.map {
            MemberDescription(id: $0, name: "", peerURLs: ["http://m\($0.number)"], clientURLs: [])
        }
        let base = LogBase(
            position: LogPosition(index: LogIndex(1), term: Term(1)), configuration: Configuration(voters: ids))
        var state = RestoredState(header: .initial, live: [], leases: [], members: members)
        state.header.configuration = base.configuration.encoded()
        state.header = try RegistryStore(restoring: state).header
        state.header.applied = base.position
        let log = RestoredLog(base: base, entries: [], hardState: HardState(term: Term(1), commit: LogIndex(1)))
        founding = (state, log)
        for id in ids {
            try start(id, peerURL: members[Int(id.number) - 1].peerURLs[0]) {
                $0.snapshotCount = snapshotCount
                configure(&$0)
            }
        }
    }

    /// Starts a member that has nothing but the founding state.
    mutating func start(
        _ id: MemberID, peerURL: String, configure: (inout ReplicaConfiguration) -> Void = { _ in }
    ) throws {
        let description = MemberDescription(
            id: id, name: "m\(id.number)", peerURLs: [peerURL], clientURLs: ["http://c\(id.number)"])
        var configuration = ReplicaConfiguration(
            member: id, cluster: ClusterID(9), incarnation: Incarnation(1), description: description,
            seed: id.number &* 77)
        configure(&configuration)
        nodes[id] = Node(
            replica: try MemberReplica(
                configuration: configuration, log: founding.log, state: founding.state,
                at: Moment(now: now, wallMilliseconds: 1_000)))
        if !ids.contains(id) { ids.append(id) }
        pending.append((id, .sinkAttached(1)))
    }

    /// From now on this member's state contains something that no entry put there.
    mutating func corruptNext(_ id: MemberID) {
        var wrong = RestoredState(
            header: nodes[id]!.replica.store.header, live: [], leases: [], members: nodes[id]!.replica.store.members)
        wrong.header.pastDigest = Digest128(low: 1, high: 1)
        wrong.header.liveDigest = nodes[id]!.replica.store.header.liveDigest
        guard let store = try? RegistryStore(restoring: wrong) else { preconditionFailure("keys were there already") }
        nodes[id]!.replica.store = store
    }

    /// Tells a member something that its shell found out.
    mutating func tell(_ id: MemberID, _ event: ReplicaEvent) {
        pending.append((id, event))
    }

    subscript(id: MemberID) -> Node { nodes[id]! }

    var leader: MemberID? {
        ids.filter { nodes[$0]!.isUp && nodes[$0]!.replica.raft.isEstablishedLeader }
            .max { nodes[$0]!.replica.raft.term < nodes[$1]!.replica.raft.term }
    }

    var follower: MemberID { ids.first { nodes[$0]!.isUp && $0 != leader }! }

    /// Submits a request at a member; its answer appears under the returned serial.
    mutating func submit(
        _ request: Request, at id: MemberID, requiresLeader: Bool = false, as credential: Credential = .none,
        from peer: String = ""
    ) -> UInt64 {
        lastSerial += 1
        let context = RequestContext(credential: credential, peer: peer, requiresLeader: requiresLeader)
        pending.append((id, .request(request, RequestToken(sink: 1, serial: lastSerial), context)))
        return lastSerial
    }

    /// Submits and runs until the answer is there.
    mutating func call(
        _ request: Request, at id: MemberID, as credential: Credential = .none, from peer: String = "",
        within span: TimeSpan = .seconds(3)
    ) -> Reply? {
        let serial = submit(request, at: id, as: credential, from: peer)
        _ = run(for: span) { $0[id].replies[serial] != nil }
        return self[id].replies[serial]
    }

    /// As if the member had just been restarted, as far as leases go.
    mutating func forgetHints(_ id: MemberID) {
        nodes[id]!.replica.hints.restart(at: now)
    }

    /// The process dies: its links are closed by its host.
    mutating func kill(_ id: MemberID) {
        nodes[id]!.isUp = false
        inFlight.removeAll { $0.to == id || $0.from == id }
        for other in ids where other != id && nodes[other]!.isUp { pending.append((other, .linkClosed(id))) }
    }

    /// Runs until `done` or for `span`; true when done.
    mutating func run(for span: TimeSpan, until done: (borrowing Cluster) -> Bool = { _ in false }) -> Bool {
        let end = now + span
        while true {
            settle()
            if done(self) { return true }
            var next = end
            for id in ids where nodes[id]!.isUp { next = min(next, nodes[id]!.replica.nextDeadline) }
            for frame in inFlight { next = min(next, frame.at) }
            if next >= end {
                now = end
                settle()
                return done(self)
            }
            now = max(next, now)
            let due = inFlight.filter { $0.at <= now }
            inFlight.removeAll { $0.at <= now }
            for frame in due where nodes[frame.to]!.isUp && !cut.contains([frame.from, frame.to]) {
                pending.append((frame.to, .peer(frame.from, decoded(frame.bytes))))
            }
            for id in ids where nodes[id]!.isUp && nodes[id]!.replica.nextDeadline <= now { step(id, []) }
        }
    }

    /// Handles everything that is due now.
    private mutating func settle() {
        while !pending.isEmpty {
            let batch = pending
            pending = []
            for id in ids {
                let events = batch.filter { $0.0 == id }.map(\.1)
                if !events.isEmpty, nodes[id]!.isUp { step(id, events) }
            }
        }
    }

    private func decoded(_ bytes: [UInt8]) -> PeerMessage {
        guard let message = try? PeerMessage.decode(bytes) else { preconditionFailure("a member wrote garbage") }
        return message
    }

    private mutating func step(_ id: MemberID, _ events: [ReplicaEvent]) {
        steps += 1
        precondition(steps < 1_000_000, "a member is busy without time passing")
        var effects = ReplicaEffects()
        let wall = now.nanoseconds / 1_000_000 + wallOffset
        nodes[id]!.replica.step(events, at: Moment(now: now, wallMilliseconds: wall), into: &effects)
        if let reason = effects.fatal {
            nodes[id]!.stopped = reason
            nodes[id]!.isUp = false
            return
        }
        if let peers = effects.peers { nodes[id]!.peers = peers }
        if effects.isRemoved { nodes[id]!.isRemoved = true }
        for send in effects.sends {
            guard nodes[send.to] != nil else { continue }
            if losesHints, case .leaseHints = send.message { continue }
            inFlight.append((now + delay, send.to, id, send.message.encoded()))
        }
        if let last = effects.logBatches.last { pending.append((id, .logDurable(last.number))) }
        if let last = effects.stateBatches.last {
            pending.append((id, .stateWritten(last.header.applied.index)))
            for batch in effects.stateBatches { nodes[id]!.appliedRows += batch.changes }
        }
        if effects.makeStateDurable { pending.append((id, .stateDurable(nodes[id]!.replica.store.applied.index))) }
        for job in effects.reads {
            if case .rangeInMemory(let copy, let request) = job.work, case .result(let result) = copy.range(request) {
                pending.append((id, .readFinished(job.id, .range(.success(result)))))
            } else {
                pending.append((id, .readFinished(job.id, .failed("no history here"))))
            }
        }
        for (_, delivery) in effects.deliveries {
            switch delivery {
            case .reply(let serial, let reply):
                precondition(nodes[id]!.replies[serial] == nil, "two answers to \(serial)")
                nodes[id]!.replies[serial] = reply
            case .watch(let delivery, _): nodes[id]!.watch.append(delivery)
            case .leaderKnown(let isKnown): nodes[id]!.isLeaderKnown = isKnown
            case .learner(let isLearner): nodes[id]!.isToldLearner = isLearner
            }
        }
    }
}

extension Reply {
    var body: ReplyBody? { try? outcome.get() }
    var rejection: Rejection? {
        if case .failure(let rejection) = outcome { return rejection }
        return nil
    }
}
