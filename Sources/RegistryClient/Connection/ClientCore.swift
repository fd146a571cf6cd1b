import GRPC
import Logging
import NIOCore
import Synchronization

/// Uses streams: told when there is a link to open one on.
protocol LinkUser: AnyObject {
    /// Called on every new link.
    func linkUp(_ link: LinkState)
    /// The link must not be used any more; streams on it are to be given up.
    func linkDown(_ link: LinkState, _ error: RegistryError)
    /// The client is closing; no call may be made on it any more.
    func clientClosed()
}

/// The client behind its public face: one link at a time, calls and streams over it, and another link when it fails.
///
/// Everything but `enqueue`, `onLoop` and `shut` runs on `loop`; that is what makes it safe to hand references around.
final class ClientCore: @unchecked Sendable {
    private enum Phase {
        /// Nobody wants a link.
        case idle
        case dialing
        /// A whole round of endpoints has failed; the task dials again.
        case waiting(Scheduled<Void>)
        case up(LinkState)
        case closed
    }

    let loop: any EventLoop
    let settings: ClientSettings
    private let dialer: Dialer
    private var generator: any RandomNumberGenerator
    private var rotation: EndpointRotation
    private var phase = Phase.idle
    /// Calls waiting for a link, oldest first.
    var waiting: [PendingCall] = []
    /// Calls sent and not answered.
    var underWay: [ObjectIdentifier: PendingCall] = [:]
    /// Links that take no new calls but have some to finish.
    private var retired: [LinkState] = []
    private var users: [ObjectIdentifier: any LinkUser] = [:]
    /// Looks after the silence of the link; nil while nothing is awaited on it.
    var monitor: Scheduled<Void>?
    /// Nothing may be put on the loop from outside any more. The one thing here that other threads touch.
    private let isShut = Mutex(false)
    private(set) lazy var leases = LeaseRenewals(core: self)

    init(
        loop: any EventLoop, settings: ClientSettings, generator: any RandomNumberGenerator, dialer: @escaping Dialer
    ) {
        self.loop = loop
        self.settings = settings
        self.dialer = dialer
        self.generator = generator
        var generator = generator
        let count = settings.endpoints.count
        let start = settings.shufflesEndpoints ? Int.random(in: 0..<count, using: &generator) : 0
        self.generator = generator
        rotation = EndpointRotation(count: count, startingAt: start, backoff: settings.backoff)
    }

    var isClosed: Bool {
        if case .closed = phase { true } else { false }
    }

    /// The link in use; asks for one when there is none.
    var link: LinkState? {
        if case .up(let link) = phase { return link }
        connectIfNeeded()
        return nil
    }

    /// The link in use, if there is one.
    var linkUp: LinkState? {
        if case .up(let link) = phase { link } else { nil }
    }

    // MARK: From outside

    /// Runs `body` on the loop, in a later turn; false when the client is closed: its loop may be gone.
    @discardableResult
    func enqueue(_ body: @escaping @Sendable () -> Void) -> Bool {
        isShut.withLock { isShut in
            if !isShut { loop.execute(body) }
            return !isShut
        }
    }

    /// Runs `body` on the loop: at once when called there.
    func onLoop(_ body: @escaping @Sendable () -> Void) {
        if loop.inEventLoop { body() } else { enqueue(body) }
    }

    /// Closes the client, unless that has been done.
    ///
    /// - Parameter done: called when nothing of it is left on the loop.
    func shut(_ done: @escaping @Sendable () -> Void) -> Bool {
        isShut.withLock { isShut in
            guard !isShut else { return false }
            isShut = true
            loop.execute {
                self.close()
                // Links close in the next turn.
                self.loop.execute(done)
            }
            return true
        }
    }

    // MARK: Time

    @discardableResult
    func schedule(in delay: TimeAmount, _ body: @escaping () -> Void) -> Scheduled<Void> {
        loop.assumeIsolated().scheduleTask(in: delay, body)
    }

    func schedule(at deadline: NIODeadline, _ body: @escaping () -> Void) -> Scheduled<Void> {
        loop.assumeIsolated().scheduleTask(deadline: deadline, body)
    }

    // MARK: Streams' users

    /// From now on the client keeps a link up for `user` and tells it of each; not of the one that is up already.
    func add(_ user: any LinkUser) {
        guard !isClosed else { return user.clientClosed() }
        users[ObjectIdentifier(user)] = user
        connectIfNeeded()
    }

    func remove(_ user: any LinkUser) {
        users[ObjectIdentifier(user)] = nil
    }

    /// A stream could be opened on `link`: what comes on it is a sign of life, and its silence is watched.
    func streamOpened(on link: LinkState) {
        if link.calls == 0, link.streams == 0 { link.awaitingSince = .now() }
        link.streams += 1
        watchSilence()
    }

    func streamClosed(on link: LinkState) {
        link.streams -= 1
    }

    /// Something came from the member.
    func heard(_ link: LinkState) {
        link.lastHeard = .now()
    }

    /// An answer only a working member gives.
    func workedWell(_ link: LinkState) {
        link.lastHeard = .now()
        if case .up(let current) = phase, current === link { rotation.succeeded() }
    }

    /// Whether a stream that ended with `status` takes the link with it. When not, the user tries again later.
    func streamFailed(_ status: GRPCStatus, on link: LinkState) -> (leaves: Bool, error: RegistryError) {
        let verdict = RetryPolicy.judge(status, kind: .repeatable)
        if verdict.leavesEndpoint { leave(link, verdict.error) }
        return (verdict.leavesEndpoint, verdict.error)
    }

    /// A wait before something is tried again on the same link.
    func pause(afterFailures failures: Int) -> TimeAmount {
        settings.backoff.delay(beforeRound: failures, using: &generator)
    }

    // MARK: Links

    private func connectIfNeeded() {
        if case .idle = phase { dial() }
    }

    private func dial() {
        let endpoint = settings.endpoints[rotation.current]
        phase = .dialing
        var link: LinkState?
        var closedEarly: GRPCStatus?
        let opened: (Result<any Link, GRPCStatus>) -> Void = { [weak self] result in
            switch result {
            case .success(let opened):
                guard let self, case .dialing = self.phase else { return opened.close() }
                let up = LinkState(opened, endpoint, now: .now())
                link = up
                self.linkOpened(up)
                if let closedEarly { self.linkClosed(up, closedEarly) }
            case .failure(let status):
                self?.dialFailed(endpoint, status)
            }
        }
        let closed: (GRPCStatus) -> Void = { [weak self] status in
            if let link { self?.linkClosed(link, status) } else { closedEarly = status }
        }
        dialer(endpoint, settings.dialTimeout, opened, closed)
    }

    private func linkOpened(_ link: LinkState) {
        settings.logger.debug("connected", metadata: ["endpoint": "\(link.endpoint)"])
        phase = .up(link)
        dispatchWaiting()
        for user in users.values {
            guard case .up(let current) = phase, current === link else { return }
            user.linkUp(link)
        }
    }

    private func dialFailed(_ endpoint: Endpoint, _ status: GRPCStatus) {
        guard case .dialing = phase else { return }
        settings.logger.debug("cannot connect", metadata: ["endpoint": "\(endpoint)", "error": "\(status.message)"])
        for call in waiting { call.lastError = ErrorTable.error(status) }
        dialNext()
    }

    private func dialNext() {
        let delay = rotation.failed(using: &generator)
        guard !waiting.isEmpty || !users.isEmpty else {
            phase = .idle
            return
        }
        if delay.nanoseconds == 0 {
            dial()
        } else {
            phase = .waiting(
                schedule(in: delay) { [weak self] in
                    guard let self, case .waiting = self.phase else { return }
                    self.dial()
                })
        }
    }

    /// The member said that it goes away, or the connection broke.
    private func linkClosed(_ link: LinkState, _ status: GRPCStatus) {
        leave(link, ErrorTable.error(status))
    }

    /// Uses another endpoint from now on. Calls under way over this one may finish; streams move.
    func leave(_ link: LinkState, _ error: RegistryError) {
        guard case .up(let current) = phase, current === link else { return }
        settings.logger.info("leaving", metadata: ["endpoint": "\(link.endpoint)", "error": "\(error)"])
        link.isRetired = true
        retired.append(link)
        dialNext()
        for user in users.values { user.linkDown(link, error) }
        closeIfDrained(link)
        watchSilence()
    }

    /// The member is frozen or unreachable: its calls and streams are not waited for.
    func cutOff(_ link: LinkState, _ error: RegistryError) {
        leave(link, error)
        closeLink(link)
    }

    func closeIfDrained(_ link: LinkState) {
        if link.isRetired, link.calls == 0 { closeLink(link) }
    }

    private func closeLink(_ link: LinkState) {
        guard !link.isClosed else { return }
        link.isClosed = true
        link.probe?.cancel()
        link.probe = nil
        retired.removeAll { $0 === link }
        // Not from inside one of the link's own callbacks.
        schedule(in: .zero) { link.link.close() }
    }

    // MARK: The end

    /// Fails everything outstanding with `.closed`, and every later call.
    func close() {
        guard !isClosed else { return }
        let link = linkUp
        if case .waiting(let task) = phase { task.cancel() }
        phase = .closed
        monitor?.cancel()
        monitor = nil
        for call in waiting { call.finish(.failure(Self.closedError)) }
        waiting = []
        for call in underWay.values {
            call.attempt?.cancel()
            var error = Self.closedError
            error.outcome = call.traits.isRepeatable ? .notDone : .unknown
            call.finish(.failure(error))
        }
        underWay = [:]
        let leaving = users.values
        users = [:]
        for user in leaving { user.clientClosed() }
        for link in retired + (link.map { [$0] } ?? []) { closeLink(link) }
    }

    static let closedError = RegistryError(.closed, "the client has been closed", statusCode: 1)
}
