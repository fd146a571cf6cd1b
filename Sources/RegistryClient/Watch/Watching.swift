import EtcdProto
import GRPC
import NIOCore
import SwiftProtobuf

/// One watch: its cursor, and the stream it is on. Confined to the client's event loop, except `setPaused` and `cancel`.
final class Watching: LinkUser, @unchecked Sendable {
    /// How long the registry may be out of reach before it is mentioned: a change of members takes far less.
    static let outageGrace = TimeAmount.milliseconds(500)

    private let request: WatchRequest
    private let core: ClientCore
    private let onEvent: (Watch.Event) -> Void
    private var cursor: WatchCursor
    var mark: HistoryMark { cursor.mark }
    private var stream: (any LinkStream)?
    private var link: LinkState?
    /// The linearizable read that goes before a new stream.
    private var fence: PendingCall?
    private var retry: Scheduled<Void>?
    private var outage: Scheduled<Void>?
    /// A stream that is open but not confirmed.
    private var creation: Scheduled<Void>?
    private var failures = 0
    private var lastError: RegistryError?
    private var toldUnavailable = false
    private var isPaused = false
    private var isStarted = false
    private(set) var isOver = false

    /// - Parameters:
    ///   - cursor: where to begin, when that is more than the request says.
    ///   - onEvent: called on the loop.
    init(
        _ request: WatchRequest, cursor: WatchCursor? = nil, core: ClientCore, onEvent: @escaping (Watch.Event) -> Void
    ) {
        self.request = request
        self.core = core
        self.onEvent = onEvent
        self.cursor = cursor ?? WatchCursor(fromRevision: request.fromRevision)
    }

    func start() {
        guard !isOver else { return }
        isStarted = true
        startOutageClock()
        core.add(self)
        if let link = core.linkUp { open(on: link) }
    }

    func cancel() {
        core.onLoop { self.end() }
    }

    func setPaused(_ paused: Bool) {
        core.onLoop {
            guard self.isPaused != paused else { return }
            self.isPaused = paused
            if paused { self.stream?.pauseReading() } else { self.stream?.resumeReading() }
        }
    }

    // MARK: LinkUser

    func linkUp(_ link: LinkState) {
        open(on: link)
    }

    func linkDown(_ link: LinkState, _ error: RegistryError) {
        guard self.link === link else { return }
        lost(error)
    }

    func clientClosed() {
        finish(ClientCore.closedError)
    }

    // MARK: Opening

    private func open(on link: LinkState) {
        guard !isOver, self.link == nil, fence == nil, core.linkUp === link else { return }
        retry?.cancel()
        retry = nil
        guard cursor.needsFence else { return openStream(on: link) }
        // Only after it is known that the history goes on where we were may a stream continue.
        var read = RangeRequest(.key(request.range.key.isEmpty ? [0] : request.range.key))
        read.countOnly = true
        fence = core.perform(read) { [weak self] result in
            guard let self, !self.isOver else { return }
            self.fence = nil
            self.fencePassed(result)
        }
    }

    private func fencePassed(_ result: Result<RangeResult, RegistryError>) {
        switch result {
        case .success(let answer):
            if let error = cursor.fencePassed(answer.header) { return finish(error) }
            if let link = core.linkUp { openStream(on: link) }
        case .failure(let error) where Self.isFinal(error):
            finish(error)
        case .failure(let error):
            lastError = error
            tryAgainLater()
        }
    }

    private func openStream(on link: LinkState) {
        guard let message = try? ProtoRequests.watch(request, from: cursor.next).serializedBytes() as [UInt8] else {
            return finish(RegistryError(.invalidArgument, "cannot encode the watch", statusCode: 3))
        }
        var metadata = core.settings.metadata
        metadata.add("hasleader", "true")
        self.link = link
        core.streamOpened(on: link)
        let stream = link.link.stream(ProtoRequests.watchPath, metadata) { [weak self] bytes in
            self?.received(bytes, on: link)
        } ended: { [weak self] status in
            self?.streamEnded(status, on: link)
        }
        self.stream = stream
        stream.send(message)
        if isPaused { stream.pauseReading() }
        creation = core.schedule(in: core.settings.requestTimeout) { [weak self] in
            guard let self, self.link === link, !self.isPaused else { return }
            self.core.leave(
                link, RegistryError(.unavailable, "\(link.endpoint): a watch was not confirmed in time", statusCode: 14)
            )
        }
    }

    // MARK: Receiving

    private func received(_ bytes: [UInt8], on link: LinkState) {
        guard !isOver, self.link === link else { return }
        core.heard(link)
        guard let message = try? Etcdserverpb_WatchResponse(serializedBytes: bytes) else {
            return streamEnded(GRPCStatus(.internal, "\(link.endpoint): a watch response cannot be read"), on: link)
        }
        let answer = ProtoResults.watch(message)
        let output = cursor.take(answer)
        if answer.isCreated, !answer.isCanceled { established(link) }
        switch output {
        case .nothing, .resumed: break
        case .started(let revision): onEvent(.started(revision: revision))
        case .batch(let batch): onEvent(.batch(batch))
        case .ended(let error): finish(error)
        case .reopens(let error): reopen(error, on: link)
        }
    }

    private func established(_ link: LinkState) {
        core.workedWell(link)
        creation?.cancel()
        creation = nil
        outage?.cancel()
        outage = nil
        failures = 0
        lastError = nil
        if toldUnavailable {
            toldUnavailable = false
            onEvent(.restored)
        }
    }

    private func streamEnded(_ status: GRPCStatus, on link: LinkState) {
        guard !isOver, self.link === link else { return }
        let (leaves, error) = core.streamFailed(status, on: link)
        if Self.isFinal(error) { return finish(error) }
        // Leaving tells us by `linkDown`.
        guard !leaves, self.link === link else { return }
        reopen(error, on: link)
    }

    private func reopen(_ error: RegistryError, on link: LinkState) {
        lost(error)
        tryAgainLater()
    }

    private func tryAgainLater() {
        failures += 1
        retry = core.schedule(in: core.pause(afterFailures: failures)) { [weak self] in
            guard let self, let link = self.core.linkUp else { return }
            self.open(on: link)
        }
    }

    private func lost(_ error: RegistryError) {
        lastError = error
        cursor.streamLost()
        closeStream()
        startOutageClock()
    }

    private func startOutageClock() {
        guard outage == nil, !toldUnavailable else { return }
        outage = core.schedule(in: Self.outageGrace) { [weak self] in
            guard let self, !self.isOver else { return }
            self.outage = nil
            self.toldUnavailable = true
            self.onEvent(
                .unavailable(self.lastError ?? RegistryError(.unavailable, "no endpoint answers", statusCode: 14)))
        }
    }

    /// Errors that trying again elsewhere does not cure.
    private static func isFinal(_ error: RegistryError) -> Bool {
        switch error.code {
        case .permissionDenied, .unauthenticated, .invalidArgument, .unimplemented, .closed: true
        default: false
        }
    }

    // MARK: The end

    private func finish(_ error: RegistryError) {
        guard !isOver else { return }
        end()
        onEvent(.ended(error))
    }

    private func end() {
        guard !isOver else { return }
        isOver = true
        closeStream()
        retry?.cancel()
        outage?.cancel()
        if let fence {
            self.fence = nil
            core.cancel(fence)
        }
        if isStarted { core.remove(self) }
    }

    private func closeStream() {
        creation?.cancel()
        creation = nil
        stream?.cancel()
        stream = nil
        if let link { core.streamClosed(on: link) }
        link = nil
    }
}
