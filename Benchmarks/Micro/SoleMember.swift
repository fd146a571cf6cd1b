import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

/// The only voter of a cluster as a value, with disks that are done at once. It leads.
struct SoleMember {
    private var replica: MemberReplica
    private var now = Instant.zero + .seconds(1)
    private var effects = ReplicaEffects()
    /// Requests answered with success.
    private(set) var answered = 0

    init() throws {
        let id = MemberID(1)
        let description = MemberDescription(
            id: id, name: "m1", peerURLs: ["http://127.0.0.1:2380"], clientURLs: ["http://127.0.0.1:2379"])
        let base = LogBase(
            position: LogPosition(index: LogIndex(1), term: Term(1)), configuration: Configuration(voters: [id]))
        var state = RestoredState(header: .initial, live: [], leases: [], members: [description])
        state.header.configuration = base.configuration.encoded()
        state.header = try RegistryStore(restoring: state).header
        state.header.applied = base.position
        let configuration = ReplicaConfiguration(
            member: id, cluster: ClusterID(0xC1), incarnation: Incarnation(1), description: description, seed: 71)
        let log = RestoredLog(base: base, entries: [], hardState: HardState(term: Term(1), commit: LogIndex(1)))
        replica = try MemberReplica(
            configuration: configuration, log: log, state: state, at: Moment(now: now, wallMilliseconds: 1))
        take([.sinkAttached(1)])
        for _ in 0..<100 where !replica.raft.isEstablishedLeader {
            now = max(now, replica.nextDeadline)
            take([])
        }
        guard replica.raft.isEstablishedLeader else { throw MicroFailure("the only member does not lead") }
    }

    /// One write from its request to its answer.
    mutating func write(_ operation: Command.Operation, serial: UInt64) {
        take([.request(.write(operation), RequestToken(sink: 1, serial: serial), RequestContext())])
    }

    /// Steps until its disks have nothing to tell any more.
    private mutating func take(_ first: [ReplicaEvent]) {
        var events = first
        repeat {
            replica.step(events, at: Moment(now: now, wallMilliseconds: 1_700_000_000_000), into: &effects)
            events.removeAll(keepingCapacity: true)
            if let last = effects.logBatches.last { events.append(.logDurable(last.number)) }
            if let last = effects.stateBatches.last { events.append(.stateWritten(last.header.applied.index)) }
            if effects.makeStateDurable { events.append(.stateDurable(replica.store.applied.index)) }
            for (_, delivery) in effects.deliveries {
                if case .reply(_, let reply) = delivery, case .success = reply.outcome { answered += 1 }
            }
            effects.reset()
        } while !events.isEmpty
    }
}
