import Logging
import NIOCore

/// One follower: reads everything, then watches from there, and again when the watch cannot go on. Confined to the client's
/// event loop, except `setPaused` and `cancel`.
final class Following: @unchecked Sendable {
    /// Pairs read at a time, so that no single answer becomes huge.
    static let pageLimit: Int64 = 1_000

    private let range: KeyRange
    private let core: ClientCore
    private let onEvent: (Follower.Event) -> Void
    private var mark = HistoryMark()
    private var reason = Follower.Reason.first
    private var read: PendingCall?
    private var pages: [KeyValue] = []
    private var watching: Watching?
    private var retry: Scheduled<Void>?
    private var outage: Scheduled<Void>?
    private var failures = 0
    private var lastError: RegistryError?
    private var toldUnavailable = false
    private var isPaused = false
    private var isOver = false

    init(_ range: KeyRange, core: ClientCore, onEvent: @escaping (Follower.Event) -> Void) {
        self.range = range
        self.core = core
        self.onEvent = onEvent
    }

    func start() {
        guard !isOver else { return }
        startOutageClock()
        readAll()
    }

    func cancel() {
        core.onLoop { self.end() }
    }

    func setPaused(_ paused: Bool) {
        core.onLoop {
            self.isPaused = paused
            self.watching?.setPaused(paused)
        }
    }

    // MARK: Reading everything

    private func readAll() {
        pages = []
        readPage(from: range, at: 0)
    }

    /// - Parameter revision: of the first page; 0 for that one itself.
    private func readPage(from page: KeyRange, at revision: Int64) {
        var request = RangeRequest(page)
        request.limit = Self.pageLimit
        request.revision = revision
        read = core.perform(request) { [weak self] result in
            guard let self, !self.isOver else { return }
            self.read = nil
            self.pageRead(result, at: revision)
        }
    }

    private func pageRead(_ result: Result<RangeResult, RegistryError>, at revision: Int64) {
        switch result {
        case .failure(let error):
            readFailed(error, isFirstPage: revision == 0)
        case .success(let answer):
            if let contradiction = mark.contradiction(answer.header) {
                historyLost(contradiction)
                // A later page of another history does not belong to the first.
                guard revision == 0 else { return readAll() }
            }
            mark.noteConfirmed(answer.header)
            pages += answer.kvs
            let revision = revision == 0 ? answer.header.revision : revision
            if answer.more, let last = answer.kvs.last {
                readPage(from: KeyRange(key: last.key + [0], end: range.end), at: revision)
            } else {
                finishSnapshot(at: revision)
            }
        }
    }

    private func readFailed(_ error: RegistryError, isFirstPage: Bool) {
        switch error.code {
        case .compacted where !isFirstPage, .futureRevision where !isFirstPage:
            // The first page has become too old while the others were read, or is of a history that is gone.
            readAll()
        case .permissionDenied, .unauthenticated, .invalidArgument, .unimplemented, .closed:
            finish(error)
        default:
            lastError = error
            failures += 1
            startOutageClock()
            retry = core.schedule(in: core.pause(afterFailures: failures)) { [weak self] in self?.readAll() }
        }
    }

    private func finishSnapshot(at revision: Int64) {
        let snapshot = Follower.Snapshot(revision: revision, kvs: pages, reason: reason)
        pages = []
        reason = .first
        failures = 0
        inTouch()
        watch(from: revision + 1)
        onEvent(.snapshot(snapshot))
    }

    private func historyLost(_ contradiction: String) {
        core.settings.logger.warning("history lost", metadata: ["reason": "\(contradiction)"])
        mark = HistoryMark()
        if reason != .first || watchedBefore { reason = .historyLost }
    }

    // MARK: Watching

    private var watchedBefore = false

    private func watch(from revision: Int64) {
        watchedBefore = true
        let cursor = WatchCursor(fromRevision: revision, continuing: mark)
        let watching = Watching(WatchRequest(range, fromRevision: revision), cursor: cursor, core: core) {
            [weak self] event in
            self?.watched(event)
        }
        self.watching = watching
        watching.setPaused(isPaused)
        watching.start()
    }

    private func watched(_ event: Watch.Event) {
        guard !isOver else { return }
        switch event {
        case .started:
            inTouch()
        case .batch(let batch):
            guard !batch.events.isEmpty else { return }
            onEvent(.changes(revision: batch.revision, batch.events))
        case .unavailable(let error):
            tellUnavailable(error)
        case .restored:
            inTouch()
        case .ended(let error):
            watchEnded(error)
        }
    }

    private func watchEnded(_ error: RegistryError) {
        mark = watching?.mark ?? mark
        watching = nil
        switch error.code {
        case .compacted:
            reason = .compacted
            readAgain(error)
        case .historyLost:
            historyLost(error.message)
            readAgain(error)
        case .malformedAnswer:
            reason = .compacted
            readAgain(error)
        default:
            finish(error)
        }
    }

    private func readAgain(_ error: RegistryError) {
        lastError = error
        startOutageClock()
        readAll()
    }

    // MARK: Outages

    private func inTouch() {
        outage?.cancel()
        outage = nil
        lastError = nil
        if toldUnavailable {
            toldUnavailable = false
            onEvent(.restored)
        }
    }

    private func startOutageClock() {
        guard outage == nil, !toldUnavailable else { return }
        outage = core.schedule(in: Watching.outageGrace) { [weak self] in
            guard let self, !self.isOver else { return }
            self.outage = nil
            self.tellUnavailable(
                self.lastError ?? RegistryError(.unavailable, "no endpoint answers", statusCode: 14))
        }
    }

    private func tellUnavailable(_ error: RegistryError) {
        guard !toldUnavailable else { return }
        toldUnavailable = true
        onEvent(.unavailable(error))
    }

    // MARK: The end

    private func finish(_ error: RegistryError) {
        guard !isOver else { return }
        end()
        onEvent(.ended(error))
    }

    private func end() {
        isOver = true
        retry?.cancel()
        outage?.cancel()
        watching?.cancel()
        watching = nil
        if let read {
            self.read = nil
            core.cancel(read)
        }
    }
}
