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
        /// Over when the caller goes, which takes the key away; else to `confirming`.
        case waiting(PredecessorWait, Revision)
        /// Nobody is before us: is the key still there?
        case confirming(Revision)
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

    private var prefix: Key { SessionKey.prefix(name) }
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
            return over(body.ownTxn.succeeded ? [.order(removal(Revision(header.revision)))] : [])
        case (.waiting(var wait, let revision), let event):
            return waited(&wait, revision, event)
        case (.confirming(let revision), .answered(.success(let body), let header)):
            guard body.ownRange.kvs.first?.createRevision == revision else {
                return fail("mutex: session is expired")
            }
            return succeed(header)
        case (.confirming(let revision), .answered(.failure(let rejection), _)):
            return over([.order(removal(revision))] + SessionKey.failure(rejection))
        case (_, .answered(.failure(let rejection), _)):
            return over(SessionKey.failure(rejection))
        case (.queueing, .abandoned):
            state = .leaving
            return []
        case (.confirming(let revision), .abandoned):
            return over([.order(removal(revision))])
        case (.idle, .abandoned), (.granting, .abandoned):
            return over([])
        case (.idle, _), (.granting, _), (.queueing, _), (.confirming, _), (.leaving, _), (.over, _):
            return []
        }
    }

    private mutating func queue() -> [ProcedureEffect] {
        state = .queueing
        let oldest = TxnOperation.range(SessionKey.first(prefix))
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
        let wait = PredecessorWait(prefix: prefix, ownRevision: revision)
        state = .waiting(wait, revision)
        return [wait.question]
    }

    private mutating func waited(
        _ wait: inout PredecessorWait, _ revision: Revision, _ event: ProcedureEvent
    ) -> [ProcedureEffect] {
        if case .abandoned = event { return over([.order(removal(revision))]) }
        switch wait.step(event) {
        case .go(let effects):
            state = .waiting(wait, revision)
            return effects
        case .clear:
            state = .confirming(revision)
            return [.ask(.range(RangeRequest(range: .key(key))))]
        case .failed(let rejection):
            return over([.order(removal(revision))] + SessionKey.failure(rejection))
        }
    }

    private func removal(_ revision: Revision) -> Request {
        SessionKey.removal(key, of: revision)
    }

    private mutating func succeed(_ header: HeaderFields) -> [ProcedureEffect] {
        var response = V3lockpb_LockResponse()
        response.header = Etcdserverpb_ResponseHeader(header)
        response.key = key.bytes.data
        state = .over
        return ProcedureEffect.answer(response.encoded)
    }

    private mutating func fail(_ text: String) -> [ProcedureEffect] {
        state = .over
        return SessionKey.failure(text)
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
