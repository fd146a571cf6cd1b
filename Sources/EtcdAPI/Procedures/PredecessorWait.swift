import Primitives
import RegistryModel

/// Waits until no key below a prefix is older than one's own: finds the youngest of the older ones, watches it until
/// it is deleted, and looks again. Each waiter watches one key, so a release wakes one waiter.
///
/// Source: etcd `client/v3/concurrency/key.go`, `waitDeletes`; it gives up where this looks again, after a compaction.
struct PredecessorWait: Sendable {
    enum Step: Sendable {
        case go([ProcedureEffect])
        /// Nobody is before us (any more).
        case clear(HeaderFields)
        case failed(Rejection)
    }

    private enum State {
        /// To `watching`, or over.
        case asking
        /// To `asking` when this key is gone.
        case watching
    }

    private let prefix: Key
    private let ownRevision: Revision
    private var state = State.asking
    /// Somebody was there to wait for.
    private(set) var hasWaited = false

    /// - Parameters:
    ///   - prefix: of all that queue.
    ///   - ownRevision: the create revision of one's own key.
    init(prefix: Key, ownRevision: Revision) {
        self.prefix = prefix
        self.ownRevision = ownRevision
    }

    /// The first question; `step` takes it from there.
    var question: ProcedureEffect {
        var request = RangeRequest(range: .prefix(prefix))
        request.sortOrder = .descending
        request.sortTarget = .create
        request.limit = 1
        request.keysOnly = true
        request.maxCreateRevision = Revision(ownRevision.number - 1)
        return .ask(.range(request))
    }

    mutating func step(_ event: ProcedureEvent) -> Step {
        switch (state, event) {
        case (.asking, .answered(.success(let body), let header)):
            guard case .range(let result) = body else { preconditionFailure("a range was answered with \(body)") }
            guard let last = result.kvs.first else { return .clear(header) }
            hasWaited = true
            state = .watching
            return .go([.watch(.key(last.key), from: Revision(header.revision), wantsPuts: false)])
        case (.asking, .answered(.failure(let rejection), _)), (.watching, .watchRefused(let rejection)):
            return .failed(rejection)
        case (.watching, .changed(let events, _)):
            guard events.contains(where: { $0.kind == .delete }) else { return .go([]) }
            state = .asking
            return .go([.unwatch, question])
        case (.watching, .watchLost):
            state = .asking
            return .go([question])
        case (.asking, _), (.watching, _):
            // Of a watch that is over.
            return .go([])
        }
    }
}
