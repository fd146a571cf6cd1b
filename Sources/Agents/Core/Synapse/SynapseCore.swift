package import Primitives

/// Everything `synapse` decides: which backends each service has, and what HAProxy is told.
///
/// A value: events in, orders out, no clock. It never ends because something is away; a registry that is dark,
/// without quorum, back empty or compacted takes no backend away (`DiscoveryView` has the rule). Endpoint changes go
/// over the runtime socket; a reload is the exception and always has its reason.
///
/// - Source: Airbnb's synapse, without its known faults; HAProxy's management guide.
package struct SynapseCore: Sendable {
    /// One watched prefix.
    struct Feed: Sendable {
        let id: WatchID
        let endpoints: RegistryEndpoints
        /// Without a slash at the end.
        let path: String
        var view = DiscoveryView()
        /// Answered, or known not to answer, since the start.
        var hasAnswered = false
    }

    /// One configured service.
    struct Slot: Sendable {
        var service: SynapseService
        var feed: WatchID?
        var merged = BackendMerge.Result(merged: nil, visible: nil, source: .unknown)
        /// The last merged list that was not empty.
        var previous: [Backend] = []
        var numbers = ServerNumbers()
        var skipped: [String] = []
        /// Discovery changed then, and the servers were not worked out since.
        var staleSince: Instant?
    }

    enum Life: Sendable {
        /// Before `started`.
        case new
        /// Until every registry has answered once, or the instant. Then `running`.
        case gathering(until: Instant)
        case running
        /// Until the state is saved, or the instant.
        case stopping(until: Instant)
        case ended
    }

    /// The longest that changes wait for HAProxy to be done with the ones before them.
    static let gatherLimit = TimeSpan.milliseconds(50)
    static let refreshInterval = TimeSpan.seconds(60)
    static let saveSpacing = TimeSpan.seconds(1)

    package internal(set) var configuration: SynapseConfiguration
    var feeds: [Feed] = []
    /// In file order.
    var slots: [Slot] = []
    var control: HAProxyControl
    var effects: SynapseEffects
    var life = Life.new
    var nextWatch = 0
    let wallSecondsAtZero: Int64
    let ownOrderSeed: String
    var saving: JobID?
    var isStateStale = false
    var nextSave = Instant.zero
    var nextRefresh = Instant.zero
    /// Of the state file, kept for services that are configured later.
    var saved = SavedState()

    /// - Parameters:
    ///   - seed: for jitter and, without `server_order_seed`, for the order of servers; different on each host and
    ///     the same after a restart.
    ///   - wallSecondsAtZero: seconds since 1970 at `Instant.zero`.
    ///   - now: the first instant; later steps are never earlier.
    package init(_ configuration: SynapseConfiguration, seed: UInt64, wallSecondsAtZero: Int64, at now: Instant) {
        self.configuration = configuration
        self.wallSecondsAtZero = wallSecondsAtZero
        ownOrderSeed = String(seed)
        control = HAProxyControl(configuration)
        effects = SynapseEffects(seed: seed)
    }

    /// The most recent decisions.
    package var log: DecisionLog { effects.log }

    /// Reloads ordered since the start.
    package var reloadCount: Int64 { control.reloadCount }

    /// When `step(.timer)` is due at the latest. Valid after a step.
    package var nextDeadline: Instant {
        switch life {
        case .new, .ended: return .distantFuture
        case .stopping(let until): return until
        case .gathering(let until): return until
        case .running: return min(control.nextDeadline, saveDeadline, nextRefresh, staleDeadline)
        }
    }

    var staleDeadline: Instant {
        slots.compactMap(\.staleSince).min().map { $0 + SynapseCore.gatherLimit } ?? .distantFuture
    }

    var saveDeadline: Instant {
        guard configuration.haproxy.stateFilePath != nil, saving == nil else { return .distantFuture }
        return isStateStale ? nextSave : .distantFuture
    }

    /// Takes one event and appends what is to be done, in order. The first event is `started`.
    ///
    /// - Parameter now: not earlier than in the previous call.
    package mutating func step(_ event: SynapseEvent, at now: Instant, into orders: inout [SynapseOrder]) {
        handle(event, at: now)
        if case .gathering(let until) = life, until <= now || feeds.allSatisfy({ $0.hasAnswered }) {
            life = .running
            for place in slots.indices { recompute(place, at: now) }
        }
        if case .running = life {
            if nextRefresh <= now { refresh(at: now) }
            recomputeStale(at: now)
            control.advance(at: now, &effects)
            rememberNumbers(at: now)
        }
        saveIfDue(at: now)
        if case .stopping(let until) = life, saving == nil || until <= now {
            life = .ended
            effects.orders.append(.finished)
        }
        orders += effects.orders
        effects.orders.removeAll(keepingCapacity: true)
    }

    private mutating func handle(_ event: SynapseEvent, at now: Instant) {
        switch event {
        case .timer: break
        case .started(let stateFile, let text): start(stateFile, text, at: now)
        case .discoverySnapshot(let id, let cluster, let revision, let entries):
            withFeed(id, at: now) { view, wall in
                view.snapshot(cluster: cluster, revision: revision, entries: entries, now: wall)
            }
        case .discoveryEvents(let id, let cluster, let revision, let changes):
            withFeed(id, at: now) { view, _ in
                view.events(cluster: cluster, revision: revision, changes: changes)
            }
        case .discoveryUnavailable(let id, let why): withFeed(id, at: now) { view, _ in view.becameDark(why) }
        case .discoveryCompacted(let id): withFeed(id, at: now) { view, _ in view.compacted() }
        case .socketReplies(let job, let replies):
            // What HAProxy is told next follows from all that is known, also from what came while it answered: a server
            // that has returned meanwhile is not taken away first.
            recomputeAll(at: now)
            control.socketReplies(job, replies, at: now, &effects)
        case .socketFailed(let job, let why): control.socketFailed(job, why, at: now, &effects)
        case .configurationWritten(let job, let result): control.configurationWritten(job, result, at: now, &effects)
        case .reloadFinished(let job, let succeeded, let output):
            control.reloadFinished(job, succeeded: succeeded, output: output, at: now, &effects)
        case .stateSaved(let job, let failure):
            guard saving == job else { return }
            saving = nil
            if let failure { effects.report("state file", .writeFailed, failure, at: now) }
        case .configurationRead(let configuration): adopt(configuration, at: now)
        case .shutdown:
            effects.report("synapse", .shutdown, at: now)
            isStateStale = true
            nextSave = now
            life = .stopping(until: now + .seconds(2))
        }
    }

    func wallSeconds(at now: Instant) -> Int64 { wallSecondsAtZero + now.nanoseconds / 1_000_000_000 }
}
