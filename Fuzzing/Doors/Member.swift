import KVStore
import Primitives
import Raft
import RegistryModel
import Watch

@testable import Replica

/// A cluster of one, in one thread, on a clock that its owner moves, with disks that are done at once: what doors ask
/// is answered by the code that answers it in production.
final class Member: RegistryService, @unchecked Sendable {
    // Safe: made and used on one thread.
    let clusterID = ClusterID(0xC1)
    let memberID = MemberID(1)
    private var replica = Member.elected.replica
    private var now = Member.elected.now
    private var sink: (any ReplySink)?
    private var pending: [ReplicaEvent] = []
    private var isSettling = false

    func attach(_ sink: any ReplySink) -> UInt32 {
        self.sink = sink
        pending.append(.sinkAttached(1))
        settle()
        return 1
    }

    func detach(_ sink: UInt32) {
        pending.append(.sinkDetached(sink))
        settle()
        self.sink = nil
    }

    func submit(_ request: Request, token: RequestToken, context: RequestContext) {
        pending.append(.request(request, token, context))
        settle()
    }

    func openBackup(_ receive: @escaping @Sendable (BackupEvent) -> Void) -> any BackupTransfer {
        Backup(receive)
    }

    /// Lets time pass; everything that becomes due happens in its order.
    func advance(milliseconds: Int64) {
        let end = now + .milliseconds(milliseconds)
        var wakes = 0
        while replica.nextDeadline < end, wakes < 200 {
            wakes += 1
            now = max(now, replica.nextDeadline)
            step([])
            settle()
        }
        now = end
        step([])
        settle()
    }

    /// Watchers that the member still knows of.
    var watcherCount: Int { replica.hub.watcherCount }

    private func settle() {
        guard !isSettling else { return }
        isSettling = true
        var steps = 0
        while !pending.isEmpty {
            steps += 1
            promise(steps < 10_000, "the member is busy without time passing")
            let events = pending
            pending = []
            step(events)
        }
        isSettling = false
    }

    private func step(_ events: [ReplicaEvent]) {
        let (answers, deliveries) = Member.step(&replica, events, at: now)
        pending += answers
        if !deliveries.isEmpty { sink?.deliver(deliveries) }
    }

    /// One step of `replica`, and what its disks answer to it.
    private static func step(
        _ replica: inout MemberReplica, _ events: [ReplicaEvent], at now: Instant
    ) -> (answers: [ReplicaEvent], deliveries: [Delivery]) {
        var effects = ReplicaEffects()
        let wall = 1_700_000_000_000 + now.nanoseconds / 1_000_000
        replica.step(events, at: Moment(now: now, wallMilliseconds: wall), into: &effects)
        if let reason = effects.fatal { fatalError("the member stopped: \(reason)") }
        var answers: [ReplicaEvent] = []
        if let last = effects.logBatches.last { answers.append(.logDurable(last.number)) }
        if let last = effects.stateBatches.last { answers.append(.stateWritten(last.header.applied.index)) }
        if effects.makeStateDurable { answers.append(.stateDurable(replica.store.applied.index)) }
        for job in effects.reads { answers.append(.readFinished(job.id, outcome(of: job.work))) }
        return (answers, effects.deliveries.map(\.delivery))
    }

    /// There is no history but what is in memory.
    private static func outcome(of work: ReadJob.Work) -> ReadOutcome {
        switch work {
        case .rangeInMemory(let reader, let request):
            if case .result(let result) = reader.range(request) { return .range(.success(result)) }
        case .eventsInHistory(_, _, let through, _, _):
            return .events([], through: through)
        default:
            break
        }
        return .failed("no history here")
    }

    /// A member that leads and holds a few keys, to be copied.
    private static let elected: (replica: MemberReplica, now: Instant) = {
        let id = MemberID(1)
        let description = MemberDescription(
            id: id, name: "m1", peerURLs: ["http://127.0.0.1:2380"], clientURLs: ["http://127.0.0.1:2379"])
        let base = LogBase(
            position: LogPosition(index: LogIndex(1), term: Term(1)), configuration: Configuration(voters: [id]))
        var state = RestoredState(header: .initial, live: [], leases: [], members: [description])
        state.header.configuration = base.configuration.encoded()
        let configuration = ReplicaConfiguration(
            member: id, cluster: ClusterID(0xC1), incarnation: Incarnation(1), description: description, seed: 77)
        let log = RestoredLog(base: base, entries: [], hardState: HardState(term: Term(1), commit: LogIndex(1)))
        var now = Instant.zero + .seconds(1)
        var replica: MemberReplica
        do {
            state.header = try RegistryStore(restoring: state).header
            state.header.applied = base.position
            replica = try MemberReplica(
                configuration: configuration, log: log, state: state, at: Moment(now: now, wallMilliseconds: 1_000))
        } catch {
            fatalError("a founding state cannot be restored: \(error)")
        }
        var leased = PutRequest(key: Key("c"), value: [])
        leased.lease = LeaseID(7)
        let requests: [Command.Operation] = [
            .put(PutRequest(key: Key("a"), value: [1])), .put(PutRequest(key: Key("b"), value: [2])),
            .leaseGrant(LeaseID(7), ttlMilliseconds: 10_000), .put(leased),
        ]
        var events: [ReplicaEvent] = []
        var wasLeader = false
        for _ in 0..<2_000 {
            if events.isEmpty { now = max(now, replica.nextDeadline) }
            events = step(&replica, events, at: now).answers
            guard replica.raft.isEstablishedLeader, !wasLeader else { continue }
            wasLeader = true
            for (serial, request) in requests.enumerated() {
                let token = RequestToken(sink: 1, serial: UInt64(serial))
                events.append(.request(.write(request), token, RequestContext()))
            }
        }
        promise(replica.store.revision.number >= 4, "the member did not come to lead")
        return (replica, now)
    }()
}

/// A thousand bytes, in three chunks.
private final class Backup: BackupTransfer, @unchecked Sendable {
    // Safe: used on one thread.
    private let receive: @Sendable (BackupEvent) -> Void
    private var remaining: Int64 = 1_000

    init(_ receive: @escaping @Sendable (BackupEvent) -> Void) {
        self.receive = receive
    }

    func want() {
        guard remaining > 0 else { return }
        let count = min(remaining, 400)
        remaining -= count
        receive(.chunk([UInt8](repeating: 9, count: Int(count)), remaining: remaining))
    }

    func cancel() {
        remaining = 0
    }
}
