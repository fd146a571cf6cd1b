import Primitives
import RegistryModel

/// Waits until no key below a prefix is older than one's own: finds the youngest of the older ones, watches it until
/// it is deleted, and looks again. Each waiter watches one key, so a release wakes one waiter. Who has waited is asked
/// for at the end: a lease may have been over by then.
///
/// Source: etcd `client/v3/concurrency/key.go`, `waitDeletes`; it gives up where this looks again, after a compaction.
struct PredecessorWait: Sendable {
    enum Step: Sendable {
        case go([ProcedureEffect])
        /// Nobody is before us (any more).
        case first(HeaderFields)
        /// Nobody is, but our own key has gone.
        case expired
        case failed(Rejection)
    }

    private enum State {
        /// To `watching`, `confirming`, or over.
        case asking
        /// To `asking` when this key is gone.
        case watching
        /// Is our own key still there?
        case confirming
    }

    private let prefix: Key
    private let key: Key
    private let revision: Revision
    private var state = State.asking
    /// Somebody was there to wait for.
    private var hasWaited = false

    /// - Parameters:
    ///   - name: of the lock or the election.
    ///   - lease: whose key is one's own.
    ///   - revision: the create revision of one's own key.
    init(name: [UInt8], lease: LeaseID, revision: Revision) {
        prefix = SessionKey.prefix(name)
        key = SessionKey.key(name, lease: lease)
        self.revision = revision
    }

    /// Takes one's own key out of the queue, unless it is another one by now.
    var removal: ProcedureEffect { .order(SessionKey.removal(key, of: revision)) }

    /// The first question; `step` takes it from there.
    var question: ProcedureEffect {
        var request = RangeRequest(range: .prefix(prefix))
        request.sortOrder = .descending
        request.sortTarget = .create
        request.limit = 1
        request.keysOnly = true
        request.maxCreateRevision = Revision(revision.number - 1)
        return .ask(.range(request))
    }

    mutating func step(_ event: ProcedureEvent) -> Step {
        switch (state, event) {
        case (.asking, .answered(.success(let body), let header)):
            guard let last = body.ownRange.kvs.first else { return clear(header) }
            hasWaited = true
            state = .watching
            return .go([.watch(.key(last.key), from: Revision(header.revision), wantsPuts: false)])
        case (.confirming, .answered(.success(let body), let header)):
            return body.ownRange.kvs.first?.createRevision == revision ? .first(header) : .expired
        case (.asking, .answered(.failure(let rejection), _)), (.confirming, .answered(.failure(let rejection), _)),
            (.watching, .watchRefused(let rejection)):
            return .failed(rejection)
        case (.watching, .changed(let events, _)):
            guard events.contains(where: { $0.kind == .delete }) else { return .go([]) }
            state = .asking
            return .go([.unwatch, question])
        case (.watching, .watchLost):
            state = .asking
            return .go([question])
        case (.asking, _), (.watching, _), (.confirming, _):
            // Of a watch that is over.
            return .go([])
        }
    }

    private mutating func clear(_ header: HeaderFields) -> Step {
        guard hasWaited else { return .first(header) }
        state = .confirming
        return .go([.ask(.range(RangeRequest(range: .key(key))))])
    }
}
