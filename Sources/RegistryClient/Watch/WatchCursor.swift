/// One response of a watch stream, as far as one watch is concerned.
struct WatchAnswer: Equatable, Sendable {
    var header = ResponseHeader()
    var watchID: Int64 = 0
    var isCreated = false
    var isCanceled = false
    var compactRevision: Int64 = 0
    var cancelReason = ""
    /// More pieces of the same response follow.
    var isFragment = false
    var events: [WatchEvent] = []
}

/// Where a watch stands: which revision it wants next, whatever stream it is on. Delivers each revision once, whole, in
/// order.
struct WatchCursor: Equatable, Sendable {
    enum Output: Equatable {
        case nothing
        /// The first stream is up; the store is at this revision.
        case started(revision: Int64)
        /// A later stream is up.
        case resumed
        case batch(WatchBatch)
        /// The watch is over.
        case ended(RegistryError)
        /// This stream is over: open another one from `next`.
        case reopens(RegistryError)
    }

    /// The first revision still wanted; 0 is "from now on", until the registry has said when that is.
    private(set) var next: Int64
    /// What has been seen of the history, to tell whether another stream continues it.
    private(set) var mark: HistoryMark
    private var hasStarted = false
    /// Events of a response whose last piece has not come: those of its last revision, which may go on.
    private var held: [WatchEvent] = []

    /// - Parameter mark: what was seen before, when the watch continues something.
    init(fromRevision: Int64, continuing mark: HistoryMark = HistoryMark()) {
        next = fromRevision
        self.mark = mark
    }

    /// A linearizable read went before a new stream; nil when the stream may be opened.
    mutating func fencePassed(_ header: ResponseHeader) -> RegistryError? {
        if let contradiction = mark.contradiction(header) {
            return RegistryError(.historyLost, contradiction)
        }
        mark.noteConfirmed(header)
        return nil
    }

    /// Whether a new stream must be preceded by a linearizable read. Not as long as nothing has been seen.
    var needsFence: Bool { mark != HistoryMark() }

    /// The stream is gone. Pieces of an incomplete response come again with the next one.
    mutating func streamLost() {
        held = []
    }

    mutating func take(_ answer: WatchAnswer) -> Output {
        if answer.isCanceled { return canceled(answer) }
        if answer.isCreated { return created(answer) }
        if answer.events.isEmpty, held.isEmpty { return progressed(answer) }
        return events(answer)
    }

    private mutating func created(_ answer: WatchAnswer) -> Output {
        mark.note(answer.header)
        if next == 0 { next = answer.header.revision + 1 }
        if hasStarted { return .resumed }
        hasStarted = true
        return .started(revision: answer.header.revision)
    }

    private func canceled(_ answer: WatchAnswer) -> Output {
        if answer.compactRevision != 0 {
            return .ended(Self.compacted(answer.compactRevision))
        }
        if !answer.cancelReason.isEmpty {
            let error = ErrorTable.watchRefusal(answer.cancelReason)
            if error.code == .compacted { return .ended(Self.compacted(nil)) }
            return error.code == .noLeader || error.code == .unavailable ? .reopens(error) : .ended(error)
        }
        // No reason at all: nothing is known to be wrong with the watch itself.
        return .reopens(RegistryError(.unavailable, "the registry ended the watch without a reason", statusCode: 14))
    }

    /// A notice for the whole stream (id -1) is not relied upon: etcd before 3.4.25 sends it ahead of events.
    private mutating func progressed(_ answer: WatchAnswer) -> Output {
        guard answer.watchID >= 0, answer.header.revision >= next else { return .nothing }
        mark.note(answer.header)
        next = answer.header.revision + 1
        return .batch(WatchBatch(revision: answer.header.revision, events: [], header: answer.header))
    }

    private mutating func events(_ answer: WatchAnswer) -> Output {
        var pending = held + answer.events.drop { $0.kv.modRevision < next }
        held = []
        if answer.isFragment, let last = pending.last {
            let whole = pending.firstIndex { $0.kv.modRevision == last.kv.modRevision } ?? pending.endIndex
            held = Array(pending[whole...])
            pending.removeSubrange(whole...)
        }
        guard let last = pending.last else { return .nothing }
        for (earlier, later) in zip(pending, pending.dropFirst()) where later.kv.modRevision < earlier.kv.modRevision {
            return .ended(RegistryError(.malformedAnswer, "a watch delivered revisions out of order", statusCode: 13))
        }
        mark.note(answer.header)
        next = last.kv.modRevision + 1
        return .batch(WatchBatch(revision: last.kv.modRevision, events: pending, header: answer.header))
    }

    private static func compacted(_ revision: Int64?) -> RegistryError {
        RegistryError(
            .compacted, "etcdserver: mvcc: required revision has been compacted", compactRevision: revision,
            statusCode: 11)
    }
}
