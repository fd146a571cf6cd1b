package import Primitives

/// Everything `nerve` decides: when to probe, when a service is up, what stands in which registry.
///
/// A value: events in, orders out, no clock. It never ends because a registry is away, and it removes nothing for
/// that reason; registrations go when a check says so, when the configuration does, and at `shutdown`.
///
/// - Source: Airbnb's nerve, without its known faults.
package struct NerveCore: Sendable {
    /// One configured service.
    struct Slot: Sendable {
        var watcher: ServiceWatcher
        var bucket: TokenBucket?
        /// What the registry should show; nil while the service is down or not judged yet.
        var published: Published?

        var service: NerveService { watcher.service }
    }

    struct Published: Equatable, Sendable {
        var registry: RegistryEndpoints
        var wanted: RegistrySession.Wanted
    }

    private enum Life: Sendable {
        case running
        /// To `ended` when every lease is given back, or at the instant.
        case stopping(until: Instant)
        case ended
    }

    static let heartbeatInterval = TimeSpan.seconds(10)
    /// What is not deregistered by then is left to its lease's end.
    static let shutdownLimit = TimeSpan.seconds(5)

    package private(set) var configuration: NerveConfiguration
    /// In file order.
    private(set) var slots: [Slot] = []
    private(set) var sessions: [RegistrySession] = []
    private var effects: NerveEffects
    private var life = Life.running
    private var nextHeartbeat: Instant
    private var nextRegistry = 0

    /// - Parameters:
    ///   - seed: for jitter; different on each host.
    ///   - now: the first instant; later steps are never earlier.
    package init(_ configuration: NerveConfiguration, seed: UInt64, at now: Instant) {
        self.configuration = configuration
        effects = NerveEffects(seed: seed)
        nextHeartbeat = now
        adopt(configuration, at: now)
    }

    /// The most recent decisions.
    package var log: DecisionLog { effects.log }

    /// When `step(.timer)` is due at the latest. Valid after a step.
    package var nextDeadline: Instant {
        switch life {
        case .ended: return .distantFuture
        case .stopping(let until): return sessions.reduce(until) { min($0, $1.nextDeadline) }
        case .running:
            var next = configuration.heartbeatPath == nil ? Instant.distantFuture : nextHeartbeat
            for slot in slots { next = min(next, slot.watcher.nextDeadline) }
            for session in sessions { next = min(next, session.nextDeadline) }
            return next
        }
    }

    /// Takes one event and appends what is to be done, in order.
    ///
    /// - Parameter now: not earlier than in the previous call.
    package mutating func step(_ event: NerveEvent, at now: Instant, into orders: inout [NerveOrder]) {
        handle(event, at: now)
        switch life {
        case .running: runWatchers(at: now)
        case .stopping, .ended: break
        }
        advanceSessions(at: now)
        orders += effects.orders
        effects.orders.removeAll(keepingCapacity: true)
    }

    private mutating func handle(_ event: NerveEvent, at now: Instant) {
        switch event {
        case .timer: break
        case .probeFinished(let probe, let result): probeFinished(probe, result, at: now)
        case .leaseGranted(let id, let request, let lease, let ttlSeconds):
            let isExpected = withSession(id) { session, effects in
                session.leaseGranted(request, lease: lease, ttlSeconds: ttlSeconds, at: now, &effects)
            }
            // A grant given up earlier: nobody would renew it, so it goes back.
            if isExpected == false {
                effects.report("lease", .staleAnswer, at: now)
                let request = effects.nextRequest()
                effects.orders.append(.revokeLease(id, request, lease: lease, deadline: now + .seconds(2)))
            }
        case .leaseKeptAlive(let id, let request):
            withSession(id) { $0.leaseKeptAlive(request, at: now, &$1) }
        case .leaseRead(let id, let request, let keys):
            withSession(id) { $0.leaseRead(request, keys: keys, at: now, &$1) }
        case .leaseLost(let id, let lease): withSession(id) { $0.leaseLost(lease, at: now, &$1) }
        case .requestDone(let id, let request): withSession(id) { $0.requestDone(request, at: now, &$1) }
        case .requestFailed(let id, let request, let failure):
            withSession(id) { $0.requestFailed(request, failure, at: now, &$1) }
        case .registryReachable(let id, let reachable):
            withSession(id) { $0.connectionChanged(reachable, at: now, &$1) }
        case .configurationRead(let configuration):
            guard case .running = life, configuration != self.configuration else { return }
            adopt(configuration, at: now)
            effects.report("nerve", .configurationChanged, at: now)
        case .shutdown:
            guard case .running = life else { return }
            stop(at: now)
        }
    }

    @discardableResult
    private mutating func withSession<Result>(
        _ id: RegistryID, _ body: (inout RegistrySession, inout NerveEffects) -> Result
    ) -> Result? {
        guard let place = sessions.firstIndex(where: { $0.id == id }) else { return nil }
        return body(&sessions[place], &effects)
    }

    private mutating func stop(at now: Instant) {
        effects.report("nerve", .shutdown, at: now)
        for slot in slots {
            if let probe = slot.watcher.probeInFlight { effects.orders.append(.cancelProbe(probe)) }
        }
        life = .stopping(until: now + NerveCore.shutdownLimit)
    }

    private mutating func advanceSessions(at now: Instant) {
        for place in sessions.indices {
            if case .stopping = life { sessions[place].revoke(at: now, &effects) }
            sessions[place].advance(at: now, &effects)
        }
        sessions.removeAll { $0.isClosed }
        if case .stopping(let until) = life, sessions.isEmpty || until <= now {
            for place in sessions.indices { sessions[place].close(&effects) }
            sessions = []
            life = .ended
            effects.orders.append(.finished)
        }
    }
}

// MARK: - Checks

extension NerveCore {
    private mutating func runWatchers(at now: Instant) {
        for place in slots.indices {
            perform(slots[place].watcher.advance(at: now), in: place, at: now)
        }
        if let path = configuration.heartbeatPath, nextHeartbeat <= now {
            nextHeartbeat = now + NerveCore.heartbeatInterval
            effects.orders.append(.touchHeartbeat(path: path))
        }
    }

    private mutating func probeFinished(_ probe: ProbeID, _ result: ProbeResult, at now: Instant) {
        guard let place = slots.firstIndex(where: { $0.watcher.probeInFlight == probe }) else { return }
        let service = slots[place].service
        let wasInDoubt = slots[place].watcher.isInDoubt
        let action = slots[place].watcher.probeFinished(probe, result, at: now)
        if case .failed(let why) = result {
            effects.report(service.name, .checkFailed, why, at: now)
            if service.fastConfirmation != nil, !wasInDoubt, slots[place].watcher.isInDoubt {
                effects.report(service.name, .checkConfirming, at: now)
            }
        }
        perform(action, in: place, at: now)
    }

    private mutating func perform(_ action: ServiceWatcher.Action, in place: Int, at now: Instant) {
        switch action {
        case .none: break
        case .probe(let check):
            let probe = effects.nextProbe()
            slots[place].watcher.probeStarted(check: check, as: probe, at: now)
            effects.orders.append(.startProbe(probe, slots[place].service.checks[check]))
        case .roundFinished: judge(place, at: now)
        }
    }

    /// Publishes or withdraws a service whose verdict differs from what stands, if its rate limit lets it.
    private mutating func judge(_ place: Int, at now: Instant) {
        let isUp = slots[place].watcher.verdict == .up
        let next = isUp ? publication(of: slots[place].service, replacing: slots[place].published) : nil
        guard next != slots[place].published else { return }
        let name = slots[place].service.name
        if isUp != (slots[place].published != nil) {
            if let mayReport = slots[place].bucket?.take(at: now), !mayReport {
                let isShadow = slots[place].service.rateLimit?.isShadow ?? true
                effects.report(name, isShadow ? .throttledShadow : .throttled, at: now)
                if !isShadow { return }
            }
            effects.report(name, isUp ? .serviceUp : .serviceDown, at: now)
        }
        publish(next, in: place)
    }

    private mutating func publish(_ next: Published?, in place: Int) {
        let name = slots[place].service.name
        let previous = slots[place].published
        slots[place].published = next
        for index in sessions.indices {
            if sessions[index].endpoints == next?.registry {
                sessions[index].wanted[name] = next?.wanted
            } else if sessions[index].endpoints == previous?.registry {
                sessions[index].wanted[name] = nil
            }
        }
        if previous?.registry != next?.registry { retireSessions() }
    }

    /// The first service on a path has the plain key; one that comes later adds its name.
    private func publication(of service: NerveService, replacing current: Published?) -> Published {
        var wanted = RegistrySession.Wanted(
            path: service.path, instanceID: configuration.instanceID, sibling: nil,
            value: service.payload(instanceID: configuration.instanceID))
        let isTaken = slots.contains { slot in
            slot.service.name != service.name && slot.published?.registry == service.registry
                && slot.published?.wanted.path == service.path && slot.published?.wanted.sibling == nil
        }
        if isTaken { wanted.sibling = service.name }
        // A key once chosen stays, so that nothing is registered twice for the sake of its name.
        if let current, current.registry == service.registry, current.wanted.path == service.path {
            wanted.sibling = current.wanted.sibling
        }
        return Published(registry: service.registry, wanted: wanted)
    }
}

// MARK: - Configuration

extension NerveCore {
    /// Takes over a configuration service by service: unchanged ones go on untouched, a changed payload is written
    /// under the same key, changed checks start anew while the old registration stands until their first verdict.
    private mutating func adopt(_ next: NerveConfiguration, at now: Instant) {
        let old = slots
        configuration = next
        for slot in old where !next.services.contains(where: { $0.name == slot.service.name }) {
            if let probe = slot.watcher.probeInFlight { effects.orders.append(.cancelProbe(probe)) }
            for index in sessions.indices { sessions[index].wanted[slot.service.name] = nil }
        }
        slots = next.services.map { service in
            guard let previous = old.first(where: { $0.service.name == service.name }) else {
                return Slot(watcher: ServiceWatcher(service, at: now), bucket: bucket(of: service, at: now))
            }
            var slot = previous
            if previous.service.rateLimit != service.rateLimit { slot.bucket = bucket(of: service, at: now) }
            if hasSameChecks(previous.service, service) {
                slot.watcher = previous.watcher.continuing(as: service)
            } else {
                if let probe = previous.watcher.probeInFlight { effects.orders.append(.cancelProbe(probe)) }
                slot.watcher = ServiceWatcher(service, at: now)
            }
            return slot
        }
        openSessions(at: now)
        for place in slots.indices where slots[place].published != nil && slots[place].watcher.verdict == .up {
            let updated = publication(of: slots[place].service, replacing: slots[place].published)
            if updated != slots[place].published {
                effects.report(slots[place].service.name, .payloadChanged, at: now)
                publish(updated, in: place)
            }
        }
        retireSessions()
    }

    private func hasSameChecks(_ left: NerveService, _ right: NerveService) -> Bool {
        left.checks == right.checks && left.isMocked == right.isMocked && left.checkInterval == right.checkInterval
            && left.fastConfirmation == right.fastConfirmation
    }

    private func bucket(of service: NerveService, at now: Instant) -> TokenBucket? {
        service.rateLimit.map { TokenBucket(averageRate: $0.averageRate, maxBurst: $0.maxBurst, at: now) }
    }

    private mutating func openSessions(at now: Instant) {
        for endpoints in configuration.services.map(\.registry) {
            if let place = sessions.firstIndex(where: { $0.endpoints == endpoints }) {
                sessions[place].isRetiring = false
                continue
            }
            let id = RegistryID(nextRegistry)
            nextRegistry += 1
            sessions.append(
                RegistrySession(id: id, endpoints: endpoints, ttlSeconds: configuration.leaseTTLSeconds, at: now))
            effects.orders.append(.openRegistry(id, endpoints))
        }
    }

    /// A registry that nothing is configured for is left once the last registration there is gone.
    private mutating func retireSessions() {
        for place in sessions.indices {
            let endpoints = sessions[place].endpoints
            let isConfigured = configuration.services.contains { $0.registry == endpoints }
            let isInUse = slots.contains { $0.published?.registry == endpoints }
            sessions[place].isRetiring = !isConfigured && !isInUse
        }
    }
}
