import EtcdProto
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf

/// `v3electionpb.Election/Proclaim`: a leader replaces its value, as long as it leads.
struct ProclaimProcedure: Procedure {
    private let leader: V3electionpb_LeaderKey
    private let value: [UInt8]
    private var isGranting = false
    private var isOver = false

    init(leader: V3electionpb_LeaderKey, value: [UInt8]) {
        self.leader = leader
        self.value = value
    }

    mutating func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        guard !isOver else { return [] }
        switch event {
        case .started:
            guard !leader.key.isEmpty else { return SessionKey.failure(Rejection(.emptyKey)) }
            guard leader.lease == 0 else { return proclaim(LeaseID(leader.lease)) }
            isGranting = true
            return [.ask(SessionKey.grant)]
        case .answered(.success(let body), _) where isGranting:
            isGranting = false
            return proclaim(body.ownLease)
        case .answered(.success(let body), let header):
            isOver = true
            guard body.ownTxn.succeeded else { return SessionKey.failure(ElectionService.notLeader) }
            var response = V3electionpb_ProclaimResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            return ProcedureEffect.answer(response.encoded)
        case .answered(.failure(let rejection), _):
            isOver = true
            return SessionKey.failure(rejection)
        case .abandoned, .changed, .watchLost, .watchRefused, .computed:
            return []
        }
    }

    private func proclaim(_ lease: LeaseID) -> [ProcedureEffect] {
        [
            .ask(
                ElectionService.proclamation(
                    Key([UInt8](leader.key)), of: Revision(leader.rev), value, lease: lease))
        ]
    }
}

/// `v3electionpb.Election/Leader`: who leads now.
struct LeaderProcedure: Procedure {
    private let name: [UInt8]

    init(name: [UInt8]) {
        self.name = name
    }

    func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        switch event {
        case .started: return [.ask(.range(SessionKey.first(SessionKey.prefix(name))))]
        case .answered(.success(let body), let header):
            guard let kv = body.ownRange.kvs.first else { return SessionKey.failure(ElectionService.noLeader) }
            return ProcedureEffect.answer(ElectionService.leaderResponse(header, kv))
        case .answered(.failure(let rejection), _): return SessionKey.failure(rejection)
        case .abandoned, .changed, .watchLost, .watchRefused, .computed: return []
        }
    }
}

/// `v3electionpb.Election/Resign`: a leader or candidate takes its key away.
struct ResignProcedure: Procedure {
    private let leader: V3electionpb_LeaderKey

    init(leader: V3electionpb_LeaderKey) {
        self.leader = leader
    }

    func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        switch event {
        case .started:
            guard !leader.key.isEmpty else { return SessionKey.failure(Rejection(.emptyKey)) }
            return [.ask(SessionKey.removal(Key([UInt8](leader.key)), of: Revision(leader.rev)))]
        case .answered(.success, let header):
            // Whether or not there was something to give up.
            var response = V3electionpb_ResignResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            return ProcedureEffect.answer(response.encoded)
        case .answered(.failure(let rejection), _): return SessionKey.failure(rejection)
        case .abandoned, .changed, .watchLost, .watchRefused, .computed: return []
        }
    }
}

/// `v3electionpb.Election/Observe`: the leader, and every change of it or of its value.
struct ObserveProcedure: Procedure {
    private enum State {
        /// Who leads? To `following` or `lurking`.
        case asking
        /// Nobody leads: the first to come does. To `following`, or to `asking` after a compaction.
        case lurking
        /// To `asking` when its key is gone.
        case following
        case over
    }

    private let prefix: Key
    private var state = State.asking
    /// The revision of what was sent last; it is not sent twice when the question has to be asked again.
    private var sentRevision = Revision.zero

    init(name: [UInt8]) {
        prefix = SessionKey.prefix(name)
    }

    mutating func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        switch (state, event) {
        case (.over, _): return []
        case (_, .abandoned): return end(GRPCStatus(.cancelled))
        case (_, .started): return ask()
        case (.asking, .answered(.success(let body), let header)):
            let revision = Revision(header.revision)
            guard let leader = body.ownRange.kvs.first else {
                state = .lurking
                return [.watch(.prefix(prefix), from: revision.next, wantsPuts: true)]
            }
            return follow(leader, header, from: revision.next)
        case (.asking, .answered(.failure(let rejection), _)), (_, .watchRefused(let rejection)):
            return end(SessionKey.status(rejection))
        case (.lurking, .changed(let events, let header)):
            guard let first = events.first(where: { $0.kind == .put }) else { return [] }
            return [.unwatch] + follow(first.kv, header, from: first.revision.next)
        case (.following, .changed(let events, let header)):
            return changed(events, header)
        case (.lurking, .watchLost), (.following, .watchLost):
            return ask()
        case (.asking, _), (.lurking, _), (.following, _): return []
        }
    }

    private mutating func ask() -> [ProcedureEffect] {
        state = .asking
        return [.ask(.range(SessionKey.first(prefix)))]
    }

    private mutating func follow(
        _ leader: KeyValue, _ header: HeaderFields, from revision: Revision
    ) -> [ProcedureEffect] {
        state = .following
        return show(leader, header, at: Revision(revision.number - 1))
            + [.watch(.key(leader.key), from: revision, wantsPuts: true)]
    }

    private mutating func changed(_ events: [KVEvent], _ header: HeaderFields) -> [ProcedureEffect] {
        var effects: [ProcedureEffect] = []
        for event in events {
            guard event.kind == .put else { return effects + [.unwatch] + ask() }
            effects += show(event.kv, header, at: event.revision)
        }
        return effects
    }

    private mutating func show(
        _ leader: KeyValue, _ header: HeaderFields, at revision: Revision
    ) -> [ProcedureEffect] {
        guard leader.modRevision != sentRevision else { return [] }
        sentRevision = leader.modRevision
        var header = header
        header.revision = revision.number
        return [.send(ElectionService.leaderResponse(header, leader))]
    }

    private mutating func end(_ status: GRPCStatus) -> [ProcedureEffect] {
        state = .over
        return [.finish(status)]
    }
}
