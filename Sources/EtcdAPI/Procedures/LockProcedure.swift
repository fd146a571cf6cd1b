import EtcdProto
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf

/// `v3lockpb.Lock/Lock`: a key under the lock's name, which holds the lock once it is the oldest one.
///
/// Source: etcd `client/v3/concurrency/mutex.go`.
struct LockProcedure: Procedure {
    private enum State {
        /// To `granting` or `queueing`.
        case idle
        /// Waits for a lease; to `queueing`, or over.
        case granting
        /// Waits for the transaction that puts the key; over when it is the oldest, else to `waiting`. To `leaving`
        /// when the caller goes.
        case queueing
        /// Over when it is our turn, or when the caller goes, which takes the key away.
        case waiting(PredecessorWait)
        /// The caller went while the transaction was on its way: what it put is removed.
        case leaving
        case over
    }

    private let name: [UInt8]
    private var lease: LeaseID
    private var state = State.idle

    init(name: [UInt8], lease: LeaseID) {
        self.name = name
        self.lease = lease
    }

    private var key: Key { SessionKey.key(name, lease: lease) }

    mutating func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        switch (state, event) {
        case (.idle, .started):
            guard lease == .none else { return queue() }
            state = .granting
            return [.ask(SessionKey.grant)]
        case (.granting, .answered(.success(let body), _)):
            lease = body.ownLease
            return queue()
        case (.queueing, .answered(.success(let body), let header)):
            return queued(body.ownTxn, header)
        case (.leaving, .answered(.success(let body), let header)):
            // A key that was there before belongs to an earlier call.
            return over(body.ownTxn.succeeded ? [place(Revision(header.revision)).removal] : [])
        case (.waiting(var wait), let event):
            return waited(&wait, event)
        case (_, .answered(.failure(let rejection), _)):
            return over(SessionKey.failure(rejection))
        case (.queueing, .abandoned):
            state = .leaving
            return []
        case (.idle, .abandoned), (.granting, .abandoned):
            return over([])
        case (.idle, _), (.granting, _), (.queueing, _), (.leaving, _), (.over, _):
            return []
        }
    }

    private mutating func queue() -> [ProcedureEffect] {
        state = .queueing
        let oldest = TxnOperation.range(SessionKey.first(SessionKey.prefix(name)))
        return [
            .ask(
                .write(
                    .txn(
                        TxnRequest(
                            comparisons: [SessionKey.isAbsent(key)],
                            success: [SessionKey.put(key, [], lease: lease), oldest],
                            failure: [SessionKey.get(key), oldest]))))
        ]
    }

    private mutating func queued(_ result: TxnResult, _ header: HeaderFields) -> [ProcedureEffect] {
        let revision = result.succeeded ? Revision(header.revision) : result.pair(at: 0)?.createRevision ?? .zero
        guard let oldest = result.pair(at: 1), oldest.createRevision != revision else { return succeed(header) }
        let wait = place(revision)
        state = .waiting(wait)
        return [wait.question]
    }

    private mutating func waited(_ wait: inout PredecessorWait, _ event: ProcedureEvent) -> [ProcedureEffect] {
        if case .abandoned = event { return over([wait.removal]) }
        switch wait.step(event) {
        case .go(let effects):
            state = .waiting(wait)
            return effects
        case .first(let header): return succeed(header)
        case .expired: return over(SessionKey.failure("mutex: session is expired"))
        case .failed(let rejection): return over([wait.removal] + SessionKey.failure(rejection))
        }
    }

    private func place(_ revision: Revision) -> PredecessorWait {
        PredecessorWait(name: name, lease: lease, revision: revision)
    }

    private mutating func succeed(_ header: HeaderFields) -> [ProcedureEffect] {
        var response = V3lockpb_LockResponse()
        response.header = Etcdserverpb_ResponseHeader(header)
        response.key = key.bytes.data
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

/// `v3lockpb.Lock/Unlock`: deletes the key that `Lock` answered with, whether or not it is there.
struct UnlockProcedure: Procedure {
    private let key: Key

    init(key: Key) {
        self.key = key
    }

    func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        switch event {
        case .started:
            guard !key.isEmpty else { return SessionKey.failure(Rejection(.emptyKey)) }
            return [.ask(.write(.deleteRange(DeleteRangeRequest(range: .key(key)))))]
        case .answered(.success, let header):
            var response = V3lockpb_UnlockResponse()
            response.header = Etcdserverpb_ResponseHeader(header)
            return ProcedureEffect.answer(response.encoded)
        case .answered(.failure(let rejection), _): return SessionKey.failure(rejection)
        case .abandoned, .changed, .watchLost, .watchRefused, .computed: return []
        }
    }
}
