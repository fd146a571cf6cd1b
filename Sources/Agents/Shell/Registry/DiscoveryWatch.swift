import AgentCore
import NIOCore
import Primitives
import RegistryClient

/// One watched prefix: a snapshot unless it may resume, then every change, for ever. Confined to the client's loop.
///
/// Whatever happens to the registry it goes on: events say so, and what was missed follows as changes when the same
/// history continues, else as a new snapshot.
final class DiscoveryWatch: @unchecked Sendable {
    /// Without contact for this long, it is mentioned.
    private static let outageGrace = TimeAmount.milliseconds(500)
    /// Pairs read at a time, so that no single answer becomes huge.
    private static let pageLimit: Int64 = 1_000
    private static let retryFirst = TimeSpan.milliseconds(100)
    private static let retryMax = TimeSpan.seconds(5)

    private let id: WatchID
    private let client: Registry
    private let range: KeyRange
    private let onEvent: (SynapseEvent) -> Void
    private var watch: Watch?
    private var call: CallHandle?
    private var retry: Scheduled<Void>?
    private var outage: Scheduled<Void>?
    private var toldUnavailable = false
    private var lastFailure = "no endpoint answers"
    private var pause = DiscoveryWatch.retryFirst
    /// Up to where everything was told, and whose history it is.
    private var position: ResumePoint?
    private var pages: [DiscoveryEntry] = []
    private var isOver = false

    init(
        _ id: WatchID, _ request: AgentCore.WatchRequest, client: Registry, onEvent: @escaping (SynapseEvent) -> Void
    ) {
        self.id = id
        self.client = client
        self.onEvent = onEvent
        range = .prefix(request.prefix)
        position = request.resume
    }

    func start() {
        startOutageClock()
        if let position { follow(from: position) } else { readAll() }
    }

    func stop() {
        isOver = true
        watch?.cancel()
        call?.cancel()
        retry?.cancel()
        outage?.cancel()
    }

    // MARK: Reading everything

    private func readAll() {
        pages = []
        readPage(from: range, after: nil)
    }

    /// - Parameter first: where the first page was read; nil for that one itself.
    private func readPage(from page: KeyRange, after first: ResumePoint?) {
        var request = RangeRequest(page)
        request.limit = Self.pageLimit
        request.revision = first?.revision ?? 0
        call = client.call(request) { [weak self] result in
            guard let self, !self.isOver else { return }
            self.call = nil
            switch result {
            case .success(let answer): self.pageRead(answer, after: first)
            case .failure(let error): self.failed(error, isFirstPage: first == nil)
            }
        }
    }

    private func pageRead(_ answer: RangeResult, after first: ResumePoint?) {
        let point = first ?? ResumePoint(cluster: answer.header.clusterID, revision: answer.header.revision)
        // A later page of another history does not belong to the first.
        guard point.cluster == answer.header.clusterID else { return readAll() }
        pages += answer.kvs.map { DiscoveryEntry($0) }
        if answer.more, let last = answer.kvs.last {
            return readPage(from: KeyRange(key: last.key + [0], end: range.end), after: point)
        }
        let entries = pages
        pages = []
        inTouch()
        position = point
        onEvent(.discoverySnapshot(id, cluster: point.cluster, revision: point.revision, entries: entries))
        if !isOver { follow(from: point) }
    }

    private func failed(_ error: RegistryError, isFirstPage: Bool) {
        switch error.code {
        case .closed: stop()
        case .compacted where !isFirstPage, .futureRevision where !isFirstPage: readAll()
        default: tryAgain(after: error) { $0.readAll() }
        }
    }

    private func tryAgain(after error: RegistryError, _ body: @escaping (DiscoveryWatch) -> Void) {
        lastFailure = error.description
        startOutageClock()
        let delay = pause
        pause = min(pause * 2, Self.retryMax)
        retry = client.eventLoop.assumeIsolated().scheduleTask(in: delay.amount) { [weak self] in
            guard let self, !self.isOver else { return }
            body(self)
        }
    }

    // MARK: Following

    private func follow(from point: ResumePoint) {
        watch = client.watch(range, after: point.revision, ofCluster: point.cluster) { [weak self] event in
            guard let self, !self.isOver else { return }
            self.watched(event)
        }
    }

    private func watched(_ event: Watch.Event) {
        switch event {
        case .started, .restored:
            inTouch()
            tell([], upTo: nil)
        case .batch(let batch): tell(batch.events, upTo: batch.revision)
        case .unavailable(let error): tellUnavailable(error.description)
        case .ended(let error):
            watch = nil
            ended(error)
        }
    }

    private func tell(_ events: [WatchEvent], upTo revision: Int64?) {
        guard var position else { return }
        position.revision = max(position.revision, revision ?? 0)
        self.position = position
        onEvent(
            .discoveryEvents(
                id, cluster: position.cluster, revision: position.revision, changes: events.map { DiscoveryChange($0) })
        )
    }

    private func ended(_ error: RegistryError) {
        switch error.code {
        case .closed: stop()
        case .compacted:
            onEvent(.discoveryCompacted(id))
            startOutageClock()
            if !isOver { readAll() }
        case .historyLost, .malformedAnswer: tryAgain(after: error) { $0.readAll() }
        default:
            // A refusal: permissions can be given later, so it is never the end.
            tellUnavailable(error.description)
            tryAgain(after: error) { $0.readAll() }
        }
    }

    // MARK: Outages

    private func inTouch() {
        outage?.cancel()
        outage = nil
        toldUnavailable = false
        pause = Self.retryFirst
    }

    private func startOutageClock() {
        guard outage == nil, !toldUnavailable else { return }
        outage = client.eventLoop.assumeIsolated().scheduleTask(in: Self.outageGrace) { [weak self] in
            guard let self, !self.isOver else { return }
            self.outage = nil
            self.tellUnavailable(self.lastFailure)
        }
    }

    private func tellUnavailable(_ why: String) {
        guard !toldUnavailable else { return }
        toldUnavailable = true
        onEvent(.discoveryUnavailable(id, why))
    }
}

extension DiscoveryEntry {
    fileprivate init(_ kv: KeyValue) {
        self.init(
            key: kv.key, value: kv.value, createRevision: kv.createRevision, modRevision: kv.modRevision)
    }
}

extension DiscoveryChange {
    fileprivate init(_ event: WatchEvent) {
        switch event.kind {
        case .put: self = .put(DiscoveryEntry(event.kv))
        case .delete: self = .delete(key: event.kv.key, modRevision: event.kv.modRevision)
        }
    }
}
