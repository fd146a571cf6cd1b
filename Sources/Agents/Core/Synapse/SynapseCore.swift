package import Primitives

/// Everything `synapse` decides: which backends each service has, and what HAProxy is told.
///
/// A value: events in, orders out, no clock. It never ends because something is away; a registry that is dark,
/// without quorum, back empty or compacted takes no backend away (`DiscoveryView` has the rule). Endpoint changes go
/// over the runtime socket; a reload is the exception and always has its reason.
///
/// - Source: design.md §8; smartstack.md §3 without its marked faults; haproxy.md §9.
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
    }

    private enum Life: Sendable {
        /// Before `started`.
        case new
        /// Until every registry has answered once, or the instant. Then `running`.
        case gathering(until: Instant)
        case running
        /// Until the state is saved, or the instant.
        case stopping(until: Instant)
        case ended
    }

    static let refreshInterval = TimeSpan.seconds(60)
    static let saveSpacing = TimeSpan.seconds(1)

    package private(set) var configuration: SynapseConfiguration
    private(set) var feeds: [Feed] = []
    /// In file order.
    private(set) var slots: [Slot] = []
    private(set) var control: HAProxyControl
    private var effects: SynapseEffects
    private var life = Life.new
    private var nextWatch = 0
    private let wallSecondsAtZero: Int64
    private let ownOrderSeed: String
    private var saving: JobID?
    private var isStateStale = false
    private var nextSave = Instant.zero
    private var nextRefresh = Instant.zero
    /// Of the state file, kept for services that are configured later.
    private var saved = SavedState()

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
        case .running: return min(control.nextDeadline, saveDeadline, nextRefresh)
        }
    }

    private var saveDeadline: Instant {
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
        case .socketReplies(let job, let replies): control.socketReplies(job, replies, at: now, &effects)
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

    private func wallSeconds(at now: Instant) -> Int64 { wallSecondsAtZero + now.nanoseconds / 1_000_000_000 }

    // MARK: - Start and configuration

    private mutating func start(_ stateFile: [UInt8]?, _ text: String?, at now: Instant) {
        guard case .new = life else { return }
        if let text { control.found(configurationText: text) }
        if let stateFile {
            var notes: [String] = []
            do {
                saved = try StateFile.decode(stateFile, notes: &notes)
            } catch {
                notes.append(error.description)
            }
            for note in notes.prefix(5) { effects.report("state file", .stateFileUnusable, note, at: now) }
        }
        nextRefresh = now + SynapseCore.refreshInterval
        openSlots(at: now)
        for warning in control.layout.warnings {
            effects.report("haproxy", .configurationChanged, warning.description, at: now)
        }
        life = .gathering(until: now + configuration.firstAnswerTimeout)
    }

    private mutating func adopt(_ next: SynapseConfiguration, at now: Instant) {
        guard next != configuration else { return }
        configuration = next
        switch life {
        case .new: control = HAProxyControl(next)
        case .stopping, .ended: break
        case .gathering, .running:
            control.adopt(next, at: now, &effects)
            openSlots(at: now)
            effects.report("synapse", .configurationChanged, at: now)
            if case .running = life {
                for place in slots.indices { recompute(place, at: now) }
            }
        }
    }

    /// One slot a service, one feed a prefix; feeds nobody reads any more end.
    private mutating func openSlots(at now: Instant) {
        let old = slots
        slots = configuration.services.map { service in
            var slot = old.first { $0.service.name == service.name } ?? restoredSlot(service)
            slot.service = service
            slot.feed = feed(for: service)
            return slot
        }
        for feed in feeds where !slots.contains(where: { $0.feed == feed.id }) {
            effects.orders.append(.stopWatch(feed.id))
        }
        feeds.removeAll { feed in !slots.contains { $0.feed == feed.id } }
    }

    private func restoredSlot(_ service: SynapseService) -> Slot {
        var slot = Slot(service: service)
        if let known = saved.services.first(where: { $0.name == service.name }) {
            slot.previous = known.backends
            slot.numbers = known.numbers
        }
        return slot
    }

    private mutating func feed(for service: SynapseService) -> WatchID? {
        guard case .registry(let endpoints, let path, _) = service.discovery else { return nil }
        if let feed = feeds.first(where: { $0.endpoints == endpoints && $0.path == path }) { return feed.id }
        var feed = Feed(id: WatchID(nextWatch), endpoints: endpoints, path: path)
        nextWatch += 1
        if let known = saved.feeds.first(where: { $0.path == path }) {
            feed.view.restore(cluster: known.cluster, revision: known.revision, entries: known.entries)
        }
        feeds.append(feed)
        effects.orders.append(
            .startWatch(
                feed.id,
                WatchRequest(
                    endpoints: endpoints, prefix: Array("\(path)/".utf8), resume: feed.view.resumePoint)))
        return feed.id
    }
}

// MARK: - Discovery

extension SynapseCore {
    private mutating func withFeed(
        _ id: WatchID, at now: Instant, _ change: (inout DiscoveryView, Int64) -> [DiscoveryView.Note]
    ) {
        guard let place = feeds.firstIndex(where: { $0.id == id }) else { return }
        let wall = wallSeconds(at: now)
        let before = feeds[place].view.entries
        let knew = feeds[place].view.knowledge
        let notes = change(&feeds[place].view, wall)
        feeds[place].hasAnswered = true
        let subject = feeds[place].path
        for note in notes.prefix(20) { effects.report(subject, note.code, note.detail, at: now) }
        if notes.count > 20 {
            effects.report(subject, .backendChanged, "and \(notes.count - 20) more changes", at: now)
        }
        isStateStale = isStateStale || !notes.isEmpty
        guard case .running = life else { return }
        if feeds[place].view.entries != before || feeds[place].view.knowledge != knew {
            for slot in slots.indices where slots[slot].feed == id { recompute(slot, at: now) }
        }
    }

    /// Works out one service's servers anew and hands them on.
    private mutating func recompute(_ place: Int, at now: Instant) {
        let service = slots[place].service
        let wall = wallSeconds(at: now)
        let feed = feeds.first { $0.id == slots[place].feed }
        let isKnown = feed.map { $0.view.knowledge != .nothing } ?? true
        let discovered = isKnown ? backends(of: service, in: feed) : nil
        let before = slots[place].merged
        let result = BackendMerge(service: service).merge(
            discovered: discovered, isSaved: feed?.view.knowledge == .saved, previous: slots[place].previous)
        slots[place].merged = result
        if let merged = result.merged, !merged.isEmpty, result.source == .discovery { slots[place].previous = merged }
        if result.source != before.source || result.hasNoLeader != before.hasNoLeader {
            explain(result, service.name, at: now)
        }
        guard let sections = control.layout.services.first(where: { $0.service.name == service.name }) else { return }
        var desired = DesiredBackend(
            name: sections.backendName, servers: nil, defaultOptions: sections.defaultOptions,
            foreignServers: sections.foreignServers, staticReason: sections.staticReason)
        if let visible = result.visible {
            let builder = ServerBuilder(
                sections: sections, maxServerID: configuration.haproxy.maxServerID,
                orderSeed: configuration.haproxy.serverOrderSeed ?? ownOrderSeed)
            let built = builder.servers(of: visible, numbers: &slots[place].numbers, now: wall)
            slots[place].numbers.forget(before: wall - ttlSeconds)
            desired.servers = built.servers
            let skipped = built.skipped.map { "\($0.server): \($0.why)" }
            if skipped != slots[place].skipped {
                for note in skipped.prefix(5) { effects.report(service.name, .payloadSkipped, note, at: now) }
                slots[place].skipped = skipped
            }
        }
        control.want(desired)
    }

    private func backends(of service: SynapseService, in feed: Feed?) -> [Backend] {
        guard let feed, case .registry(_, let path, let isRecursive) = service.discovery else { return [] }
        let prefix = path.utf8.count + 1
        return feed.view.held.compactMap { held in
            if !isRecursive, held.entry.key.dropFirst(prefix).contains(UInt8(ascii: "/")) { return nil }
            return held.backend
        }
    }

    private mutating func explain(_ result: BackendMerge.Result, _ service: String, at now: Instant) {
        switch result.source {
        case .defaultServers: effects.report(service, .usingDefaultServers, at: now)
        case .previous: effects.report(service, .usingPreviousBackends, at: now)
        case .lastGood: effects.report(service, .usingLastGood, at: now)
        case .discovery, .unknown, .none: break
        }
        if result.hasNoLeader { effects.report(service, .leaderUnknown, at: now) }
    }

    private mutating func rememberNumbers(at now: Instant) {
        guard !control.assigned.isEmpty else { return }
        let numbers = control.assigned
        control.assigned = []
        for number in numbers {
            guard let place = slots.firstIndex(where: { $0.service.backendName == number.backend }) else { continue }
            slots[place].numbers.remember(number.server, id: number.id, seen: wallSeconds(at: now))
            recompute(place, at: now)
        }
        isStateStale = true
    }

    private var ttlSeconds: Int64 { configuration.haproxy.stateFileTTL.nanoseconds / 1_000_000_000 }
}

// MARK: - State file

extension SynapseCore {
    private mutating func saveIfDue(at now: Instant) {
        guard let path = configuration.haproxy.stateFilePath, saving == nil, nextSave <= now else { return }
        switch life {
        case .new, .gathering, .ended: return
        case .running, .stopping: break
        }
        guard isStateStale else { return }
        isStateStale = false
        nextSave = now + SynapseCore.saveSpacing
        let job = effects.nextJob()
        saving = job
        effects.orders.append(.saveState(job, path: path, bytes: StateFile.encode(state)))
    }

    /// Once a minute: servers in use keep their numbers, what has been missing for too long goes, and the state is
    /// saved, whose age tells monitoring that the agent lives.
    private mutating func refresh(at now: Instant) {
        nextRefresh = now + SynapseCore.refreshInterval
        isStateStale = true
        let limit = wallSeconds(at: now) - ttlSeconds
        for place in feeds.indices {
            for note in feeds[place].view.forget(unconfirmedBefore: limit) {
                effects.report(feeds[place].path, note.code, note.detail, at: now)
            }
        }
        for place in slots.indices { recompute(place, at: now) }
    }

    /// What a restart would need, of services configured now.
    private var state: SavedState {
        var state = SavedState()
        for feed in feeds {
            guard feed.view.knowledge != .nothing else { continue }
            state.feeds.append(
                SavedState.Feed(
                    path: feed.path, cluster: feed.view.cluster, revision: feed.view.revision,
                    entries: feed.view.entries.values))
        }
        for slot in slots {
            state.services.append(
                SavedState.Service(name: slot.service.name, backends: slot.previous, numbers: slot.numbers))
        }
        return state
    }
}
