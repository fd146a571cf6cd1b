import EtcdProto
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf

/// `v3electionpb.Election/Campaign`: a key under the election's name, which leads once it is the oldest one.
///
/// Source: etcd `client/v3/concurrency/election.go`. Unlike there, a candidate whose key vanished while it waited is
/// not told that it leads.
struct CampaignProcedure: Procedure {
    private enum State {
        /// To `granting` or `entering`.
        case idle
        /// Waits for a lease; to `entering`, or over.
        case granting
        /// Waits for the transaction that puts the key; to `updating` or `waiting`. To `leaving` when the caller goes.
        case entering
        /// The key was there with another value, which is being replaced; to `waiting`, or over.
        case updating(Candidacy)
        /// Over when it is our turn, or when the caller goes, which takes the key away.
        case waiting(PredecessorWait, Candidacy)
        /// The caller went while the transaction was on its way: what it put is removed.
        case leaving
        case over
    }

    private struct Candidacy {
        /// The key's create revision: what names this leadership.
        var revision: Revision
        /// Of the answer that entered it.
        var header: HeaderFields
    }

    private let name: [UInt8]
    private let value: [UInt8]
    private var lease: LeaseID
    private var state = State.idle

    init(name: [UInt8], lease: LeaseID, value: [UInt8]) {
        self.name = name
        self.lease = lease
        self.value = value
    }

    private var key: Key { SessionKey.key(name, lease: lease) }

    mutating func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        switch (state, event) {
        case (.idle, .started):
            guard lease == .none else { return enter() }
            state = .granting
            return [.ask(SessionKey.grant)]
        case (.granting, .answered(.success(let body), _)):
            lease = body.ownLease
            return enter()
        case (.entering, .answered(.success(let body), let header)):
            return entered(body.ownTxn, header)
        case (.leaving, .answered(.success(let body), let header)):
            // A key that was there before belongs to an earlier call.
            return over(body.ownTxn.succeeded ? [place(Revision(header.revision)).removal] : [])
        case (.updating(let candidacy), .answered(let outcome, _)):
            return updated(candidacy, outcome)
        case (.waiting(var wait, let candidacy), let event):
            return waited(&wait, candidacy, event)
        case (_, .answered(.failure(let rejection), _)):
            return over(SessionKey.failure(rejection))
        case (.entering, .abandoned):
            state = .leaving
            return []
        case (.updating(let candidacy), .abandoned):
            return over([place(candidacy.revision).removal])
        case (.idle, .abandoned), (.granting, .abandoned):
            return over([])
        case (.idle, _), (.granting, _), (.entering, _), (.updating, _), (.leaving, _), (.over, _):
            return []
        }
    }

    private mutating func enter() -> [ProcedureEffect] {
        state = .entering
        return [
            .ask(
                .write(
                    .txn(
                        TxnRequest(
                            comparisons: [SessionKey.isAbsent(key)],
                            success: [SessionKey.put(key, value, lease: lease)], failure: [SessionKey.get(key)]))))
        ]
    }

    private mutating func entered(_ result: TxnResult, _ header: HeaderFields) -> [ProcedureEffect] {
        guard !result.succeeded, let mine = result.pair(at: 0) else {
            return wait(Candidacy(revision: Revision(header.revision), header: header))
        }
        let candidacy = Candidacy(revision: mine.createRevision, header: header)
        guard mine.value != value else { return wait(candidacy) }
        state = .updating(candidacy)
        return [.ask(ElectionService.proclamation(key, of: candidacy.revision, value, lease: lease))]
    }

    private mutating func updated(
        _ candidacy: Candidacy, _ outcome: Result<ReplyBody, Rejection>
    ) -> [ProcedureEffect] {
        switch outcome {
        case .success(let body) where body.ownTxn.succeeded: wait(candidacy)
        case .success: over(SessionKey.failure(ElectionService.notLeader))
        case .failure(let rejection):
            over([place(candidacy.revision).removal] + SessionKey.failure(rejection))
        }
    }

    private mutating func wait(_ candidacy: Candidacy) -> [ProcedureEffect] {
        let wait = place(candidacy.revision)
        state = .waiting(wait, candidacy)
        return [wait.question]
    }

    private mutating func waited(
        _ wait: inout PredecessorWait, _ candidacy: Candidacy, _ event: ProcedureEvent
    ) -> [ProcedureEffect] {
        if case .abandoned = event { return over([wait.removal]) }
        switch wait.step(event) {
        case .go(let effects):
            state = .waiting(wait, candidacy)
            return effects
        case .first: return succeed(candidacy)
        case .expired: return over(SessionKey.failure(ElectionService.notLeader))
        case .failed(let rejection):
            // The candidacy stands: a call with the same lease takes it up again.
            return over(SessionKey.failure(rejection))
        }
    }

    private func place(_ revision: Revision) -> PredecessorWait {
        PredecessorWait(name: name, lease: lease, revision: revision)
    }

    private mutating func succeed(_ candidacy: Candidacy) -> [ProcedureEffect] {
        var response = V3electionpb_CampaignResponse()
        response.header = Etcdserverpb_ResponseHeader(candidacy.header)
        response.leader.name = name.data
        response.leader.key = key.bytes.data
        response.leader.rev = candidacy.revision.number
        response.leader.lease = lease.number
        state = .over
        return ProcedureEffect.answer(response.encoded)
    }

    /// Ends the call, if these effects do not.
    private mutating func over(_ effects: [ProcedureEffect]) -> [ProcedureEffect] {
        state = .over
        if case .finish? = effects.last { return effects }
        return effects + [.finish(GRPCStatus(.cancelled))]
    }
}
